// SPDX-License-Identifier: Apache-2.0

extension ConsoleScript {
    /// The overview: figures with peak and limit, charts, certificates, actions.
    static let overview = #"""
        /** The latest measurements, oldest first, which are collected in every view. */
        const samples = [];
        const observers = new Set();

        function observe(observer) {
          observers.add(observer);
          whenLeft(() => observers.delete(observer));
          if (samples.length > 0) observer(samples.at(-1));
        }

        function begin() {
          byId("views").hidden = false;
          samples.length = 0;
          stopOverview = follow("/v1/events", (event, figures) => {
            if (event !== "overview") return;
            samples.push(figures);
            if (samples.length > chartLength) samples.shift();
            byId("node").textContent = figures.node + " · " + figures.version + " · " + figures.environment;
            showState(figures.state, "live");
            for (const observer of observers) observer(figures);
          }, state => {
            if (state instanceof Error) {
              if (state instanceof Problem && state.status === 401) return report(state);
              showState(state instanceof Problem ? state.message : "no connection to the gateway", "problem");
            } else if (state === "ended") showState("the gateway closed the stream", "problem");
            else if (state === "paused") showState("paused", "");
          });
          show();
        }

        /** Changes the status only if it differs: screen readers read every change. */
        function showState(text, kind) {
          const status = byId("status");
          const shown = kind === "live" ? (text === "running" ? "good" : "warn") : kind;
          if (status.textContent !== text) status.replaceChildren(badge(text, shown));
        }

