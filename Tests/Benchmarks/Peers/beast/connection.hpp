// SPDX-License-Identifier: Apache-2.0

// A client's connection: TLS, the upgrade, messages, and the write queue.
#pragma once
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <simdjson.h>

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "session.hpp"
#include "text.hpp"

namespace peer {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using boost::system::error_code;

/// The state that all connections share.
struct Gateway {
    asio::ssl::context tls{asio::ssl::context::tls_server};
    std::unordered_map<std::string, std::shared_ptr<Session>> sessions;
    simdjson::dom::parser parser;
};

class Connection : public std::enable_shared_from_this<Connection> {
    static constexpr std::size_t largest_message = 1 << 20, longest_text = 100'000;
    static constexpr std::uint64_t chunks_per_ack = 64;

    Gateway& gateway_;
    websocket::stream<beast::ssl_stream<beast::tcp_stream>> socket_;
    beast::flat_buffer input_;
    http::request<http::string_body> request_;
    http::response<http::string_body> rejection_;
    std::deque<SharedText> queue_;
    std::shared_ptr<Session> session_;

public:
    Connection(Gateway& gateway, asio::ip::tcp::socket socket) : gateway_(gateway), socket_(std::move(socket), gateway.tls) {}

    void start() {
        auto& transport = beast::get_lowest_layer(socket_);
        transport.socket().set_option(asio::ip::tcp::no_delay(true));
        transport.expires_after(std::chrono::seconds(30));
        socket_.next_layer().async_handshake(asio::ssl::stream_base::server, [self = shared_from_this()](error_code failure) {
            if (!failure) self->read_request();
        });
    }

private:
    void read_request() {
        http::async_read(socket_.next_layer(), input_, request_, [self = shared_from_this()](error_code failure, std::size_t) {
            if (!failure) self->upgrade();
        });
    }

    void upgrade() {
        const auto target = request_.target();
        if (!websocket::is_upgrade(request_) || target.substr(0, target.find('?')) != "/v1/ws") {
            rejection_.result(http::status::not_found);
            rejection_.version(request_.version());
            rejection_.prepare_payload();
            http::async_write(socket_.next_layer(), rejection_, [self = shared_from_this()](error_code, std::size_t) {});
            return;
        }
        beast::get_lowest_layer(socket_).expires_never();
        socket_.set_option(websocket::stream_base::timeout::suggested(beast::role_type::server));
        socket_.read_message_max(largest_message);
        socket_.auto_fragment(false);
        socket_.async_accept(request_, [self = shared_from_this()](error_code failure) {
            if (!failure) self->open();
        });
    }

