// SPDX-License-Identifier: Apache-2.0
// The framing, the JSON and the decisions of the client for ESP32, without a network.
// With the argument `recoveries`, prints the action after each close code and HTTP status, for a comparison with the other clients.
#include <stdio.h>
#include <stdlib.h>

#include <string>
#include <vector>

#include "../../../deploy/examples/esp32/parley_client.h"

using namespace parley;
typedef std::string Bytes;

#define CHECK(condition) \
    do { \
        if (!(condition)) printf("unit.cpp:%d: %s\n", __LINE__, #condition), exit(1); \
    } while (0)

static Bytes frame(int first, size_t length, char fill = 'x') {
    Bytes out(1, char(first));
    if (length < 126) out += char(length);
    else if (length <= 0xffff) out += {126, char(length >> 8), char(length & 0xff)};
    else out += {127, 0, 0, 0, 0, 0, char(length >> 16), char(length >> 8 & 0xff), char(length & 0xff)};
    return out + Bytes(length, fill);
}

/// Reads frames in parts of a size, and lists the events with sizes or close codes.
static Bytes events(const Bytes& bytes, size_t part = 1000, size_t capacity = 200) {
    static const char* const names[] = {"none", "text", "binary", "ping", "pong", "close", "error"};
    // Exactly as large as the capacity, so that the sanitizer finds a write behind it.
    std::vector<uint8_t> buffer(capacity);
    FrameReader reader(buffer.data(), capacity);
    Bytes list;
    for (size_t at = 0; at < bytes.size();) {
        const std::vector<uint8_t> data(bytes.begin() + long(at), bytes.begin() + long(at + std::min(part, bytes.size() - at)));
        size_t used;
        const FrameReader::Event event = reader.read(data.data(), data.size(), &used);
        at += used;
        if (event == FrameReader::Event::none) continue;
        const bool hasCode = event >= FrameReader::Event::close;
        list += (list.empty() ? "" : " ") + Bytes(names[int(event)]) + ":" + std::to_string(hasCode ? reader.closeCode() : reader.size());
        if (event == FrameReader::Event::error) break;
    }
    return list;
}

static void frames() {
    char accept[29];
    acceptKey("dGhlIHNhbXBsZSBub25jZQ==", accept);
    CHECK(Bytes(accept) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");  // RFC 6455 §1.3

    const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    uint8_t header[14];
    CHECK(frameHeader(header, Opcode::text, 5, mask) == 6 && !memcmp(header, "\x81\x85\x37\xfa\x21\x3d", 6));  // RFC 6455 §5.7
    CHECK(frameHeader(header, Opcode::binary, 125, mask) == 6 && header[1] == 0xfd);
    CHECK(frameHeader(header, Opcode::binary, 126, mask) == 8 && !memcmp(header, "\x82\xfe\x00\x7e", 4));
    CHECK(frameHeader(header, Opcode::binary, 65535, mask) == 8 && !memcmp(header, "\x82\xfe\xff\xff", 4));
    CHECK(frameHeader(header, Opcode::binary, 65536, mask) == 14 && !memcmp(header, "\x82\xff\0\0\0\0\0\1\0\0", 10));

    for (size_t part : {1, 2, 3, 7, 1000}) {
        CHECK(events(frame(0x81, 5) + frame(0x82, 0) + frame(0x89, 125) + frame(0x8a, 0), part) == "text:5 binary:0 ping:125 pong:0");
        CHECK(events(frame(0x01, 3) + frame(0x89, 1) + frame(0x00, 0) + frame(0x80, 4), part) == "ping:1 text:7");
        CHECK(events(Bytes("\x88\x02\x11\x97", 4) + frame(0x88, 0), part) == "close:4503 close:1005");
        CHECK(events(frame(0x81, 126) + frame(0x82, 200), part) == "text:126 binary:200");
        CHECK(events(frame(0x82, 70000), part, 70000) == "binary:70000");
        // A character in two fragments.
        CHECK(events(Bytes("\x01\x01\xc3\x80\x01\xa9"), part) == "text:2");
        // One byte more than the buffer, in one frame and in fragments.
        CHECK(events(frame(0x82, 201), part) == "error:1009");
        CHECK(events(frame(0x02, 150) + frame(0x80, 51), part) == "error:1009");
        CHECK(events(frame(0x02, 150) + frame(0x80, 50), part) == "binary:200");
    }
    const Bytes invalid[] = {
        frame(0xc1, 1), frame(0xa1, 1), frame(0x91, 1),                    // reserved bits
        frame(0x83, 1), frame(0x8b, 1),                                     // unknown opcodes
        Bytes("\x81\x81\0\0\0\0x", 7),                                      // masked
        Bytes("\x81\x7e\x00\x7d", 4), Bytes("\x82\x7f\0\0\0\0\0\0\xff\xff", 10),  // lengths that aren't minimal
        Bytes("\x82\x7f\x80\0\0\0\0\0\0\0", 10),                            // a length over 63 bits
        frame(0x09, 0), frame(0x89, 126), Bytes("\x88\x01x", 3),            // control frames: fragment, too long, half a code
        frame(0x80, 1), frame(0x01, 1) + frame(0x81, 1),                    // a continuation of nothing, a message within another
    };
    for (const Bytes& bytes : invalid) CHECK(events(bytes) == "error:1002" && events(bytes, 1) == "error:1002");
    CHECK(events(Bytes("\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", 10)) == "error:1009");
    for (const char* text : {"\x81\x01\xff", "\x81\x02\xc0\x80", "\x81\x03\xed\xa0\x80", "\x81\x01\xc3", "\x81\x04\xf4\x90\x80\x80",
                             "\x88\x03\x03\xe8\xff"}) {
        CHECK(events(text) == "error:1007");
    }
    // Anything at all: no read or write outside the buffers, which the sanitizers would find.
    srand(1);
    for (int n = 0; n < 20000; n++) {
        Bytes bytes(size_t(rand() % 40), 0);
        for (char& byte : bytes) byte = char(rand());
        if (!bytes.empty() && n % 2) bytes[0] = char(0x81 + n / 2 % 2);
        events(bytes, size_t(1 + rand() % 5), 30);
    }
}

static Bytes unescaped(const Bytes& text, size_t capacity = 100) {
    std::vector<char> exact(text.begin(), text.end()), out(capacity);
    return Json(exact.data(), exact.size()).string(out.data(), capacity) ? Bytes(out.data()) : "invalid";
}

static void json() {
    const Bytes text =
        " { \"a\" : {\"b\":[1,{\"c\":\"}]\\\"\"}], \"d\" : true} ,\"e\\u0041\":2,\"f\":-3,\"g\": 12345678901.5,\"h\":\"x\",\"done\":true}";
    // Without a final zero, so that the sanitizer finds reads behind the end.
    const std::vector<char> exact(text.begin(), text.end());
    const Json object(exact.data(), exact.size());
    CHECK(object["a"]["d"].isTrue() && object["done"].isTrue() && !object["a"].isTrue() && !object["b"] && !object["x"]["y"]);
    CHECK(object["f"].number() == -1 && object["g"].number() == 12345678901 && object["h"].number() == -1 && object["x"].number() == -1);
    CHECK(object["h"].equals("x") && !object["h"].equals("xy") && !object["x"].equals(""));
    for (size_t size = 0; size < exact.size(); size++) {
        const std::vector<char> part(exact.begin(), exact.begin() + long(size));
        const Json cut(part.data(), part.size());
        CHECK(!cut["done"].isTrue() || size >= exact.size() - 1);
        CHECK(!cut["none"]);
    }
    CHECK(unescaped("\"a\\n\\u00e9\\u20AC\\ud83d\\ude00\\/\"") == "a\n\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80/");
    CHECK(unescaped("\"1234\"", 5) == "1234" && unescaped("\"12345\"", 5) == "invalid" && unescaped("\"123\\u00e9\"", 5) == "invalid");
    for (const char* wrong : {"", "\"", "12", "\"\\\"", "\"\\x\"", "\"\\u12\"", "\"\\ud83d\"",
                              "\"\\ud83d\\u0041\"", "\"\\ude00\"", "\"\\u00g0\""}) {
        CHECK(unescaped(wrong) == "invalid");
    }
    char buffer[60];
    JsonText built(buffer, sizeof buffer);
    built.string("a\"\\\n\x01\xc3\xa9").number(0).number(18446744073709551615u);
    CHECK(built.fits() && Bytes(built.text(), built.size()) == "\"a\\\"\\\\\\u000a\\u0001\xc3\xa9\"018446744073709551615");
    JsonText small(buffer, 4);
    CHECK(small.string("ab").fits() && !small.raw("c").fits());
}

/// A socket whose server is this test.
struct Script {
    Bytes toClient, fromClient;
    bool isOpen = false, isReachable = true;
    int connect(const char*, uint16_t) { return fromClient.clear(), toClient.clear(), isOpen = isReachable; }
    int available() { return int(toClient.size()); }
    int read(uint8_t* data, size_t size) {
        const size_t count = std::min(size, toClient.size());
        memcpy(data, toClient.data(), count);
        toClient.erase(0, count);
        return int(count);
    }
    size_t write(const uint8_t* data, size_t size) { return fromClient.append(reinterpret_cast<const char*>(data), size), size; }
    uint8_t connected() { return isOpen; }
    void stop() { isOpen = false, toClient.clear(); }

    /// Returns the client's next message, unmasked.
    Bytes message() {
        if (fromClient.size() < 6) return "";
        const size_t length = uint8_t(fromClient[1]) & 0x7f;
        CHECK(uint8_t(fromClient[1]) & 0x80 && length < 126);
        Bytes text;
        for (size_t n = 0; n < length; n++) text += char(fromClient[6 + n] ^ fromClient[2 + n % 4]);
        fromClient.erase(0, 6 + length);
        return text;
    }
    void send(const Bytes& text) { toClient += frame(0x81, text.size()).substr(0, text.size() < 126 ? 2 : 4) + text; }
    void upgrade() {
        const size_t at = fromClient.find("Sec-WebSocket-Key: ");
        char accept[29];
        acceptKey(fromClient.substr(at + 19, 24).c_str(), accept);
        fromClient.clear();
        toClient += "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nsec-websocket-accept:  " + Bytes(accept) + " \r\n\r\n";
    }
};

static uint32_t clock_ = 4294967000u;  // wraps around during the test
static Bytes ended;
static int tokens = 0;
static const char* token() { return tokens++, "T"; }

static void decisions() {
    Script socket;
    Client<Script> client(socket, {"h", 1, "/v1/ws", [] { return clock_; }, [] { return uint32_t(0x01020304); }, token});
    client.onEnd = [](const char* id, const char* error) { ended = Bytes(id) + " " + (error ? error : "complete"); };
    const Bytes session =
        "{\"type\":\"session\",\"resume_token\":\"R\",\"resumed\":%,\"lost\":false,\"last_seq\":7,\"heartbeat_ms\":30000}";
    const auto greet = [&](const char* resumed) {
        socket.upgrade();
        socket.send(Bytes(session).replace(session.find('%'), 1, resumed));
        client.poll();
    };
    const auto wait = [&](uint32_t ms) { clock_ += ms, client.poll(); };

    client.poll();
    CHECK(socket.fromClient.find("GET /v1/ws HTTP/1.1\r\nHost: h:1\r\n") == 0);
    CHECK(socket.fromClient.find("Authorization: Bearer T\r\n\r\n") != Bytes::npos);
    CHECK(client.say("hello") && !client.say("another") && !client.isOpen());
    greet("false");
    CHECK(socket.message() == "{\"type\":\"ack\",\"seq\":0}");
    CHECK(socket.message() == "{\"type\":\"text\",\"id\":\"01020304-1\",\"text\":\"hello\"}");
    // The connection is lost before the ack: the text is sent again under its id, and the duplicate response is dropped.
    socket.stop();
    client.poll();
    wait(251);
    CHECK(socket.fromClient.find("GET /v1/ws?last_seq=0 ") == 0 && socket.fromClient.find("\r\nParley-Resume: R\r\n") != Bytes::npos);
    greet("true");
    socket.message();
    CHECK(socket.message() == "{\"type\":\"text\",\"id\":\"01020304-1\",\"text\":\"hello\"}");
    socket.send("{\"type\":\"ack\",\"id\":\"01020304-1\"}");
    socket.send("{\"type\":\"text\",\"seq\":1,\"reply_to\":\"01020304-1\",\"text\":\"h\",\"final\":true,\"done\":true}");
    client.poll();
    CHECK(ended == "01020304-1 complete" && socket.message() == "{\"type\":\"ack\",\"seq\":1}");
    CHECK(client.say("again"));
    socket.message();
    socket.send("{\"type\":\"text\",\"seq\":1,\"reply_to\":\"01020304-2\",\"text\":\"old\",\"final\":true,\"done\":true}");
    client.poll();
    CHECK(client.isBusy());
    // A rejection for now: the text follows after the time that the gateway asks for.
    socket.send(
        "{\"type\":\"error\",\"reply_to\":\"01020304-2\",\"error\":{\"code\":\"rate_limited\",\"retry_after_ms\":250,\"fatal\":false}}");
    client.poll();
    wait(249);
    CHECK(socket.message() == "");
    wait(1);
    CHECK(socket.message() == "{\"type\":\"text\",\"id\":\"01020304-2\",\"text\":\"again\"}");
    // An accepted request whose session is gone.
    socket.send("{\"type\":\"ack\",\"id\":\"01020304-2\"}");
    client.poll();
    socket.toClient = Bytes("\x88\x02\x03\xf4", 4);
    client.poll();
    wait(251);
    greet("false");
    CHECK(ended == "01020304-2 lost" && client.isOpen());
    // A rejected chunk ends the recording, and the gateway's stream with it.
    socket.message();
    const int16_t samples[2] = {1, 2};
    CHECK(client.listen(16000) && client.send(samples, 2));
    CHECK(socket.message() == "{\"type\":\"audio\",\"id\":\"01020304-3\",\"format\":{\"codec\":\"pcm16\",\"rate\":16000,\"channels\":1}}");
    CHECK(socket.message() == Bytes("\1\0\2\0", 4));
    socket.send("{\"type\":\"error\",\"reply_to\":\"01020304-3\",\"error\":{\"code\":\"too_fast\",\"chunk\":1,\"fatal\":false}}");
    client.poll();
    CHECK(ended == "01020304-3 too_fast" && socket.message() == "{\"type\":\"cancel\",\"id\":\"01020304-3\"}" && !client.finish());
    // Silence.
    wait(30000);
    CHECK(socket.message() == "{\"type\":\"ping\"}");
    wait(9999);
    CHECK(client.isOpen());
    wait(1);
    CHECK(!client.isOpen());
    // HTTP: Retry-After is the least delay, a wrong key is an error, and a rejected token is replaced once.
    wait(251);
    socket.toClient = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\n\r\n";
    client.poll();
    wait(4999);
    CHECK(!socket.isOpen);
    wait(251);
    CHECK(socket.isOpen);
    socket.toClient = "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: wrong\r\n\r\n";
    client.poll();
    CHECK(!socket.isOpen);
    wait(1000);
    const int before = tokens;
    socket.toClient = "HTTP/1.1 401 Unauthorized\r\n\r\n";
    client.poll();
    wait(30000);
    CHECK(tokens == before + 1 && socket.isOpen);
    socket.toClient = "HTTP/1.1 401 Unauthorized\r\n\r\n";
    client.poll();
    CHECK(client.isStopped() && !client.say("x"));
}

int main(int count, char**) {
    if (count > 1) {
        static const char* const names[] = {"reconnect", "backoff", "refresh", "new_session", "stop"};
        for (uint16_t code = 400; code < 5000; code++) printf("%d %s\n", code, names[int(recovery(code))]);
        return 0;
    }
    frames();
    json();
    decisions();
    puts("frames, JSON and decisions");
    return 0;
}
