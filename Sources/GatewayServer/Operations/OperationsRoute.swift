// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import HTTPTypes
import Hummingbird
import HummingbirdCore

/// A path of the operations listener with its methods and the right that each one requires.
struct OperationsRoute: Sendable {
    enum Access: Sendable, Hashable {
        /// No token is required.
        case open
        case right(OperationsRight)

        static let read = Access.right(.read)
        static let content = Access.right(.content)
        static let operate = Access.right(.operate)
        static let supervise = Access.right(.supervise)
        static let push = Access.right(.push)
        static let erase = Access.right(.erase)
    }

    /// The pattern as the router has it: `:id` matches the id of a session, and `:name` any name.
    let path: String
    /// HEAD is allowed and requires the same right where GET is.
    let methods: [HTTPRequest.Method: Access]
    private let components: [Substring]

    init(_ path: String, _ methods: [HTTPRequest.Method: Access]) {
        self.path = path
        self.methods = methods
        components = path.split(separator: "/")
    }

    func access(_ method: HTTPRequest.Method) -> Access? { methods[method == .head ? .get : method] }

    /// The methods for the field `Allow` (RFC 9110 §10.2.1).
    var allow: String {
        var names = methods.keys.map(\.rawValue)
        if methods[.get] != nil { names.append("HEAD") }
        return names.sorted().joined(separator: ", ")
    }

    fileprivate func matches(_ path: [Substring]) -> Bool {
        components.count == path.count
            && zip(components, path).allSatisfy { wanted, part in
                wanted == part || wanted == ":name" || (wanted == ":id" && ULID(String(part)) != nil)
            }
    }
}

/// Routes of one subject.
protocol OperationsRouteGroup: Sendable {
    /// The paths that ``add(to:)`` adds. The listener answers no other, and enforces their rights before a handler is called.
    var routes: [OperationsRoute] { get }

    func add(to router: Router<OperationsRequestContext>)
}

/// A feature of the gateway with routes on the operations listener. Each group of routes adds a function that creates its feature.
package struct OperationsFeature: Sendable {
    let group: any OperationsRouteGroup

    init(_ group: any OperationsRouteGroup) { self.group = group }
}

/// The routes of all groups.
struct OperationsRouteTable: Sendable {
    let routes: [OperationsRoute]

    func route(_ path: String) -> OperationsRoute? {
        let components = path.split(separator: "/")
        return routes.first { $0.matches(components) }
    }
}
