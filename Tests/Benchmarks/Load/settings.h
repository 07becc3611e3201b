// What a run of the load generator is to do.
//
// usage: load --port PORT [options]
//
//   --host ADDRESS        127.0.0.1
//   --path PATH           /v1/ws
//   --header LINE         a further line of the request; may be repeated
//   --plain               ws:// instead of wss://
//   --resume              resume a TLS session on every connection, with a ticket from one that is made beforehand
//   --sources N           connect from 127.0.0.1 to 127.0.0.N
//   --connections N       50
//   --window N            connections being opened at a time, 100
//   --welcome N           data frames that the server sends first, 1
//   --hello TEXT          a first message, sent on every connection and not measured
//   --text TEXT, --file FILE   the payload of each message; in it ######## becomes a number that no other has
//   --binary              send it as binary frames
//   --replies N           data frames that answer one message, 1; with 0 nothing is awaited
//   --depth N             closed loop: messages without a reply on each connection, 1
//   --rate R              open loop: messages a second on each connection; a latency counts from when a message was due
//   --tick MICROSECONDS   of the open loop: what is due leaves at each tick, 1000
//   --warm S, --seconds S        for so long, 1 and 5
//   --warm-messages N, --messages N   instead: so many on each connection, with silence before and after
//   --windows N           measure so many times in a row, with a line for each, 1
//   --idle                send nothing but the hello
//   --pid PID             the server, whose processor time and memory are read
//   --counts FILE         of counter.so: its recording is on while it is measured
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
    volatile uint64_t *counts;  // the word of counter.so that says whether it records; NULL: there is none
};

/// The settings that the command line asks for. Ends the program when it asks for nonsense.
struct settings settings_read(int count, char **arguments);

/// Ends the program with status 2.
_Noreturn void fail(const char *what);
