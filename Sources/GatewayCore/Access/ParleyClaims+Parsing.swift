// SPDX-License-Identifier: Apache-2.0

extension ParleyClaims {
    /// The names of quotas without `quotas.`.
    package static let quotaNames: Set<String> = Set(
        ["messages", "audio_seconds_in", "audio_seconds_out", "input_tokens", "output_tokens", "cost"]
            .flatMap { ["\($0)_per_day", "\($0)_per_month"] })

    /// The limits that a token may set, by their names without `limits.`.
    private static let limitsByName: [String: Limit] = Dictionary(
        uniqueKeysWithValues: Limit.allCases.filter { $0 != .violation }.map { (String($0.name.dropFirst("limits.".count)), $0) })

    /// The maximum number of paths and of routes, and the maximum size of one in bytes.
    private static let maximumNames = 100
    private static let maximumNameBytes = 256

    /// Reads the claim. Unknown members are ignored, as another version may know them; within `limits` and `quotas` they are rejected.
    init(_ value: JSONValue, in document: StrictJSON) throws(TokenFault) {
        self.init()
        guard let members = document.members(of: value) else { throw .parleyNotObject }
        for (name, value) in members {
            switch name {
            case "limits": limits = try Self.limits(value, document)
            case "quotas": quotas = try Self.quotas(value, document)
            case "paths": paths = try Self.names(value, document, .invalidPaths)
            case "routes": routes = try Self.names(value, document, .invalidRoutes)
            case "types": types = try Self.types(value, document)
            case "meta": meta = try Self.meta(value, document)
            case "session": sessionMilliseconds = try Self.lifetime(value, document)
            case "realtime": guard value.kind == .object else { throw .invalidRealtime }
            case "uses": uses = try Self.uses(value, document)
            default: break
            }
        }
    }

    private static func limits(_ value: JSONValue, _ document: StrictJSON) throws(TokenFault) -> [LimitClaim] {
        guard let members = document.members(of: value) else { throw .invalidLimit }
        var claims: [LimitClaim] = []
        for (name, value) in members {
            guard let limit = limitsByName[name] else { throw .unknownLimit }
            guard let number = document.number(value), number >= 0, number <= (limit == .byte ? 1e12 : 1e9),
                limit == .realtime || number == number.rounded()
            else { throw .invalidLimit }
            claims.append(LimitClaim(limit, number))
        }
        return claims
    }

    private static func quotas(_ value: JSONValue, _ document: StrictJSON) throws(TokenFault) -> [QuotaClaim] {
        guard let members = document.members(of: value) else { throw .invalidQuota }
        var claims: [QuotaClaim] = []
        for (name, value) in members {
            guard quotaNames.contains(name) else { throw .unknownQuota }
            guard let number = document.number(value), number >= 0, number <= 1e15 else { throw .invalidQuota }
            claims.append(QuotaClaim(name, number))
        }
        return claims
    }

    private static func names(_ value: JSONValue, _ document: StrictJSON, _ fault: TokenFault) throws(TokenFault) -> [String] {
        guard let names = document.strings(value, atMost: maximumNames, ofBytes: maximumNameBytes) else { throw fault }
        return names
    }

    private static func types(_ value: JSONValue, _ document: StrictJSON) throws(TokenFault) -> Set<Route.Input> {
        guard let names = document.strings(value, atMost: 2, ofBytes: 8) else { throw .invalidTypes }
        var types: Set<Route.Input> = []
        for name in names {
            switch name {
            case "text": types.insert(.text)
            case "audio": types.insert(.audio)
            default: throw .invalidTypes
            }
        }
        return types
    }

    private static func meta(_ value: JSONValue, _ document: StrictJSON) throws(TokenFault) -> [MetaEntry] {
        guard let members = document.members(of: value), members.count <= 16 else { throw .invalidMeta }
        var entries: [MetaEntry] = []
        for (name, value) in members {
            guard Array(name.utf8).withRawSpan({ MessageScanner.isMetaKey($0) }), let text = document.sanitizedString(value),
                text.utf8.count <= 1000
            else { throw .invalidMeta }
            entries.append(MetaEntry(key: name, value: text))
        }
        return entries
    }

    private static func lifetime(_ value: JSONValue, _ document: StrictJSON) throws(TokenFault) -> Int64? {
        guard let members = document.members(of: value) else { throw .invalidSession }
        guard let ttl = members.first(where: { $0.name == "ttl" })?.value else { return nil }
        guard let milliseconds = document.string(ttl).flatMap({ DurationNotation.milliseconds($0) }), milliseconds >= 100 else {
            throw .invalidSession
        }
        return milliseconds
    }

    private static func uses(_ value: JSONValue, _ document: StrictJSON) throws(TokenFault) -> Int {
        guard let number = document.number(value), let uses = Int(exactly: number), (0...100).contains(uses) else { throw .invalidUses }
        return uses
    }
}
