// SPDX-License-Identifier: Apache-2.0

// Loads a WebSocket server and prints its costs as one line of JSON. One thread, epoll, OpenSSL. The options are listed in settings.h.
//
// In a closed loop, each reply is followed immediately by the next message; in an open loop, messages are sent at a fixed rate.
// The exit status is 1 when a connection was lost or a reply was an error.
//
// build: cc -O2 -o load *.c -lssl -lcrypto
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "client.h"
#include "process.h"
#include "settings.h"

static const uint64_t SECOND = 1000000000;
static const uint64_t SETTLE = 300000000;  // pause before and after a given number of messages
static const uint64_t TIMEOUT = 60000000000;  // of each phase without a set duration

static struct settings settings;
static struct client *clients;
static struct totals totals;
static int events;
static unsigned started;
static const char *version = "", *cipher = "";  // of the first connection
static uint64_t sent, skipped;  // skipped: due in an open loop while too many messages awaited replies
static uint64_t allowed;        // total number of messages that each client may send
static uint64_t due_count, due_from;  // open loop: messages due so far, and the start time; 0: not started

// The loop

static bool send_one(struct client *client, uint64_t due) {
    if (client->phase != OPEN || client->sent >= allowed) return false;
    if (!client_send(client, &settings.target, &settings.message, due)) return false;
    sent++;
    return true;
}

// Closed loop: sends messages up to the number that may be in flight.
static void refill(struct client *client) {
    if (settings.idle || settings.rate > 0 || client->phase != OPEN) return;
    uint64_t moment = now();
    bool has_sent = false;
    while (client->newest - client->oldest < settings.depth && send_one(client, moment)) has_sent = true;
    if (has_sent) client_flush(client);
}

// Open loop: sends due messages. The connections take turns, evenly spaced.
static void send_due(void) {
    if (settings.idle || settings.rate <= 0 || due_from == 0) return;
    double step = (double)SECOND / settings.rate / settings.connections;
    uint64_t moment = now();
    for (;;) {
        uint64_t due = due_from + (uint64_t)(step * (double)due_count);
        if (due > moment) return;
        struct client *client = &clients[due_count++ % settings.connections];
        if (send_one(client, due)) {
            client_flush(client);
        } else if (client->phase == OPEN && client->sent < allowed) {
            skipped++;
        }
    }
}

static void run_once(uint64_t until) {
    struct epoll_event ready[512];
    uint64_t moment = now();
    if (settings.rate > 0 && !settings.idle && until > moment + settings.tick) until = moment + settings.tick;
    uint64_t wait = until > moment ? until - moment : 0;
    struct timespec timeout = {.tv_sec = (time_t)(wait / SECOND), .tv_nsec = (long)(wait % SECOND)};
    int number = epoll_pwait2(events, ready, 512, &timeout, NULL);
    for (int i = 0; i < number; i++) {
        struct client *client = &clients[ready[i].data.u32];
        if (client->phase == CLOSED) continue;
        client_run(client, &settings.target, &totals);
        refill(client);
    }
    send_due();
}

static void run_until(uint64_t end) {
    while (now() < end) run_once(end);
}

static void begin_sending(uint64_t limit) {
    allowed = limit;
    due_from = now();
    due_count = 0;
    for (unsigned i = 0; i < settings.connections; i++) refill(&clients[i]);
}

// Lets every client send `count` more messages, and waits for all replies.
static void run_messages(uint64_t count) {
    begin_sending(allowed + count);
    uint64_t end = now() + TIMEOUT;
    for (;;) {
        bool done = true;
        for (unsigned i = 0; i < settings.connections && done; i++) {
            struct client *client = &clients[i];
            done = client->phase == CLOSED || (client->sent == allowed && client->oldest == client->newest && !client->pending_length);
        }
        if (done) break;
        if (now() > end) fail("timeout: the server stopped replying");
        run_once(now() + SECOND / 100);
    }
    run_until(now() + SETTLE);
}

// Connections

static void open_client(unsigned index) {
    struct client *client = &clients[index];
    if (!client_start(client, &settings.target, index)) {
        perror("load: connect");
        totals.closed++;
        client_close(client);
        return;
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.u32 = index};
    epoll_ctl(events, EPOLL_CTL_ADD, client->fd, &event);
}

static void open_all(void) {
    uint64_t end = now() + TIMEOUT;
    while (totals.opened + totals.closed < settings.connections) {
        while (started < settings.connections && started - (totals.opened + totals.closed) < settings.window) open_client(started++);
        run_once(now() + SECOND / 10);
        if (now() > end) fail("timeout: not all connections opened within a minute");
    }
}

static unsigned still_open(void) {
    unsigned open = 0;
    for (unsigned i = 0; i < settings.connections; i++) open += clients[i].phase == OPEN;
    return open;
}

// Tickets arrive after the handshake (RFC 8446 §4.6.1), so the latest session is used.
static int store_session(SSL *tls, SSL_SESSION *session) {
    (void)tls;
    if (settings.target.session) SSL_SESSION_free(settings.target.session);
    settings.target.session = session;
    return 1;
}

