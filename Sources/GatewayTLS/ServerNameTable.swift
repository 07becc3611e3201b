/// Which certificates go with which server name (SNI), as a value that knows nothing of OpenSSL.
///
/// Certificates that serve the same name, say one RSA and one ECDSA, make one group: OpenSSL chooses within it by the signatures that
/// the client can verify. Groups, not names, become contexts.
struct ServerNameTable<Kind: Hashable>: Sendable where Kind: Sendable {
    /// Indices of certificates, at most one of each kind. The first group is the default.
    private(set) var groups: [[Int]] = []
    private var exact: [String: Int] = [:]
    /// By what follows `*.`.
    private var wildcards: [String: Int] = [:]

    private struct Entry {
        var names: Set<String>
        var kind: Kind
    }

    /// `certificates` in the order of the configuration: earlier ones win, names are in lower case.
    init(_ certificates: [(names: [String], kind: Kind)]) {
        let entries = certificates.map { Entry(names: Set($0.names), kind: $0.kind) }
        guard let first = entries.first else { return }
        // The default is the first, helped out by others for the same names, so that clients of the other kind get in too.
        _ = place(Self.group(entries) { index in index == 0 || !entries[index].names.isDisjoint(with: first.names) })
        for name in entries.reduce(into: Set<String>(), { $0.formUnion($1.names) }).sorted() {
            if name.hasPrefix("*.") {
                let suffix = String(name.dropFirst(2))
                wildcards[suffix] = place(Self.group(entries) { entries[$0].names.contains(name) })
            } else {
                // A wildcard fills in a kind that no certificate for the very name has.
                let named = Self.group(entries) { entries[$0].names.contains(name) }
                let pattern = Self.parent(of: name).map { "*." + $0 }
                let covered = Self.group(entries) { index in pattern.map { entries[index].names.contains($0) } ?? false }
                let kinds = Set(named.map { entries[$0].kind })
                exact[name] = place(named + covered.filter { !kinds.contains(entries[$0].kind) })
            }
        }
    }

    /// The group for a name as the client sent it: the very name first, then a wildcard for exactly one label
    /// (RFC 6125 §6.4.3); `nil` when no certificate has it.
    func group(for serverName: String) -> Int? {
        let name = serverName.lowercased()
        return exact[name] ?? Self.parent(of: name).flatMap { wildcards[$0] }
    }

    private mutating func place(_ group: [Int]) -> Int {
        if let index = groups.firstIndex(of: group) { return index }
        groups.append(group)
        return groups.count - 1
    }

    private static func group(_ entries: [Entry], where fits: (Int) -> Bool) -> [Int] {
        var kinds: Set<Kind> = []
        return entries.indices.filter { fits($0) && kinds.insert(entries[$0].kind).inserted }
    }

    /// `b.c` of `a.b.c`; `nil` without a label in front or a name behind.
    private static func parent(of name: String) -> String? {
        guard let dot = name.firstIndex(of: "."), dot != name.startIndex else { return nil }
        let rest = name[name.index(after: dot)...]
        return rest.isEmpty ? nil : String(rest)
    }
}
