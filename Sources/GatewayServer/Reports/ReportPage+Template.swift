// SPDX-License-Identifier: Apache-2.0

extension ReportPage {
    static let source = #"""
        {{% CONTENT_TYPE:PAGE}}<!DOCTYPE html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="referrer" content="no-referrer">
        <meta name="robots" content="noindex">
        <title>{{title}}</title>
        <style>
        :root { color-scheme: light dark; --ink: #1c2024; --soft: #60646c; --line: #d9dce1; --paper: #fff; --box: #f5f6f8;
          --client: #0b66c3; --upstream: #0f7b4f; --error: #c62a2f; --link: #9db8d8; }
        @media (prefers-color-scheme: dark) { :root { --ink: #edeef0; --soft: #a6adb6; --line: #363a3f; --paper: #111315; --box: #1b1e21;
          --client: #70b8ff; --upstream: #4cc38a; --error: #ff9592; --link: #3c5a7d; } }
        * { box-sizing: border-box; }
        body { margin: 0 auto; padding: 1.25rem 1rem 3rem; max-width: 60rem; background: var(--paper); color: var(--ink);
          font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
        h1 { font-size: 1.4rem; line-height: 1.25; margin: 0; }
        h2 { font-size: 1.05rem; margin: 2rem 0 .6rem; }
        p { margin: .4rem 0; } .pre { white-space: pre-wrap; }
        code { font: .9em ui-monospace, monospace; }
        .soft, figcaption, dt, th, .note { color: var(--soft); font-size: .85rem; }
        .pill { display: inline-block; padding: .05rem .55rem; border: 1px solid var(--line); border-radius: 1rem; font-size: .85rem; }
        dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: .5rem; margin: 1rem 0 0; }
        dl div { background: var(--box); border-radius: .4rem; padding: .4rem .65rem; }
        dd { margin: 0; font-variant-numeric: tabular-nums; }
        figure { margin: .6rem 0 0; }
        .chart { position: relative; background: var(--box); border-radius: .4rem; padding: .3rem .5rem; }
        .chart svg { display: block; width: 100%; height: 5rem; overflow: visible; }
        .chart.tall svg { height: 9rem; }
        .inner { position: relative; margin-left: 3.2rem; }
        .at { position: absolute; right: calc(100% + .5rem); font-size: .7rem; line-height: 1; color: var(--soft); white-space: nowrap;
          transform: translateY(-50%); }
        .axis { display: flex; justify-content: space-between; gap: 1rem; margin: .2rem .5rem 0 3.7rem; font-size: .75rem; color: var(--soft); }
        .axis span:last-child { text-align: right; }
        path { fill: none; vector-effect: non-scaling-stroke; stroke-width: 1.5; }
        .connected { stroke: var(--link); stroke-width: 7; }
        .client { stroke: var(--client); } .upstream { stroke: var(--upstream); } .errors { stroke: var(--error); stroke-width: 2.5; }
        .stems { stroke: var(--line); } .grid { stroke: var(--line); stroke-width: 1; }
        .firsts, .lasts { stroke-width: 6; stroke-linecap: round; }
        .firsts { stroke: var(--client); } .lasts { stroke: var(--upstream); }
        .key { white-space: nowrap; margin-right: .7rem; }
        .key i { display: inline-block; width: .7rem; height: .7rem; border-radius: 50%; margin-right: .3rem; }
        table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
        th, td { text-align: left; padding: .25rem .9rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: normal; }
        .events td { overflow-wrap: anywhere; } .events td:first-child { white-space: nowrap; }
        @media (max-width: 40rem) {
          th, td { padding-right: .45rem; font-size: .78rem; }
          .events tr { display: flex; flex-wrap: wrap; gap: 0 .6rem; padding: .35rem 0; border-bottom: 1px solid var(--line); }
          .events td { padding: 0; border: 0; } .events td:last-child { flex-basis: 100%; }
        }
        ol { list-style: none; margin: 0; padding: 0; }
        li { margin: .55rem 0; max-width: 46rem; padding: .45rem .75rem; border-radius: .5rem; background: var(--box);
          border-left: 3px solid var(--upstream); margin-left: 2rem; }
        li.client { border-left-color: var(--client); margin-left: 0; margin-right: 2rem; }
        li.error { border-left-color: var(--error); } li.error bdi { color: var(--error); }
        li bdi { display: block; white-space: pre-wrap; }
        @media print {
          :root { --ink: #000; --soft: #444; --line: #bbb; --paper: #fff; --box: #fff; --client: #0b66c3; --upstream: #0f7b4f;
            --error: #c62a2f; --link: #9db8d8; }
          body { max-width: none; padding: 0; font-size: 10pt; }
          .chart, dl div, li { border: 1px solid var(--line); print-color-adjust: exact; -webkit-print-color-adjust: exact; }
          li, figure, tr { break-inside: avoid-page; } h2 { break-after: avoid-page; }
        }
        </style>
        </head>
        <body>
        <header>
        <h1><bdi>{{title}}</bdi></h1>
        <p><span class="pill">{{state}}</span>{{#tags}} <span class="pill"><bdi>{{.}}</bdi></span>{{/tags}}
        <span class="soft"><code>{{id}}</code>{{#hasEnded}} · ended: {{ending}}{{/hasEnded}}</span></p>
        {{#hasNotes}}<p class="pre"><bdi>{{notes}}</bdi></p>{{/hasNotes}}
        <dl>{{#facts}}<div><dt>{{name}}</dt><dd>{{value}}</dd></div>{{/facts}}</dl>
        </header>
        <main>
        <h2>Timeline</h2>
        <figure>
        <div class="chart"><div class="inner"><svg viewBox="0 0 1000 100" preserveAspectRatio="none" role="img" aria-label="Connections, messages and errors over time">
        <path class="connected" d="{{connected}}"/><path class="client" d="{{client}}"/><path class="upstream" d="{{upstream}}"/><path class="errors" d="{{errors}}"/>
        </svg></div></div>
        <div class="axis"><span>{{from}} UTC</span><span>{{to}}</span></div>
        <figcaption><span class="key"><i style="background: var(--link)"></i>connected</span>
        <span class="key"><i style="background: var(--client)"></i>from the client</span>
        <span class="key"><i style="background: var(--upstream)"></i>from upstream</span>
        <span class="key"><i style="background: var(--error)"></i>error</span></figcaption>
        </figure>
        {{#hasLatency}}
        <h2>Latency</h2>
        <figure>
        <div class="chart tall"><div class="inner"><svg viewBox="0 0 1000 100" preserveAspectRatio="none" role="img" aria-label="Time to the first and the last message of each response">
        {{#scale}}<path class="grid" d="M0 {{y}}H1000"/>{{/scale}}
        <path class="stems" d="{{stems}}"/><path class="lasts" d="{{lasts}}"/><path class="firsts" d="{{firsts}}"/>
        </svg>{{#scale}}<span class="at" style="top: {{y}}%">{{label}}</span>{{/scale}}</div></div>
        <figcaption><span class="key"><i style="background: var(--client)"></i>first message of a response</span>
        <span class="key"><i style="background: var(--upstream)"></i>last message</span></figcaption>
        </figure>
        <table>
        <tr><th>time to</th><th>responses</th><th>50 %</th><th>90 %</th><th>99 %</th><th>max</th></tr>
        {{#latencies}}<tr><td>{{name}}</td><td>{{count}}</td><td>{{p50}}</td><td>{{p90}}</td><td>{{p99}}</td><td>{{max}}</td></tr>
        {{/latencies}}</table>
        {{/hasLatency}}
        <h2>Transcript</h2>
        {{#isPruned}}<p class="soft">{{pruned}} earlier lines have been pruned.</p>{{/isPruned}}
        {{^hasLines}}<p class="soft">No messages.</p>{{/hasLines}}
        <ol>{{#lines}}<li class="{{by}}"><span class="note">{{by}} · {{time}}{{#hasRemarks}} · {{remarks}}{{/hasRemarks}}</span>{{#hasText}}<bdi dir="auto">{{text}}</bdi>{{/hasText}}</li>
        {{/lines}}</ol>
        <h2>Events</h2>
        {{#isEventsPruned}}<p class="soft">{{eventsPruned}} earlier events have been pruned.</p>{{/isEventsPruned}}
        <table class="events">
        {{#events}}<tr><td>{{time}}</td><td>{{name}}</td><td>{{details}}</td><td><code>{{id}}</code></td></tr>
        {{/events}}</table>
        </main>
        </body>
        </html>

        """#
}
