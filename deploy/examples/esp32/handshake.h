// SPDX-License-Identifier: Apache-2.0
// The upgrade's response, and the decision after a connection has ended.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace parley {

/// The action after a connection has ended with a close code or HTTP status: as in `CODES` of the other clients.
enum class Recovery : uint8_t { reconnect, backoff, refresh, newSession, stop };

inline Recovery recovery(uint16_t code) {
    switch (code) {
        case 400: case 403: case 404: case 405: case 426: case 431: return Recovery::stop;
        case 1009: case 4503: case 4504: case 4505: case 4506: case 4507: return Recovery::stop;
        case 401: case 4500: case 4501: return Recovery::refresh;
        case 4502: return Recovery::newSession;
        case 1001: case 1012: case 4001: case 4002: case 4003: return Recovery::reconnect;
        default: return Recovery::backoff;
    }
}

inline uint32_t decimal(const char* text, int digits) {
    uint32_t value = 0;
    for (; digits > 0 && *text >= '0' && *text <= '9'; text++, digits--) value = 10 * value + uint32_t(*text - '0');
    return value;
}

/// Finds a field of a response; `name` is in lower case and has the colon.
inline bool field(const char* head, const char* name, char* value, size_t size) {
    for (const char* line = strstr(head, "\r\n"); line; line = strstr(line, "\r\n")) {
        line += 2;
        size_t at = 0;
        while (name[at] && (line[at] >= 'A' && line[at] <= 'Z' ? line[at] + 32 : line[at]) == name[at]) at++;
        if (name[at]) continue;
        while (line[at] == ' ') at++;
        size_t length = strcspn(line + at, "\r");
        while (length > 0 && line[at + length - 1] == ' ') length--;
        if (length >= size) return false;
        memcpy(value, line + at, length);
        value[length] = 0;
        return true;
    }
    return false;
}

}  // namespace parley
