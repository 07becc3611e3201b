// SPDX-License-Identifier: Apache-2.0

// The session of a client: the same kinds of state as in Parley, with the same bounds.
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
using SharedText = std::shared_ptr<const std::string>;  // shared by the write queue and the outbox

inline constexpr std::size_t max_entries = 1000;  // of each: recent ids, history, outbox

/// Returns 256 random bits in hexadecimal, for a session id or a token.
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

/// A token bucket whose rate is so high that it rejects nothing; only its arithmetic costs time.
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

/// The recently accepted ids.
class AcceptedIDs {
    std::deque<std::string> order_;
    std::unordered_set<std::string_view> known_;  // views of elements of order_, which don't move

public:
    bool contains(std::string_view id) const { return known_.contains(id); }

    /// Returns the change of the session's memory in bytes.
    std::ptrdiff_t insert(std::string_view id) {
        auto change = static_cast<std::ptrdiff_t>(id.size());
        known_.insert(order_.emplace_back(id));
        if (order_.size() > max_entries) {
            change -= static_cast<std::ptrdiff_t>(order_.front().size());
            known_.erase(order_.front());
            order_.pop_front();
        }
        return change;
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

    void record(std::size_t size, Clock::time_point now) {
        messages += 1;
        bytes += size;
        last_activity = now;
    }

    void add_to_history(std::string text) {
        memory += static_cast<std::ptrdiff_t>(text.size());
        history.push_back(std::move(text));
        if (history.size() <= max_entries) return;
        memory -= static_cast<std::ptrdiff_t>(history.front().size());
        history.pop_front();
    }

    void add_unacknowledged(std::uint64_t seq, SharedText text) {
        memory += static_cast<std::ptrdiff_t>(text->size());
        outbox.push_back({seq, std::move(text)});
        if (outbox.size() > max_entries) drop_oldest();
    }

    void acknowledge(std::uint64_t seq) {
        while (!outbox.empty() && outbox.front().seq <= seq) drop_oldest();
    }

private:
    void drop_oldest() {
        memory -= static_cast<std::ptrdiff_t>(outbox.front().text->size());
        outbox.pop_front();
    }
};

}  // namespace peer
