// SPDX-License-Identifier: Apache-2.0

package import NIOHTTP1

/// Cross-origin resource sharing (WHATWG Fetch, "CORS protocol") for all responses of the front listener, from `http.allowed_origins`.
package enum CrossOriginPolicy {
    /// How long browsers may cache the response to a preflight, in seconds.
    package static let maximumAge = 600

    /// Returns the fields of a response to a request with this head.
    ///
    /// A listed origin is echoed and may send credentials. `*` allows any origin, without credentials. Other origins get no field but `Vary`.
    package static func fields(for head: HTTPRequestHead, allowing origins: Set<String>) -> HTTPHeaders {
        var fields: HTTPHeaders = [:]
        // Caches must not serve the response for one origin to another, or to a request without an origin.
        if origins.contains(where: { $0 != "*" }) { fields.add(name: "Vary", value: "Origin") }
        let sent = head.headers["Origin"]
        guard sent.count == 1, let origin = sent.first else { return fields }
        // The configured text is written, never the client's.
        if let index = origins.firstIndex(of: origin), origin != "*" {
            fields.add(name: "Access-Control-Allow-Origin", value: origins[index])
            fields.add(name: "Access-Control-Allow-Credentials", value: "true")
        } else if origins.contains("*") {
            fields.add(name: "Access-Control-Allow-Origin", value: "*")
        } else {
            return fields
        }
        if isPreflight(head) {
            fields.add(name: "Access-Control-Allow-Methods", value: "GET, HEAD, OPTIONS")
            fields.add(name: "Access-Control-Allow-Headers", value: "Authorization, Parley-Resume, Content-Type")
            fields.add(name: "Access-Control-Max-Age", value: "\(maximumAge)")
        } else {
            fields.add(name: "Access-Control-Expose-Headers", value: "Retry-After, WWW-Authenticate")
        }
        return fields
    }

    /// Returns whether the request asks for permission to send another one.
    package static func isPreflight(_ head: HTTPRequestHead) -> Bool {
        head.method == .OPTIONS && head.headers.contains(name: "Origin") && head.headers.contains(name: "Access-Control-Request-Method")
    }
}
