// SPDX-License-Identifier: Apache-2.0
// A TLS connection on OpenSSL with the methods of WiFiClientSecure, so that the client for ESP32 runs on this computer.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

class WiFiClientSecure {
public:
    /// The tests trust the file `PARLEY_TEST_CA` instead.
    void setCACert(const char*) {}

    ~WiFiClientSecure() { stop(); }

    /// Connects to `PARLEY_TEST_PORT` of this computer, and verifies the certificate for `localhost`, whatever the sketch names.
    int connect(const char*, uint16_t) {
        stop();
        static SSL_CTX* context = nullptr;
        if (!context) {
            signal(SIGPIPE, SIG_IGN);
            context = SSL_CTX_new(TLS_client_method());
            SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
            if (SSL_CTX_load_verify_locations(context, getenv("PARLEY_TEST_CA"), nullptr) != 1) abort();
        }
        file_ = socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address = {};
        address.sin_family = AF_INET;
        address.sin_port = htons(uint16_t(atoi(getenv("PARLEY_TEST_PORT"))));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::connect(file_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return stop(), 0;
        ssl_ = SSL_new(context);
        SSL_set_fd(ssl_, file_);
        SSL_set1_host(ssl_, "localhost");
        SSL_set_tlsext_host_name(ssl_, "localhost");
        if (SSL_connect(ssl_) != 1) return stop(), 0;
        return 1;
    }

    int available() {
        if (!ssl_) return 0;
        if (SSL_pending(ssl_) > 0) return SSL_pending(ssl_);
        pollfd event = {file_, POLLIN, 0};
        if (::poll(&event, 1, 0) <= 0) return 0;
        char byte;
        // At the end of the stream and for a session ticket there is nothing to read.
        timeval limit = {0, 1000};
        setsockopt(file_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        const int result = SSL_peek(ssl_, &byte, 1);
        const int error = SSL_get_error(ssl_, result);
        limit = {0, 0};
        setsockopt(file_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        if (result > 0) return SSL_pending(ssl_);
        if (error != SSL_ERROR_WANT_READ) stop();
        return 0;
    }

    int read(uint8_t* data, size_t size) { return ssl_ ? SSL_read(ssl_, data, int(size)) : -1; }
    size_t write(const uint8_t* data, size_t size) { return ssl_ && SSL_write(ssl_, data, int(size)) == int(size) ? size : 0; }
    uint8_t connected() { return ssl_ != nullptr; }

    void stop() {
        if (ssl_) SSL_free(ssl_);
        if (file_ >= 0) close(file_);
        ssl_ = nullptr;
        file_ = -1;
    }

    /// Breaks the connection, as a lost network does; the client isn't told.
    void cut() {
        if (file_ >= 0) shutdown(file_, SHUT_RDWR);
    }

private:
    SSL* ssl_ = nullptr;
    int file_ = -1;
};
