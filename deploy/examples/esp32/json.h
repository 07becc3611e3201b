// SPDX-License-Identifier: Apache-2.0
// The JSON that a small client needs: finds members of a received object, and escapes strings. No heap, no recursion.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace parley {

/// A JSON value within a received text. Whatever the text is, nothing outside it is read.
class Json {
public:
    Json() : begin_(nullptr), end_(nullptr) {}
    Json(const char* text, size_t size) : begin_(text), end_(text + size) { begin_ = space(begin_); }

    explicit operator bool() const { return begin_ != end_; }

    /// Returns the member of this object, or an empty value. Keys are compared as they are written.
    Json operator[](const char* key) const {
        const char* at = begin_;
        if (at == end_ || *at++ != '{') return Json();
        while (true) {
            at = space(at);
            const char* name = at;
            if (at == end_ || *at != '"' || !(at = skip(at))) return Json();
            const size_t length = size_t(at - name) - 2;
            at = space(at);
            if (at == end_ || *at++ != ':') return Json();
            at = space(at);
            const char* after = skip(at);
            if (!after) return Json();
            if (length == strlen(key) && memcmp(name + 1, key, length) == 0) return Json(at, size_t(after - at));
            at = space(after);
            if (at == end_ || *at++ != ',') return Json();
        }
    }

    bool isTrue() const { return end_ - begin_ == 4 && memcmp(begin_, "true", 4) == 0; }

    bool equals(const char* text) const {
        const size_t length = strlen(text);
        return size_t(end_ - begin_) == length + 2 && *begin_ == '"' && memcmp(begin_ + 1, text, length) == 0;
    }

    /// Returns a whole number from 0 up; −1 if this is none.
    int64_t number() const {
        int64_t value = 0;
        for (const char* at = begin_; at != end_; at++) {
            if (*at == '.' && at != begin_) break;
            if (*at < '0' || *at > '9' || value > INT64_MAX / 10 - 1) return -1;
            value = value * 10 + (*at - '0');
        }
        return begin_ == end_ ? -1 : value;
    }

    /// Writes this string, unescaped, with a final zero. Returns false if it is no string or doesn't fit.
    bool string(char* out, size_t capacity) const {
        if (end_ - begin_ < 2 || *begin_ != '"') return false;
        char* const limit = out + capacity - 1;
        for (const char* at = begin_ + 1; at < end_ - 1;) {
            uint32_t scalar = uint8_t(*at++);
            if (scalar != '\\') {
                if (out == limit) return false;
                *out++ = char(scalar);
                continue;
            }
            if (at == end_ - 1) return false;
            const char escape = *at++;
            static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
            if (escape != 'u') {
                const char* known = strchr(from, escape);
                if (!known || !escape) return false;
                scalar = uint8_t(to[known - from]);
            } else {
                if (!hex(at, &scalar)) return false;
                at += 4;
                uint32_t low;
                if (scalar >= 0xd800 && scalar < 0xdc00) {
                    if (end_ - 1 - at < 6 || at[0] != '\\' || at[1] != 'u') return false;
                    if (!hex(at + 2, &low) || low < 0xdc00 || low > 0xdfff) return false;
                    scalar = 0x10000 + ((scalar - 0xd800) << 10) + (low - 0xdc00);
                    at += 6;
                } else if (scalar >= 0xdc00 && scalar <= 0xdfff) {
                    return false;
                }
            }
            const int more = scalar < 0x80 ? 0 : scalar < 0x800 ? 1 : scalar < 0x10000 ? 2 : 3;
            if (limit - out <= more) return false;
            static const uint8_t lead[] = {0, 0xc0, 0xe0, 0xf0};
            *out++ = char(lead[more] | scalar >> (6 * more));
            for (int n = more - 1; n >= 0; n--) *out++ = char(0x80 | (scalar >> (6 * n) & 0x3f));
        }
        *out = 0;
        return true;
    }

    /// Returns this string, unescaped in the place of the received text, which can't be read afterwards; empty if this is no string.
    const char* decoded() const {
        char* text = const_cast<char*>(begin_);
        return text && string(text, size_t(end_ - begin_)) ? text : "";
    }

private:
    const char* space(const char* at) const {
        while (at != end_ && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) at++;
        return at;
    }

    bool hex(const char* at, uint32_t* value) const {
        if (end_ - 1 - at < 4) return false;
        *value = 0;
        for (int n = 0; n < 4; n++) {
            const char digit = at[n] | 0x20;
            const int number = at[n] >= '0' && at[n] <= '9' ? at[n] - '0' : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
            if (number < 0) return false;
            *value = *value << 4 | uint32_t(number);
        }
        return true;
    }

    /// Returns the end of the value that begins here; null if the text ends first.
    const char* skip(const char* at) const {
        int depth = 0;
        while (at != end_) {
            const char first = *at;
            if (first == '"') {
                for (at++; at != end_ && *at != '"'; at++) {
                    if (*at == '\\' && ++at == end_) return nullptr;
                }
                if (at == end_) return nullptr;
                at++;
            } else if (first == '{' || first == '[') {
                depth++;
                at++;
            } else if (first == '}' || first == ']') {
                // The end of the object that this value should be in.
                if (depth == 0) return nullptr;
                depth--;
                at++;
            } else if (depth > 0 && (first == ',' || first == ':' || first == ' ' || first == '\t' || first == '\n' || first == '\r')) {
                at++;
                continue;
            } else {
                const char* begin = at;
                while (at != end_ && !strchr(",:}] \t\n\r\"{[", *at)) at++;
                if (at == begin) return nullptr;
            }
            if (depth == 0) return at;
        }
        return nullptr;
    }

    const char *begin_, *end_;
};

/// Builds a JSON text in a buffer. A text that doesn't fit makes it invalid.
class JsonText {
public:
    JsonText(char* buffer, size_t capacity) : buffer_(buffer), capacity_(capacity), size_(0), fits_(true) {}

    JsonText& raw(const char* text) {
        while (*text) put(*text++);
        return *this;
    }

    JsonText& number(uint64_t value) {
        char digits[20];
        int count = 0;
        do digits[count++] = char('0' + value % 10);
        while (value /= 10);
        while (count > 0) put(digits[--count]);
        return *this;
    }

    JsonText& string(const char* text) {
        put('"');
        for (; *text; text++) {
            const uint8_t byte = uint8_t(*text);
            if (byte == '"' || byte == '\\') put('\\');
            if (byte >= 0x20) {
                put(*text);
                continue;
            }
            static const char digits[] = "0123456789abcdef";
            raw("\\u00");
            put(digits[byte >> 4]);
            put(digits[byte & 15]);
        }
        put('"');
        return *this;
    }

    bool fits() const { return fits_; }
    const char* text() const { return buffer_; }
    size_t size() const { return size_; }

private:
    void put(char character) {
        if (size_ < capacity_) buffer_[size_++] = character;
        else fits_ = false;
    }

    char* buffer_;
    size_t capacity_, size_;
    bool fits_;
};

}  // namespace parley
