// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
import GatewayTLS
package import Logging
import NIOCore
import NIOHTTP1
import ParleyClient
import ServiceLifecycle

/// The service that sends spans to an OTLP/HTTP receiver in batches.
///
/// A batch that can't be sent is retried with an exponential back-off while the queue fills up; one that the receiver rejects is dropped.
package final class SpanExporter: Service, CustomStringConvertible {
    /// The result of sending a batch.
    package enum Outcome: Sendable, Equatable {
        case received
        /// The receiver can't accept the batch now (OTLP, "Failures": 429, 502, 503 and 504, and connection errors).
        case unavailable(String)
        /// The receiver doesn't accept the batch.
        case rejected(String)
    }

    package typealias Send = @Sendable ([UInt8]) async -> Outcome

    /// Maximum number of spans of a request.
    package static let batchSize = 512
    static let interval = Duration.milliseconds(250)
    static let timeout = Duration.seconds(10)
    /// The time for the last batches when the gateway stops.
    static let lastTimeout = Duration.seconds(2)
    static let firstBackoff = Duration.seconds(1)
    static let longestBackoff = Duration.seconds(30)

    private let tracer: Tracer
    private let document: OTLPDocument
    private let send: Send
    private let sleep: @Sendable (Duration) async throws -> Void
    private let logger: Logger

    package convenience init(tracer: Tracer, url: UpstreamURL, document: OTLPDocument, logger: Logger) {
        self.init(tracer: tracer, document: document, logger: logger, send: { await Self.post($0, to: url) })
    }

    package init(
        tracer: Tracer, document: OTLPDocument, logger: Logger, send: @escaping Send,
        sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
    ) {
        self.tracer = tracer
        self.document = document
        self.send = send
        self.sleep = sleep
        self.logger = logger
    }

    /// The service's name in log lines of the service lifecycle.
    package var description: String { "tracing" }

    package func run() async throws {
        await cancelWhenGracefulShutdown { [self] in
            while (try? await sleep(Self.interval)) != nil { await export() }
        }
        // In a task of its own, which isn't cancelled yet.
        await Task { await exportLast() }.value
    }

    /// Sends the spans in the queue, retrying each batch until it is received, rejected, or the task is cancelled.
    package func export() async {
        var backoff = Self.firstBackoff
        var isFailing = false
        while !Task.isCancelled {
            let batch = tracer.take(Self.batchSize)
            guard !batch.isEmpty else { return }
            let body = document.body(batch)
            var isDone = false
            while !isDone {
                switch await send(body) {
                case .received:
                    if isFailing { logger.notice("spans exported again", metadata: dropped) }
                    isFailing = false
                    backoff = Self.firstBackoff
                    tracer.finish(batch.count, lost: false)
                    isDone = true
                case .rejected(let reason):
                    logger.warning("spans rejected", metadata: ["count": .stringConvertible(batch.count), "error": "\(reason)"])
                    tracer.finish(batch.count, lost: true)
                    isDone = true
                case .unavailable(let reason):
                    if !isFailing { logger.warning("spans can't be exported", metadata: ["error": "\(reason)"]) }
                    isFailing = true
                    do {
                        try await sleep(backoff)
                        backoff = min(backoff * 2, Self.longestBackoff)
                    } catch {
                        tracer.finish(batch.count, lost: true)
                        isDone = true
                    }
                }
            }
        }
    }

    private var dropped: Logger.Metadata { ["dropped": .stringConvertible(tracer.statistics.dropped)] }

    /// Sends each remaining batch once, within ``lastTimeout``.
    private func exportLast() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { [self] in
                while !Task.isCancelled {
                    let batch = tracer.take(Self.batchSize)
                    guard !batch.isEmpty else { return }
                    let outcome = await send(document.body(batch))
                    tracer.finish(batch.count, lost: outcome != .received)
                    guard outcome == .received else { return }
                }
            }
            group.addTask { try? await Task.sleep(for: Self.lastTimeout) }
            await group.next()
            group.cancelAll()
        }
    }

    private static func post(_ body: [UInt8], to url: UpstreamURL) async -> Outcome {
        let target = url.location.target == "/" ? "/v1/traces" : url.location.target
        do {
            let tls =
                url.isSecure
                ? try TLSClientContext(verify: .system, serverName: url.location.host, applicationProtocols: ["http/1.1"]) : nil
            let fetch = HTTPFetch(
                host: url.location.host, port: url.location.port, tls: tls, timeout: timeout, maximumBodyBytes: 1 << 20)
            let headers: HTTPHeaders = [
                "Host": url.location.authority, "Content-Type": "application/json", "Content-Length": "\(body.count)",
                "Accept": "application/json", "User-Agent": "parley", "Connection": "close",
            ]
            let head = HTTPRequestHead(version: .http1_1, method: .POST, uri: target, headers: headers)
            let status = try await fetch.perform(head, body: ByteBuffer(bytes: body)).status
            switch status {
            case 200..<300: return .received
            case 429, 502, 503, 504: return .unavailable("status \(status)")
            default: return .rejected("status \(status)")
            }
        } catch {
            return .unavailable("\(error)")
        }
    }
}

extension TracePolicy {
    package init(_ configuration: GatewayConfiguration) {
        let tracing = configuration.tracing
        self.init(
            sample: tracing.sample,
            slowerThan: tracing.keepSlowerThan == .zero ? nil : UInt64(clamping: tracing.keepSlowerThan.clampedNanoseconds),
            keepsFailed: tracing.keepFailed)
    }
}
