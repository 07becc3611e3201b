// SPDX-License-Identifier: Apache-2.0
// WebSocket framing (RFC 6455) of a client with little memory: C++11, no heap, no exceptions, no library.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace parley {

enum class Opcode : uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

// MARK: The handshake

inline uint32_t rotated(uint32_t value, int bits) { return value << bits | value >> (32 - bits); }

/// SHA-1 (RFC 3174), which the handshake needs. `size` is at most 119.
inline void sha1(const char* data, size_t size, uint8_t digest[20]) {
    uint8_t blocks[128] = {0};
    memcpy(blocks, data, size);
    blocks[size] = 0x80;
    const size_t count = size < 56 ? 1 : 2;
    blocks[64 * count - 2] = uint8_t(size * 8 >> 8);
    blocks[64 * count - 1] = uint8_t(size * 8);
    uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    for (size_t block = 0; block < count; block++) {
        uint32_t words[80];
        for (int n = 0; n < 16; n++) {
            const uint8_t* bytes = blocks + 64 * block + 4 * n;
            words[n] = uint32_t(bytes[0]) << 24 | uint32_t(bytes[1]) << 16 | uint32_t(bytes[2]) << 8 | bytes[3];
        }
        for (int n = 16; n < 80; n++) words[n] = rotated(words[n - 3] ^ words[n - 8] ^ words[n - 14] ^ words[n - 16], 1);
        uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
        for (int n = 0; n < 80; n++) {
            uint32_t mix, constant;
            if (n < 20) mix = (b & c) | (~b & d), constant = 0x5a827999;
            else if (n < 40) mix = b ^ c ^ d, constant = 0x6ed9eba1;
            else if (n < 60) mix = (b & c) | (b & d) | (c & d), constant = 0x8f1bbcdc;
            else mix = b ^ c ^ d, constant = 0xca62c1d6;
            const uint32_t next = rotated(a, 5) + mix + e + constant + words[n];
            e = d, d = c, c = rotated(b, 30), b = a, a = next;
        }
        state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
    }
    for (int n = 0; n < 20; n++) digest[n] = uint8_t(state[n / 4] >> (24 - 8 * (n % 4)));
}

/// Writes base64 with padding and a final zero: 4 * ((size + 2) / 3) + 1 characters.
inline void base64(const uint8_t* data, size_t size, char* text) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t at = 0; at < size; at += 3) {
        const uint32_t bits = uint32_t(data[at]) << 16 | (at + 1 < size ? data[at + 1] << 8 : 0) | (at + 2 < size ? data[at + 2] : 0);
        *text++ = alphabet[bits >> 18];
        *text++ = alphabet[bits >> 12 & 63];
        *text++ = at + 1 < size ? alphabet[bits >> 6 & 63] : '=';
        *text++ = at + 2 < size ? alphabet[bits & 63] : '=';
    }
    *text = 0;
}

/// Computes the `Sec-WebSocket-Accept` that belongs to a key of 24 characters (RFC 6455 §4.2.2).
inline void acceptKey(const char* key, char accept[29]) {
    char text[61];
    memcpy(text, key, 24);
    memcpy(text + 24, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 37);
    uint8_t digest[20];
    sha1(text, 60, digest);
    base64(digest, 20, accept);
}

// MARK: Frames to the server

/// Writes the header of an unfragmented, masked frame; at most 14 bytes. Returns their number.
inline size_t frameHeader(uint8_t* out, Opcode opcode, size_t length, const uint8_t mask[4]) {
    size_t at = 0;
    out[at++] = 0x80 | uint8_t(opcode);
    if (length < 126) {
        out[at++] = uint8_t(0x80 | length);
    } else if (length <= 0xffff) {
        out[at++] = 0x80 | 126;
        out[at++] = uint8_t(length >> 8);
        out[at++] = uint8_t(length);
    } else {
        out[at++] = 0x80 | 127;
        for (int shift = 56; shift >= 0; shift -= 8) out[at++] = uint8_t(uint64_t(length) >> shift);
    }
    memcpy(out + at, mask, 4);
    return at + 4;
}

// MARK: Frames from the server

/// Returns whether the bytes are UTF-8 without surrogates and overlong forms (RFC 3629).
inline bool isUTF8(const uint8_t* bytes, size_t size) {
    for (size_t at = 0; at < size;) {
        const uint8_t first = bytes[at++];
        if (first < 0x80) continue;
        const int more = first >= 0xc2 && first < 0xe0 ? 1 : (first & 0xf0) == 0xe0 ? 2 : first >= 0xf0 && first < 0xf5 ? 3 : 0;
        if (more == 0 || size - at < size_t(more)) return false;
        const uint8_t second = bytes[at];
        if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f)) return false;
        if ((first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f)) return false;
        for (int n = 0; n < more; n++) {
            if ((bytes[at++] & 0xc0) != 0x80) return false;
        }
    }
    return true;
}

