# SPDX-License-Identifier: Apache-2.0
"""The processes of a cluster: Redis servers, a Sentinel, and gateways."""
import asyncio
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request


class Violation(Exception):
    """A violated guarantee."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class RedisError(Exception):
    """An error reply."""


def redis(port, *command, password=None, timeout=5):
    """Executes a command and returns its reply."""
    with socket.create_connection(("127.0.0.1", port), timeout) as connection:
        stream = connection.makefile("rwb")

        def call(*words):
            words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
            stream.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
            stream.flush()
            return reply()

        def reply():
            line = stream.readline()
            if not line:
                raise ConnectionError("closed")
            kind, rest = line[:1], line[1:-2]
            if kind == b"-":
                raise RedisError(rest.decode())
            if kind == b":":
                return int(rest)
            if kind == b"+":
                return rest
            if int(rest) < 0:
                return None
            if kind == b"$":
                return stream.read(int(rest) + 2)[:-2]
            return [reply() for _ in range(int(rest))]

        if password:
            call("AUTH", password)
        return call(*command)


class Process:
    """A process that can be killed, suspended and started again."""

    def __init__(self, name, directory, command):
        self.name, self.directory, self.command = name, directory, command
        os.makedirs(directory, exist_ok=True)
        self.log = os.path.join(directory, "log")
        self.process = None

    def launch(self):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, cwd=self.directory, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    @property
    def is_running(self):
        return self.process is not None and self.process.poll() is None

    async def start(self):
        self.launch()
        begin = time.monotonic()
        while not self.is_ready():
            if not self.is_running:
                raise Violation(f"{self.name} exited with {self.process.returncode}; see {self.log}")
            if time.monotonic() - begin > 30:
                raise Violation(f"{self.name} isn't ready after 30 s; see {self.log}")
            await asyncio.sleep(0.02)
        return time.monotonic() - begin

    def is_ready(self):
        return True

    def signal(self, number):
        if self.is_running:
            self.process.send_signal(number)

    def kill(self):
        if self.is_running:
            self.process.kill()
        if self.process:
            self.process.wait()

    async def terminate(self, timeout=60):
        """Sends SIGTERM and waits for the end. Returns the time that took, in seconds."""
        begin = time.monotonic()
        self.signal(signal.SIGTERM)
        while self.is_running:
            if time.monotonic() - begin > timeout:
                raise Violation(f"{self.name} doesn't end; see {self.log}")
            await asyncio.sleep(0.01)
        return time.monotonic() - begin


class Redis(Process):
    """A Redis server, with an append-only file so that it survives a kill."""

    def __init__(self, directory, name="redis", fsync="always", options=(), port=None):
        self.port = port or free_port()
        super().__init__(name, os.path.join(directory, name), [
            "redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", fsync,
            "--auto-aof-rewrite-percentage", "0", "--repl-diskless-sync-delay", "0", *options])

    password = None

    def is_ready(self):
        try:
            return redis(self.port, "PING", password=self.password, timeout=1) == b"PONG"
        except (OSError, RedisError):
            return False

    def call(self, *command):
        return redis(self.port, *command, password=self.password)


class Sentinel(Process):
    """A Sentinel that watches one master."""

    def __init__(self, directory, master):
        self.port = free_port()
        super().__init__("sentinel", os.path.join(directory, "sentinel"), [
            "redis-server", os.path.join(directory, "sentinel", "sentinel.conf"), "--sentinel"])
        with open(os.path.join(self.directory, "sentinel.conf"), "w", encoding="ascii") as file:
            file.write(f"port {self.port}\nbind 127.0.0.1\ndir {self.directory}\nsentinel monitor main 127.0.0.1 {master} 1\n"
                       "sentinel down-after-milliseconds main 700\nsentinel failover-timeout main 3000\n")

    def is_ready(self):
        try:
            return redis(self.port, "PING", timeout=1) == b"PONG"
        except (OSError, RedisError):
            return False

    def master(self):
        """Returns the port of the master."""
        return int(redis(self.port, "SENTINEL", "get-master-addr-by-name", "main")[1])

    def replicas(self):
        """Returns the number of replicas that can be promoted."""
        rows = [dict(zip(row[::2], row[1::2])) for row in redis(self.port, "SENTINEL", "replicas", "main")]
        return sum(1 for row in rows if row[b"flags"] == b"slave" and row[b"master-link-status"] == b"ok")


class Node(Process):
    """A gateway, which keeps its name and ports across restarts."""

    def __init__(self, number, executable, directory, flags):
        self.number = number
        super().__init__(f"node-{number}", os.path.join(directory, f"node-{number}"), [
            executable, "serve", "--environment", "development"] + [part for key, value in flags.items() for part in ("--" + key, str(value))])
        self.listen = int(flags["listen.address"].rpartition(":")[2])
        self.operations = int(flags["operations.address"].rpartition(":")[2])
        # The port for clients: that of a proxy, if there is one.
        self.port = self.listen

    def readiness(self):
        """Returns the status of /readyz and the response; 0 without one."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.operations}/readyz", timeout=2) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def is_ready(self):
        return self.readiness()[0] == 200

    def lines(self, since=0):
        """Returns the log lines from an offset on."""
        if not os.path.exists(self.log):
            return
        with open(self.log, "rb") as log:
            log.seek(since)
            for line in log.read().decode(errors="replace").splitlines():
                try:
                    yield json.loads(line)
                except ValueError:
                    yield {"msg": line, "level": "crash"}

    def log_size(self):
        return os.path.getsize(self.log) if os.path.exists(self.log) else 0
