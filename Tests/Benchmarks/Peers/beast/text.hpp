// SPDX-License-Identifier: Apache-2.0

// The protocol's strings: validating ids, sanitizing texts, writing JSON.
#pragma once
#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace peer {

inline bool is_id(std::string_view text) {
    static constexpr auto allowed = [] {
        std::array<bool, 256> table{};
        constexpr std::string_view characters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-";
        for (char c : characters) table[static_cast<unsigned char>(c)] = true;
        return table;
    }();
    if (text.empty() || text.size() > 64) return false;
    for (unsigned char c : text) {
        if (!allowed[c]) return false;
    }
    return true;
}

/// Returns the text without control characters other than TAB and LF.
inline std::string sanitized(std::string_view text) {
    const auto removed = [](unsigned char c) { return c == 0x7f || (c < 0x20 && c != '\t' && c != '\n'); };
    std::size_t removed_count = 0;
    for (unsigned char c : text) removed_count += removed(c);
    if (removed_count == 0) return std::string(text);
    std::string clean;
    clean.reserve(text.size() - removed_count);
    for (char c : text) {
        if (!removed(static_cast<unsigned char>(c))) clean += c;
    }
    return clean;
}

/// Returns the number of characters of a UTF-8 text: its bytes other than continuation bytes.
inline std::size_t character_count(std::string_view text) {
    std::size_t count = 0;
    for (char c : text) count += (c & 0xc0) != 0x80;
    return count;
}

/// Appends a JSON string (RFC 8259 §7); runs without escapes are appended at once.
inline void append_json(std::string& to, std::string_view text) {
    to += '"';
    while (!text.empty()) {
        std::size_t plain = 0;
        while (plain < text.size() && static_cast<unsigned char>(text[plain]) >= 0x20 && text[plain] != '"' && text[plain] != '\\') plain++;
        to += text.substr(0, plain);
        text.remove_prefix(plain);
        if (text.empty()) break;
        switch (const char c = text.front()) {
        case '"': to += "\\\""; break;
        case '\\': to += "\\\\"; break;
        case '\n': to += "\\n"; break;
        case '\t': to += "\\t"; break;
        default:
            to += "\\u00";
            to += "0123456789abcdef"[c >> 4];
            to += "0123456789abcdef"[c & 15];
        }
        text.remove_prefix(1);
    }
    to += '"';
}

}  // namespace peer
