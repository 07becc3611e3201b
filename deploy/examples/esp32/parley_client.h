// SPDX-License-Identifier: Apache-2.0
// A client of Parley (subprotocol parley.v1) for microcontrollers: one request at a time, text or audio, in a session that survives lost
// connections. It reads sockets and clocks only through its template parameter and settings, so that tests run it on a computer.
#pragma once

#include <stdio.h>

#include "handshake.h"
#include "json.h"
#include "websocket.h"

namespace parley {

/// `Socket` is a TLS connection such as WiFiClientSecure: connect, available, read, write, connected, stop. `capacity` bounds a received
/// message; the first one, `session`, has about 1200 bytes. `textCapacity` bounds a sent text with its JSON.
template <class Socket, size_t capacity = 4096, size_t textCapacity = 1024> class Client {
public:
    struct Settings {
        const char* host;
        uint16_t port;
        const char* path;
        /// Milliseconds since the start; may wrap around.
        uint32_t (*now)();
        /// 32 unpredictable bits.
        uint32_t (*random)();
        /// Returns the bearer token for a new connection; null without authentication.
        const char* (*token)();
    };

    /// A piece of the response to a request, or a pushed text.
    void (*onText)(const char* id, const char* text) = nullptr;
    void (*onTranscript)(const char* id, const char* text, bool isFinal) = nullptr;
    void (*onAudio)(const uint8_t* chunk, size_t size) = nullptr;
    /// The response has ended: complete, or with an error code.
    void (*onEnd)(const char* id, const char* error) = nullptr;
    /// The connection is open (0), or has ended with a close code or HTTP status.
    void (*onConnection)(uint16_t code) = nullptr;

    Client(Socket& socket, const Settings& settings) : socket_(socket), settings_(settings), reader_(buffer_, capacity) {
        prefix_ = settings.random();
        retryAt_ = settings.now();
    }

    bool isOpen() const { return phase_ == Phase::open; }
    /// Whether the client has stopped: it was rejected for good, or `close` was called.
    bool isStopped() const { return phase_ == Phase::stopped; }
    /// Whether a request waits for the end of its response.
    bool isBusy() const { return request_ != Request::none; }

    /// Sends a text, also after a reconnect. Returns its id; null if a request is in progress, or if the text is empty or too long.
    const char* say(const char* text) {
        if (isBusy() || isStopped() || !*text) return nullptr;
        newID();
        JsonText message(text_, textCapacity);
        message.raw("{\"type\":\"text\",\"id\":").string(id_).raw(",\"text\":").string(text).raw("}");
        if (!message.fits()) return nullptr;
        textSize_ = message.size();
        request_ = Request::unsent;
        sendRequest();
        return id_;
    }

    /// Opens a stream of pcm16 with one channel. Returns its id; null if there is no connection or a request is in progress.
    const char* listen(uint32_t rate) {
        if (isBusy() || !isOpen()) return nullptr;
        newID();
        JsonText message(text_, textCapacity);
        message.raw("{\"type\":\"audio\",\"id\":").string(id_);
        message.raw(",\"format\":{\"codec\":\"pcm16\",\"rate\":").number(rate).raw(",\"channels\":1}}");
        request_ = Request::recording;
        return write(Opcode::text, message.text(), message.size()) ? id_ : nullptr;
    }

    /// Sends samples. A recording can't be continued after a lost connection, and fails with `audio_dropped`.
    bool send(const int16_t* samples, size_t count) {
        if (request_ != Request::recording || !isOpen()) return false;
        return write(Opcode::binary, reinterpret_cast<const char*>(samples), 2 * count);
    }

    /// Ends the recording. Its response follows.
    bool finish() {
        if (request_ != Request::recording || !isOpen()) return false;
        request_ = Request::sent;
        JsonText message(text_, textCapacity);
        message.raw("{\"type\":\"audio\",\"id\":").string(id_).raw(",\"final\":true}");
        textSize_ = 0;
        return write(Opcode::text, message.text(), message.size());
    }

    /// Ends the session.
    void close() {
        if (isOpen()) write("{\"type\":\"bye\"}");
        stop(1000);
    }

    /// Does what is due; call it in each `loop()`. It blocks only while connecting.
    void poll() {
        const uint32_t now = settings_.now();
        if (phase_ == Phase::waiting) {
            if (isDue(retryAt_, now)) connect();
            return;
        }
        if (phase_ == Phase::stopped) return;
        while (phase_ == Phase::upgrading && socket_.available() > 0) readHead();
        while (phase_ > Phase::upgrading && socket_.available() > 0) readFrames();
        if (phase_ == Phase::waiting || phase_ == Phase::stopped) return;
        if (!socket_.connected()) return lose(1006);
        if (phase_ != Phase::open) {
            if (isDue(deadline_, now)) lose(1006);
            return;
        }
        if (last_ > acked_) acknowledge();
        if (request_ == Request::unsent && isDue(resendAt_, now)) sendRequest();
        if (isGoing_ && isDue(leaveAt_, now)) return lose(4003);
        if (isDue(pingAt_, now)) {
            pingAt_ = now + heartbeat_;
            write("{\"type\":\"ping\"}");
        }
        if (isDue(heardAt_ + heartbeat_ + 10000, now)) lose(4001);
    }

private:
    enum class Phase : uint8_t { stopped, waiting, upgrading, greeting, open };
    /// `unsent` and `sent` texts aren't acknowledged.
    enum class Request : uint8_t { none, recording, unsent, sent, accepted };

    static bool isDue(uint32_t time, uint32_t now) { return int32_t(now - time) >= 0; }

    void newID() { snprintf(id_, sizeof id_, "%08lx-%lu", (unsigned long)prefix_, (unsigned long)++counter_); }

    // MARK: Connecting

    void connect() {
        phase_ = Phase::upgrading;
        reader_.reset();
        headSize_ = 0;
        if (!socket_.connect(settings_.host, settings_.port)) return lose(1006);
        deadline_ = settings_.now() + 10000;
        uint8_t nonce[16];
        for (int n = 0; n < 16; n++) nonce[n] = uint8_t(settings_.random());
        base64(nonce, 16, key_);
        JsonText head(reinterpret_cast<char*>(buffer_), capacity);
        head.raw("GET ").raw(settings_.path);
        if (resume_[0]) head.raw("?last_seq=").number(last_);
        head.raw(" HTTP/1.1\r\nHost: ").raw(settings_.host).raw(":").number(settings_.port);
        head.raw("\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ").raw(key_);
        if (resume_[0]) head.raw("\r\nParley-Resume: ").raw(resume_);
        const char* token = settings_.token ? settings_.token() : nullptr;
        if (token) head.raw("\r\nAuthorization: Bearer ").raw(token);
        head.raw("\r\n\r\n");
        if (!head.fits() || socket_.write(buffer_, head.size()) != head.size()) lose(1006);
    }

    /// Reads the response to the upgrade byte by byte, because frames may follow in the same packet.
    void readHead() {
        uint8_t byte;
        if (socket_.read(&byte, 1) != 1) return;
        if (headSize_ == capacity - 1) return lose(1002);
        buffer_[headSize_++] = byte;
        if (headSize_ < 4 || memcmp(buffer_ + headSize_ - 4, "\r\n\r\n", 4) != 0) return;
        buffer_[headSize_] = 0;
        const char* head = reinterpret_cast<const char*>(buffer_);
        if (strncmp(head, "HTTP/1.1 ", 9) != 0) return lose(1002);
        const uint16_t status = uint16_t(decimal(head + 9, 3));
        char value[32], accept[29];
        acceptKey(key_, accept);
        if (status == 101) {
            if (!field(head, "sec-websocket-accept:", value, sizeof value) || strcmp(value, accept) != 0) return lose(1002);
            phase_ = Phase::greeting;
            return;
        }
        const bool waits = field(head, "retry-after:", value, sizeof value);
        lose(status < 400 ? 1002 : status, waits ? 1000 * decimal(value, 5) : 0);
    }

    /// Ends the connection, and decides when the next one begins. The first limit of the random delay is 250 ms; it doubles up to 30 s.
    void lose(uint16_t code, uint32_t minimum = 0) {
        socket_.stop();
        Recovery what = recovery(code);
        if (what == Recovery::refresh && (refreshed_ || !settings_.token)) what = Recovery::stop;
        refreshed_ = what == Recovery::refresh;
        if (what == Recovery::stop) return stop(code);
        if (what == Recovery::newSession) resume_[0] = 0;
        const bool wasStable = phase_ == Phase::open && isDue(openedAt_ + 60000, settings_.now());
        if (wasStable || (what != Recovery::backoff && phase_ == Phase::open)) attempts_ = 0;
        const uint32_t limit = attempts_ < 7 ? 250u << attempts_ : 30000;
        if (attempts_ < 7) attempts_++;
        if (retryAfter_ > minimum) minimum = retryAfter_;
        retryAt_ = settings_.now() + minimum + settings_.random() % limit;
        retryAfter_ = 0;
        isGoing_ = false;
        phase_ = Phase::waiting;
        // The text may have arrived: the gateway recognizes its id.
        if (request_ == Request::sent && textSize_ > 0) request_ = Request::unsent;
        resendAt_ = settings_.now();
        if (onConnection) onConnection(code);
    }

    void stop(uint16_t code) {
        socket_.stop();
        phase_ = Phase::stopped;
        if (onConnection) onConnection(code);
        end("closed");
    }

    // MARK: Sending

    bool write(const char* text) { return write(Opcode::text, text, strlen(text)); }

    bool write(Opcode opcode, const char* data, size_t size) {
        const uint32_t bits = settings_.random();
        uint8_t mask[4], part[256];
        memcpy(mask, &bits, 4);
        size_t used = frameHeader(part, opcode, size, mask);
        for (size_t at = 0; at < size; at++) {
            if (used == sizeof part) {
                if (socket_.write(part, used) != used) return false;
                used = 0;
            }
            part[used++] = uint8_t(data[at]) ^ mask[at % 4];
        }
        return socket_.write(part, used) == used;
    }

    void sendRequest() {
        if (!isOpen() || request_ != Request::unsent) return;
        if (write(Opcode::text, text_, textSize_)) request_ = Request::sent;
    }

    void cancel() {
        char text[64];
        snprintf(text, sizeof text, "{\"type\":\"cancel\",\"id\":\"%s\"}", id_);
        write(text);
    }

    void acknowledge() {
        char text[48];
        snprintf(text, sizeof text, "{\"type\":\"ack\",\"seq\":%llu}", (unsigned long long)last_);
        if (write(text)) acked_ = last_;
    }

    // MARK: Receiving

    void readFrames() {
        uint8_t bytes[256];
        const int count = socket_.read(bytes, sizeof bytes);
        if (count <= 0) return;
        heardAt_ = settings_.now();
        for (size_t at = 0, used; phase_ > Phase::upgrading && at < size_t(count); at += used) {
            const FrameReader::Event event = reader_.read(bytes + at, size_t(count) - at, &used);
            const char* payload = reinterpret_cast<const char*>(reader_.payload());
            switch (event) {
                case FrameReader::Event::none: break;
                case FrameReader::Event::text: receive(Json(payload, reader_.size())); break;
                case FrameReader::Event::binary: receiveChunk(); break;
                case FrameReader::Event::ping: write(Opcode::pong, payload, reader_.size()); break;
                case FrameReader::Event::pong: break;
                case FrameReader::Event::close: closed(reader_.closeCode(), reader_.closeCode()); break;
                case FrameReader::Event::error: closed(reader_.closeCode(), 1006); break;
            }
        }
    }

    /// Sends a close frame, and acts on a code.
    void closed(uint16_t sent, uint16_t code) {
        const char bytes[2] = {char(sent >> 8), char(sent & 0xff)};
        write(Opcode::close, bytes, sent == 1005 ? 0 : 2);
        lose(code);
    }

    void receive(const Json& message) {
        const Json type = message["type"];
        const int64_t seq = message["seq"].number();
        if (phase_ == Phase::greeting && !type.equals("session") && !type.equals("error")) return closed(1002, 1002);
        if (seq > 0) {
            // It was delivered on an earlier connection.
            if (uint64_t(seq) <= last_) return;
            last_ = uint64_t(seq);
        }
        if (type.equals("session")) return greet(message);
        if (type.equals("goaway")) return leave(message);
        char id[65] = "", code[40] = "";
        const Json names[] = {message["reply_to"], message["id"], message["push"]["id"]};
        for (const Json& name : names) {
            if (name.string(id, sizeof id)) break;
        }
        const bool isMine = isBusy() && strcmp(id, id_) == 0;
        if (type.equals("ack")) {
            if (isMine) accepted(message["duplicate"].isTrue());
            return;
        }
        // A part of the response implies that the request was accepted.
        if (isMine && seq > 0 && request_ == Request::sent) request_ = Request::accepted;
        const bool isDone = message["done"].isTrue();
        if (type.equals("error")) {
            const Json error = message["error"];
            error["code"].string(code, sizeof code);
            const int64_t wait = error["retry_after_ms"].number();
            if (error["fatal"].isTrue() && wait > 0) retryAfter_ = uint32_t(wait < 60000 ? wait : 60000);
            const bool isBusyGateway = !strcmp(code, "rate_limited") || !strcmp(code, "overloaded") || !strcmp(code, "memory_limit");
            if (isMine && !isDone && !error["fatal"].isTrue() && isBusyGateway && request_ == Request::sent && textSize_ > 0) {
                request_ = Request::unsent;
                resendAt_ = settings_.now() + uint32_t(wait > 0 && wait < 60000 ? wait : 1000);
            } else if (isMine) {
                // The stream of a rejected chunk waits for more, and would block the next recording.
                if (request_ == Request::recording && !isDone) cancel();
                end(code);
            }
            return;
        }
        if (isDone && message["state"].equals("cancelled")) strcpy(code, "cancelled");
        const bool isPart = isMine || message["push"];
        const bool isFinal = message["final"].isTrue(), isText = type.equals("text"), isTranscript = type.equals("transcript");
        // Reading the text overwrites the message.
        if (isPart && isText && onText) onText(id, message["text"].decoded());
        if (isPart && isTranscript && onTranscript) onTranscript(id, message["text"].decoded(), isFinal);
        if (isMine && isDone) end(code[0] ? code : nullptr);
    }

    void greet(const Json& session) {
        const bool isResumed = session["resumed"].isTrue(), isLost = session["lost"].isTrue(), wasResuming = resume_[0];
        if (!session["resume_token"].string(resume_, sizeof resume_)) return closed(1002, 1002);
        const int64_t heartbeat = session["heartbeat_ms"].number();
        heartbeat_ = heartbeat >= 1000 && heartbeat < 30000 ? uint32_t(heartbeat) : 30000;
        if (!isResumed) last_ = 0;
        phase_ = Phase::open;
        refreshed_ = false;
        const uint32_t now = settings_.now();
        openedAt_ = heardAt_ = now;
        pingAt_ = now + heartbeat_;
        acknowledge();
        if (onConnection) onConnection(0);
        suspect_ = isResumed && isLost;
        if (wasResuming && (request_ == Request::recording || (isBusy() && session["open_audio"]))) {
            if (isResumed) cancel();
            end("audio_dropped");
        } else if (wasResuming && (isLost || !isResumed) && (request_ == Request::accepted || request_ == Request::sent)) {
            end("lost");
        } else {
            sendRequest();
        }
    }

    void accepted(bool isDuplicate) {
        attempts_ = 0;
        if (isDuplicate && suspect_) return end("lost");
        if (request_ == Request::sent) request_ = Request::accepted;
    }

    /// Reconnects in the first half of the time that is left, at random, so that not all devices come back together.
    void leave(const Json& message) {
        if (!message["reason"].equals("draining") && !message["reason"].equals("connection_age")) return;
        const int64_t left = message["deadline_ms"].number();
        isGoing_ = true;
        leaveAt_ = settings_.now() + (left > 1 ? settings_.random() % uint32_t(left < 600000 ? left / 2 + 1 : 300000) : 0);
    }

    void receiveChunk() {
        last_++;
        if (onAudio) onAudio(reader_.payload(), reader_.size());
    }

    void end(const char* error) {
        if (!isBusy()) return;
        request_ = Request::none;
        if (onEnd) onEnd(id_, error);
    }

    Socket& socket_;
    const Settings settings_;
    uint8_t buffer_[capacity];
    FrameReader reader_;
    char text_[textCapacity];
    size_t textSize_ = 0, headSize_ = 0;
    char id_[24] = "", key_[25] = "", resume_[64] = "";
    uint64_t last_ = 0, acked_ = 0;
    uint32_t prefix_, counter_ = 0, attempts_ = 0;
    uint32_t retryAt_, retryAfter_ = 0, resendAt_ = 0, deadline_ = 0, pingAt_ = 0, heardAt_ = 0, openedAt_ = 0, leaveAt_ = 0;
    uint32_t heartbeat_ = 30000;
    Phase phase_ = Phase::waiting;
    Request request_ = Request::none;
    bool refreshed_ = false, suspect_ = false, isGoing_ = false;
};

}  // namespace parley
