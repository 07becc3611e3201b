# SPDX-License-Identifier: Apache-2.0
"""A gateway that keeps its ports and its store over restarts, and a slow upstream behind it."""
import asyncio
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

UPSTREAM = pathlib.Path(__file__).parents[2] / "Cluster/upstream.py"
UNLIMITED = (
    "connections.max", "connections.per_address", "connections.handshakes_per_second", "sessions.max", "sessions.max_detached",
    "limits.text_per_minute", "limits.audio_per_minute", "limits.control_per_minute", "limits.bytes_per_second",
)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Gateway:
    """The executable with an SQLite store, whose acknowledgements survive `kill -9`."""

    def __init__(self, executable):
        self.directory = tempfile.mkdtemp(prefix="parley-sdk-")
        self.upstream = subprocess.Popen([sys.executable, str(UPSTREAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        upstream = json.loads(self.upstream.stdout.readline())["port"]
        self.tls_port, self.port = free_port(), free_port()
        flags = {
            "listen.address": f"127.0.0.1:{self.tls_port}", "listen.plain": f"127.0.0.1:{self.port}", "listen.loops": 2,
            "connections.trusted_proxies": "127.0.0.1/32", "operations.address": f"127.0.0.1:{free_port()}", "logging.format": "json",
            "logging.level": "info", "store.kind": "sqlite", "store.path": "sdk.sqlite", "store.synchronous": "full",
            "upstreams.echo.kind": "loopback", "upstreams.slow.kind": "http", "upstreams.slow.urls": f"http://127.0.0.1:{upstream}",
            "upstreams.slow.max_connections": 500, "upstreams.slow.max_waiting": 500, "routes.default.upstreams": "echo",
            "routes.slow.upstreams": "slow", "routes.slow.meta": "speed=slow",
        } | {key: 0 for key in UNLIMITED}
        self.arguments = [executable, "serve", *(part for key, value in flags.items() for part in ("--" + key, str(value)))]
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
        self.log = open(os.path.join(self.directory, "log"), "ab")
        self.kills = []
        """The times at which the gateway was killed."""

    async def start(self):
        self.process = subprocess.Popen(
            self.arguments, cwd=self.directory, env=self.environment, stdout=self.log, stderr=subprocess.STDOUT)
        for _ in range(2000):
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                await asyncio.sleep(0.01)
        raise SystemExit(f"the gateway didn't start; see {self.log.name}")

    def kill(self):
        self.kills.append(time.monotonic())
        self.process.kill()
        self.process.wait()

    def close(self, *, keeps_log):
        self.process.kill()
        self.process.wait()
        self.upstream.kill()
        self.upstream.wait()
        if not keeps_log:
            shutil.rmtree(self.directory)
