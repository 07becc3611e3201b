// SPDX-License-Identifier: Apache-2.0
// The part of Arduino's interface that the sketch uses, on POSIX: the serial monitor is standard input and output.
#pragma once

#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <string>

inline unsigned long millis() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned long)(now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

inline void delay(unsigned long ms) { usleep(useconds_t(ms * 1000)); }

inline uint32_t esp_random() {
    uint32_t bits;
    if (getentropy(&bits, sizeof bits) != 0) abort();
    return bits;
}

inline void configTime(long, int, const char*) {}

typedef std::string String;

struct SerialMonitor {
    void begin(unsigned long) {}
    void print(const char* text) { fputs(text, stdout), fflush(stdout); }
    void println(const char* text) { puts(text), fflush(stdout); }
    int available() {
        pollfd event = {0, POLLIN, 0};
        return !isOver && ::poll(&event, 1, 0) > 0;
    }
    String readStringUntil(char end) {
        String text;
        for (char character; !isOver && text.size() < 10000;) {
            isOver = ::read(0, &character, 1) != 1;
            if (isOver || character == end) break;
            text += character;
        }
        return text;
    }
    bool isOver = false;
};

static SerialMonitor Serial;
