// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayTLS
import HTTPTypes
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1

/// The pipeline of a connection of the operations listener: Hummingbird's for HTTP/1, with an ``OperationsConnectionHandler`` after the
/// codec, and TLS first if the listener uses TLS.
struct OperationsChannel: HTTPChannelHandler {
    typealias Value = NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>

    let responder: HTTPChannelHandler.Responder
    let limits: OperationsLimits
    /// Returns the TLS context of a new connection; nil for plain HTTP.
    let tls: @Sendable () -> TLSContext?
    let connections: OperationsConnections

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            let service = connections.admit(channel)
            var decoding = NIOHTTPDecoderLimitConfiguration()
            decoding.maxHeaderFieldSize = limits.headerFieldBytes
            decoding.maxHeaderListSize = limits.headerBytes
            decoding.maxHeaderFieldCount = limits.headerFields
            let pipeline = channel.pipeline.syncOperations
            let context = tls()
            if let context {
                try pipeline.addHandler(
                    TLSHandler(server: context, buffers: TLSBuffers(), plainHTTPDetail: ErrorReason.plainHTTP.message) {
                        var generator = SystemRandomNumberGenerator()
                        return "\(ULID(unixMilliseconds: LoopClock.wallMilliseconds(), using: &generator))"
                    })
            }
            try pipeline.configureHTTPServerPipeline(
                withPipeliningAssistance: false, withErrorHandling: false, withOutboundHeaderValidation: false,
                withEncoderConfiguration: .init(), withDecoderLimitConfiguration: decoding)
            try pipeline.addHandler(
                OperationsConnectionHandler(limits: limits, servesOneRequest: service != .full) { [connections] isWaiting in
                    connections.setWaiting(channel, isWaiting)
                })
            try pipeline.addHandler(HTTP1ToHTTPServerCodec(secure: context != nil))
            // Closes idle connections at a shutdown; ``OperationsConnectionHandler`` enforces the timeouts.
            try pipeline.addHandler(HTTPConnectionStateHandler(idleTimeout: nil, logger: logger))
            // A failed setup would end the listener, so a connection over the limit is closed after its pipeline is complete.
            if service == nil { channel.eventLoop.execute { channel.close(promise: nil) } }
            return try NIOAsyncChannel(wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
        }
    }

    func handle(value: Value, logger: Logger) async { await handleHTTP(asyncChannel: value, logger: logger) }
}
