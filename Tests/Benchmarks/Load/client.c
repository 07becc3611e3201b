// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "process.h"

enum { OPCODE_TEXT = 1, OPCODE_BINARY = 2, OPCODE_CLOSE = 8, OPCODE_PING = 9, OPCODE_PONG = 10 };
enum { MAX_WARNINGS = 5 };  // further ones are suppressed

static const unsigned char mask[4] = {0x5a, 0xc3, 0x17, 0x9e};
static unsigned char input[1 << 18];
static unsigned char *batch;  // bytes to write at the next flush
static size_t batch_length, batch_capacity;
static unsigned warnings;

#define WARN(...) (warnings++ < MAX_WARNINGS ? (void)fprintf(stderr, __VA_ARGS__) : (void)0)

// Frames

static size_t write_header(unsigned char *to, unsigned opcode, size_t length) {
    size_t used = 0;
    to[used++] = (unsigned char)(0x80 | opcode);
    if (length < 126) {
        to[used++] = (unsigned char)(0x80 | length);
    } else if (length < 65536) {
        to[used++] = 0x80 | 126;
        to[used++] = (unsigned char)(length >> 8);
        to[used++] = (unsigned char)length;
    } else {
        to[used++] = 0x80 | 127;
        for (int shift = 56; shift >= 0; shift -= 8) to[used++] = (unsigned char)((uint64_t)length >> shift);
    }
    memcpy(to + used, mask, sizeof mask);
    return used + sizeof mask;
}

struct message message_make(const void *payload, size_t length, bool binary) {
    struct message message = {malloc(length + 14), 0, -1};
    size_t header = write_header(message.frame, binary ? OPCODE_BINARY : OPCODE_TEXT, length);
    for (size_t i = 0; i < length; i++) message.frame[header + i] = ((const unsigned char *)payload)[i] ^ mask[i & 3];
    message.length = header + length;
    const char *placeholder = memmem(payload, length, "########", 8);
    if (placeholder) message.number = (long)(header + (size_t)(placeholder - (const char *)payload));
    return message;
}

static void insert_number(unsigned char *frame, const struct message *message) {
    static unsigned next;
    char digits[9];
    snprintf(digits, sizeof digits, "%08u", next++ % 100000000u);
    size_t header = (frame[1] & 0x7f) < 126 ? 6 : (frame[1] & 0x7f) == 126 ? 8 : 14;
    for (size_t i = 0; i < 8; i++) {
        size_t at = (size_t)message->number + i;
        frame[at] = (unsigned char)digits[i] ^ mask[(at - header) & 3];
    }
}

// Writing

static unsigned char *reserve(size_t length) {
    if (batch_length + length > batch_capacity) {
        batch_capacity = 2 * (batch_length + length);
        batch = realloc(batch, batch_capacity);
    }
    batch_length += length;
    return batch + batch_length - length;
}

static void append_frame(unsigned opcode, const void *payload, size_t length) {
    unsigned char header[14];
    size_t used = write_header(header, opcode, length);
    unsigned char *to = reserve(used + length);
    memcpy(to, header, used);
    for (size_t i = 0; i < length; i++) to[used + i] = ((const unsigned char *)payload)[i] ^ mask[i & 3];
}

// Returns how many of `length` bytes the socket accepted.
static size_t write_some(struct client *client, const unsigned char *bytes, size_t length) {
    size_t done = 0;
    while (done < length) {
        if (client->tls) {
            size_t accepted = 0;
            ERR_clear_error();
            int result = SSL_write_ex(client->tls, bytes + done, length - done, &accepted);
            if (result != 1) {
                int reason = SSL_get_error(client->tls, result);
                client->broken |= reason != SSL_ERROR_WANT_WRITE && reason != SSL_ERROR_WANT_READ;
                break;
            }
            done += accepted;
        } else {
            ssize_t accepted = send(client->fd, bytes + done, length - done, MSG_NOSIGNAL);
            if (accepted < 0) {
                client->broken |= errno != EAGAIN;
                break;
            }
            done += (size_t)accepted;
        }
    }
    return done;
}