/// Parses frames into messages: fragments are joined, and control frames may come between them.
class FrameReader {
public:
    enum class Event : uint8_t { none, text, binary, ping, pong, close, error };

    /// The buffer bounds a message.
    FrameReader(uint8_t* buffer, size_t capacity) : buffer_(buffer), capacity_(capacity) { reset(); }

    void reset() {
        headerSize_ = 0, messageSize_ = 0, left_ = 0, controlSize_ = 0, errorCode_ = 0;
        isInPayload_ = isInMessage_ = false;
    }

    /// Consumes bytes up to the end of a message or control frame; call it again with the rest. After an error, nothing is consumed.
    Event read(const uint8_t* data, size_t size, size_t* used) {
        *used = 0;
        if (errorCode_) return Event::error;
        while (*used < size) {
            if (!isInPayload_) {
                header_[headerSize_++] = data[(*used)++];
                if (headerSize_ < headerLength()) continue;
                if (const uint16_t code = parseHeader()) return failed(code);
                headerSize_ = 0;
                isInPayload_ = true;
            } else {
                const size_t count = size - *used < left_ ? size - *used : size_t(left_);
                uint8_t* target = isControl() ? control_ + controlSize_ : buffer_ + messageSize_;
                memcpy(target, data + *used, count);
                (isControl() ? controlSize_ : messageSize_) += count;
                left_ -= count;
                *used += count;
            }
            if (left_ > 0) continue;
            isInPayload_ = false;
            if (isControl()) return controlled();
            if (!isFinal_) continue;
            isInMessage_ = false;
            if (type_ == Opcode::text && !isUTF8(buffer_, messageSize_)) return failed(1007);
            return type_ == Opcode::text ? Event::text : Event::binary;
        }
        return Event::none;
    }

    /// The payload of the last event, until the next call of `read`.
    const uint8_t* payload() const { return isControl() ? control_ : buffer_; }
    size_t size() const { return isControl() ? controlSize_ : messageSize_; }
    /// The code of a received close frame, or 1005 without one; after an error, the code to close with.
    uint16_t closeCode() const {
        if (errorCode_) return errorCode_;
        return controlSize_ < 2 ? 1005 : uint16_t(control_[0] << 8 | control_[1]);
    }

private:
    bool isControl() const { return uint8_t(opcode_) >= 8; }

    size_t headerLength() const {
        if (headerSize_ < 2) return 2;
        const uint8_t length = header_[1] & 0x7f;
        return length == 127 ? 10 : length == 126 ? 4 : 2;
    }

    /// Returns the close code if the header is invalid, otherwise 0.
    uint16_t parseHeader() {
        const uint8_t opcode = header_[0] & 0x0f;
        // Reserved bits without an extension; a masked frame of a server; an unknown opcode.
        if ((header_[0] & 0x70) || (header_[1] & 0x80) || (opcode > 2 && opcode < 8) || opcode > 10) return 1002;
        opcode_ = Opcode(opcode);
        isFinal_ = header_[0] & 0x80;
        left_ = header_[1] & 0x7f;
        if (left_ > 125) {
            const size_t bytes = left_ == 126 ? 2 : 8;
            left_ = 0;
            for (size_t n = 0; n < bytes; n++) left_ = left_ << 8 | header_[2 + n];
            // The shortest form is required.
            if (left_ < 126 || (bytes == 8 && left_ <= 0xffff) || left_ >> 63) return 1002;
        }
        if (isControl()) {
            controlSize_ = 0;
            return !isFinal_ || left_ > 125 || (opcode_ == Opcode::close && left_ == 1) ? 1002 : 0;
        }
        if ((opcode_ == Opcode::continuation) != isInMessage_) return 1002;
        if (!isInMessage_) {
            type_ = opcode_;
            messageSize_ = 0;
        }
        isInMessage_ = true;
        return left_ > capacity_ - messageSize_ ? 1009 : 0;
    }

    Event controlled() {
        if (opcode_ == Opcode::ping) return Event::ping;
        if (opcode_ == Opcode::pong) return Event::pong;
        if (controlSize_ > 2 && !isUTF8(control_ + 2, controlSize_ - 2)) return failed(1007);
        return Event::close;
    }

    Event failed(uint16_t code) {
        errorCode_ = code;
        return Event::error;
    }

    uint8_t* buffer_;
    size_t capacity_, messageSize_, controlSize_, headerSize_;
    uint64_t left_;
    uint8_t header_[10], control_[125];
    Opcode opcode_ = Opcode::text, type_ = Opcode::text;
    uint16_t errorCode_;
    bool isFinal_ = true, isInPayload_, isInMessage_;
};

}  // namespace parley
