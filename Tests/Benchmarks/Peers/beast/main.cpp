// SPDX-License-Identifier: Apache-2.0

// The C++ server that Parley is compared with. It does the same work with Boost.Beast, OpenSSL and simdjson.
//
// Each client has a session with a random id and token, rate limits, recent ids, a history and an outbox. The reply to a ping is a pong, to a text an ack
// and the same text, to audio an ack for every 64 chunks. One thread, one io_context.
//
// usage: beast PORT CERT KEY
// build: g++ -O3 -march=native -std=c++20 -o beast main.cpp -lsimdjson -lssl -lcrypto -lpthread
#include <charconv>
#include <cstring>
#include <iostream>

#include "connection.hpp"

namespace {

void accept_next(peer::asio::ip::tcp::acceptor& acceptor, peer::Gateway& gateway) {
    acceptor.async_accept([&](peer::error_code failure, peer::asio::ip::tcp::socket socket) {
        if (!failure) std::make_shared<peer::Connection>(gateway, std::move(socket))->start();
        accept_next(acceptor, gateway);
    });
}

}  // namespace

int main(int count, char** arguments) {
    unsigned short port = 0;
    if (count != 4 || std::from_chars(arguments[1], arguments[1] + std::strlen(arguments[1]), port).ec != std::errc()) {
        std::cerr << "usage: beast PORT CERT KEY\n";
        return 2;
    }
    try {
        peer::asio::io_context loop{1};
        peer::Gateway gateway;
        using TLS = peer::asio::ssl::context;
        gateway.tls.set_options(TLS::default_workarounds | TLS::no_tlsv1 | TLS::no_tlsv1_1);
        gateway.tls.use_certificate_chain_file(arguments[2]);
        gateway.tls.use_private_key_file(arguments[3], TLS::pem);
        peer::asio::ip::tcp::acceptor acceptor{loop};
        const peer::asio::ip::tcp::endpoint endpoint{peer::asio::ip::address_v4::loopback(), port};
        acceptor.open(endpoint.protocol());
        acceptor.set_option(peer::asio::socket_base::reuse_address(true));
        acceptor.bind(endpoint);
        acceptor.listen(4096);
        accept_next(acceptor, gateway);
        loop.run();
    } catch (const std::exception& failure) {
        std::cerr << "beast: " << failure.what() << '\n';
        return 1;
    }
}
