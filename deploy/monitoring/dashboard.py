#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes parley-dashboard.json, a dashboard for Grafana 10 and later.

usage: deploy/monitoring/dashboard.py [--check]
With --check it writes nothing, and exits with 1 if the file differs.

Percentiles are always computed from histograms that are summed over the selected instances first.
"""

import json
import os
import sys

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "parley-dashboard.json")
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
GATEWAY = 'instance=~"$instance"'
UPSTREAM = 'instance=~"$instance", upstream=~"$upstream"'


# Expressions


def rate(metric, by="", where=GATEWAY):
    """The sum of a counter's rates, by labels."""
    return f"sum{group(by)}(rate({metric}{{{where}}}[$__rate_interval]))"


def total(metric, by="", where=GATEWAY):
    """The sum of a gauge, by labels."""
    return f"sum{group(by)}({metric}{{{where}}})"


def group(by):
    return f" by ({by}) " if by else ""


def quantile(q, metric, by="", where=GATEWAY):
    labels = f"{by}, le" if by else "le"
    return f"histogram_quantile({q}, sum by ({labels}) (rate({metric}_bucket{{{where}}}[$__rate_interval])))"


def percentiles(metric):
    return [(quantile(q, metric), name) for q, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))]


# Panels


def panel(kind, title, unit, targets, description, width, height=8, **options):
    value = {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "gridPos": {"w": width, "h": height},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0, **options.pop("defaults", {})}, "overrides": []},
        "options": options,
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": DATASOURCE,
                "editorMode": "code",
                "expr": expression,
                "legendFormat": legend,
                **({"instant": True, "range": False} if kind in ("stat", "table") else {"range": True}),
                **({"format": "table"} if kind == "table" else {}),
            }
            for index, (expression, legend) in enumerate(targets)
        ],
    }
    return value


def graph(title, unit, targets, description, width=8, stacked=False):
    custom = {"fillOpacity": 10, "lineWidth": 1, "showPoints": "never", "spanNulls": False}
    if stacked:
        custom = {**custom, "fillOpacity": 40, "stacking": {"mode": "normal", "group": "A"}}
    return panel(
        "timeseries", title, unit, targets, description, width,
        defaults={"custom": custom},
        legend={"showLegend": True, "displayMode": "list", "placement": "bottom"},
        tooltip={"mode": "multi", "sort": "desc"},
    )


def stat(title, unit, expression, description, steps=None, width=4):
    thresholds = [{"color": color, "value": value} for value, color in steps or [(None, "blue")]]
    return panel(
        "stat", title, unit, [(expression, "")], description, width, 4,
        defaults={"thresholds": {"mode": "absolute", "steps": thresholds}},
        reduceOptions={"calcs": ["lastNotNull"], "fields": "", "values": False},
        colorMode="value", graphMode="none", textMode="auto",
    )


