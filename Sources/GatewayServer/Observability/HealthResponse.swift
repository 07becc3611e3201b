// SPDX-License-Identifier: Apache-2.0

/// The responses of `/livez`, `/readyz` and `/health`, on both listeners.
///
/// The same report gives the same bytes. The public listener's responses have no details: they name parts, but no reasons.
package struct HealthResponse: Sendable, Hashable {
    package static let contentType = "application/json"

    /// 200 or 503.
    package var status: Int
    /// One JSON object, without a line feed.
    package var body: [UInt8]

    /// Returns the response of `/livez`: the process responds and needs no restart. Always 200.
    package static func live() -> HealthResponse {
        HealthResponse(status: 200, body: Array("{\"status\":\"ok\"}".utf8))
    }

    /// Returns the response of `/readyz`: whether the gateway accepts clients, and which parts are not ready.
    ///
    /// - Parameter details: whether to include the reasons, as on the operations listener.
    package static func ready(_ report: HealthReport, details: Bool) -> HealthResponse {
        var body = opening(report, reasons: details, showsDegraded: false)
        body.append(UInt8(ascii: "}"))
        return HealthResponse(status: report.isReady ? 200 : 503, body: body)
    }

    /// Returns the response of `/health`: that of `/readyz`, and on the operations listener version, environment, uptime and load. The
    /// status there is `degraded` if every part is ready and at least one is degraded.
    ///
    /// - Parameter details: nil on the public listener.
    package static func health(_ report: HealthReport, details: HealthDetails?) -> HealthResponse {
        var body = opening(report, reasons: details != nil, showsDegraded: details != nil)
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

    private static func opening(_ report: HealthReport, reasons: Bool, showsDegraded: Bool) -> [UInt8] {
        let status = !report.isReady ? "not_ready" : showsDegraded && report.isDegraded ? "degraded" : "ready"
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

/// The fields that `/health` adds on the operations listener.
package struct HealthDetails: Sendable, Hashable {
    package var version: String
    package var environment: String
    package var uptimeMilliseconds: Int64
    /// WebSocket connections that are open.
    package var connections: Int
    /// Attached sessions.
    package var sessions: Int
    /// Names and states of upstreams. The gateway is ready even if an upstream is down.
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
