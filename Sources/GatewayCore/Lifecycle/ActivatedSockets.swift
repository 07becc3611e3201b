// SPDX-License-Identifier: Apache-2.0

/// The listening sockets that a service manager has passed to the process (sd_listen_fds(3)), by their purpose.
///
/// `LISTEN_FDNAMES` names the sockets: `parley` or `listen` for the TLS listener, `plain` and `operations`. Sockets without such a name,
/// and further ones of the same name, are assigned in order: the first is the TLS listener, the second the operations listener.
package struct ActivatedSockets: Sendable, Hashable {
    package enum Purpose: String, Sendable, Hashable, CaseIterable {
        case listen, plain, operations
    }

    /// The reason why the sockets can't be used.
    package enum Fault: Error, Hashable, CustomStringConvertible {
        case invalidCount
        /// More sockets than listeners; the number of sockets.
        case tooMany(Int)
        /// The number of the sockets and of their names.
        case namesDontMatch(Int, Int)

        package var description: String {
            switch self {
            case .invalidCount: "LISTEN_FDS isn't a number of sockets"
            case .tooMany(let count): "\(count) sockets were passed; one each for listen, plain and operations can be used"
            case .namesDontMatch(let sockets, let names): "LISTEN_FDNAMES has \(names) names for \(sockets) sockets"
            }
        }
    }

    /// The first descriptor, `SD_LISTEN_FDS_START`.
    package static let firstDescriptor: Int32 = 3
    /// The variables of the protocols of the service manager, which are for this process only.
    package static func isServiceManagerVariable(_ name: String) -> Bool {
        ["LISTEN_", "NOTIFY_", "WATCHDOG_"].contains { name.hasPrefix($0) } || name == "CREDENTIALS_DIRECTORY"
    }

    /// The descriptors by purpose.
    package private(set) var descriptors: [Purpose: Int32] = [:]

    /// Reads `LISTEN_FDS`, `LISTEN_PID` and `LISTEN_FDNAMES`. There are no sockets if the variables are absent or for another process.
    ///
    /// - Parameter process: the id of this process
    package init(environment: [String: String], process: Int32) throws(Fault) {
        guard let text = environment["LISTEN_FDS"], environment["LISTEN_PID"] == "\(process)" else { return }
        guard let count = Int(text), count >= 0 else { throw .invalidCount }
        guard count <= Purpose.allCases.count else { throw .tooMany(count) }
        guard count > 0 else { return }
        var names = [Substring](repeating: "", count: count)
        if let listed = environment["LISTEN_FDNAMES"] {
            names = listed.split(separator: ":", omittingEmptySubsequences: false)
            guard names.count == count else { throw .namesDontMatch(count, names.count) }
        }
        var unnamed: [Int32] = []
        for (name, descriptor) in zip(names, Self.firstDescriptor...) {
            if let purpose = Self.purpose(name), descriptors[purpose] == nil {
                descriptors[purpose] = descriptor
            } else {
                unnamed.append(descriptor)
            }
        }
        for descriptor in unnamed {
            guard let free = [Purpose.listen, .operations].first(where: { descriptors[$0] == nil }) else { throw .tooMany(count) }
            descriptors[free] = descriptor
        }
    }

    /// The default name of a socket is that of its unit, such as `parley.socket`.
    private static func purpose(_ name: Substring) -> Purpose? {
        switch name {
        case "parley", "parley.socket", "listen": .listen
        case "plain", "parley-plain.socket": .plain
        case "operations", "parley-operations.socket": .operations
        default: nil
        }
    }
}
