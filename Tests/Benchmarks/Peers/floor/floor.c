// SPDX-License-Identifier: Apache-2.0

// The lower bound for a TLS server that receives a chunk of audio: it decrypts the chunk and copies it once. Any cost above that is
// Parley's.
//
// The server accepts any WebSocket request, sends no messages, and parses frames only to find their payloads, which it unmasks into one
// buffer (the copy). With "echo" it sends each payload back in one frame. One thread, epoll, OpenSSL.
//
// usage: floor PORT CERT KEY [echo]
// build: cc -O3 -march=native -o floor floor.c -lssl -lcrypto
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LARGEST = 1 << 17 };  // frame or request, in bytes

struct peer {
    SSL *tls;
    bool upgraded;
    size_t held;  // bytes in `input`
    unsigned char input[LARGEST];
};

static unsigned char payload[LARGEST + 16];
static bool echo;

static _Noreturn void fail(const char *message) {
    perror(message);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static void end(struct peer *peer) {
    close(SSL_get_fd(peer->tls));
    SSL_free(peer->tls);
    free(peer);
}

// Sends the response to the opening handshake (RFC 6455 §4.2.2) once the request is complete. Returns false if the request is invalid.
static bool upgrade(struct peer *peer) {
    const char *head = (const char *)peer->input;
    const char *tail = memmem(head, peer->held, "\r\n\r\n", 4);
    const char *key = memmem(head, peer->held, "Sec-WebSocket-Key: ", 19);
    if (!tail) return true;
    if (!key || key > tail) return false;
    char text[128], accept[64], response[256];
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_length;
    int length = snprintf(text, sizeof text, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key + 19);
    EVP_Digest(text, (size_t)length, digest, &digest_length, EVP_sha1(), NULL);
    EVP_EncodeBlock((unsigned char *)accept, digest, (int)digest_length);
    length = snprintf(
        response, sizeof response,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept);
    peer->upgraded = true;
    size_t used = (size_t)(tail + 4 - head);
    peer->held -= used;
    memmove(peer->input, peer->input + used, peer->held);
    return SSL_write(peer->tls, response, length) == length;
}

static void unmask(unsigned char *to, const unsigned char *from, const unsigned char *key, size_t length) {
    uint32_t word;
    memcpy(&word, key, 4);
    uint64_t both = (uint64_t)word << 32 | word;
    size_t i = 0;
    for (; i + 8 <= length; i += 8) {
        uint64_t part;
        memcpy(&part, from + i, 8);
        part ^= both;
        memcpy(to + i, &part, 8);
    }
    for (; i < length; i++) to[i] = from[i] ^ key[i & 3];
}

static bool send_echo(struct peer *peer, size_t length) {
    // The first 16 bytes of the buffer are reserved for the header, which directly precedes the payload.
    size_t size = length < 126 ? 2 : 4;
    unsigned char *frame = payload + 16 - size;
    frame[0] = 0x82;
    frame[1] = (unsigned char)(length < 126 ? length : 126);
    if (size == 4) {
        frame[2] = (unsigned char)(length >> 8);
        frame[3] = (unsigned char)length;
    }
    return SSL_write(peer->tls, frame, (int)(size + length)) > 0;
}

// Consumes all complete frames. Returns false if a frame is too large or not masked.
static bool consume_frames(struct peer *peer) {
    size_t used = 0;
    while (peer->held - used >= 14 || (peer->held - used >= 6 && (peer->input[used + 1] & 0x7f) < 126)) {
        const unsigned char *frame = peer->input + used;
        size_t header = 2, length = frame[1] & 0x7f;
        if (length == 126) {
            header = 4;
            length = (size_t)frame[2] << 8 | frame[3];
        } else if (length == 127) {
            header = 10;
            length = 0;
            for (int i = 2; i < 10; i++) length = length << 8 | frame[i];
        }
        if (!(frame[1] & 0x80) || length > LARGEST - 14) return false;
        if (peer->held - used < header + 4 + length) break;
        unmask(payload + 16, frame + header + 4, frame + header, length);
        used += header + 4 + length;
        if (echo && (frame[0] & 0x0f) <= 2 && length < 65536 && !send_echo(peer, length)) return false;
    }
    peer->held -= used;
    memmove(peer->input, peer->input + used, peer->held);
    return true;
}

static bool receive(struct peer *peer) {
    for (;;) {
        size_t length;
        ERR_clear_error();
        int result = SSL_read_ex(peer->tls, peer->input + peer->held, sizeof peer->input - peer->held, &length);
        if (result != 1) {
            int reason = SSL_get_error(peer->tls, result);
            return reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE;
        }
        peer->held += length;
        if (!peer->upgraded && !upgrade(peer)) return false;
        if (peer->upgraded && !consume_frames(peer)) return false;
        if (peer->held == sizeof peer->input) return false;
    }
}

static SSL_CTX *make_context(const char *certificate, const char *key) {
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_mode(context, SSL_MODE_AUTO_RETRY);
    // The cipher suite that Parley prefers; another key length would cost a different amount.
    SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256");
    // Reads several records with one system call.
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_default_read_buffer_len(context, 65536);
    if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1) fail(certificate);
    if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) fail(key);
    return context;
}

int main(int count, char **arguments) {
    if (count < 4) {
        fprintf(stderr, "usage: floor PORT CERT KEY [echo]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    echo = count > 4 && strcmp(arguments[4], "echo") == 0;
    SSL_CTX *context = make_context(arguments[2], arguments[3]);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    at.sin_port = htons((uint16_t)atoi(arguments[1]));
    if (bind(listener, (struct sockaddr *)&at, sizeof at) != 0 || listen(listener, 4096) != 0) fail("floor");
    int events = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(events, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        struct epoll_event ready[256];
        int number = epoll_wait(events, ready, 256, -1);
        for (int i = 0; i < number; i++) {
            struct peer *peer = ready[i].data.ptr;
            if (peer) {
                if (!receive(peer)) end(peer);
                continue;
            }
            int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd < 0) continue;
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            peer = calloc(1, sizeof *peer);
            peer->tls = SSL_new(context);
            SSL_set_fd(peer->tls, fd);
            SSL_set_accept_state(peer->tls);
            event = (struct epoll_event){.events = EPOLLIN, .data.ptr = peer};
            epoll_ctl(events, EPOLL_CTL_ADD, fd, &event);
        }
    }
}
