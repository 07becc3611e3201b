#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures the console in a headless Chromium, as operators.sh --console describes. Exits with 1 if a figure is above its threshold.

At the widths of a phone and a desktop, light and dark: the time to the first content of each view, and the tasks that block the page (Long
Tasks API), while views are shown, sorted, filtered and updated.
"""
import argparse
import contextlib
import json
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "EndToEndTests" / "Clients"))
from chromium import Failure, Page, expect  # noqa: E402

OBSERVER = """
  window.longTasks = [];
  new PerformanceObserver(list => longTasks.push(...list.getEntries().map(entry => entry.duration))).observe({type: "longtask", buffered: true});
"""
ROWS = "document.querySelector('table.sessions tbody tr')"
# The seconds in which a view updates itself while its tasks are measured; the table updates every 5 s.
WATCHED = 6


def arguments():
    parser = argparse.ArgumentParser()
    for name in "port", "operations", "sessions", "user-sessions", "pid":
        parser.add_argument(f"--{name}", type=int, required=True)
    for name in "load", "token", "client-token", "user":
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--first", type=float, required=True, help="ms until a view has its first content")
    parser.add_argument("--task", type=float, required=True, help="ms, the longest task that blocks the page")
    parser.add_argument("--screenshots", help="a directory")
    return parser.parse_args()


def call(options, target, body=None):
    request = urllib.request.Request(f"http://127.0.0.1:{options.operations}{target}", method="POST" if body else "GET")
    request.add_header("Authorization", f"Bearer {options.token}")
    if body:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


class Churn:
    """Connections that open and close, so that the log has lines, while the body of the with statement runs."""

    def __init__(self, options):
        self.command = [options.load, "--port", str(options.port), "--pid", str(options.pid), "--connections", "20", "--rate", "1"]
        self.command += ["--header", f"Authorization: Bearer {options.client_token}", "--text", '{"type":"text","id":"########","text":"hello"}']
        self.command += ["--warm", "0", "--seconds", "1"]
        self.is_done = threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.is_done.is_set():
            subprocess.run(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __exit__(self, *_):
        self.is_done.set()
        self.thread.join()


class Measurement:
    """The figures of one width and color scheme."""

    def __init__(self, page, options, width, dark):
        self.page, self.options, self.missed = page, options, []
        self.name = f"{width}-{'dark' if dark else 'light'}"
        page.resize(width, dark=dark)

    def step(self, name, action, condition, watch=0.0):
        """Performs an action in the page, and measures until a condition is true in a frame, and the tasks until `watch` seconds later."""
        self.page.run("longTasks.length = 0")
        elapsed = self.page.run(f"""new Promise((resolve, reject) => {{
          const begin = performance.now();
          const check = () => {{
            let isTrue = false;
            try {{ isTrue = {condition}; }} catch {{ /* The view isn't shown yet. */ }}
            if (isTrue) resolve(performance.now() - begin);
            else if (performance.now() - begin > 15000) reject(new Error("not within 15 s"));
            else requestAnimationFrame(check);
          }};
          {action};
          requestAnimationFrame(check);
        }})""")
        time.sleep(watch)
        longest = max(self.page.run("longTasks"), default=0)
        print(f"{self.name:11} {name:28} {elapsed:7.0f} ms; longest task {f'{longest:.0f} ms' if longest else 'below 50 ms'}", flush=True)
        if elapsed > self.options.first:
            self.missed.append(f"{self.name} {name}: {elapsed:.0f} ms")
        if longest > self.options.task:
            self.missed.append(f"{self.name} {name}: a task of {longest:.0f} ms")
        cut, wide = self.page.overflowing(), self.page.run("document.documentElement.scrollWidth - innerWidth")
        if cut or wide > 0:
            self.missed.append(f"{self.name} {name}: too wide by {wide}: {cut[:3]}")
        if self.options.screenshots:
            self.page.screenshot(f"{self.options.screenshots}/{name.replace(' ', '-')}-{self.name}.png", height=1800)

    def run(self):
        user = json.dumps(self.options.user)
        self.step("overview", "location.hash = '#/'", "document.querySelectorAll('table.figures tbody tr').length >= 4", WATCHED)
        self.step("sessions", "location.hash = '#/sessions'", f"{ROWS} && document.querySelector('th[data-name=Memory]')", WATCHED)
        self.step(
            "sessions by errors", "document.querySelector('[data-key=sort-errors]').click()",
            "document.querySelector('th[aria-sort=descending]')?.dataset.name === 'Errors'")
        self.step(
            "sessions by memory", "document.querySelector('[data-key=sort-memory]').click()",
            "document.querySelector('th[aria-sort=descending]')?.dataset.name === 'Memory'")
        self.step(
            "next page", "[...document.querySelectorAll('button')].find(each => each.textContent === 'Next').click()",
            "document.querySelector('[role=status].help').textContent.startsWith('Page 2,')")
        self.step(
            "sessions of a user",
            f"document.getElementById('filter-user').value = {user}; document.querySelector('form.filters').requestSubmit()",
            f"document.querySelectorAll('table.sessions tbody tr').length === {self.options.user_sessions}"
            f" && [...document.querySelectorAll('td[data-name=User]')].every(each => each.textContent === {user})")
        self.step("session", f"{ROWS}.querySelector('a').click()", "document.querySelectorAll('.turn').length > 0", WATCHED)
        self.step("log", "location.hash = '#/log'", "document.querySelectorAll('.lines .line').length > 0", WATCHED)
        self.page.run("location.hash = '#/'")
        return self.missed


def main():
    options = arguments()
    deadline = time.monotonic() + 180
    while call(options, "/v1/gateway")["sessions"]["attached"] < options.sessions:
        if time.monotonic() > deadline:
            sys.exit("console: the sessions didn't connect within 180 s")
        time.sleep(0.5)
    call(options, "/v1/gateway/log-level", {"level": "info", "for": "1h"})
    missed = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory, Churn(options), contextlib.closing(Page(options.chromium, directory)) as page:
        page.call("Page.addScriptToEvaluateOnNewDocument", source=OBSERVER)
        page.open(f"http://127.0.0.1:{options.operations}/")
        page.wait("document.activeElement?.id === 'token'", "the login")
        page.type(options.token)
        page.press("Enter")
        page.wait("document.querySelectorAll('table.figures tbody tr').length >= 4", "the overview after the login")
        for width in 1280, 390:
            for dark in False, True:
                page.run("location.hash = '#/upstreams'")
                missed += Measurement(page, options, width, dark).run()
        expect(not page.problems, f"the browser reports {page.problems}")
    for text in missed:
        print(f"console: above the threshold: {text}", file=sys.stderr)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"console: {failure}")
