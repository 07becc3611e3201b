// One WebSocket client over TLS: it connects, upgrades, sends prepared frames and counts what comes back.
//
// Thousands of them have to fit beside the server that they load, and must cost little next to it. So none has a buffer of its own: what
// arrives is read into one buffer that all share, and a frame is followed through it, header and length, without being kept.
#pragma once
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "histogram.h"

/// What all clients have in common.
struct target {
    const char *host, *path, *headers;  // headers: further lines of the request, each with CR LF
    int port;
    int sources;               // local addresses 127.0.0.1, 127.0.0.2, … to connect from; 1: the system chooses
    SSL_CTX *tls;              // NULL: plain ws://
    SSL_SESSION *session;      // a session to resume; NULL: a full handshake
    const char *hello;         // a text message to be sent once the connection is up; NULL: none
    unsigned welcome;          // data frames at the beginning that belong to no message
    unsigned replies;          // data frames that answer one message; 0: none is awaited
};

/// A message, masked and ready to be sent. Eight # in its payload become a number that no other message of this run has.
struct message {
    unsigned char *frame;
    size_t length;
    long number;  // offset of the eight characters in `frame`; -1: there are none
};

enum phase { CONNECTING, HANDSHAKING, UPGRADING, GREETED, OPEN, CLOSED };

enum { IN_FLIGHT = 64 };  // messages without their reply that one client may have

struct client {
    int fd;
    enum phase phase;
    SSL *tls;
    unsigned char *pending;  // what the socket didn't take
    size_t pending_length;
    bool broken;

    // The frame that is being followed.
    unsigned char header[14];
    unsigned header_length;
    uint64_t payload_left;
    unsigned char head[125];  // how its payload begins: all of a control frame, enough of a data frame to know an error
    unsigned head_length;
    unsigned matched;  // of the CR LF CR LF that ends the response

    unsigned welcome_left;
    uint64_t sent;                // messages
    unsigned replies_got;         // to the oldest message without its reply
    uint64_t due[IN_FLIGHT];      // when the messages without their reply were due
    unsigned oldest, newest;      // positions in `due`, counted on without end
};

/// What happened to all clients since the numbers were last set to 0.
struct totals {
    uint64_t opened, resumed, closed;
    uint64_t answered, data_frames, bytes;
    uint64_t refusals;  // data frames that say "error"
    struct histogram latencies;  // from when a message was due to its last reply
};

/// Builds the frame of a payload (RFC 6455 §5.2).
struct message message_make(const void *payload, size_t length, bool binary);

/// Begins to connect. False: there is no socket to be had.
bool client_start(struct client *client, const struct target *target, unsigned index);

/// Goes on with whatever its socket allows: handshake, upgrade, reading, writing. `client->phase` is CLOSED afterwards when it has ended.
void client_run(struct client *client, const struct target *target, struct totals *totals);

/// Sends a message that was due at `due`; false if too many are without a reply. Several between two flushes leave in one write.
bool client_send(struct client *client, const struct target *target, const struct message *message, uint64_t due);

/// Writes what was sent since the last flush of this client. Has to be called before anything is sent on another one.
void client_flush(struct client *client);

void client_close(struct client *client);
