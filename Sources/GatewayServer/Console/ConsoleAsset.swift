// SPDX-License-Identifier: Apache-2.0

import GatewayTLS

/// A file of the console, which is part of the executable.
struct ConsoleAsset: Sendable {
    let path: String
    let contentType: String
    let body: [UInt8]
    /// An entity tag (RFC 9110 §8.8.3), with its quotes. It changes with the content.
    let entityTag: String

    init(_ path: String, contentType: String, _ text: String) {
        self.path = path
        self.contentType = contentType
        body = Array(text.utf8)
        let words = SHA256.hash(body).words
        entityTag = "\"" + String(words.0, radix: 16) + String(words.1, radix: 16) + "\""
    }

    /// The page, its script and its style. There are no others, and the page loads nothing from another origin.
    static let all = [
        ConsoleAsset("/", contentType: "text/html; charset=utf-8", ConsolePage.html),
        ConsoleAsset("/console.css", contentType: "text/css; charset=utf-8", ConsoleStyle.sheets.joined()),
        ConsoleAsset("/console.js", contentType: "text/javascript; charset=utf-8", ConsoleScript.parts.joined()),
    ]

    /// The Content Security Policy (level 3): scripts and styles of this listener only, no inline ones, no text that becomes markup
    /// (Trusted Types), and no frames.
    static let policy =
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
        + "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
}

/// The script of the console: one module, in parts.
enum ConsoleScript {
    static let parts = [
        elements, requests, shell, actions, charts, overview, upstreams, sessions, waterfall, session, tap, log, start,
    ]
}
