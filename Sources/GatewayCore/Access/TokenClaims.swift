// SPDX-License-Identifier: Apache-2.0

/// The claims of a token whose signature was verified.
package struct TokenClaims: Sendable {
    let document: StrictJSON

    init(_ document: StrictJSON) { self.document = document }

    /// Parses the claims of a JSON object.
    package init(json: [UInt8]) throws(TokenFault) {
        do throws(StrictJSON.Fault) {
            document = try StrictJSON(json)
        } catch {
            throw error == .duplicateMember ? .duplicateMember : .invalidJSON
        }
    }

    func value(_ name: String) -> JSONValue? { document.member(name) }

    /// Returns a NumericDate (RFC 7519 §2) in milliseconds; nil if absent. Years after 9999 are rejected, and times before 1970.
    func time(_ name: String) throws(TokenFault) -> Int64? {
        guard let value = value(name) else { return nil }
        guard let seconds = document.number(value), (0...253_402_300_799).contains(seconds) else { throw .invalidTime }
        return Int64((seconds * 1000).rounded())
    }
}
