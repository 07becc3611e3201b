// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import GatewayCore

/// A page of undelivered pushes.
struct UndeliveredPage: Codable {
    struct Entry: Codable {
        struct Reference: Codable { let id: String }
        struct Message: Codable {
            var type: String
            var text: String?
            var state: String?
        }

        let id: String
        let push: Reference
        let sessionID: String?
        let user: String?
        let reason: String
        let at: Int64
        let type: String
        let bytes: Int
        let ttlMilliseconds: Int64?
        /// The content, for operators with the right to read it; audio isn't included.
        var message: Message?

        init(_ entry: UndeliveredList.Entry, withContent: Bool) {
            id = "\(entry.id)"
            push = Reference(id: "\(entry.push.id)")
            sessionID = entry.session.map { "\($0)" }
            user = entry.user
            reason = entry.reason.rawValue
            at = entry.at
            type = entry.push.content.type
            bytes = entry.push.content.byteCount
            ttlMilliseconds = entry.push.timeToLive
            guard withContent else { return }
            switch entry.push.content {
            case .text(let text): message = Message(type: type, text: String(decoding: text, as: UTF8.self))
            case .status(let state, _): message = Message(type: type, state: state)
            case .audio: break
            }
        }

        enum CodingKeys: String, CodingKey {
            case id, push, user, reason, at, type, bytes, message
            case sessionID = "session_id"
            case ttlMilliseconds = "ttl_ms"
        }
    }

    var undelivered: [Entry]
    /// The cursor of the next page; nil on the last page.
    var cursor: String?
    /// The names of the nodes that didn't respond; nil if there are none.
    var missingNodes: [String]?

    enum CodingKeys: String, CodingKey {
        case undelivered, cursor
        case missingNodes = "missing_nodes"
    }
}

/// The response to a retry.
struct RetryAnswer: Codable {
    struct Entry: Codable {
        let id: String
        let answer: PushAnswer

        enum CodingKeys: String, CodingKey {
            case id
            case answer = "push"
        }
    }

    var retried: [Entry]
    /// Ids that aren't in the list: retried before, expired or dropped.
    var unknown: [String]
    /// The names of the nodes that didn't respond; nil if there are none.
    var missingNodes: [String]?

    enum CodingKeys: String, CodingKey {
        case retried, unknown
        case missingNodes = "missing_nodes"
    }
}
