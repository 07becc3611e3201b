// SPDX-License-Identifier: Apache-2.0

/// The identity of an operator, as far as the token of a request shows it.
package struct OperationsIdentity: Sendable, Hashable {
    /// `operator` for `operations.token`, the name of a token of `operations.tokens`, or `anonymous`.
    package let name: String
    package let rights: Set<OperationsRight>

    package init(name: String, rights: Set<OperationsRight>) {
        self.name = name
        self.rights = rights
    }

    /// The identity of requests while no token is required.
    static let anyone = OperationsIdentity(name: "anonymous", rights: Set(OperationsRight.allCases))
    /// The identity of a request without a token for a route that needs none.
    static let unidentified = OperationsIdentity(name: "anonymous", rights: [])
}

/// A token of the operations listener.
package struct OperationsToken: Sendable, Hashable {
    /// 1 to 1024 visible ASCII characters.
    let secret: String
    let identity: OperationsIdentity

    /// - Parameter identity: the identity of requests with this token; the default has all rights
    package init(
        _ secret: String, identity: OperationsIdentity = OperationsIdentity(name: "operator", rights: Set(OperationsRight.allCases))
    ) {
        self.secret = secret
        self.identity = identity
    }
}
