// SPDX-License-Identifier: Apache-2.0

import NIOHTTP1
import ParleyJS

/// The files of the public listener: the browser client, and the demo page if `demo.enabled`.
package struct PublicAssets: Sendable {
    private let assets: [String: StaticAsset]

    package init(includesDemo: Bool) {
        var assets = Self.client
        if includesDemo { assets += Self.demo }
        self.assets = Dictionary(assets.map { ($0.path, $0) }) { first, _ in first }
    }

    package subscript(path: String) -> StaticAsset? { assets[path] }

    /// The paths of the browser client, which pages of other origins may load.
    private static let client = [
        StaticAsset("/v1/client.js", contentType: StaticAsset.javaScript, body: ParleyJS.client),
        StaticAsset("/v1/client-audio.js", contentType: StaticAsset.javaScript, body: ParleyJS.audio),
    ]

    private static let demo = [
        StaticAsset("/", contentType: StaticAsset.html, body: ParleyJS.demoPage),
        StaticAsset("/demo.css", contentType: StaticAsset.css, body: ParleyJS.demoStyle),
        StaticAsset("/demo.js", contentType: StaticAsset.javaScript, body: ParleyJS.demoScript),
    ]

    /// The Content Security Policy (level 3) of the demo page: scripts, styles and connections of this listener only, no inline ones, no text
    /// that becomes markup (Trusted Types), and no frames.
    fileprivate static let policy =
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
        + "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
}

extension ListenerResponse {
    /// A response with a file, or 304 if the client has it.
    ///
    /// - Parameter known: the field `If-None-Match` of the request
    init(_ asset: StaticAsset, known: String?) {
        var headers: HTTPHeaders = [
            "Content-Type": asset.contentType, "ETag": asset.entityTag, "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff",
        ]
        if asset.contentType == StaticAsset.html {
            headers.add(name: "Content-Security-Policy", value: PublicAssets.policy)
            headers.add(name: "Permissions-Policy", value: "microphone=(self)")
            headers.add(name: "Referrer-Policy", value: "no-referrer")
            headers.add(name: "Cross-Origin-Opener-Policy", value: "same-origin")
        } else {
            headers.add(name: "Cross-Origin-Resource-Policy", value: "cross-origin")
        }
        let isKnown = asset.isKnown(known)
        self.init(status: isKnown ? .notModified : .ok, headers: headers, body: isKnown ? [] : asset.body)
    }
}
