# SPDX-License-Identifier: Apache-2.0
"""The blocks of a page, and the directory, gateway and web server with which they are run."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "Sources/GatewayServer/Documentation.docc"
EXECUTABLE = Path(os.environ.get("PARLEY_EXECUTABLE") or ROOT / ".build/release/parley").resolve()


@dataclass
class Block:
    language: str
    code: str
    directive: str
    place: str


def blocks(name: str) -> list[Block]:
    found: list[Block] = []
    lines = (PAGES / name).read_text().split("\n")
    start = None
    for number, line in enumerate(lines):
        if not line.startswith("```"):
            continue
        if start is None:
            start = number
            continue
        comment = re.fullmatch(r"<!-- test: (.*) -->", lines[start - 1])
        code = "\n".join(lines[start + 1 : number]) + "\n"
        found.append(Block(lines[start][3:], code, comment[1] if comment else "", f"{name}:{start + 1}"))
        start = None
    return found


class Run:
    """A directory like the repository's root, in which the blocks of a page are run."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="parley-pages-"))
        for name in ("Sources", "Tests", "deploy"):
            (self.directory / name).symlink_to(ROOT / name)
        shutil.copytree(ROOT / "config", self.directory / "config")
        (self.directory / "bin").mkdir()
        program = self.directory / "bin/parley"
        program.write_text(f"#!/bin/sh\nexec env -u PARLEY_EXECUTABLE '{EXECUTABLE}' \"$@\"\n")
        program.chmod(0o755)
        python = Path(sys.executable).parent
        self.environment = {
            "PATH": f"{self.directory}/bin:{python}:/usr/local/bin:/usr/bin:/bin", "HOME": str(self.directory), "LC_ALL": "C.UTF-8",
            "PYTHONPATH": str(ROOT / "Sources/parley-python/src"),
        }
        self.server: subprocess.Popen[bytes] | None = None

    def serve(self, code: str = "parley serve") -> None:
        self.stop()
        with open(self.directory / "log", "wb") as log:
            self.server = subprocess.Popen(
                ["/bin/bash", "-euc", code], cwd=self.directory, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen("http://127.0.0.1:9464/readyz", timeout=5):
                return
            if self.server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"no gateway: {(self.directory / 'log').read_text()[-2000:]}")
            time.sleep(0.1)

    def run(self, block: Block) -> str:
        program = [sys.executable, "-c", block.code] if block.language == "python" else ["/bin/bash", "-euo", "pipefail", "-c", block.code]
        done = subprocess.run(program, cwd=self.directory, env=self.environment, capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise AssertionError(f"{block.place}: {done.stdout[-1000:]} {done.stderr[-1000:]}")
        return done.stdout

    def stop(self) -> None:
        if not self.server:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.server.pid, signal.SIGTERM)
        try:
            self.server.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(self.server.pid, signal.SIGKILL)
            self.server.wait()
        self.server = None

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


def pattern(text: str) -> re.Pattern[str]:
    """`…` matches any text within a line, and any lines if it is a line of its own."""
    lines = text.rstrip("\n").split("\n")
    return re.compile("".join(r"(?:.*\n)*" if line == "…" else ".*".join(map(re.escape, line.split("…"))) + "\n" for line in lines))


class Site:
    """A web page's own server, on the port of the examples."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.headers: dict[str, str] = {}
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.respond(site.files.get(self.path, ""))

            def do_POST(self) -> None:
                # The back end of the page about tokens.
                body = json.dumps({"user": "ada", "expires_in": "5m"}).encode()
                with urllib.request.urlopen("http://127.0.0.1:9464/v1/tokens", data=body, timeout=10) as response:
                    self.respond(json.load(response)["token"])

            def respond(self, text: str) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/javascript" if self.path.endswith(".js") else "text/html; charset=utf-8")
                for name, value in site.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 8000), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
