// SPDX-License-Identifier: Apache-2.0

import HTTPTypes

/// The description of one method of a route, from which the OpenAPI document is written.
struct OpenAPIOperation: Sendable {
    /// The content of a response or of a request's body.
    enum Content: Sendable {
        /// A JSON document with a schema of ``OpenAPIDocument``.
        case json(String)
        /// A stream of server-sent events.
        case events
        /// Another text with a media type.
        case text(String)
        case none
    }

    /// The path as the router has it.
    let path: String
    let method: HTTPRequest.Method
    let access: OperationsRoute.Access
    let summary: String
    /// The names of parameters in the query, each described in ``OpenAPIDocument``.
    let query: [String]
    /// The names of request header fields, each described in ``OpenAPIDocument``.
    let fields: [String]
    let body: Content
    /// The status and the content of a success, in the order of preference.
    let status: Int
    let contents: [Content]

    init(
        _ method: HTTPRequest.Method, _ path: String, _ access: OperationsRoute.Access, _ summary: String, query: [String] = [],
        fields: [String] = [], body: Content = .none, status: Int = 200, _ contents: Content...
    ) {
        self.method = method
        self.path = path
        self.access = access
        self.summary = summary
        self.query = query
        self.fields = fields
        self.body = body
        self.status = status
        self.contents = contents
    }
}

/// The operations by subject, next to the routes that they describe. A test compares the two.
extension OpenAPIOperation {
    static let all: [OpenAPIOperation] =
        health + gateway + figures + connections + sessions + supervision + push + access + audit

    private static let health: [OpenAPIOperation] = ["/livez", "/readyz", "/health"].flatMap { path in
        [
            OpenAPIOperation(
                .get, path, .open, "Tells whether the process lives, or is ready for clients; 503 if it isn't.", .json("Health")),
            OpenAPIOperation(.options, path, .open, "As GET, for load balancers.", .json("Health")),
        ]
    }

    private static let gateway: [OpenAPIOperation] = [
        .init(.get, "/", .open, "The console for a browser.", .text("text/html; charset=utf-8")),
        .init(.get, "/console.js", .open, "The script of the console.", .text("text/javascript; charset=utf-8")),
        .init(.get, "/console.css", .open, "The style of the console.", .text("text/css; charset=utf-8")),
        .init(.get, "/v1/openapi.json", .read, "This document.", .json("Object")),
        .init(.get, "/v1/nodes", .read, "The nodes of the cluster.", .json("NodeList")),
        .init(.get, "/v1/gateway", .read, "The counters of the gateway.", query: ["node"], .json("Gateway")),
        .init(.get, "/v1/gateway/configuration", .read, "The configuration in effect; secrets are masked.", .json("Object")),
        .init(.post, "/v1/gateway/reload", .operate, "Reloads the configuration; 422 if it has problems.", .json("Reload")),
        .init(.post, "/v1/gateway/drain", .operate, "Begins to drain.", status: 202, .json("Drain")),
        .init(
            .post, "/v1/gateway/log-level", .operate, "Sets the log level for a time.", body: .json("LogLevelRequest"), .json("LogLevel")),
        .init(
            .get, "/v1/logs", .read, "The newest log lines, and those that follow.",
            query: ["follow", "level", "session_id", "correlation_id", "node"], .events),
    ]

    private static let figures: [OpenAPIOperation] = [
        .init(
            .get, "/metrics", .read, "The metrics for Prometheus.", query: ["node"], .text("text/plain"),
            .text("application/openmetrics-text")),
        .init(.get, "/v1/events", .read, "The figures of the gateway, once a second.", query: ["node"], .events),
        .init(
            .get, "/v1/upstreams", .read, "The upstreams with permits, queues, endpoints and breakers.", query: ["node"], .json("Upstreams")
        ),
        .init(.post, "/v1/upstreams/:name/reset", .operate, "Closes the breakers of an upstream.", .json("Upstream")),
        .init(.get, "/v1/certificates", .read, "The certificates of all listeners.", .json("Certificates")),
    ]

