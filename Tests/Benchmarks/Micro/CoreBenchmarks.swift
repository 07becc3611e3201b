// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayCore

/// Measures the validation of a message, rate limits and memory accounting.
func benchmarkCore(_ stopwatch: Stopwatch) {
    for (name, message) in [
        ("ping", Samples.ping), ("text of 120", Samples.text), ("text of 16,000, mixed", Samples.long),
        ("text of 16,000, ASCII", Samples.ascii),
    ] {
        benchmarkScanner(stopwatch, name, message)
        benchmarkFoundation(stopwatch, name, message)
    }
    for (name, message) in [("mixed", Samples.long), ("ASCII", Samples.ascii)] {
        stopwatch.measure("UTF-8, 16,000 characters, \(name)", bytes: message.count) { count in
            for _ in 0..<count {
                var validator = UTF8Validator()
                consume(validator.accept(message.span.bytes) && validator.isComplete)
            }
        }
    }
    benchmarkLimiter(stopwatch)
    benchmarkMemoryUsage(stopwatch)
}

private func benchmarkScanner(_ stopwatch: Stopwatch, _ name: String, _ message: [UInt8]) {
    stopwatch.measure("scanner: \(name)", bytes: message.count) { count in
        var scanner = MessageScanner(rules: ValidationRules())
        for _ in 0..<count {
            // The reader validates UTF-8 before it passes a message to the scanner; Foundation does, too.
            var validator = UTF8Validator()
            guard validator.accept(message.span.bytes), validator.isComplete else { return stop("\(name) is not UTF-8") }
            do throws(MessageFault) {
                consume(try scanner.scan(message.span.bytes))
            } catch {
                return stop("\(name) was rejected: \(error)")
            }
        }
    }
}

/// The fields of the samples. Foundation checks nothing else about a message.
private struct Message: Decodable {
    var type: String
    var id: String?
    var ts: Double?
    var text: String?
    var stream: Bool?
}

private func benchmarkFoundation(_ stopwatch: Stopwatch, _ name: String, _ message: [UInt8]) {
    let data = Data(message)
    stopwatch.measure("JSONDecoder: \(name)", bytes: message.count) { count in
        let decoder = JSONDecoder()
        for _ in 0..<count {
            do {
                consume(try decoder.decode(Message.self, from: data))
            } catch {
                return stop("\(name) was rejected: \(error)")
            }
        }
    }
}

private func benchmarkLimiter(_ stopwatch: Stopwatch) {
    let rate = Rate(units: 1_000_000_000, per: .seconds(60), burst: 1_000_000)
    stopwatch.measure("GCRA: a decision that admits") { count in
        var limiter = Limiter()
        var now = Instant(nanoseconds: 1)
        for _ in 0..<count {
            now.nanoseconds += 1000
            consume(limiter.admit(1, at: rate, now: now) == nil)
        }
    }
    let slow = Rate(units: 60, per: .seconds(60), burst: 1)
    stopwatch.measure("GCRA: a decision that rejects") { count in
        var limiter = Limiter()
        let now = Instant(nanoseconds: 1)
        for _ in 0..<count { consume(limiter.admit(1, at: slow, now: now) == nil) }
    }
}

private func benchmarkMemoryUsage(_ stopwatch: Stopwatch) {
    stopwatch.measure("memory usage: change one part, compute the sum") { count in
        var usage = MemoryUsage()
        for step in 0..<count {
            usage.outbox += step & 255
            usage.connection.receiveBuffer = step & 4095
            consume(usage.total)
        }
    }
}

/// Stops the program: a benchmark of rejected messages would be meaningless.
func stop(_ reason: String) {
    print("micro: \(reason)")
    exit(1)
}
