// What the peer keeps for one client: the same kinds of state that Parley keeps, bounded the same way.
#pragma once
#include <openssl/rand.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_set>

namespace peer {

using Clock = std::chrono::steady_clock;
using SharedText = std::shared_ptr<const std::string>;  // in the queue of the socket and in the outbox at once

inline constexpr std::size_t remembered = 1000;  // ids, texts and unacknowledged messages

/// 256 random bits in hexadecimal: a session id, or a token.
inline std::string random_name() {
    unsigned char bits[32];
    if (RAND_bytes(bits, sizeof bits) != 1) throw std::runtime_error("no random bytes");
    std::string name;
    name.reserve(2 * sizeof bits);
    for (unsigned char byte : bits) {
        name += "0123456789abcdef"[byte / 16];
        name += "0123456789abcdef"[byte % 16];
    }
    return name;
}

/// A rate, set so high here that it costs its arithmetic and refuses nothing.
class Bucket {
    static constexpr double rate = 1e6, capacity = 1e6;
    double level_ = capacity;
    Clock::time_point filled_ = Clock::now();

public:
    bool allows(Clock::time_point now) {
        const std::chrono::duration<double> passed = now - filled_;
        filled_ = now;
        level_ = std::min(capacity, level_ + passed.count() * rate);
        if (level_ < 1) return false;
        level_ -= 1;
        return true;
    }
};

/// The ids that were accepted last.
class AcceptedIDs {
    std::deque<std::string> order_;
    std::unordered_set<std::string_view> known_;  // into order_, whose elements stay where they are

public:
    bool contains(std::string_view id) const { return known_.contains(id); }

    /// Returns by how much the memory of the session grows.
    std::ptrdiff_t insert(std::string_view id) {
        auto grown = static_cast<std::ptrdiff_t>(id.size());
        known_.insert(order_.emplace_back(id));
        if (order_.size() > remembered) {
            grown -= static_cast<std::ptrdiff_t>(order_.front().size());
            known_.erase(order_.front());
            order_.pop_front();
        }
        return grown;
    }
};

struct Session {
    struct Unacknowledged {
        std::uint64_t seq;
        SharedText text;
    };

    const std::string id = random_name(), resume_token = random_name();
    Bucket messages_rate, chunks_rate;
    AcceptedIDs accepted;
    std::deque<std::string> history;
    std::deque<Unacknowledged> outbox;
    std::uint64_t messages = 0, bytes = 0, chunks = 0, audio_bytes = 0, last_seq = 0;
    std::ptrdiff_t memory = 0;
    Clock::time_point last_activity = Clock::now();

    void note(std::size_t size, Clock::time_point now) {
        messages += 1;
        bytes += size;
        last_activity = now;
    }

    void remember(std::string text) {
        memory += static_cast<std::ptrdiff_t>(text.size());
        history.push_back(std::move(text));
        if (history.size() <= remembered) return;
        memory -= static_cast<std::ptrdiff_t>(history.front().size());
        history.pop_front();
    }

    void keep(std::uint64_t seq, SharedText text) {
        memory += static_cast<std::ptrdiff_t>(text->size());
        outbox.push_back({seq, std::move(text)});
        if (outbox.size() > remembered) forget_oldest();
    }

    void acknowledge(std::uint64_t seq) {
        while (!outbox.empty() && outbox.front().seq <= seq) forget_oldest();
    }

private:
    void forget_oldest() {
        memory -= static_cast<std::ptrdiff_t>(outbox.front().text->size());
        outbox.pop_front();
    }
};

}  // namespace peer
