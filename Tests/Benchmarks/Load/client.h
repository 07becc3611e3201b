// SPDX-License-Identifier: Apache-2.0

// A WebSocket client over TLS: it connects, upgrades, sends prepared frames and counts the replies.
//
// Thousands of clients run on the server's machine, so they must be cheap. They have no receive buffers of their own: all clients read into
// one shared buffer, and frames are parsed incrementally without being stored.
#pragma once
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "histogram.h"

/// The settings that all clients share.
struct target {
    const char *host, *path, *headers;  // headers: additional header lines of the request, each with CR LF
    int port;
    int sources;               // number of local addresses 127.0.0.1, 127.0.0.2, … to connect from; 1: chosen by the kernel
    SSL_CTX *tls;              // NULL: plain ws://
    SSL_SESSION *session;      // a session to resume; NULL: a full handshake
    const char *hello;         // a text message sent after the upgrade; NULL: none
    unsigned welcome;          // data frames that the server sends first
    unsigned replies;          // data frames in reply to each message; 0: replies aren't awaited
};

/// A message, masked and ready to be sent. ######## in its payload is replaced by a number that is unique in the run.
struct message {
    unsigned char *frame;
    size_t length;
    long number;  // offset of the placeholder in `frame`; -1: none
};

enum phase { CONNECTING, HANDSHAKING, UPGRADING, AWAITING_WELCOME, OPEN, CLOSED };

enum { IN_FLIGHT = 64 };  // maximum number of messages without a reply per client

struct client {
    int fd;
    enum phase phase;
    SSL *tls;
    unsigned char *pending;  // bytes that the socket didn't accept yet
    size_t pending_length;
    bool broken;

    // The frame being parsed.
    unsigned char header[14];
    unsigned header_length;
    uint64_t payload_left;
    unsigned char head[125];  // start of the payload: all of a control frame, enough of a data frame to detect an error
    unsigned head_length;
    unsigned matched;  // bytes matched of the response's final CR LF CR LF

    unsigned welcome_left;
    uint64_t sent;                // messages
    unsigned replies_received;    // data frames received for the oldest message without its complete reply
    uint64_t due[IN_FLIGHT];      // due times of the messages without a reply (ring buffer)
    unsigned oldest, newest;      // positions in `due`, not wrapped
};

/// Counters of all clients, since they were last reset.
struct totals {
    uint64_t opened, resumed, closed;
    uint64_t completed;  // messages with all their replies
    uint64_t data_frames, bytes;
    uint64_t errors;  // data frames with an error message
    struct histogram latencies;  // from a message's due time to its last reply
};

/// Returns the frame for a payload (RFC 6455 §5.2).
struct message message_make(const void *payload, size_t length, bool binary);

/// Starts connecting. Returns false if that fails at once.
bool client_start(struct client *client, const struct target *target, unsigned index);

/// Continues the handshake, upgrade, reading and writing as far as the socket allows. Sets `client->phase` to CLOSED when the connection
/// ends.
void client_run(struct client *client, const struct target *target, struct totals *totals);

/// Queues a message with the due time `due`; returns false if too many await replies. Messages between two flushes share a write.
bool client_send(struct client *client, const struct target *target, const struct message *message, uint64_t due);

/// Writes the messages queued since this client's last flush. Must be called before anything is queued for another client.
void client_flush(struct client *client);

void client_close(struct client *client);
