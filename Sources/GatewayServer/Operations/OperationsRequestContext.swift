// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Hummingbird
import Logging

/// The context of a request to the operations listener, with the correlation id that every log line about the request contains.
struct OperationsRequestContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let correlationID: ULID
    /// The channel that received the request; nil for a request that another node has sent.
    let connection: ObjectIdentifier?
    /// Whether the request's `Host` is a foreign name, which is allowed for health; the response then has no details.
    var hidesDetails = false
    /// The operator that sent the request; set before it is routed.
    var identity = OperationsIdentity.unidentified
    /// The IP address of the client; nil if it isn't known.
    let address: String?
    /// The key of limits by address.
    let client: ClientAddress

    init(source: ApplicationRequestContextSource) {
        self.coreContext = CoreRequestContextStorage(source: source)
        self.connection = ObjectIdentifier(source.channel)
        self.address = source.channel.remoteAddress?.ipAddress
        self.client = ClientAddress(source.channel.remoteAddress)
        var generator = SystemRandomNumberGenerator()
        self.correlationID = ULID(unixMilliseconds: WallTime.now().unixMilliseconds, using: &generator)
        self.logger[metadataKey: "correlation_id"] = .string(correlationID.description)
    }

    /// Creates the context of a request that another node has sent, whose operator is known.
    init(coreContext: CoreRequestContextStorage, correlationID: ULID, identity: OperationsIdentity, address: String?) {
        self.coreContext = coreContext
        self.connection = nil
        self.address = address
        self.client = ClientAddress(nil)
        self.correlationID = correlationID
        self.identity = identity
        self.logger[metadataKey: "correlation_id"] = .string(correlationID.description)
    }

    /// Whether another node has sent the request: it concerns this node only.
    var isForwarded: Bool { connection == nil }

    func has(_ right: OperationsRight) -> Bool { identity.rights.contains(right) }

    /// Throws 403 if the operator lacks a right that a part of the request requires, beside the right of the route.
    func require(_ right: OperationsRight) throws(OperationsProblem) {
        guard has(right) else { throw .missingRight(right) }
    }
}
