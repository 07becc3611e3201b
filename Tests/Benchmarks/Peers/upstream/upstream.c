// SPDX-License-Identifier: Apache-2.0

/* The upstream for proxy.sh: one thread, epoll, WebSocket without TLS, minimal work per message.
 *
 * A connection that offers the subprotocol parley.upstream.v1 carries requests of many sessions: the response to each text is one message
 * with the same text. Any other connection belongs to one client, as behind nginx: each text message is echoed.
 *
 * usage: upstream PORT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct buffer {
    unsigned char *bytes;
    size_t length, capacity;
};

struct connection {
    int fd;
    int is_upgraded, is_shared;
    struct buffer input, output;
};

static void fail(const char *message) {
    perror(message);
    exit(1);
}

static unsigned char *reserve(struct buffer *buffer, size_t count) {
    if (buffer->length + count > buffer->capacity) {
        buffer->capacity = (buffer->length + count) * 2;
        buffer->bytes = realloc(buffer->bytes, buffer->capacity);
        if (!buffer->bytes) fail("realloc");
    }
    return buffer->bytes + buffer->length;
}

static void append(struct buffer *buffer, const void *bytes, size_t count) {
    memcpy(reserve(buffer, count), bytes, count);
    buffer->length += count;
}

static void append_frame(struct buffer *output, const void *payload, size_t count) {
    unsigned char header[10] = {0x81};
    size_t length = 2;
    if (count < 126) {
        header[1] = (unsigned char)count;
    } else if (count < 65536) {
        header[1] = 126;
        header[2] = (unsigned char)(count >> 8);
        header[3] = (unsigned char)count;
        length = 4;
    } else {
        header[1] = 127;
        for (int i = 0; i < 8; i++) header[2 + i] = (unsigned char)((uint64_t)count >> (56 - 8 * i));
        length = 10;
    }
    append(output, header, length);
    append(output, payload, count);
}

/* Appends the response to a request on a shared connection: the request's number and its text, copied with its escapes. */
static void respond(struct buffer *output, const char *message, size_t count) {
    static char reply[1 << 20];
    const char *number = memmem(message, count, "\"request\":", 10);
    const char *text = memmem(message, count, "\"text\":\"", 8);
    if (!number || !text || count > sizeof reply - 256) return;
    const char *end = message + count - 2;
    int length = snprintf(reply, sizeof reply, "{\"type\":\"text\",\"request\":%lu,\"text\":\"", strtoul(number + 10, NULL, 10));
    memcpy(reply + length, text + 8, (size_t)(end - text - 8));
    length += (int)(end - text - 8);
    length += snprintf(reply + length, 64, "\",\"final\":true,\"done\":true}");
    append_frame(output, reply, (size_t)length);
}

static int upgrade(struct connection *connection) {
    struct buffer *input = &connection->input;
    unsigned char *end = memmem(input->bytes, input->length, "\r\n\r\n", 4);
    if (!end) return 0;
    *end = 0;
    const char *key = strcasestr((char *)input->bytes, "sec-websocket-key:");
    if (!key) return -1;
    key += 18 + strspn(key + 18, " ");
    char joined[128], accept[64], reply[512];
    unsigned char digest[SHA_DIGEST_LENGTH];
    int count = snprintf(joined, sizeof joined, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    SHA1((unsigned char *)joined, (size_t)count, digest);
    EVP_EncodeBlock((unsigned char *)accept, digest, sizeof digest);
    connection->is_shared = strstr((char *)input->bytes, "parley.upstream.v1") != NULL;
    count = snprintf(
        reply, sizeof reply, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n%s\r\n",
        accept, connection->is_shared ? "Sec-WebSocket-Protocol: parley.upstream.v1\r\n" : "");
    append(&connection->output, reply, (size_t)count);
    size_t consumed = (size_t)(end - input->bytes) + 4;
    memmove(input->bytes, input->bytes + consumed, input->length - consumed);
    input->length -= consumed;
    connection->is_upgraded = 1;
    return 1;
}

/* Handles all complete frames. Returns -1 when the connection must be closed. */
static int handle_frames(struct connection *connection) {
    struct buffer *input = &connection->input;
    size_t offset = 0;
    while (input->length - offset >= 2) {
        unsigned char *frame = input->bytes + offset;
        size_t header = 2, count = frame[1] & 0x7F, available = input->length - offset;
        if (count == 126) {
            if (available < 4) break;
            count = (size_t)frame[2] << 8 | frame[3];
            header = 4;
        } else if (count == 127) {
            if (available < 10) break;
            count = 0;
            for (int i = 0; i < 8; i++) count = count << 8 | frame[2 + i];
            header = 10;
        }
        if (!(frame[1] & 0x80)) return -1;
        if (available < header + 4 + count) break;
        unsigned char *mask = frame + header, *payload = mask + 4;
        for (size_t i = 0; i < count; i++) payload[i] ^= mask[i & 3];
        int opcode = frame[0] & 0x0F;
        if (opcode == 8) return -1;
        if (opcode == 9) {
            unsigned char pong[2] = {0x8A, (unsigned char)count};
            append(&connection->output, pong, 2);
            append(&connection->output, payload, count);
        } else if (opcode == 1) {
            if (connection->is_shared) respond(&connection->output, (char *)payload, count);
            else append_frame(&connection->output, payload, count);
        }
        offset += header + 4 + count;
    }
    memmove(input->bytes, input->bytes + offset, input->length - offset);
    input->length -= offset;
    return 0;
}

static int serve(struct connection *connection) {
    for (;;) {
        ssize_t count = read(connection->fd, reserve(&connection->input, 65536), 65536);
        if (count < 0 && errno == EAGAIN) break;
        if (count <= 0) return -1;
        connection->input.length += (size_t)count;
        if (count < 65536) break;
    }
    if (!connection->is_upgraded && upgrade(connection) < 0) return -1;
    if (connection->is_upgraded && handle_frames(connection) < 0) return -1;
    size_t offset = 0;
    while (offset < connection->output.length) {
        ssize_t count = write(connection->fd, connection->output.bytes + offset, connection->output.length - offset);
        if (count < 0 && errno == EAGAIN) {
            usleep(50);
            continue;
        }
        if (count <= 0) return -1;
        offset += (size_t)count;
    }
    connection->output.length = 0;
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 2) return 64;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024)) fail("listen");
    int poll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[256];
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready = epoll_wait(poll, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            struct connection *connection = events[i].data.ptr;
            if (!connection) {
                int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                if (fd < 0) continue;
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                connection = calloc(1, sizeof *connection);
                connection->fd = fd;
                event.data.ptr = connection;
                epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
            } else if (serve(connection) < 0) {
                close(connection->fd);
                free(connection->input.bytes);
                free(connection->output.bytes);
                free(connection);
            }
        }
    }
}