void client_flush(struct client *client) {
    if (client->pending_length) {
        if (batch_length) {
            client->pending = realloc(client->pending, client->pending_length + batch_length);
            memcpy(client->pending + client->pending_length, batch, batch_length);
            client->pending_length += batch_length;
            batch_length = 0;
        }
        size_t done = write_some(client, client->pending, client->pending_length);
        client->pending_length -= done;
        memmove(client->pending, client->pending + done, client->pending_length);
        if (client->pending_length == 0) {
            free(client->pending);
            client->pending = NULL;
        }
        return;
    }
    if (!batch_length) return;
    size_t done = write_some(client, batch, batch_length);
    if (done < batch_length && !client->broken) {
        client->pending_length = batch_length - done;
        client->pending = malloc(client->pending_length);
        memcpy(client->pending, batch + done, client->pending_length);
    }
    batch_length = 0;
}

bool client_send(struct client *client, const struct target *target, const struct message *message, uint64_t due) {
    if (client->newest - client->oldest >= IN_FLIGHT) return false;
    if (target->replies) client->due[client->newest++ % IN_FLIGHT] = due;
    unsigned char *frame = reserve(message->length);
    memcpy(frame, message->frame, message->length);
    if (message->number >= 0) insert_number(frame, message);
    client->sent++;
    return true;
}

// Reading

static void data_frame(struct client *client, const struct target *target, struct totals *totals) {
    totals->data_frames++;
    if (client->welcome_left) {
        if (--client->welcome_left == 0) {
            client->phase = OPEN;
            totals->opened++;
        }
        return;
    }
    if (memmem(client->head, client->head_length, "\"type\":\"error\"", 14)) {
        totals->errors++;
        WARN("load: the server replied with %.*s…\n", (int)client->head_length, client->head);
    }
    if (target->replies == 0 || client->oldest == client->newest) return;
    if (++client->replies_received < target->replies) return;
    client->replies_received = 0;
    totals->completed++;
    histogram_add(&totals->latencies, now() - client->due[client->oldest++ % IN_FLIGHT]);
}

static void end_frame(struct client *client, const struct target *target, struct totals *totals) {
    unsigned opcode = client->header[0] & 0x0f;
    bool final = client->header[0] & 0x80;
    client->header_length = 0;
    if (opcode == OPCODE_CLOSE) {
        unsigned code = client->head_length >= 2 ? (unsigned)(client->head[0] << 8 | client->head[1]) : 1005;
        int reason = client->head_length > 2 ? (int)client->head_length - 2 : 0;
        WARN("load: the server closed with %u %.*s\n", code, reason, client->head + 2);
        client->broken = true;
    } else if (opcode == OPCODE_PING) {
        append_frame(OPCODE_PONG, client->head, client->head_length);
    } else if (opcode <= OPCODE_BINARY && final) {
        data_frame(client, target, totals);
    }
}

// Consumes bytes of at most one frame; returns their number.
static size_t parse_frame(
    struct client *client, const struct target *target, const unsigned char *bytes, size_t length, struct totals *totals) {
    size_t used = 0;
    if (client->payload_left == 0) {
        unsigned need = 2;
        while (client->header_length < need && used < length) {
            client->header[client->header_length++] = bytes[used++];
            if (client->header_length >= 2) need = client->header[1] == 126 ? 4 : client->header[1] == 127 ? 10 : 2;
        }
        if (client->header_length < need) return used;
        uint64_t size = client->header[1];
        if (need > 2) {
            size = 0;
            for (unsigned i = 2; i < need; i++) size = size << 8 | client->header[i];
        }
        client->payload_left = size;
        client->head_length = 0;
    }
    size_t part = client->payload_left < length - used ? (size_t)client->payload_left : length - used;
    size_t stored = sizeof client->head - client->head_length < part ? sizeof client->head - client->head_length : part;
    memcpy(client->head + client->head_length, bytes + used, stored);
    client->head_length += (unsigned)stored;
    client->payload_left -= part;
    if (client->payload_left == 0) end_frame(client, target, totals);
    return used + part;
}

// Consumes bytes of the response to the upgrade, which must have status 101, up to the empty line; returns their number.
static size_t parse_response(
    struct client *client, const struct target *target, const unsigned char *bytes, size_t length, struct totals *totals) {
    static const char end[] = "\r\n\r\n";
    for (size_t used = 0; used < length; used++) {
        if (client->head_length < sizeof client->head) client->head[client->head_length++] = bytes[used];
        client->matched = bytes[used] == (unsigned char)end[client->matched] ? client->matched + 1 : bytes[used] == '\r';
        if (client->matched < 4) continue;
        if (client->head_length < 12 || memcmp(client->head, "HTTP/1.1 101", 12) != 0) {
            WARN("load: not upgraded: %.*s\n", (int)client->head_length, client->head);
            client->broken = true;
            return length;
        }
        if (target->hello) append_frame(OPCODE_TEXT, target->hello, strlen(target->hello));
        client->phase = client->welcome_left ? AWAITING_WELCOME : OPEN;
        totals->opened += client->phase == OPEN;
        return used + 1;
    }
    return length;
}

