// SPDX-License-Identifier: Apache-2.0

/// A table of certificates by server name (SNI), independent of OpenSSL.
///
/// Certificates for the same name, such as an RSA and an ECDSA certificate, form a group, from which OpenSSL selects by the signatures that
/// the client supports. There is one `SSL_CTX` per group, not per name.
struct ServerNameTable<Kind: Hashable>: Sendable where Kind: Sendable {
    /// The groups of certificate indices, with at most one certificate of each kind. The first group is the default.
    private(set) var groups: [[Int]] = []
    private var exact: [String: Int] = [:]
    /// Indices of ``groups`` by the name after `*.`.
    private var wildcards: [String: Int] = [:]

    private struct Entry {
        var names: Set<String>
        var kind: Kind
    }

    /// - Parameter certificates: in the order of the configuration, the earlier ones with precedence; names in lower case
    init(_ certificates: [(names: [String], kind: Kind)]) {
        let entries = certificates.map { Entry(names: Set($0.names), kind: $0.kind) }
        guard let first = entries.first else { return }
        // The default is the first certificate, plus others of different kinds for the same names, so that clients that don't support its
        // kind can connect.
        _ = addGroup(Self.group(entries) { index in index == 0 || !entries[index].names.isDisjoint(with: first.names) })
        for name in entries.reduce(into: Set<String>(), { $0.formUnion($1.names) }).sorted() {
            if name.hasPrefix("*.") {
                let suffix = String(name.dropFirst(2))
                wildcards[suffix] = addGroup(Self.group(entries) { entries[$0].names.contains(name) })
            } else {
                // A wildcard certificate is used for kinds that no certificate for the exact name has.
                let named = Self.group(entries) { entries[$0].names.contains(name) }
                let pattern = Self.parent(of: name).map { "*." + $0 }
                let covered = Self.group(entries) { index in pattern.map { entries[index].names.contains($0) } ?? false }
                let kinds = Set(named.map { entries[$0].kind })
                exact[name] = addGroup(named + covered.filter { !kinds.contains(entries[$0].kind) })
            }
        }
    }

    /// Returns the group for a name as the client sent it: by the exact name, then by a wildcard for exactly one label (RFC 6125 §6.4.3);
    /// `nil` when no certificate matches.
    func group(for serverName: String) -> Int? {
        let name = serverName.lowercased()
        return exact[name] ?? Self.parent(of: name).flatMap { wildcards[$0] }
    }

    private mutating func addGroup(_ group: [Int]) -> Int {
        if let index = groups.firstIndex(of: group) { return index }
        groups.append(group)
        return groups.count - 1
    }

    private static func group(_ entries: [Entry], where matches: (Int) -> Bool) -> [Int] {
        var kinds: Set<Kind> = []
        return entries.indices.filter { matches($0) && kinds.insert(entries[$0].kind).inserted }
    }

    /// Returns `b.c` for `a.b.c`; `nil` if the first label or the rest is empty.
    private static func parent(of name: String) -> String? {
        guard let dot = name.firstIndex(of: "."), dot != name.startIndex else { return nil }
        let rest = name[name.index(after: dot)...]
        return rest.isEmpty ? nil : String(rest)
    }
}
