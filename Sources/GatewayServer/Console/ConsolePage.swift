// SPDX-License-Identifier: Apache-2.0

/// The document of the console. The script fills the views.
enum ConsolePage {
    static let html = #"""
        <!DOCTYPE html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <title>Parley console</title>
        <link rel="icon" href="data:,">
        <link rel="stylesheet" href="/console.css">
        <script type="module" src="/console.js"></script>
        </head>
        <body>
        <a class="skip" href="#main">Skip to the content</a>
        <header id="banner">
        <p class="brand">Parley <span id="node"></span></p>
        <p id="status" role="status" aria-live="polite"><span class="badge">connecting</span></p>
        <nav aria-label="Views" id="views" hidden>
        <a href="#/">Overview</a>
        <a href="#/upstreams">Upstreams</a>
        <a href="#/sessions">Sessions</a>
        <a href="#/log">Log</a>
        <button type="button" id="logout">Log out</button>
        </nav>
        </header>
        <noscript><p class="notice">The console needs JavaScript. The same figures are at /v1/gateway and in parley top.</p></noscript>
        <main id="main" tabindex="-1"></main>
        <div id="messages" role="alert" aria-live="assertive"></div>
        <dialog id="dialog" aria-labelledby="dialog-title" aria-describedby="dialog-text">
        <form method="dialog">
        <h2 id="dialog-title"></h2>
        <p id="dialog-text"></p>
        <div id="dialog-fields"></div>
        <p class="buttons"><button value="cancel" id="dialog-cancel">Cancel</button>
        <button value="confirm" id="dialog-confirm" class="danger"></button></p>
        </form>
        </dialog>
        </body>
        </html>

        """#
}