static void obtain_ticket(void) {
    SSL_CTX_set_session_cache_mode(settings.target.tls, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(settings.target.tls, store_session);
    open_client(0);
    uint64_t end = now() + TIMEOUT;
    while (clients[0].phase != CLOSED && !(clients[0].phase == OPEN && settings.target.session)) {
        run_once(now() + SECOND / 10);
        if (now() > end) fail("timeout: the server sent no session ticket");
    }
    if (clients[0].phase == CLOSED) fail("the connection failed before a session ticket arrived");
    // A newer ticket would replace this session, which all connections share.
    SSL_CTX_set_session_cache_mode(settings.target.tls, SSL_SESS_CACHE_OFF);
    client_close(&clients[0]);
    run_until(now() + SETTLE);
    totals = (struct totals){0};
}

static void prepare(void) {
    signal(SIGPIPE, SIG_IGN);
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    events = epoll_create1(EPOLL_CLOEXEC);
    clients = calloc(settings.connections, sizeof *clients);
    for (unsigned i = 0; i < settings.connections; i++) clients[i].fd = -1;
    if (settings.plain) return;
    settings.target.tls = SSL_CTX_new(TLS_client_method());
    long modes = SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER;
    // Memory that thousands of idle clients hold would not be available to the server.
    if (settings.connections > 1000) modes |= SSL_MODE_RELEASE_BUFFERS;
    SSL_CTX_set_mode(settings.target.tls, modes);
}

// The resources used up to a point in time.
struct usage {
    uint64_t time;
    double server, self;
    long resident, anonymous;
};

static struct usage usage_now(void) {
    struct usage usage = {.time = now(), .self = process_cpu(0)};
    if (settings.server) {
        usage.server = process_cpu(settings.server);
        usage.resident = process_status(settings.server, "VmRSS");
        usage.anonymous = process_status(settings.server, "RssAnon");
    }
    return usage;
}

// Prints the results: the cost of accepting, between `fresh` and `opened`, and that of the messages, between `begin` and `end`.
static void report(
    struct usage fresh, struct usage opened, struct usage begin, struct usage end, uint64_t open, uint64_t done, uint64_t bytes) {
    double opening = (double)(opened.time - fresh.time) / (double)SECOND;
    double elapsed = (double)(end.time - begin.time + 1) / (double)SECOND;
    double connection = open ? 1 / (double)open : 0;
    double each = done ? 1 / (double)done : 0;
    const struct histogram *latencies = &totals.latencies;
    printf("{\"connections\":%u,\"open\":%u,\"closed\":%lu,", settings.connections, still_open(), totals.closed);
    printf("\"errors\":%lu,\"skipped\":%lu,", totals.errors, skipped);
    printf("\"tls\":\"%s\",\"cipher\":\"%s\",\"resumed\":%lu,", version, cipher, totals.resumed);
    printf("\"accepts_per_s\":%.0f,\"accept_cpu_us\":%.1f,", (double)open / opening, (opened.server - fresh.server) * 1e6 * connection);
    printf("\"messages\":%lu,\"messages_per_s\":%.0f,\"cpu_us\":%.3f,", done, (double)done / elapsed,
           (end.server - begin.server) * 1e6 * each);
    printf("\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,", histogram_quantile(latencies, 0.5), histogram_quantile(latencies, 0.99),
           histogram_quantile(latencies, 0.999));
    printf("\"server_share\":%.3f,\"load_share\":%.3f,", (end.server - begin.server) / elapsed, (end.self - begin.self) / elapsed);
    printf("\"sent_mb_per_s\":%.1f,\"received_mb_per_s\":%.1f,", (double)done * (double)settings.message.length / 1e6 / elapsed,
           (double)bytes / 1e6 / elapsed);
    printf("\"rss_kb\":%ld,\"rss_bytes_per_connection\":%.0f,", end.resident, (double)(end.resident - fresh.resident) * 1024 * connection);
    printf("\"anonymous_bytes_per_connection\":%.0f,", (double)(end.anonymous - fresh.anonymous) * 1024 * connection);
    printf("\"rss_bytes_per_connection_at_once\":%.0f}\n", (double)(opened.resident - fresh.resident) * 1024 * connection);
}

// Measures one window of time, or the given number of messages.
static void measure(struct usage fresh, struct usage opened, uint64_t open) {
    struct totals before = totals;
    memset(&totals.latencies, 0, sizeof totals.latencies);
    uint64_t sent_before = sent;
    skipped = 0;
    struct usage begin = usage_now();
    if (settings.counts) *settings.counts = 1;
    if (settings.messages) {
        run_messages(settings.messages);
    } else {
        run_until(begin.time + (uint64_t)(settings.seconds * (double)SECOND));
    }
    if (settings.counts) *settings.counts = 0;
    struct usage end = usage_now();
    uint64_t done = settings.target.replies ? totals.completed - before.completed : sent - sent_before;
    report(fresh, opened, begin, end, open, done, totals.bytes - before.bytes);
    fflush(stdout);
}

int main(int count, char **arguments) {
    settings = settings_read(count, arguments);
    prepare();
    if (settings.resume) obtain_ticket();

    struct usage fresh = usage_now();
    open_all();
    struct usage opened = usage_now();
    uint64_t open = totals.opened;
    if (clients[0].tls) {
        version = SSL_get_version(clients[0].tls);
        cipher = SSL_get_cipher_name(clients[0].tls);
    }

    if (settings.messages) {
        run_messages(settings.warm_messages);
    } else {
        begin_sending(UINT64_MAX);
        run_until(now() + (uint64_t)(settings.warm * (double)SECOND));
    }

    for (unsigned window = 0; window < settings.windows; window++) measure(fresh, opened, open);
    return still_open() == settings.connections && totals.errors == 0 ? 0 : 1;
}
