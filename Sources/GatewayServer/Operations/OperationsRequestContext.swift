// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Hummingbird
import Logging

/// The context of a request to the operations listener, with the correlation id that every log line about the request contains.
struct OperationsRequestContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let correlationID: ULID
    /// The channel that received the request.
    let connection: ObjectIdentifier
    /// Whether the request's `Host` is a foreign name, which is allowed for health; the response then has no details.
    var hidesDetails = false

    init(source: ApplicationRequestContextSource) {
        self.coreContext = CoreRequestContextStorage(source: source)
        self.connection = ObjectIdentifier(source.channel)
        var generator = SystemRandomNumberGenerator()
        self.correlationID = ULID(unixMilliseconds: WallTime.now().unixMilliseconds, using: &generator)
        self.logger[metadataKey: "correlation_id"] = .string(correlationID.description)
    }
}
