// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// Measures serializing messages to clients into an array with sufficient capacity, as in an event loop.
func benchmarkMessages(_ stopwatch: Stopwatch) {
    guard let id = MessageID("00000001") else { return stop("an id was rejected") }
    benchmark(stopwatch, "an ack", AckMessage(id))
    let ping = Samples.ping
    stopwatch.measure("writer: a pong") { count in
        var bytes: [UInt8] = []
        bytes.reserveCapacity(1024)
        let message = PongMessage(id, timestamp: NumberSlice(start: ping.count - 14, count: 13), serverTime: 1_767_225_600_123)
        for _ in 0..<count {
            bytes.removeAll(keepingCapacity: true)
            ping.withRawSpan { message.append(to: &bytes, replyingTo: $0) }
            consume(bytes.count > 0)
        }
    }
    var epilogue = UpstreamEvent.Epilogue()
    var timing = CallTiming()
    (timing.queue, timing.connect) = (.nanoseconds(1000), .nanoseconds(0))
    (timing.first, timing.total) = (.nanoseconds(12_345_678), .nanoseconds(23_456_789))
    epilogue.timing = timing
    benchmark(stopwatch, "a delta of 5", TextMessage(id, Array("delta".utf8), isFinal: false, end: .open))
    for (name, text) in [
        ("a text of 300", Samples.response), ("a text of 16,000, mixed", Samples.long), ("a text of 16,000, ASCII", Samples.ascii),
    ] {
        benchmark(stopwatch, name, TextMessage(id, text, isFinal: true, end: .done(epilogue)), size: text.count)
    }
    for value in [7, 1234, 1_767_225_600_123] as [UInt64] {
        stopwatch.measure("writer: the decimal \(value)") { count in
            var bytes: [UInt8] = []
            bytes.reserveCapacity(1024)
            for _ in 0..<count {
                bytes.removeAll(keepingCapacity: true)
                bytes.append(decimal: value)
                consume(bytes.count > 0)
            }
        }
    }
}

private func benchmark(_ stopwatch: Stopwatch, _ name: String, _ message: some OutgoingMessage, size: Int = 0) {
    stopwatch.measure("writer: \(name)", bytes: size) { count in
        var bytes: [UInt8] = []
        bytes.reserveCapacity(65_536)
        for sequence in 0..<count {
            bytes.removeAll(keepingCapacity: true)
            bytes.append(message, sequence: UInt64(sequence))
            consume(bytes.count > 0)
        }
    }
}
