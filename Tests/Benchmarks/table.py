#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the table of run.sh.

usage: table.py RESULTS BYTES

RESULTS has one line for each measurement with tab-separated fields: the table's line, the server, the round, and the load generator's JSON.
BYTES is the size of the long text's message. Each cell has the median and, in parentheses, the minimum and the maximum.
"""

import json
import os
import sys
from statistics import median

# Name: (whether less is better, threshold).
thresholds = {}
with open(os.path.join(os.path.dirname(__file__), "thresholds.tsv"), encoding="utf-8") as file:
    for row in file:
        if not row.startswith("#"):
            name, comparison, threshold, _ = row.rstrip("\n").split("\t")
            thresholds[name] = (comparison == "most", float(threshold))

results = {}
for text in open(sys.argv[1], encoding="utf-8"):
    line, server, round_, data = text.rstrip("\n").split("\t")
    results.setdefault(line, {}).setdefault(server, {}).setdefault(int(round_), []).append(json.loads(data))
long_bytes = int(sys.argv[2])


def values(line, server, key):
    return [runs[0][key] for _, runs in sorted(results[line][server].items())]


def spread(numbers, digits):
    return f"{median(numbers):.{digits}f} ({min(numbers):.{digits}f}–{max(numbers):.{digits}f})"


def verdict(name, value):
    """The cells for the threshold and the verdict; empty for a measurement without a threshold."""
    if name not in thresholds:
        return "", ""
    most, threshold = thresholds[name]
    met = value <= threshold if most else value >= threshold
    return f"{'≤' if most else '≥'} {threshold:g}", "met" if met else "missed"


rows = []


def compare(line, title, key, other="beast", digits=2):
    ours, theirs = (values(line, server, key) for server in ("parley", other))
    # The ratio is computed per round: both servers of a round ran under the same conditions.
    ratio = median([a / b for a, b in zip(ours, theirs)])
    rows.append((title, spread(ours, digits), spread(theirs, digits), f"{ratio:.2f}", *verdict(line, ratio)))


def alone(name, title, numbers, digits=1, other="", ratio=""):
    rows.append((title, spread(numbers, digits), other, ratio, *verdict(name, median(numbers))))


def beast(line, key, digits=1, scale=1.0):
    ours, theirs = values(line, "parley", key), values(line, "beast", key)
    return {
        "other": spread([scale * value for value in theirs], digits),
        "ratio": f"{median([a / b for a, b in zip(ours, theirs)]):.2f}" if all(theirs) else "",
    }


if "ping" in results:
    compare("ping", "ping, µs", "cpu_us")
if "text" in results:
    compare("text", "text of 120, µs", "cpu_us")
if "long" in results:
    compare("long", "text of 16,000, µs", "cpu_us", digits=1)
    alone("long-payload", "  its payload, MB/s a core", [long_bytes / value for value in values("long", "parley", "cpu_us")], 0,
          other=spread([long_bytes / value for value in values("long", "beast", "cpu_us")], 0))
if "audio" in results:
    compare("audio", "audio of 640 bytes, µs", "cpu_us")
if "idle" in results:
    key = "rss_bytes_per_connection"
    alone("idle", "idle session, KB", [value / 1000 for value in values("idle", "parley", key)], **beast("idle", key, scale=0.001))
if "accept" in results:
    alone("accept", "accept, µs", values("accept", "parley", "accept_cpu_us"), 0, **beast("accept", "accept_cpu_us", 0))
if "ticket" in results:
    alone("ticket", "  with a ticket, µs", values("ticket", "parley", "accept_cpu_us"), 0, **beast("ticket", "accept_cpu_us", 0))
if "chunks" in results:
    compare("chunks", "16 KB chunk, µs (floor)", "cpu_us", other="floor", digits=1)
if "loops" in results:
    one, first, second = (values("loops", server, "messages_per_s") for server in ("one", "first", "second"))
    gains = [(b + c) / a for a, b, c in zip(one, first, second)]
    # Two loops can't do more than twice the work of one: a higher gain means that other load disturbed the run with one loop.
    limit, judged = verdict("loops", median(gains))
    if median(gains) > 2.1:
        judged = "disturbed"
    rows.append(("two loops for one, messages/s", spread([b + c for b, c in zip(first, second)], 0), spread(one, 0) + " one",
                 f"{median(gains):.2f}", limit, judged))
    costs_one, costs_first = (values("loops", server, "cpu_us") for server in ("one", "first"))
    costs_two = [cost * b / (b + c) for cost, b, c in zip(costs_first, first, second)]
    rows.append(("  µs a message", spread(costs_two, 2), spread(costs_one, 2) + " one",
                 f"{median([two / one for one, two in zip(costs_one, costs_two)]):.2f}", "", ""))
if "deflate" in results:
    for mode in ("off", "shared", "dedicated"):
        cost, kept = (values("deflate", mode, key) for key in ("cpu_us", "rss_bytes_per_connection"))
        rows.append((f"text of 600, deflate {mode}, µs", spread(cost, 1), "", "", "", ""))
        rows.append(("  kept for a connection, KB", spread([value / 1000 for value in kept], 1), "", "", "", ""))
if "sessions" in results:
    windows = results["sessions"]["parley"][1]
    alone("sessions", "10,000 sessions, p99 in ms", [window["p99_us"] / 1000 for window in windows], 2)
    alone("sessions-memory", "  memory, MB", [window["rss_kb"] / 1000 for window in windows], 0)

header = ("", "Parley", "peer", "ratio", "threshold", "")
widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
print()
for row in [header, *rows]:
    print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
if "sessions" in results:
    print("\n10,000 sessions, minute by minute, p50 / p99 in ms:")
    print("  ".join(f"{window['p50_us'] / 1000:.2f} / {window['p99_us'] / 1000:.2f}" for window in windows))
trouble = [f"{line} on {server}" for line, servers in results.items() for server, all_rounds in servers.items()
           if any(run["skipped"] or run["closed"] or run["errors"] for runs in all_rounds.values() for run in runs)]
if trouble:
    print("\nMessages or connections failed in: " + ", ".join(trouble))
sys.exit(any(row[-1] == "missed" for row in rows))
