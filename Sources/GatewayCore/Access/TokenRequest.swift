// SPDX-License-Identifier: Apache-2.0

/// A request for a minted token: `{"user":"u1","expires_in":"60s","uses":1,"parley":{…}}`. Only `user` is required.
package struct TokenRequest: Sendable {
    /// The reason why a request is rejected, as a sentence for operators.
    package struct Fault: Error, Sendable, Equatable {
        package var detail: String

        package init(_ detail: String) { self.detail = detail }
    }

    /// The lifetime without `expires_in`: 5 minutes.
    static let defaultLifetime: Int64 = 300_000
    /// The bounds of `expires_in`, in milliseconds.
    static let lifetimes: ClosedRange<Int64> = 1000...86_400_000

    package let user: String
    /// The lifetime in milliseconds.
    package let lifetime: Int64
    /// How often the token may open a new session, 1 to 100; 0 for any number.
    package let uses: Int
    /// The members of the claim `parley` as JSON, without braces; empty without the claim.
    private let parleyMembers: ArraySlice<UInt8>
    private let hasParley: Bool

    package init(json: [UInt8]) throws(Fault) {
        let document = try Self.document(json)
        var (user, lifetime, uses): (String?, Int64, Int) = (nil, Self.defaultLifetime, 0)
        var parley: ArraySlice<UInt8>?
        for (name, value) in document.members(of: document.root) ?? [] {
            switch name {
            case "user":
                guard let name = document.string(value), TokenRules.isValid(user: name) else {
                    throw Fault("user must be 1 to 128 characters of printable ASCII")
                }
                user = name
            case "expires_in":
                guard let number = document.string(value).flatMap({ DurationNotation.milliseconds($0) }), Self.lifetimes.contains(number)
                else { throw Fault("expires_in must be a duration from 1s to 24h, such as \"5m\"") }
                lifetime = number
            case "uses":
                guard let number = document.number(value).flatMap({ Int(exactly: $0) }), (0...100).contains(number) else {
                    throw Fault("uses must be a number from 0 (any number of sessions) to 100")
                }
                uses = number
            case "parley": parley = try Self.parley(value, document)
            default: throw Fault("unknown member; the members are user, expires_in, uses and parley")
            }
        }
        guard let user else { throw Fault("user is required") }
        self.user = user
        self.lifetime = lifetime
        self.uses = uses
        parleyMembers = parley ?? []
        hasParley = parley != nil
    }

    static func document(_ json: [UInt8]) throws(Fault) -> StrictJSON {
        do throws(StrictJSON.Fault) {
            return try StrictJSON(json)
        } catch {
            throw Fault(error == .duplicateMember ? "the body has duplicate members" : "the body must be a JSON object")
        }
    }

    /// Returns the members of the claim as JSON, checked as a token's.
    private static func parley(_ value: JSONValue, _ document: StrictJSON) throws(Fault) -> ArraySlice<UInt8> {
        do throws(TokenFault) {
            _ = try ParleyClaims(value, in: document)
        } catch {
            throw Fault(error.rawValue)
        }
        guard !(document.members(of: value) ?? []).contains(where: { $0.name == "uses" }) else {
            throw Fault("uses is a member of the body, not of parley")
        }
        return document.source(of: value).dropFirst().dropLast().trimmingWhitespace()
    }

    /// Returns the claims of the token as JSON, and its expiry in Unix milliseconds. `iat` is rounded down to a second.
    package func claims(tokenID: String, rules: TokenRules, now: Int64) throws(Fault) -> (json: [UInt8], expiresAt: Int64) {
        let issued = now / 1000
        let expiry = issued + (lifetime + 999) / 1000
        guard rules.maximumLifetime == 0 || (expiry - issued) * 1000 <= rules.maximumLifetime else {
            throw Fault("expires_in exceeds auth.max_lifetime")
        }
        var json: [UInt8] = []
        json.append("{")
        json.append(jsonString: rules.userClaim)
        json.append(":")
        json.append(jsonString: user)
        json.append(",\"iat\":")
        json.append(decimal: issued)
        json.append(",\"exp\":")
        json.append(decimal: expiry)
        json.append(",\"jti\":")
        json.append(jsonString: tokenID)
        for (name, value) in [("iss", rules.issuer), ("aud", rules.audience)] where !value.isEmpty {
            json.append(",")
            json.append(jsonString: name)
            json.append(":")
            json.append(jsonString: value)
        }
        if hasParley || uses > 0 {
            json.append(",\"parley\":{")
            json += parleyMembers
            if uses > 0 {
                json.append(parleyMembers.isEmpty ? "\"uses\":" : ",\"uses\":")
                json.append(decimal: uses)
            }
            json.append("}")
        }
        json.append("}")
        return (json, expiry * 1000)
    }
}

extension ArraySlice<UInt8> {
    /// Returns the bytes without JSON white space at the ends.
    fileprivate func trimmingWhitespace() -> ArraySlice<UInt8> {
        func isWhitespace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 }
        var slice = drop(while: isWhitespace)
        while let last = slice.last, isWhitespace(last) { slice.removeLast() }
        return slice
    }
}
