// SPDX-License-Identifier: Apache-2.0

/// The files of the console.
enum Console {
    /// The page, its script and its style. There are no others, and the page loads nothing from another origin.
    static let assets = [
        StaticAsset("/", contentType: StaticAsset.html, body: Array(ConsolePage.html.utf8)),
        StaticAsset("/console.css", contentType: StaticAsset.css, body: Array(ConsoleStyle.sheets.joined().utf8)),
        StaticAsset("/console.js", contentType: StaticAsset.javaScript, body: Array(ConsoleScript.parts.joined().utf8)),
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
