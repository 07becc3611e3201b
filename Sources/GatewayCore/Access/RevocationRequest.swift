// SPDX-License-Identifier: Apache-2.0

/// A request to revoke a user's tokens: `{"before": ms}`, or an empty body for those issued up to now.
package struct RevocationRequest: Sendable, Equatable {
    /// Unix milliseconds from 0 to the year 9999; nil for now.
    package let before: Int64?

    package init(json: [UInt8]) throws(TokenRequest.Fault) {
        guard !json.isEmpty else {
            before = nil
            return
        }
        let document = try TokenRequest.document(json)
        var before: Int64?
        for (name, value) in document.members(of: document.root) ?? [] {
            guard name == "before" else { throw TokenRequest.Fault("unknown member; the only member is before") }
            guard let number = document.number(value).flatMap({ Int64(exactly: $0) }), (0...253_402_300_799_999).contains(number) else {
                throw TokenRequest.Fault("before must be a time in Unix milliseconds")
            }
            before = number
        }
        self.before = before
    }
}
