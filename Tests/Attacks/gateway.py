# SPDX-License-Identifier: Apache-2.0

"""The gateway under attack: runs on a core of its own; its state is read from /proc and its operations listener."""
import asyncio
import http.client
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

CORES = sorted(os.sched_getaffinity(0))
# The gateway has the first core to itself; all other processes use the others.
GATEWAY_CORES = set(CORES[:1])
OTHER_CORES = set(CORES[1:] or CORES)

# Limits per address are disabled, since each connection has its own address, unless an attack overrides that. Message limits are above the
# rate of the well-behaved client. Deadlines are short, so that they expire during an attack.
FLAGS = {
    "listen.address": "127.0.0.1:0", "listen.loops": "1", "operations.address": "127.0.0.1:0",
    "logging.format": "json", "logging.level": "info",
    "connections.per_address": "100000", "connections.handshakes_per_second": "0",
    "limits.text_per_minute": "100000", "limits.control_per_minute": "100000",
    "delivery.send_timeout": "2s", "tls.handshake_timeout": "2s", "http.header_timeout": "3s", "websocket.close_timeout": "1s",
    "sessions.sweep": "1s", "sessions.resume_window": "3s",
}
UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


class Gateway:
    def __init__(self, executable, flags=None, descriptors=None):
        self.directory = tempfile.mkdtemp(prefix="parley-attacks-")
        flags = FLAGS | (flags or {})
        arguments = [part for key, value in flags.items() for part in ("--" + key, value)]
        # Only the flags configure this gateway, not environment variables.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
        printed = subprocess.run(
            [executable, "config", "print"] + arguments, cwd=self.directory, env=environment, check=True, capture_output=True, text=True)
        self.configuration = dict(line.split()[:2] for line in printed.stdout.splitlines() if "#" in line)

        def prepare():
            os.sched_setaffinity(0, GATEWAY_CORES)
            if descriptors:
                resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

        with open(os.path.join(self.directory, "log"), "wb") as log:
            self.process = subprocess.Popen(
                [executable, "serve"] + arguments, cwd=self.directory, env=environment, stdout=log, stderr=subprocess.STDOUT,
                preexec_fn=prepare)
        self.port = self.operations = None
        deadline = time.monotonic() + 30
        while self.port is None or self.operations is None:
            if time.monotonic() > deadline or self.process.poll() is not None:
                sys.exit(f"the gateway didn't start; see {self.directory}/log")
            time.sleep(0.05)
            for line in self.log().decode(errors="replace").splitlines():
                if found := re.search(r'listening on 127\.0\.0\.1:(\d+)"', line):
                    self.operations = int(found[1])
                elif found := re.search(r'"msg":"listening","address":"127\.0\.0\.1:(\d+)"', line):
                    self.port = int(found[1])

    @property
    def url(self):
        return f"wss://127.0.0.1:{self.port}/v1/ws"

    def bytes(self, key):
        """Returns the value of a configuration key that is a size or a number."""
        number, unit = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", self.configuration[key]).groups()
        return float(number) * UNITS[unit]

    def log(self):
        with open(os.path.join(self.directory, "log"), "rb") as log:
            return log.read()

    def resident(self, field="VmRSS"):
        """Returns the resident memory in bytes; with VmHWM, its peak since `reset_peak`."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith(field + ":"))

    def reset_peak(self):
        with open(f"/proc/{self.process.pid}/clear_refs", "w", encoding="ascii") as file:
            file.write("5")

    def processor(self):
        """Returns the used processor time in seconds."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def status(self):
        """Returns the status from the operations listener, or None when it can't be reached."""
        connection = http.client.HTTPConnection("127.0.0.1", self.operations, timeout=5)
        try:
            connection.request("GET", "/v1/gateway")
            return json.load(connection.getresponse())
        except (OSError, http.client.HTTPException, ValueError):
            return None
        finally:
            connection.close()

    async def until(self, condition, seconds):
        """Waits until `condition` is true; returns False on timeout."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline or self.process.poll() is not None:
                return False
            await asyncio.sleep(0.1)
        return True

    def stop(self, keeps_log):
        """Stops the gateway and returns the problems of its shutdown."""
        status = self.process.poll()
        if status is not None:
            return [f"the gateway exited ({status}); see {self.directory}/log"]
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if not keeps_log:
            shutil.rmtree(self.directory, ignore_errors=True)
        return [] if status == 0 else [f"the gateway's exit status was {status}"]