    private static let connections: [OpenAPIOperation] = [
        .init(.get, "/ws/stats", .read, "The counters of connections.", .json("ConnectionStatistics")),
        .init(
            .get, "/ws/stats/detailed", .read, "The counters, and a page of the open connections.", query: ["limit", "cursor", "node"],
            .json("ConnectionList")),
        .init(.get, "/ws/stats/rate-limit", .read, "The rate limits, and the addresses that have reached one.", .json("RateLimits")),
        .init(.post, "/ws/cleanup", .operate, "Removes what has expired now.", .json("Cleanup")),
    ]

    private static let sessions: [OpenAPIOperation] = [
        .init(
            .get, "/v1/sessions", .read, "A page of sessions.", query: ["state", "sort", "user", "node", "tag", "limit", "cursor"],
            .json("SessionList"), .text("application/x-ndjson")),
        .init(.get, "/v1/sessions/:id", .read, "A session.", .json("SessionDetails")),
        .init(
            .patch, "/v1/sessions/:id", .content, "Annotates a session.", body: .json("SessionAnnotation"), .json("SessionDetails")),
        .init(.delete, "/v1/sessions/:id", .erase, "Erases a session.", status: 204),
        .init(
            .get, "/v1/sessions/:id/report", .read, "The report of a session.", query: ["format"], .json("SessionDetails"),
            .text("text/csv; charset=utf-8"), .text("text/html; charset=utf-8")),
        .init(.get, "/v1/sessions/:id/timeline", .read, "The turns of a session.", .json("Object")),
        .init(.post, "/v1/sessions/:id/close", .operate, "Ends a session.", status: 204),
    ]

    private static let supervision: [OpenAPIOperation] = [
        .init(.get, "/v1/sessions/:id/tap", .supervise, "The frames of a session, as they go.", .events),
        .init(.post, "/v1/sessions/:id/whisper", .supervise, "Tells the upstream a text.", body: .json("Text"), .json("Object")),
        .init(.post, "/v1/sessions/:id/takeover", .supervise, "Pauses the upstream.", .json("Object")),
        .init(.post, "/v1/sessions/:id/say", .supervise, "Responds to the user.", body: .json("Text"), .json("Object")),
        .init(.post, "/v1/sessions/:id/handback", .supervise, "Resumes the upstream.", .json("Object")),
    ]

    private static let push: [OpenAPIOperation] =
        [
            ("/v1/sessions/:id/messages", "Sends a message to a session."),
            ("/v1/users/:name/messages", "Sends a message to the sessions of a user."),
            ("/v1/messages", "Sends a message to all sessions."),
        ].map { path, summary in
            .init(
                .post, path, .push, summary, fields: ["Idempotency-Key"], body: .json("PushMessage"), status: 202, .json("PushReceipt"))
        } + [
            .init(.get, "/v1/undelivered", .push, "The messages that weren't delivered.", query: ["limit", "cursor"], .json("Object")),
            .init(.post, "/v1/undelivered/retry", .push, "Sends messages again, once.", body: .json("Retry"), .json("Object")),
        ]

    private static let access: [OpenAPIOperation] = [
        .init(.post, "/v1/tokens", .operate, "Mints a token for a user.", body: .json("TokenRequest"), .json("Token")),
        .init(
            .post, "/v1/users/:name/revoke", .operate, "Revokes the tokens of a user.", body: .json("RevocationRequest"),
            .json("Revocation")),
        .init(
            .get, "/v1/usage", .read, "The usage of users.", query: ["from", "to", "user", "group", "limit", "cursor"], .json("Usage"),
            .text("text/csv; charset=utf-8")),
    ]

    private static let audit: [OpenAPIOperation] = [
        .init(
            .get, "/v1/audit", .read, "The records of the audit log.", query: ["from", "to", "limit", "cursor"], .json("Object"))
    ]
}
