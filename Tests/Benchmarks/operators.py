#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures the routes that operators.sh describes. Exits with 1 if a figure is above its threshold."""
import argparse
import http.client
import json
import subprocess
import sys
import threading
import time

PING = '{"type":"ping","id":"########"}'
ROUTES = [
    "/metrics",
    "/ws/stats",
    "/ws/stats/detailed?limit=500",
    "/v1/sessions?sort=memory&limit=50",
    "/v1/sessions?limit=50",
    "/v1/gateway",
]


def arguments():
    parser = argparse.ArgumentParser()
    for name in "port", "operations", "sessions", "requests", "pid":
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--load", required=True)
    parser.add_argument("--longest", type=float, required=True, help="ms, 99th percentile of each route")
    parser.add_argument("--stall", type=float, required=True, help="ms, the longest stall of the event loop")
    return parser.parse_args()


def request(port, method, target, body=None):
    """Returns the body of a response and its time in milliseconds."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Content-Type": "application/json"} if body else {}
    begin = time.perf_counter()
    connection.request(method, target, body=body, headers=headers)
    response = connection.getresponse()
    data = response.read()
    elapsed = (time.perf_counter() - begin) * 1000
    connection.close()
    if response.status >= 300:
        sys.exit(f"operators: {method} {target}: {response.status} {data[:200]!r}")
    return data, elapsed


def attached(port):
    return json.loads(request(port, "GET", "/v1/gateway")[0])["sessions"]["attached"]


def lags(port):
    """Returns the upper bounds in ms of the event loop's lag that /metrics counts, with their counts."""
    counts = {}
    for line in request(port, "GET", "/metrics")[0].decode().splitlines():
        if line.startswith("parley_event_loop_lag_seconds_bucket{"):
            bound = line.split('le="')[1].split('"')[0]
            counts[bound] = counts.get(bound, 0) + int(float(line.rsplit(" ", 1)[1]))
    return counts


class Pings:
    """A client that sends 200 pings per second while the body of the with statement runs."""

    def __init__(self, options, seconds):
        self.command = [options.load, "--port", str(options.port), "--pid", str(options.pid), "--connections", "1"]
        self.command += ["--text", PING, "--rate", "200", "--warm", "0.5", "--seconds", str(seconds)]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_):
        figures = json.loads(self.process.communicate()[0])
        self.p50, self.p99, self.p999 = (figures[name] / 1000 for name in ("p50_us", "p99_us", "p999_us"))


def main():
    options = arguments()
    deadline = time.monotonic() + 180
    while attached(options.operations) < options.sessions:
        if time.monotonic() > deadline:
            sys.exit("operators: the sessions didn't connect within 180 s")
        time.sleep(0.5)
    time.sleep(2)
    missed = []
    with Pings(options, 5) as quiet:
        pass
    print(f"pings without operators   p50 {quiet.p50:7.2f}  p99 {quiet.p99:7.2f}  p999 {quiet.p999:7.2f} ms", flush=True)
    for route in ROUTES:
        times = []

        def poll():
            for _ in range(options.requests):
                times.append(request(options.operations, "GET", route)[1])

        thread = threading.Thread(target=poll)
        before = lags(options.operations)
        with Pings(options, 5) as pings:
            thread.start()
        thread.join()
        after = lags(options.operations)
        times.sort()
        p50, p99 = times[len(times) // 2], times[min(len(times) - 1, len(times) * 99 // 100)]
        over = stalls(before, after, options.stall)
        print(
            f"{route:34} p50 {p50:7.2f}  p99 {p99:7.2f}  max {times[-1]:7.2f} ms;"
            f" pings p99 {pings.p99:6.2f}  p999 {pings.p999:6.2f} ms; stalls above {options.stall:g} ms: {over}",
            flush=True,
        )
        if p99 > options.longest:
            missed.append(f"{route}: p99 {p99:.1f} ms")
        if over:
            missed.append(f"{route}: the event loop stalled for more than {options.stall:g} ms")
    before = lags(options.operations)
    with Pings(options, 5) as pings:
        body = json.dumps({"type": "text", "text": "Maintenance begins in ten minutes.", "ttl": "60s"})
        answer, elapsed = request(options.operations, "POST", "/v1/messages", body)
    answer = json.loads(answer)
    over = stalls(before, lags(options.operations), options.stall)
    print(
        f"message to all: {len(answer['sessions'])} sessions in {elapsed:.1f} ms; pings p99 {pings.p99:.2f}  p999 {pings.p999:.2f} ms;"
        f" stalls above {options.stall:g} ms: {over}"
    )
    if over:
        missed.append("message to all: the event loop stalled")
    for text in missed:
        print(f"operators: above the threshold: {text}", file=sys.stderr)
    sys.exit(1 if missed else 0)


def stalls(before, after, milliseconds):
    """Returns the number of lags above a bound between two scrapes; the bound must be one of the histogram's."""
    bound = next((name for name in after if name != "+Inf" and abs(float(name) * 1000 - milliseconds) < 1e-9), None)
    if bound is None:
        sys.exit(f"operators: the histogram has no bound of {milliseconds:g} ms: {', '.join(after)}")
    total, within = (after.get(name, 0) - before.get(name, 0) for name in ("+Inf", bound))
    return total - within


if __name__ == "__main__":
    main()