    void open() {
        request_ = {};
        session_ = std::make_shared<Session>();
        gateway_.sessions.emplace(session_->id, session_);
        std::string welcome = R"({"type":"session","session_id":")";
        welcome += session_->id;
        welcome += R"(","resume_token":")";
        welcome += session_->resume_token;
        welcome += R"(","resumed":false,"lost":false,"last_seq":0,"expires_at":)";
        welcome += std::to_string(wall_milliseconds() + 24 * 3600 * 1000);
        welcome += R"(,"heartbeat_ms":20000,"limits":{"text_chars":100000,"message_bytes":1048576},"protocol":"parley.v1"})";
        send(std::move(welcome));
        read();
    }

    void close() {
        if (!session_) return;
        gateway_.sessions.erase(session_->id);
        session_ = nullptr;
    }

    static std::int64_t wall_milliseconds() {
        const auto since = std::chrono::system_clock::now().time_since_epoch();
        return std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
    }

    // Sending: one write at a time, in order.

    SharedText send(std::string text) {
        const bool is_idle = queue_.empty();
        const auto shared = queue_.emplace_back(std::make_shared<const std::string>(std::move(text)));
        if (is_idle) write();
        return shared;
    }

    void write() {
        socket_.text(true);
        socket_.async_write(asio::buffer(*queue_.front()), [self = shared_from_this()](error_code failure, std::size_t) {
            if (failure) return self->close();
            self->queue_.pop_front();
            if (!self->queue_.empty()) self->write();
        });
    }

    // Receiving: one message at a time.

    void read() {
        socket_.async_read(input_, [self = shared_from_this()](error_code failure, std::size_t) {
            if (failure) return self->close();
            self->receive();
            self->input_.consume(self->input_.size());
            self->read();
        });
    }

    void receive() {
        const auto now = Clock::now();
        session_->record(input_.size(), now);
        if (socket_.got_text()) {
            receive_text(now);
        } else {
            receive_chunk(now);
        }
    }

    void receive_chunk(Clock::time_point now) {
        if (!session_->chunks_rate.allows(now)) return reject("rate_limited", "too many chunks");
        if (input_.size() == 0) return reject("invalid_audio", "a chunk must not be empty");
        session_->audio_bytes += input_.size();
        session_->chunks += 1;
        if (session_->chunks % chunks_per_ack == 0) accept("audio", R"(,"chunks":)" + std::to_string(session_->chunks));
    }

    void receive_text(Clock::time_point now) {
        if (!session_->messages_rate.allows(now)) return reject("rate_limited", "too many messages");
        input_.prepare(simdjson::SIMDJSON_PADDING);  // the parser reads past the end
        const auto bytes = input_.data();
        simdjson::dom::element document;
        const auto failure = gateway_.parser.parse(static_cast<const char*>(bytes.data()), bytes.size(), false).get(document);
        if (failure) return reject("invalid_json", "not JSON");
        simdjson::dom::object message;
        if (document.get(message)) return reject("invalid_message", "not an object");
        std::string_view type, id;
        if (message["type"].get(type)) return reject("invalid_message", "type must be a string");
        simdjson::dom::element id_value;
        if (!message["id"].get(id_value) && (id_value.get(id) || !is_id(id))) return reject("invalid_message", "invalid id");

        if (type == "ping") return receive_ping(message, id);
        if (type == "ack") return receive_ack(message);
        if (type == "status") return report();
        if (type != "text" && type != "audio" && type != "cancel") return reject("unsupported_type", "unknown type", id);
        if (id.empty()) return reject("invalid_message", "id is missing");
        if (type == "text") return receive_text(message, id);
        if (type == "audio") return accept(id);
        reject("not_found", "nothing to cancel", id);
    }

    void receive_ping(simdjson::dom::object message, std::string_view id) {
        std::string pong = R"({"type":"pong")";
        if (!id.empty()) {
            pong += R"(,"id":")";
            pong += id;
            pong += '"';
        }
        simdjson::dom::element timestamp;
        if (!message["ts"].get(timestamp)) {
            if (!timestamp.is_number()) return reject("invalid_message", "ts must be a number", id);
            pong += R"(,"ts":)";
            pong += simdjson::minify(timestamp);
        }
        pong += R"(,"server_ts":)";
        pong += std::to_string(wall_milliseconds());
        pong += '}';
        send(std::move(pong));
    }

    void receive_text(simdjson::dom::object message, std::string_view id) {
        std::string_view raw;
        if (message["text"].get(raw)) return reject("invalid_message", "text must be a string", id);
        std::string text = sanitized(raw);
        const bool too_long = text.size() > longest_text && character_count(text) > longest_text;
        if (text.empty() || too_long) return reject("invalid_message", "text must have 1 to 100000 characters", id);
        if (session_->accepted.contains(id)) return accept(id, R"(,"duplicate":true)");
        session_->memory += session_->accepted.insert(id);
        accept(id);

        const auto seq = ++session_->last_seq;
        std::string reply;
        reply.reserve(text.size() + text.size() / 8 + 160);
        reply += R"({"type":"text","seq":)";
        reply += std::to_string(seq);
        reply += R"(,"reply_to":")";
        reply += id;
        reply += R"(","text":)";
        append_json(reply, text);
        reply += R"(,"final":true})";
        session_->add_unacknowledged(seq, send(std::move(reply)));
        session_->add_to_history(std::move(text));
    }

    void receive_ack(simdjson::dom::object message) {
        std::uint64_t seq;
        if (message["seq"].get(seq)) return reject("invalid_message", "seq must be an integer");
        session_->acknowledge(seq);
    }

    void report() {
        send(R"({"type":"status","session":{"messages":)" + std::to_string(session_->messages) + R"(,"bytes":)" +
             std::to_string(session_->bytes) + R"(,"memory":)" + std::to_string(session_->memory) + "}}");
    }

    void accept(std::string_view id, std::string_view more = {}) {
        std::string text = R"({"type":"ack","id":")";
        text += id;
        text += '"';
        text += more;
        text += '}';
        send(std::move(text));
    }

    void reject(std::string_view code, std::string_view message, std::string_view id = {}) {
        std::string text = R"({"type":"error","error":{"code":")";
        text += code;
        text += R"(","message":")";
        text += message;
        text += R"(","reply_to":)";
        if (id.empty()) {
            text += "null";
        } else {
            append_json(text, id);
        }
        text += R"(,"retryable":false,"fatal":false}})";
        send(std::move(text));
    }
};

}  // namespace peer
