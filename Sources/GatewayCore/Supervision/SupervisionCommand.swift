// SPDX-License-Identifier: Apache-2.0

/// A command of an operator who supervises a session.
package enum SupervisionCommand: Sendable, Hashable {
    /// Text that only the upstream gets, with the next request.
    case whisper([UInt8])
    /// The operator answers from now on, not the upstream.
    case takeOver
    /// The operator's answer.
    case say([UInt8])
    /// The upstream answers again.
    case handBack

    /// A command without its text.
    package typealias Kind = Timeline.OperatorCommand

    package var kind: Kind {
        switch self {
        case .whisper: .whisper
        case .takeOver: .takeover
        case .say: .say
        case .handBack: .handback
        }
    }

    /// Parses the body of a command: `{"text": "…"}`.
    ///
    /// - Parameter rules: the limit on texts
    package static func text(json: [UInt8], rules: ValidationRules) throws(PushRequest.Fault) -> [UInt8] {
        let document: StrictJSON
        do throws(StrictJSON.Fault) {
            document = try StrictJSON(json)
        } catch {
            throw PushRequest.Fault("the body must be a JSON object")
        }
        guard (document.members(of: document.root) ?? []).allSatisfy({ $0.name == "text" }) else {
            throw PushRequest.Fault("unknown member; the only member is text")
        }
        return try PushRequest.text(named: "text", in: document, rules)
    }
}

/// The reason why a command of an operator is rejected.
package enum SupervisionFault: Error, Sendable, Equatable {
    /// The session isn't taken over.
    case notTakenOver
    /// Another operator has taken the session over.
    case takenOver(by: String)
    /// The queue of whispers is full until the next request.
    case whispersFull
    /// The answer can't be delivered at the moment.
    case undeliverable(PushFailure)
}

/// The state of a session's supervision after a command.
package struct SupervisionReport: Sendable, Hashable {
    /// The operator who answers; nil: the upstream answers.
    package var answeredBy: String?
    /// Accepted messages of the client that nobody has answered yet.
    package var openRequests = 0
    /// Whispers that wait for the next request.
    package var whispers = 0
    /// Milliseconds without a command after which the upstream answers again; nil unless an operator answers.
    package var handsBackIn: Int64?
    /// The `seq` of the operator's answer.
    package var sequence: UInt64?
    /// The message that the operator's answer replies to.
    package var replyTo: MessageID?
    /// The id of the push with the operator's answer, if there was no open request.
    package var push: ULID?

    package init() {}
}