ROWS = [
    ("Overview", False, [
        stat("Instances", "none", f'sum(up{{job="parley", {GATEWAY}}})', "Instances that answer scrapes."),
        stat("Connections", "none", total("parley_connections"), "Open WebSockets."),
        stat("Sessions", "none", total("parley_sessions"), "Sessions with and without a connection."),
        stat("Messages", "mps", rate("parley_messages_total"), "Messages a second in both directions."),
        stat("First sound, p95", "s", quantile(0.95, "parley_first_audio_seconds"),
             "95 % of the spoken requests wait no longer than this, from the end of speech to the first sound.",
             [(None, "green"), (1.2, "orange"), (2, "red")]),
        stat("Errors", "eps", rate("parley_errors_total"), "Error messages a second, including those that clients cause."),
        panel("table", "Versions", "none", [(f"sum by (instance, version, commit) (parley_build_info{{{GATEWAY}}})", "")],
              "What runs where. Two versions for long mean that a roll-out has stopped.", 12, 6,
              showHeader=True),
        graph("Uptime", "s", [(f"time() - process_start_time_seconds{{job=\"parley\", {GATEWAY}}}", "{{instance}}")],
              "A drop to zero is a restart.", 12),
    ]),
    ("Voice", False, [
        graph("First sound", "s", percentiles("parley_first_audio_seconds"),
              "From the end of the user's speech to the first sound out. Above about 1.2 s a conversation feels slow. "
              "The stage that causes it is in the row Upstreams.", 12),
        graph("First text", "s", percentiles("parley_first_text_seconds"),
              "From the request to the first text of its response.", 12),
        graph("Cancel", "s", percentiles("parley_cancel_seconds"),
              "From the client's cancel to the last frame of the response. Users hear this time as talking over them."),
        graph("Heard", "percentunit", percentiles("parley_heard_ratio"),
              "The part of the generated sound that was played. A low median means that responses are too long, or that speech is "
              "detected where there is none."),
        graph("Sound", "none", [(rate("parley_audio_seconds_total", "direction"), "{{direction}}")],
              "Seconds of sound a second, which is the mean number of voices at a time."),
    ]),
    ("Upstreams", False, [
        graph("Requests by outcome", "reqps", [(rate("parley_upstream_requests_total", "upstream, outcome", UPSTREAM), "{{upstream}} {{outcome}}")],
              "How requests end. Compare the failures with the log line `upstream failed`.", 8, True),
        graph("Request, p95", "s", [(quantile(0.95, "parley_upstream_request_seconds", "upstream", UPSTREAM), "{{upstream}}")],
              "From a request to its last event, with retries and the time in the queue."),
        graph("First event, p95", "s", [(quantile(0.95, "parley_upstream_first_event_seconds", "upstream", UPSTREAM), "{{upstream}}")],
              "From the open connection to the first content of the response: the first token of a model, the first sound of a voice."),
        graph("Queue, p95", "s", [(quantile(0.95, "parley_upstream_queue_seconds", "upstream", UPSTREAM), "{{upstream}}")],
              "How long requests wait for a permit. Anything but zero means that the upstream is at its limit."),
        graph("In flight", "none", [(total("parley_upstream_inflight", "upstream", UPSTREAM), "{{upstream}}")],
              "Requests that hold a permit."),
        graph("Queued", "none", [(total("parley_upstream_queued", "upstream", UPSTREAM), "{{upstream}}")],
              "Requests that wait for a permit."),
        graph("Retries", "reqps", [(rate("parley_upstream_retries_total", "upstream", UPSTREAM), "{{upstream}}")],
              "Attempts after the first. They hide failures from users and cost latency."),
        graph("Cancelled by reason", "reqps", [(rate("parley_upstream_cancelled_total", "upstream, reason", UPSTREAM), "{{upstream}} {{reason}}")],
              "Requests that were cancelled before they completed."),
        graph("Breakers", "none", [(f"max by (upstream, endpoint) (parley_breaker_state{{{UPSTREAM}}})", "{{upstream}} {{endpoint}}")],
              "0: closed, the endpoint gets requests; 1: half-open, it gets a few as a test; 2: open, it gets none."),
    ]),
    ("Errors", False, [
        graph("Errors by code", "eps", [(rate("parley_errors_total", "code"), "{{code}}")],
              "The page Protocol says which codes clients cause, and what helps against each."),
        graph("Closes by code and initiator", "ops", [(rate("parley_closes_total", "code, initiator"), "{{code}} {{initiator}}")],
              "1000 and 1001 are usual, 1012 is a drain; 4001 and 4002 are bad networks."),
        graph("Connections rejected by reason", "ops", [(rate("parley_connections_rejected_total", "reason"), "{{reason}}")],
              "Sockets that never became a WebSocket: scanners (`tls_handshake`, `invalid_request`), credentials, and limits."),
    ]),
    ("Connections", True, [
        graph("Connections by instance", "none", [(total("parley_connections", "instance"), "{{instance}}")], "Open WebSockets."),
        graph("Accepted", "ops", [(rate("parley_connections_accepted_total", "instance"), "{{instance}}")], "Sockets a second."),
        graph("Round trip", "s", percentiles("parley_ping_rtt_seconds"), "From ping to pong: the networks of the clients."),
        graph("Handshakes", "ops", [(rate("parley_tls_handshakes_total", "version, resumed"), "{{version}} resumed={{resumed}}")],
              "Resumed handshakes cost a tenth of a full one. A wave of full ones follows a restart."),
        graph("Handshake duration", "s", percentiles("parley_tls_handshake_seconds"), "From the first byte to the end of the handshake, including the client's share."),
        graph("Handshake failures by reason", "ops", [(rate("parley_tls_handshake_failures_total", "reason"), "{{reason}}")],
              "Mostly scanners. A jump after a change of certificates means that clients reject the new one."),
        graph("Certificates", "s", [(f"min by (certificate) (parley_tls_certificate_expiry_timestamp_seconds{{{GATEWAY}}}) - time()", "{{certificate}}")],
              "Time until a certificate expires."),
        graph("Socket queue", "bytes", percentiles("parley_socket_queue_bytes"), "Bytes that wait for slow clients."),
        graph("Slow consumers", "ops", [(rate("parley_slow_consumers_total", "instance"), "{{instance}}")],
              "Connections closed with 4002, because no byte could be written for `delivery.send_timeout`."),
    ]),
    ("Sessions and memory", True, [
        graph("Sessions by state", "none", [(total("parley_sessions", "state"), "{{state}}")], "Sessions with a connection, and those that can be resumed.", 8, True),
        graph("Sessions ended by reason", "ops", [(rate("parley_sessions_ended_total", "reason"), "{{reason}}")], "Why sessions end."),
        graph("Resumes by outcome", "ops", [(rate("parley_resumes_total", "outcome"), "{{outcome}}")],
              "A wave of resumes follows a restart or a network failure. Failed ones are lost conversations."),
        graph("Memory of a session", "bytes", percentiles("parley_session_memory_bytes"), "Compare with `sessions.memory_budget`."),
        graph("Memory by part", "bytes", [(total("parley_memory_bytes", "part"), "{{part}}")], "Compare with `sessions.total_memory_budget`.", 8, True),
        graph("Resident memory", "bytes", [(f"process_resident_memory_bytes{{job=\"parley\", {GATEWAY}}}", "{{instance}}")],
              "Memory of the process, from the kernel."),
    ]),
    ("Messages", True, [
        graph("Messages by type", "mps", [(rate("parley_messages_total", "direction, type"), "{{direction}} {{type}}")], "Protocol messages a second."),
        graph("Bytes", "Bps", [(rate("parley_message_bytes_total", "direction"), "{{direction}}")], "Payload of the messages, before compression."),
        graph("Handling", "s", percentiles("parley_message_handling_seconds"), "The gateway's own time for a message, without the upstream's."),
    ]),
    ("Access and limits", True, [
        graph("Rate limits by rule", "ops", [(rate("parley_rate_limited_total", "rule"), "{{rule}}")], "Messages that a rate limit rejected."),
        graph("Quotas", "ops", [(rate("parley_quota_exceeded_total", "quota"), "{{quota}}")], "Requests of users whose quota is used up."),
        graph("Authentication failures by reason", "ops", [(rate("parley_auth_failures_total", "reason"), "{{reason}}")], "Tokens that were rejected."),
    ]),
    ("Event loops and process", True, [
        graph("Event-loop lag", "s", percentiles("parley_event_loop_lag_seconds"), "How late the loops run their timers. Every message waits as long."),
        graph("Event-loop utilization", "percentunit", [(f"max by (instance) (parley_event_loop_utilization{{{GATEWAY}}})", "{{instance}}")],
              "The busiest loop of each instance. Latency rises from about 0.7 on."),
        graph("CPU", "none", [(f"rate(process_cpu_seconds_total{{job=\"parley\", {GATEWAY}}}[$__rate_interval])", "{{instance}}")], "Cores in use."),
        graph("Descriptors", "percentunit", [(f"process_open_fds{{job=\"parley\", {GATEWAY}}} / process_max_fds", "{{instance}}")],
              "Open file descriptors, of those that the process may open."),
    ]),
    ("Store", True, [
        graph("Commit", "s", percentiles("parley_store_commit_seconds"), "Time of a commit. The acks of a request wait for it."),
        graph("Store errors", "eps", [(rate("parley_store_errors_total", "instance"), "{{instance}}")], "Failed commits; /readyz says 503 meanwhile."),
        graph("Size", "bytes", [(total("parley_store_bytes", "instance"), "{{instance}}")], "Compare with `store.max_bytes`."),
    ]),
    ("Cluster", True, [
        graph("Nodes", "none", [
            (f"parley_cluster_nodes{{{GATEWAY}}}", "{{instance}}"),
            (f"count(parley_node_info{{{GATEWAY}}})", "scraped"),
        ], "Nodes with a lease, as each node sees them. Fewer than you run: one is down, or cut off from Redis."),
        graph("Sessions between nodes", "ops", [(rate("parley_cluster_sessions_total", "event"), "{{event}}")],
              "Claims mean that a node crashed; fenced sessions, that one was suspended or cut off for longer than its lease."),
        graph("Requests between nodes", "ops", [
            (rate("parley_cluster_requests_total", "instance"), "{{instance}}"),
            (rate("parley_cluster_request_failures_total", "instance"), "{{instance}} failed"),
        ], "Hand-overs, pushes, lists and requests of operators; failed ones got no response."),
    ]),
    ("Logs and tracing", True, [
        graph("Lines", "ops", [(rate("parley_log_lines_total", "instance"), "{{instance}}")], "Written log lines.", 12),
        graph("Lines dropped", "ops", [(rate("parley_log_lines_dropped_total", "instance"), "{{instance}}")],
              "Lines that were lost, since the reader of standard output is too slow.", 12),
        graph("Audit records dropped", "ops", [(rate("parley_audit_records_dropped_total", "instance"), "{{instance}}")],
              "Events without an audit record, since the disk of `audit.path` is full or too slow.", 12),
        graph("Spans", "ops", [
            (rate("parley_tracing_spans_exported_total", "instance"), "{{instance}} exported"),
            (rate("parley_tracing_spans_dropped_total", "instance"), "{{instance}} dropped"),
        ], "Spans that the OTLP receiver got, and those that were lost.", 12),
    ]),
]


