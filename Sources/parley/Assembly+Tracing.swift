// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayCore
import GatewayServer
import Logging
import ServiceLifecycle

extension Assembly {
    /// Returns the tracer, nil if tracing is off, and the service that exports its spans.
    static func tracing(_ configuration: GatewayConfiguration) -> (Tracer?, any Service) {
        guard let url = configuration.tracing.otlpURL else { return (nil, IdleService()) }
        let tracer = Tracer(policy: TracePolicy(configuration), capacity: configuration.tracing.queue)
        let document = OTLPDocument(version: Version.number, instance: ProcessInfo.processInfo.hostName)
        return (tracer, SpanExporter(tracer: tracer, url: url, document: document, logger: Logger(label: "parley.tracing")))
    }
}

/// A service that does nothing until it is shut down.
private struct IdleService: Service {
    func run() async throws { try await gracefulShutdown() }
}
