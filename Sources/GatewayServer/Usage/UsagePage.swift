// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import GatewayCore

/// A page of `GET /v1/usage`.
package struct UsagePage: Codable, Sendable {
    /// The usage of one group.
    package struct Entry: Codable, Sendable {
        /// Unix milliseconds; `to` is exclusive.
        package var from: Int64
        package var to: Int64
        /// The columns of the grouping; nil for the others.
        package var user: String?
        package var day: String?
        package var route: String?
        package var upstream: String?
        package var messages: Int64
        package var audioSecondsIn: Double
        package var audioSecondsOut: Double
        package var inputTokens: Int64
        package var outputTokens: Int64
        package var cost: Double

        private enum CodingKeys: String, CodingKey {
            case from, to, user, day, route, upstream, messages
            case audioSecondsIn = "audio_seconds_in"
            case audioSecondsOut = "audio_seconds_out"
            case inputTokens = "input_tokens"
            case outputTokens = "output_tokens"
            case cost
        }

        init(_ sum: UsageSum, of query: UsageQuery) {
            var days = query.days
            for (column, value) in zip(query.grouping, sum.values) {
                switch column {
                case .user: user = value
                case .day:
                    day = value
                    if let known = UTCDay(date: value) { days = known..<known.next }
                case .route: route = value
                case .upstream: upstream = value
                }
            }
            from = days.lowerBound.start
            to = days.upperBound.start
            messages = sum.amounts.messages
            audioSecondsIn = sum.amounts.value(.audioSecondsIn)
            audioSecondsOut = sum.amounts.value(.audioSecondsOut)
            inputTokens = sum.amounts.inputTokens
            outputTokens = sum.amounts.outputTokens
            cost = sum.amounts.value(.cost)
        }
    }

    package var usage: [Entry]
    /// The cursor of the next page; nil for the last one.
    package var cursor: String?
}

/// The position after a sum, as text for clients: base64url of a JSON array.
enum UsageCursor {
    static func text(_ values: [String]) -> String? {
        guard let json = try? JSONEncoder().encode(values) else { return nil }
        return json.base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }

    static func values(_ text: String) -> [String]? {
        guard text.utf8.count <= 1024 else { return nil }
        let base64 = text.replacing("-", with: "+").replacing("_", with: "/")
        let padding = String(repeating: "=", count: (4 - base64.utf8.count % 4) % 4)
        return Data(base64Encoded: base64 + padding).flatMap { try? JSONDecoder().decode([String].self, from: $0) }
    }
}