        /** The share of a limit, as a bar with a text for screen readers. */
        function meter(current, limit) {
          if (!limit) return h("span", {class: "help"}, "no limit");
          const share = Math.min(1, current / limit);
          const percent = Math.round(share * 100) + " %";
          const kind = share >= 0.9 ? "bad" : share >= 0.7 ? "warn" : "";
          return h("span", {class: "meter " + kind},
            h("svg", {viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true"},
              h("rect", {width: 100, height: 8, class: "track"}),
              h("rect", {width: Math.max(share * 100, share > 0 ? 1 : 0), height: 8, class: "fill"})),
            percent);
        }

        const resourceRow = (name, figure, format) => figure
          ? [name, format(figure.current), format(figure.peak), figure.limit ? format(figure.limit) : "none",
            meter(figure.current, figure.limit)]
          : null;

        function resourceTable(figures) {
          const rows = [
            resourceRow("Connections", figures.connections, count), resourceRow("Sessions", figures.sessions, count),
            resourceRow("Attached sessions", figures.attached_sessions, count), resourceRow("Memory of sessions", figures.memory, bytes),
            resourceRow("File descriptors", figures.descriptors, count),
            ...(figures.upstreams ?? []).flatMap(upstream => [
              resourceRow(h("span", null, "Permits of ", foreign(upstream.name)), upstream.permits, count),
              resourceRow(h("span", null, "Queue of ", foreign(upstream.name)), upstream.queue, count)]),
          ].filter(Boolean);
          return table("Resources of the gateway", ["Resource", "Current", "Peak", "Limit", "Used"], rows, {class: "figures"});
        }

        const latencyNames = {
          ping_rtt: "Ping round trip", rtt: "Ping round trip",
          first_audio: "End of speech to first sound", first_text: "Request to first text",
          first_reply: "Request to first reply", last_reply: "Request to last reply", cancel: "Cancel to last message",
          store_commit: "Commit of the store", event_loop_lag: "Lag of the event loops", message_handling: "Handling of a message",
        };
        const latencyName = name => latencyNames[name] ?? latencyNames[name.replace(/_(ms|seconds)$/, "")] ?? name.replaceAll("_", " ");

        function certificateTable(certificates) {
          return table("Certificates", ["Names", "Expires", "Days left", "File"], certificates.map(certificate => [
            foreign(certificate.names.join(", ")), new Date(certificate.not_after).toISOString().slice(0, 10),
            badge(count(certificate.days_left), certificate.days_left < 7 ? "bad" : certificate.days_left < 21 ? "warn" : "good"),
            foreign(certificate.file ?? certificate.key)]), {class: "cards-when-narrow"});
        }

        /** The nodes of the cluster; nothing for a gateway that runs alone. */
        function nodeTable(nodes) {
          if (nodes.length < 2) return null;
          return [h("h2", null, "Nodes"), table("Nodes of the cluster", ["Node", "Sessions", "Up", "Address of the link"],
            nodes.map(node => [
              h("span", null, h("a", {href: "#/sessions?node=" + encodeURIComponent(node.name)}, foreign(node.name)),
                node.self ? " (this one)" : ""),
              count(node.sessions), duration(Date.now() - node.started_at), node.address ? foreign(node.address) : "–"]),
            {class: "cards-when-narrow"})];
        }

        views.set("", {title: "Overview", show() {
          const resources = h("div"), summary = h("p", {class: "summary"}), latencies = h("div", {class: "charts"});
          const messages = new Chart("Messages per second", [
            {name: "in", value: sample => sample.rates.messages_in}, {name: "out", value: sample => sample.rates.messages_out}], rate);
          const traffic = new Chart("Bytes per second", [
            {name: "in", value: sample => sample.rates.bytes_in}, {name: "out", value: sample => sample.rates.bytes_out}],
            value => bytes(value) + "/s");
          const errors = new Chart("Errors and connections per second", [
            {name: "errors", value: sample => sample.rates.errors},
            {name: "new connections", value: sample => sample.rates.connections}], rate);
          const open = new Chart("Open connections and sessions", [
            {name: "connections", value: sample => sample.connections.current},
            {name: "sessions", value: sample => sample.sessions.current}], count);
          const charts = [messages, traffic, errors, open], latencyCharts = new Map();
          const nodes = h("div");
          const certificates = h("div", null, h("p", {class: "help"}, "loading"));
          main.append(summary, resources, nodes, h("h2", null, "Rates"), h("div", {class: "charts"}, charts.map(chart => chart.element)),
            h("h2", null, "Latency over the last minute"), latencies,
            h("h2", null, "Certificates"), certificates,
            h("h2", null, "Actions"), h("p", {class: "buttons"}, button("Reload the configuration", reload),
              button("Set the log level", setLogLevel), button("Drain the gateway", drain, {class: "danger"})));
          observe(figures => {
            replace(resources, resourceTable(figures));
            summary.textContent = "Up " + duration(figures.uptime_ms) + ", commit " + figures.commit + ", log level "
              + (figures.log?.level ?? "unknown") + (figures.log?.until ? " until " + clock(figures.log.until) + " UTC" : "")
              + ", " + counted(figures.totals?.errors ?? 0, "error") + " sent since the start.";
            for (const chart of charts) chart.update(samples);
            for (const name of Object.keys(figures.latency_ms ?? {}).sort()) {
              if (latencyCharts.has(name)) continue;
              const chart = new Chart(latencyName(name), ["p50", "p90", "p99"].map(percentile => (
                {name: percentile, value: sample => sample.latency_ms?.[name]?.[percentile]})), duration);
              latencyCharts.set(name, chart);
              latencies.append(chart.element);
            }
            if (latencyCharts.size === 0) replace(latencies, h("p", {class: "help"}, "Nothing was measured in the last minute."));
            else latencies.querySelector("p.help")?.remove();
            for (const chart of latencyCharts.values()) chart.update(samples);
          });
          repeat(5000, async signal => replace(nodes, nodeTable((await get("/v1/nodes", signal)).nodes) ?? []));
          repeat(60000, async signal => {
            const found = await get("/v1/certificates", signal);
            replace(certificates, found.certificates.length ? certificateTable(found.certificates) : h("p", {class: "help"}, "none"));
          });
        }});

        """#
}
