// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayTLS

/// All metrics, in the order of the exposition. The page of metrics describes each.
extension MetricFamily {
    package static let all: [MetricFamily] =
        [buildInfo] + connectionFamilies + sessionFamilies + messageFamilies + voiceFamilies + upstreamFamilies + clusterFamilies
        + systemFamilies

    static let buildInfo = gauge("parley_build_info", "The version of the gateway; always 1.", [Label("version"), Label("commit")])

    // MARK: Connections

    static let connectionFamilies = [
        connections, connectionsAccepted, connectionsRejected, tlsHandshakes, tlsHandshakeTime, tlsHandshakeFailures, certificateExpiry,
        authFailures,
    ]
    static let connections = gauge("parley_connections", "Open WebSocket connections.")
    static let connectionsAccepted = counter("parley_connections_accepted", "Accepted sockets of clients.")
    static let connectionsRejected = counter(
        "parley_connections_rejected", "Connections that were closed, or got an error response, before they became a WebSocket.",
        [Label("reason", ConnectionRejection.self)])
    static let tlsHandshakes = counter(
        "parley_tls_handshakes", "Completed TLS handshakes with clients.",
        [Label("version", values: TLSVersion.allCases.map(\.rawValue)), Label("resumed", values: ["false", "true"])])
    static let tlsHandshakeTime = histogram(
        "parley_tls_handshake_seconds", .seconds([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]),
        "Time from the accepted socket to the completed TLS handshake.")
    static let tlsHandshakeFailures = counter(
        "parley_tls_handshake_failures", "Failed TLS handshakes with clients.", [Label("reason", HandshakeFailure.self)])
    static let certificateExpiry = gauge(
        "parley_tls_certificate_expiry_timestamp_seconds", "When the certificate of a file expires, in Unix seconds.",
        [Label("certificate")])
    static let authFailures = counter(
        "parley_auth_failures", "Rejected credentials of clients.", [Label("reason", AuthFailure.self)])

    // MARK: Sessions

    static let sessionFamilies = [sessions, sessionsEnded, resumes, sessionMemory, memory]
    static let sessions = gauge(
        "parley_sessions", "Sessions with a connection (attached) and without (detached).",
        [Label("state", values: ["attached", "detached"])])
    static let sessionsEnded = counter("parley_sessions_ended", "Ended sessions.", [Label("reason", SessionEnding.self)])
    static let resumes = counter("parley_resumes", "Attempts to resume a session.", [Label("outcome", ResumeOutcome.self)])
    static let sessionMemory = histogram(
        "parley_session_memory_bytes",
        .bytes([2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000, 50_000_000]),
        "Memory usage of a session, measured for every session every 5 s.")
    static let memory = gauge(
        "parley_memory_bytes", "Memory usage of all sessions, measured every 5 s.", [Label("part", MemoryPart.self)])

    // MARK: Messages

    static let messageFamilies = [
        messages, messageBytes, messageHandling, errors, closes, pingTime, socketQueue, slowConsumers, rateLimited, quotaExceeded,
    ]
    private static let messageTypes: [String] = {
        let received = InboundMessageType.allCases.map(\.label)
        return received + OutboundMessageType.allCases.map(\.label).filter { !received.contains($0) }
    }()
    /// `type` has the values of received messages for `in`, and those of sent messages for `out`.
    static let messages = counter(
        "parley_messages", "WebSocket messages of clients (in) and of the gateway (out).",
        [
            Label("direction", values: ["in", "out"]),
            Label("type", values: messageTypes),
        ])
    static let messageBytes = counter(
        "parley_message_bytes", "Bytes of WebSocket frames, without TLS.", [Label("direction", values: ["in", "out"])])
    static let messageHandling = histogram(
        "parley_message_handling_seconds",
        .seconds([1e-06, 2.5e-06, 5e-06, 1e-05, 2.5e-05, 5e-05, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.1]),
        "Time to handle a message of a client: the time of a read divided by the number of its messages.")
    static let errors = counter("parley_errors", "Errors that were sent to clients.", [Label("code", ErrorCode.self)])
    static let closes = counter(
        "parley_closes", "Closed WebSockets.",
        [Label("code", CountedCloseCode.self), Label("initiator", CloseInitiator.self)])
    static let pingTime = histogram(
        "parley_ping_rtt_seconds", .seconds([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]),
        "Round-trip time of pings to clients.")
    static let socketQueue = histogram(
        "parley_socket_queue_bytes", .bytes([1000, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000]),
        "Bytes that wait for the socket of a session, measured for every attached session every 5 s.")
    static let slowConsumers = counter("parley_slow_consumers", "Connections that were closed because the client read too slowly.")
    static let rateLimited = counter(
        "parley_rate_limited", "Messages that exceeded a rate limit.", [Label("rule", RateRule.self)])
    static let quotaExceeded = counter(
        "parley_quota_exceeded", "Requests that were rejected or stopped by a quota.", [Label("quota", Quota.self)])

    // MARK: Voice