def laid_out():
    """The rows with their panels, placed on Grafana's grid of 24 columns."""
    result, y, identifier = [], 0, 0
    for title, is_collapsed, panels in ROWS:
        identifier += 1
        row = {"type": "row", "id": identifier, "title": title, "collapsed": is_collapsed, "panels": [],
               "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}}
        y, x, height = y + 1, 0, 0
        for each in panels:
            identifier += 1
            size = each["gridPos"]
            if x + size["w"] > 24:
                x, y, height = 0, y + height, 0
            placed = {**each, "id": identifier, "gridPos": {"x": x, "y": y, **size}}
            x, height = x + size["w"], max(height, size["h"])
            row["panels"].append(placed)
        y += height
        if is_collapsed:
            # A collapsed row contains its panels; those of an open one follow it.
            y = row["gridPos"]["y"] + 1
            result.append(row)
        else:
            result += [{**row, "panels": []}, *row["panels"]]
    return result


def variable(name, label, query):
    return {
        "type": "query", "name": name, "label": label, "datasource": DATASOURCE,
        "query": {"query": query, "refId": name}, "definition": query,
        "refresh": 2, "sort": 1, "multi": True, "includeAll": True, "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }


def dashboard():
    return {
        "uid": "parley",
        "title": "Parley",
        "description": "Connections, voice latency, upstreams and errors of the Parley gateway.",
        "tags": ["parley"],
        "schemaVersion": 38,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [
            {"type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus", "refresh": 1,
             "current": {}, "hide": 0, "multi": False, "includeAll": False},
            variable("instance", "Instance", "label_values(parley_build_info, instance)"),
            variable("upstream", "Upstream", 'label_values(parley_upstream_inflight{instance=~"$instance"}, upstream)'),
        ]},
        "annotations": {"list": [
            {"name": "Restarts", "enable": True, "datasource": DATASOURCE, "iconColor": "orange",
             "expr": f'changes(process_start_time_seconds{{job="parley", {GATEWAY}}}[2m]) > 0', "titleFormat": "Restart of {{instance}}"},
        ]},
        "panels": laid_out(),
    }


def main():
    text = json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"
    if "--check" in sys.argv[1:]:
        with open(PATH, encoding="utf-8") as file:
            if file.read() != text:
                sys.exit(f"{PATH} differs: run deploy/monitoring/dashboard.py")
        return
    with open(PATH, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    main()
