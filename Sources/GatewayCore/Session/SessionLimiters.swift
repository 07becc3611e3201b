/// The limits of a session that its messages are charged to.
package enum Limit: Sendable, CaseIterable {
    case text, audio, chunk, realtime, control, byte, refusal, violation
}

/// What a session owes to each of its limits. Their rates are the policy's.
struct SessionLimiters: Sendable {
    private var text = Limiter()
    private var audio = Limiter()
    private var chunk = Limiter()
    private var realtime = Limiter()
    private var control = Limiter()
    private var byte = Limiter()
    private var refusal = Limiter()
    private var violation = Limiter()

    /// Every one of them, in an order that stored sessions rely on.
    mutating func updateEach<Thrown: Error>(_ update: (inout Limiter) throws(Thrown) -> Void) throws(Thrown) {
        try update(&text)
        try update(&audio)
        try update(&chunk)
        try update(&realtime)
        try update(&control)
        try update(&byte)
        try update(&refusal)
        try update(&violation)
    }

    subscript(limit: Limit) -> Limiter {
        _read {
            switch limit {
            case .text: yield text
            case .audio: yield audio
            case .chunk: yield chunk
            case .realtime: yield realtime
            case .control: yield control
            case .byte: yield byte
            case .refusal: yield refusal
            case .violation: yield violation
            }
        }
        _modify {
            switch limit {
            case .text: yield &text
            case .audio: yield &audio
            case .chunk: yield &chunk
            case .realtime: yield &realtime
            case .control: yield &control
            case .byte: yield &byte
            case .refusal: yield &refusal
            case .violation: yield &violation
            }
        }
    }
}

extension SessionPolicy {
    /// The rate of a limit for one session.
    func rate(of limit: Limit) -> Rate {
        switch limit {
        case .text: text
        case .audio: audio
        case .chunk: chunks
        case .realtime: realtime
        case .control: control
        case .byte: bytes
        case .refusal: refusals
        case .violation: violations
        }
    }

    /// The rate of a limit for all sessions of one client together.
    func clientRate(of limit: Limit) -> Rate { rate(of: limit).multiplied(by: clientFactor) }
}