    static let voiceFamilies = [firstAudio, firstText, cancellation, heardRatio, audio]
    private static let responseDelays = Bounds.seconds([0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.2, 1.5, 2, 3, 5, 10, 30])
    static let firstAudio = histogram(
        "parley_first_audio_seconds", responseDelays, "Time from the end of the user's input to the first sound of the response.")
    static let firstText = histogram(
        "parley_first_text_seconds", responseDelays, "Time from the end of the user's input to the first text of the response.")
    static let cancellation = histogram(
        "parley_cancel_seconds", .seconds([0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5]),
        "Time from a cancel to the end of the cancelled response.")
    static let heardRatio = histogram(
        "parley_heard_ratio", .ratio([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1]), "Played share of spoken responses.")
    static let audio = counter(
        "parley_audio_seconds", "Duration of accepted audio (in) and of the audio of responses (out).",
        [Label("direction", values: ["in", "out"])])

    // MARK: Upstreams

    static let upstreamFamilies = [
        upstreamRequests, upstreamTime, upstreamFirstEvent, upstreamQueueTime, upstreamInFlight, upstreamQueued, upstreamRetries,
        upstreamCancelled, breaker,
    ]
    private static let callTimes = Bounds.seconds([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300])
    static let upstreamRequests = counter(
        "parley_upstream_requests", "Calls to an upstream that have ended.", [Label("upstream"), Label("outcome", UpstreamOutcome.self)])
    static let upstreamTime = histogram(
        "parley_upstream_request_seconds", callTimes, "Duration of calls to an upstream, with retries and the time in the queue.",
        [Label("upstream")])
    static let upstreamFirstEvent = histogram(
        "parley_upstream_first_event_seconds", callTimes,
        "Time from the open connection, or the end of the audio, to the first content of the response.", [Label("upstream")])
    static let upstreamQueueTime = histogram(
        "parley_upstream_queue_seconds", .seconds([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]),
        "Time in the queue for a permit of an upstream.", [Label("upstream")])
    static let upstreamInFlight = gauge("parley_upstream_inflight", "Requests that hold a permit of an upstream.", [Label("upstream")])
    static let upstreamQueued = gauge("parley_upstream_queued", "Requests that wait for a permit of an upstream.", [Label("upstream")])
    static let upstreamRetries = counter("parley_upstream_retries", "Retries and hedges.", [Label("upstream")])
    static let upstreamCancelled = counter(
        "parley_upstream_cancelled", "Cancelled calls to an upstream.", [Label("upstream"), Label("reason", CancelReason.self)])
    static let breaker = gauge(
        "parley_breaker_state", "Circuit breaker of an endpoint: 0 closed, 1 half-open, 2 open.", [Label("upstream"), Label("endpoint")])

    // MARK: Cluster

    static let clusterFamilies = [nodeInfo, clusterNodes, clusterSessions, clusterRequests, clusterRequestFailures]
    static let nodeInfo = gauge("parley_node_info", "The name and the id of this node; always 1.", [Label("node"), Label("id")])
    static let clusterNodes = gauge("parley_cluster_nodes", "Nodes with a lease, including this one.")
    static let clusterSessions = counter(
        "parley_cluster_sessions", "Sessions that arrived at this node, departed from it, or were dropped.",
        [Label("event", values: ClusterReading.sessionEvents)])
    static let clusterRequests = counter("parley_cluster_requests", "Requests to other nodes.")
    static let clusterRequestFailures = counter("parley_cluster_request_failures", "Requests to other nodes without a response.")

    // MARK: Store, logs, tracing, event loops, process

    static let systemFamilies = [
        storeCommit, storeErrors, storeBytes, logLines, logLinesDropped, auditRecordsDropped, spansExported, spansDropped, loopLag,
        loopUtilization, processCPU, processResident, processDescriptors, processMaximumDescriptors, processStart,
    ]
    static let storeCommit = histogram(
        "parley_store_commit_seconds",
        .seconds([0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]),
        "Duration of commits to the store.")
    static let storeErrors = counter("parley_store_errors", "Failed commits to the store.")
    static let storeBytes = gauge("parley_store_bytes", "Size of the store's file and its write-ahead log.")
    static let logLines = counter("parley_log_lines", "Written log lines.")
    static let logLinesDropped = counter(
        "parley_log_lines_dropped", "Log lines that were dropped because standard output was too slow or closed.")
    static let auditRecordsDropped = counter(
        "parley_audit_records_dropped", "Audit records that were dropped because the audit file couldn't be written fast enough.")
    static let spansExported = counter("parley_tracing_spans_exported", "Spans that the OTLP receiver has received.")
    static let spansDropped = counter(
        "parley_tracing_spans_dropped", "Spans that were dropped because the queue was full or the OTLP receiver rejected them.")
    static let loopLag = histogram(
        "parley_event_loop_lag_seconds",
        .seconds([0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5]),
        "Delay of a timer of each event loop that fires every 100 ms.")
    static let loopUtilization = gauge(
        "parley_event_loop_utilization", "Share of the last second in which the thread of an event loop ran.", [Label("loop")])
    static let processCPU = counter("process_cpu_seconds", "Processor time of the process.")
    static let processResident = gauge("process_resident_memory_bytes", "Resident memory of the process.")
    static let processDescriptors = gauge("process_open_fds", "Open file descriptors.")
    static let processMaximumDescriptors = gauge("process_max_fds", "Limit on open file descriptors.")
    static let processStart = gauge("process_start_time_seconds", "Start of the process, in Unix seconds.")
}
