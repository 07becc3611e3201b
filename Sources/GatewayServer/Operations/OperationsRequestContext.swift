import GatewayCore
import Hummingbird
import Logging

/// What a request of the operations listener carries along: its correlation id, in every log line about it.
struct OperationsRequestContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let correlationID: ULID
    /// The channel that the request came on.
    let connection: ObjectIdentifier
    /// The request names the listener by a foreign host, which is allowed for health: its responses have no details then.
    var hidesDetails = false

    init(source: ApplicationRequestContextSource) {
        self.coreContext = CoreRequestContextStorage(source: source)
        self.connection = ObjectIdentifier(source.channel)
        var generator = SystemRandomNumberGenerator()
        self.correlationID = ULID(unixMilliseconds: WallTime.now().unixMilliseconds, using: &generator)
        self.logger[metadataKey: "correlation_id"] = .string(correlationID.description)
    }
}
