import GatewayCore
import Hummingbird
import Logging

/// What a request of the operations listener carries along: its correlation id, in every log line about it.
struct OperationsRequestContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let correlationID: ULID

    init(source: ApplicationRequestContextSource) {
        self.coreContext = CoreRequestContextStorage(source: source)
        var generator = SystemRandomNumberGenerator()
        self.correlationID = ULID(unixMilliseconds: WallTime.now().unixMilliseconds, using: &generator)
        self.logger[metadataKey: "correlation_id"] = .string(correlationID.description)
    }
}
