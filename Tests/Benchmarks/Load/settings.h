// SPDX-License-Identifier: Apache-2.0

// The options of the load generator.
//
// usage: load --port PORT [options]
//
//   --host ADDRESS        127.0.0.1
//   --path PATH           /v1/ws
//   --header LINE         an additional header line of the request; may be repeated
//   --plain               ws:// instead of wss://
//   --resume              resume a TLS session on every connection, with a ticket from a first connection that isn't measured
//   --sources N           connect from 127.0.0.1 to 127.0.0.N
//   --connections N       50
//   --window N            connections opened concurrently, 100
//   --welcome N           data frames that the server sends first, 1
//   --hello TEXT          a text message sent after the upgrade of every connection; not measured
//   --text TEXT, --file FILE   the payload of each message; ######## is replaced by a unique number
//   --binary              send binary frames
//   --replies N           data frames in reply to each message, 1; with 0 no reply is awaited
//   --depth N             closed loop: messages in flight per connection, 1
//   --rate R              open loop: messages per second per connection; latency is measured from the due time
//   --tick MICROSECONDS   open loop: due messages are sent at each tick, 1000
//   --warm S, --seconds S        duration of the warm-up and of the measurement, 1 and 5
//   --warm-messages N, --messages N   instead: messages per connection, with a pause before and after
//   --windows N           number of consecutive measurements, one line of output each, 1
//   --idle                send nothing but the hello
//   --pid PID             the server process, whose processor time and memory are reported
//   --counts FILE         the file of counter.so, which counts allocations during the measurement
#pragma once
#include <sys/types.h>

#include "client.h"

struct settings {
    struct target target;
    struct message message;
    unsigned connections, window, depth, windows;
    double rate, warm, seconds;
    uint64_t tick;  // nanoseconds
    uint64_t warm_messages, messages;
    bool idle, plain, resume;
    pid_t server;
    volatile uint64_t *counts;  // the `recording` word of counter.so; NULL: not used
};

/// Parses the command line. Exits with status 2 if it is invalid.
struct settings settings_read(int count, char **arguments);

/// Prints a message and exits with status 2.
_Noreturn void fail(const char *message);