static void receive(struct client *client, const struct target *target, struct totals *totals) {
    while (!client->broken) {
        size_t length = 0;
        if (client->tls) {
            ERR_clear_error();
            int result = SSL_read_ex(client->tls, input, sizeof input, &length);
            if (result != 1) {
                int reason = SSL_get_error(client->tls, result);
                client->broken |= reason != SSL_ERROR_WANT_READ && reason != SSL_ERROR_WANT_WRITE;
                return;
            }
        } else {
            ssize_t result = recv(client->fd, input, sizeof input, 0);
            if (result <= 0) {
                client->broken |= result == 0 || errno != EAGAIN;
                return;
            }
            length = (size_t)result;
        }
        totals->bytes += length;
        for (size_t used = 0; used < length && !client->broken;) {
            used += client->phase == UPGRADING ? parse_response(client, target, input + used, length - used, totals)
                                               : parse_frame(client, target, input + used, length - used, totals);
        }
    }
}

// Connection

bool client_start(struct client *client, const struct target *target, unsigned index) {
    *client = (struct client){.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), .welcome_left = target->welcome};
    if (client->fd < 0) return false;
    int on = 1;
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (target->sources > 1) {
        // Without this, bind() would reserve a port regardless of the destination, and there are only 28,000 of them.
        setsockopt(client->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + index % (unsigned)target->sources)};
        if (bind(client->fd, (struct sockaddr *)&from, sizeof from) != 0) return false;
    }
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)target->port)};
    if (inet_pton(AF_INET, target->host, &to.sin_addr) != 1) return false;
    if (connect(client->fd, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS) return false;
    if (target->tls) {
        client->tls = SSL_new(target->tls);
        SSL_set_fd(client->tls, client->fd);
        SSL_set_connect_state(client->tls);
        SSL_set_tlsext_host_name(client->tls, "localhost");
        if (target->session) SSL_set_session(client->tls, target->session);
    }
    return true;
}

static void send_request(struct client *client, const struct target *target) {
    char text[4096];
    int length = snprintf(
        text, sizeof text,
        "GET %s HTTP/1.1\r\nHost: localhost:%d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: cGFybGV5LWJlbmNobWFyaw==\r\n%s\r\n",
        target->path, target->port, target->headers);
    memcpy(reserve((size_t)length), text, (size_t)length);
    client->phase = UPGRADING;
    client_flush(client);
}

void client_run(struct client *client, const struct target *target, struct totals *totals) {
    if (client->phase == CONNECTING) {
        client->phase = HANDSHAKING;
        if (!client->tls) send_request(client, target);
    }
    if (client->phase == HANDSHAKING) {
        ERR_clear_error();
        int result = SSL_do_handshake(client->tls);
        if (result == 1) {
            totals->resumed += (uint64_t)SSL_session_reused(client->tls);
            send_request(client, target);
        } else {
            int reason = SSL_get_error(client->tls, result);
            if (reason != SSL_ERROR_WANT_READ && reason != SSL_ERROR_WANT_WRITE) {
                WARN("load: the handshake failed: %s\n", ERR_error_string(ERR_peek_error(), NULL));
                client->broken = true;
            }
        }
    }
    if (client->phase >= UPGRADING && client->phase < CLOSED) {
        if (client->pending_length) client_flush(client);
        receive(client, target, totals);
        client_flush(client);
    }
    if (client->broken) {
        totals->closed++;
        client_close(client);
    }
}

void client_close(struct client *client) {
    batch_length = 0;
    if (client->tls) {
        // Otherwise OpenSSL marks the session as not resumable, because close_notify is missing.
        SSL_set_shutdown(client->tls, SSL_SENT_SHUTDOWN);
        SSL_free(client->tls);
    }
    if (client->fd >= 0) close(client->fd);
    free(client->pending);
    client->tls = NULL;
    client->fd = -1;
    client->pending = NULL;
    client->pending_length = 0;
    client->phase = CLOSED;
}
