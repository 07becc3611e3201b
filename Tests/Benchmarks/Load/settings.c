// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "settings.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

_Noreturn void fail(const char *message) {
    fprintf(stderr, "load: %s\n", message);
    exit(2);
}

static char *contents(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) fail("cannot read the payload file");
    *length = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*length + 1);
    if (fread(bytes, 1, *length, file) != *length) fail("cannot read the payload file");
    fclose(file);
    return bytes;
}

static volatile uint64_t *map_counts(const char *path) {
    int fd = open(path, O_RDWR | O_CLOEXEC);
    void *map = fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) fail("cannot open the file of --counts: is counter.so loaded into the server?");
    close(fd);
    return (volatile uint64_t *)map + 1;
}

struct settings settings_read(int count, char **arguments) {
    struct settings settings = {
        .target = {.host = "127.0.0.1", .path = "/v1/ws", .headers = "", .sources = 1, .welcome = 1, .replies = 1},
        .connections = 50, .window = 100, .depth = 1, .windows = 1, .warm = 1, .seconds = 5, .tick = 1000000,
    };
    enum {
        HOST, PORT, PATH, HEADER, PLAIN, RESUME, SOURCES, CONNECTIONS, WINDOW, WELCOME, HELLO, TEXT, FILE_, BINARY, REPLIES, DEPTH, RATE,
        TICK, WARM, SECONDS, WARM_MESSAGES, MESSAGES, WINDOWS, IDLE, PID, COUNTS
    };
    static const struct option known[] = {
        {"host", 1, 0, HOST}, {"port", 1, 0, PORT}, {"path", 1, 0, PATH}, {"header", 1, 0, HEADER}, {"plain", 0, 0, PLAIN},
        {"resume", 0, 0, RESUME}, {"sources", 1, 0, SOURCES}, {"connections", 1, 0, CONNECTIONS}, {"window", 1, 0, WINDOW},
        {"welcome", 1, 0, WELCOME}, {"hello", 1, 0, HELLO}, {"text", 1, 0, TEXT}, {"file", 1, 0, FILE_}, {"binary", 0, 0, BINARY},
        {"replies", 1, 0, REPLIES}, {"depth", 1, 0, DEPTH}, {"rate", 1, 0, RATE}, {"tick", 1, 0, TICK}, {"warm", 1, 0, WARM},
        {"seconds", 1, 0, SECONDS}, {"warm-messages", 1, 0, WARM_MESSAGES}, {"messages", 1, 0, MESSAGES}, {"idle", 0, 0, IDLE},
        {"windows", 1, 0, WINDOWS}, {"pid", 1, 0, PID}, {"counts", 1, 0, COUNTS}, {0, 0, 0, 0},
    };
    const char *payload = "";
    size_t length = 0;
    bool binary = false;
    int option;
    while ((option = getopt_long(count, arguments, "", known, NULL)) != -1) {
        switch (option) {
        case HOST: settings.target.host = optarg; break;
        case PORT: settings.target.port = atoi(optarg); break;
        case PATH: settings.target.path = optarg; break;
        case HEADER: {
            char *lines = NULL;
            if (asprintf(&lines, "%s%s\r\n", settings.target.headers, optarg) < 0) fail("out of memory");
            settings.target.headers = lines;
            break;
        }
        case PLAIN: settings.plain = true; break;
        case RESUME: settings.resume = true; break;
        case SOURCES: settings.target.sources = atoi(optarg); break;
        case CONNECTIONS: settings.connections = (unsigned)atoi(optarg); break;
        case WINDOW: settings.window = (unsigned)atoi(optarg); break;
        case WELCOME: settings.target.welcome = (unsigned)atoi(optarg); break;
        case HELLO: settings.target.hello = optarg; break;
        case TEXT: payload = optarg, length = strlen(optarg); break;
        case FILE_: payload = contents(optarg, &length); break;
        case BINARY: binary = true; break;
        case REPLIES: settings.target.replies = (unsigned)atoi(optarg); break;
        case DEPTH: settings.depth = (unsigned)atoi(optarg); break;
        case RATE: settings.rate = atof(optarg); break;
        case TICK: settings.tick = (uint64_t)atoll(optarg) * 1000; break;
        case WARM: settings.warm = atof(optarg); break;
        case SECONDS: settings.seconds = atof(optarg); break;
        case WARM_MESSAGES: settings.warm_messages = (uint64_t)atoll(optarg); break;
        case MESSAGES: settings.messages = (uint64_t)atoll(optarg); break;
        case WINDOWS: settings.windows = (unsigned)atoi(optarg); break;
        case IDLE: settings.idle = true; break;
        case PID: settings.server = (pid_t)atoi(optarg); break;
        case COUNTS: settings.counts = map_counts(optarg); break;
        default: exit(2);
        }
    }
    if (optind != count || settings.target.port <= 0 || settings.connections == 0 || settings.window == 0) {
        fail("usage: load --port PORT [options]; the options are listed in settings.h");
    }
    if (settings.warm_messages && !settings.messages) fail("--warm-messages requires --messages");
    if (settings.depth == 0 || settings.depth > IN_FLIGHT) fail("--depth must be from 1 to 64");
    if (settings.target.replies == 0 && settings.rate <= 0 && !settings.idle) fail("--replies 0 requires --rate or --idle");
    settings.message = message_make(payload, length, binary);
    return settings;
}
