// SPDX-License-Identifier: Apache-2.0

/// Whether a message is the last one of its request, with the additional members of the last message.
package enum RequestEnd: Sendable, Hashable {
    /// More messages of the request follow.
    case open
    /// The last message. The epilogue is nil when the request was cancelled or its session was restored.
    case done(UpstreamEvent.Epilogue?)

    /// The maximum size of the members in bytes.
    var expectedBytes: Int { if case .done = self { 320 } else { 0 } }
}

extension JSONWriter {
    /// Writes the members that end a request: `"done":true` and the epilogue.
    @inline(__always)
    mutating func members(_ end: RequestEnd) {
        guard case .done(let epilogue) = end else { return }
        member("done", true)
        if let epilogue { members(epilogue) }
    }

    private mutating func members(_ epilogue: UpstreamEvent.Epilogue) {
        member("finish", (epilogue.finish ?? .stop).rawValue)
        if let usage = epilogue.usage {
            object("usage") { writer in
                writer.member("input_tokens", usage.inputTokens)
                writer.member("output_tokens", usage.outputTokens)
            }
        }
        if let timing = epilogue.timing {
            object("timing") { writer in
                writer.member("queue_ms", milliseconds: timing.queue)
                writer.member("connect_ms", milliseconds: timing.connect)
                writer.member("first_ms", milliseconds: timing.first)
                writer.member("total_ms", milliseconds: timing.total)
            }
        }
        if let speech = epilogue.speech { member("speech", speech.rawValue) }
    }
}
