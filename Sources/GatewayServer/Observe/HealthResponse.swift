/// What `/livez`, `/readyz` and `/health` answer, on either listener.
///
/// Pure: the same report gives the same bytes. The public listener asks without details and so names parts but tells no reason.
package struct HealthResponse: Sendable, Hashable {
    package static let contentType = "application/json"

    /// 200 or 503.
    package var status: Int
    /// One JSON object, no line feed.
    package var body: [UInt8]

    /// `/livez`: the process answers, so it needs no restart. Always 200.
    package static func live() -> HealthResponse {
        HealthResponse(status: 200, body: Array("{\"status\":\"ok\"}".utf8))
    }

    /// `/readyz`: whether clients may be sent here, and which part is in the way.
    ///
    /// - Parameter details: whether the reasons are told, which is for the operations listener.
    package static func ready(_ report: HealthReport, details: Bool) -> HealthResponse {
        var body = opening(report, reasons: details, tellsDegraded: false)
        body.append(UInt8(ascii: "}"))
        return HealthResponse(status: report.isReady ? 200 : 503, body: body)
    }

    /// `/health`: the same at a glance, and on the operations listener what runs here, since when, with how much to do. Its status there is
    /// `degraded` when every part is ready and one is degraded.
    ///
    /// - Parameter details: nil on the public listener.
    package static func health(_ report: HealthReport, details: HealthDetails?) -> HealthResponse {
        var body = opening(report, reasons: details != nil, tellsDegraded: details != nil)
        if let details {
            body.append(contentsOf: ",\"version\":\"".utf8)
            SafeText.append(details.version, to: &body)
            body.append(contentsOf: "\",\"environment\":\"".utf8)
            SafeText.append(details.environment, to: &body)
            body.append(contentsOf: "\",\"uptime_ms\":\(details.uptimeMilliseconds)".utf8)
            body.append(contentsOf: ",\"connections\":\(details.connections),\"sessions\":\(details.sessions)".utf8)
            body.append(contentsOf: ",\"upstreams\":[".utf8)
            for (index, upstream) in details.upstreams.enumerated() {
                if index > 0 { body.append(UInt8(ascii: ",")) }
                body.append(contentsOf: "{\"name\":\"\(upstream.name)\",\"state\":\"\(upstream.state)\"}".utf8)
            }
            body.append(UInt8(ascii: "]"))
        }
        body.append(UInt8(ascii: "}"))
        return HealthResponse(status: report.isReady ? 200 : 503, body: body)
    }

    private static func opening(_ report: HealthReport, reasons: Bool, tellsDegraded: Bool) -> [UInt8] {
        let status = !report.isReady ? "not_ready" : tellsDegraded && report.isDegraded ? "degraded" : "ready"
        var bytes = Array("{\"status\":\"\(status)\",\"parts\":[".utf8)
        for (index, entry) in report.parts.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            bytes.append(contentsOf: "{\"name\":\"\(entry.part.rawValue)\",\"ready\":\(entry.isReady)".utf8)
            if reasons, let reason = entry.reason {
                if entry.isReady { bytes.append(contentsOf: ",\"degraded\":true".utf8) }
                bytes.append(contentsOf: ",\"reason\":\"".utf8)
                SafeText.append(reason, to: &bytes)
                bytes.append(UInt8(ascii: "\""))
            }
            bytes.append(UInt8(ascii: "}"))
        }
        bytes.append(UInt8(ascii: "]"))
        return bytes
    }
}

/// What `/health` adds on the operations listener.
package struct HealthDetails: Sendable, Hashable {
    package var version: String
    package var environment: String
    package var uptimeMilliseconds: Int64
    /// Open now.
    package var connections: Int
    /// Attached now.
    package var sessions: Int
    /// Names and states of upstreams. Clients may be sent here also while one doesn't work.
    package var upstreams: [Upstream]

    package struct Upstream: Sendable, Hashable {
        package var name: String
        package var state: String

        package init(name: String, state: String) {
            self.name = name
            self.state = state
        }
    }

    package init(
        version: String, environment: String, uptimeMilliseconds: Int64, connections: Int, sessions: Int, upstreams: [Upstream] = []
    ) {
        self.version = version
        self.environment = environment
        self.uptimeMilliseconds = uptimeMilliseconds
        self.connections = connections
        self.sessions = sessions
        self.upstreams = upstreams
    }
}
