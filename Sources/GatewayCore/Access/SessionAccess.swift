// SPDX-License-Identifier: Apache-2.0

/// The user of a session, and what the grant of its current or last connection permits.
package struct SessionAccess: Sendable {
    /// The longest time from `goaway` to the expiry of a token, in milliseconds. If less than twice this time is left when the token is
    /// presented, `goaway` is sent after half of it.
    package static let longestNotice: Int64 = 60_000

    /// Nil without authentication. Unlike the grant, the user is stored.
    package private(set) var user: String?
    /// Nil without authentication, and until the session is attached for the first time after a restart.
    package private(set) var grant: Grant?
    /// The part of the grant that requests pass to the upstream; nil without authentication.
    private(set) var request: RequestAccess?
    /// When `goaway` is due, in Unix milliseconds; `.max` when it was sent or isn't needed.
    private(set) var noticeAt = Int64.max
    /// When the connection is closed, in Unix milliseconds; `.max` for never.
    private(set) var closesAt = Int64.max
    /// The memory of the grant, in bytes.
    private(set) var footprint = 0
    private(set) var allowsText = true
    private(set) var allowsAudio = true

    package init() {}

    /// - Parameters:
    ///   - leeway: `auth.leeway` in milliseconds
    ///   - wall: now, in Unix milliseconds
    mutating func apply(_ grant: Grant, leeway: Int64, wall: Int64) {
        self.grant = grant
        user = grant.user
        let request = RequestAccess(grant)
        self.request = request
        footprint = grant.footprint + request.footprint
        allowsText = grant.parley.allows(type: .text)
        allowsAudio = grant.parley.allows(type: .audio)
        (noticeAt, closesAt) = (.max, .max)
        guard grant.expiresAt != .max else { return }
        closesAt = grant.expiresAt.addingReportingOverflow(leeway).partialValue
        let left = max(0, grant.expiresAt.subtractingReportingOverflow(wall).partialValue)
        noticeAt = grant.expiresAt - min(Self.longestNotice, left / 2)
    }

    /// Restores the user, and the part of the grant that the requests in flight have.
    mutating func restore(_ user: String) {
        self.user = user
        let request = RequestAccess(user: user, claims: [], routes: nil)
        self.request = request
        footprint = user.utf8.count + request.footprint
    }

    mutating func noticeSent() { noticeAt = .max }
}

/// The part of a session's grant that each of its requests has: for the upstream, for routing, and for request deduplication.
package final class RequestAccess: Sendable {
    package let user: String
    /// The claim `parley.meta`.
    package let claims: [UpstreamRequest.Meta]
    /// The names of the allowed routes; nil for all.
    package let routes: [String]?

    package init(user: String, claims: [UpstreamRequest.Meta], routes: [String]?) {
        self.user = user
        self.claims = claims
        self.routes = routes
    }

    convenience init(_ grant: Grant) {
        let claims = grant.parley.meta.map { UpstreamRequest.Meta(key: Array($0.key.utf8), value: Array($0.value.utf8)) }
        self.init(user: grant.user, claims: claims, routes: grant.parley.routes)
    }

    package func allows(route: String) -> Bool { routes?.contains(route) ?? true }

    /// The memory of the object, in bytes; approximate.
    var footprint: Int {
        (routes ?? []).reduce(claims.reduce(64 + user.utf8.count) { $0 + 64 + $1.key.count + $1.value.count }) { $0 + 32 + $1.utf8.count }
    }
}

extension Grant {
    /// The memory of the grant's strings and arrays, in bytes; approximate.
    fileprivate var footprint: Int {
        let names = (parley.paths ?? []) + (parley.routes ?? []) + parley.quotas.map(\.name) + [user, tokenID ?? ""]
        let strings = names.reduce(0) { $0 + 32 + $1.utf8.count }
        return parley.meta.reduce(strings) { $0 + 64 + $1.key.utf8.count + $1.value.utf8.count }
    }
}

extension RequestAccess {
    func append(to record: inout [UInt8]) {
        record.append(counted: Array(user.utf8))
        record.append(UInt8(truncatingIfNeeded: claims.count))
        for entry in claims {
            record.append(counted: entry.key)
            record.append(counted: entry.value)
        }
        record.append(routes == nil ? 0 : 1)
        guard let routes else { return }
        record.append(fixed: UInt32(truncatingIfNeeded: routes.count))
        for route in routes { record.append(counted: Array(route.utf8)) }
    }

    convenience init(_ reader: inout RecordReader) throws(RecordError) {
        let user = try reader.text()
        var claims: [UpstreamRequest.Meta] = []
        for _ in 0..<(try reader.fixed(UInt8.self)) { claims.append(.init(key: try reader.counted(), value: try reader.counted())) }
        var routes: [String]?
        if try reader.flag() {
            var names: [String] = []
            for _ in 0..<(try reader.fixed(UInt32.self)) { names.append(try reader.text()) }
            routes = names
        }
        self.init(user: user, claims: claims, routes: routes)
    }
}
