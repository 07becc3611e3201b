# SPDX-License-Identifier: Apache-2.0

"""The environment of rounds.py: the gateway, its doubles, and the report."""
import asyncio
import collections
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from rounds_faults import DOUBLES, HANDSHAKES, PATHS, SOCKETS, STREAMED, handshake_upstream

HERE = pathlib.Path(__file__).resolve().parent
# Parallel sessions per fault. This many failures don't open the breaker yet; three times as many do.
TOGETHER, PROCESSES_TOGETHER = 32, 6
# Each lane has doubles of its own: see lane_of.
LANES = "flc"
# Maximum connections and processes of one upstream.
MAX_CONNECTIONS, MAX_PROCESSES = 600, 160
COMMON = """
    connect_timeout: 500ms
    first_byte_timeout: 1s
    total_timeout: 5s
    idle_close: 2s
    retries: 0
    breaker_rate: 0
    breaker_open: 200ms
"""
# Only for upstreams that respond.
RESPONDING = """
    between_bytes_timeout: 1s
    max_answer_bytes: 1MB
"""
# Priorities, so that the neighbor measures the gateway's latency and not a lack of cores. Faulty processes would inherit the gateway's priority, so
# theirs is lowered again.
BEFORE_OTHERS = ["nice", "-n", "-5"] if os.geteuid() == 0 else []
AFTER_OTHERS = "nice, -n, \"5\", " if os.geteuid() == 0 else ""
# For upstreams with too few successes in between.
NEVER = "    breaker_failures: 1000\n"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


class Report:
    def __init__(self):
        self.passed = 0
        self.failed = []
        self.rows = []

    def check(self, name, is_right, details=""):
        if is_right:
            self.passed += 1
        else:
            self.failed.append(f"{name}: {details}" if details else name)
            print(f"FAILED  {self.failed[-1]}", flush=True)
        return is_right

    def remark(self, text):
        print(f"remark  {text}", flush=True)

    def row(self, kind, fault, rounds, codes, leaks):
        """Adds a row to the final table."""
        self.rows.append((kind, fault, rounds, codes, leaks))

    def table(self):
        """Returns all rows in Markdown."""
        lines = ["| kind | fault | rounds | codes (! not retryable) | leaks |", "|---|---|---:|---|---|"]
        return "\n".join(lines + [f"| {' | '.join(map(str, row))} |" for row in self.rows])


REPORT = Report()


class Ledger:
    """The events of one double: open requests, counters and process ids."""

    def __init__(self):
        self.open = 0
        self.counts = collections.Counter()
        self.ends = []
        self.begun = asyncio.Condition()
        self.pids = set()
        self.forked = []
        self.wrong = []
        self.connections = 0

    async def record(self, line):
        try:
            event = json.loads(line)
        except ValueError:
            return
        kind = event.get("event")
        self.counts[kind] += 1
        if kind == "request":
            self.open += 1
        elif kind in ("completed", "cancelled", "broken", "failed"):
            self.open -= 1
            if kind == "cancelled":
                self.ends.append((time.monotonic(), event.get("id"), event.get("after_ms")))
            if kind == "failed":
                self.wrong.append(line[:200])
        elif kind in ("malformed", "rejected"):
            self.wrong.append(line[:200])
        elif kind == "connected":
            self.connections += 1
            if "pid" in event:
                self.pids.add(event["pid"])
        elif kind == "disconnected":
            self.connections -= 1
        elif kind == "forked":
            self.forked.append(event["pid"])
        async with self.begun:
            self.begun.notify_all()

    async def until(self, condition, seconds):
        try:
            async with self.begun:
                await asyncio.wait_for(self.begun.wait_for(condition), seconds)
            return True
        except asyncio.TimeoutError:
            return condition()


class Double:
    """A faulty.py process and its ledger."""

    def __init__(self, kind, *arguments, before=()):
        self.kind = kind
        self.arguments = arguments
        self.before = before
        self.ledger = Ledger()

    async def start(self):
        self.process = await asyncio.create_subprocess_exec(
            *self.before, sys.executable, str(HERE / "faulty.py"), "--kind", self.kind, *self.arguments, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, limit=1 << 20)
        self.port = json.loads(await self.process.stdout.readline())["port"]
        self.reading = asyncio.create_task(self.read())
        return self

    async def read(self):
        while line := await self.process.stdout.readline():
            await self.ledger.record(line.decode(errors="replace"))

    async def stop(self):
        self.process.stdin.close()
        await self.process.wait()


class Relay:
    """A port that accepts connections only while opened."""

    def __init__(self, target):
        self.target = target
        self.port = free_port()
        self.server = None
        self.tasks = set()

    async def open(self):
        if not self.server:
            self.server = await asyncio.start_server(self.connected, "127.0.0.1", self.port, backlog=512)

    async def shut(self):
        if self.server:
            self.server.close()
            self.server = None
        for task in list(self.tasks):
            task.cancel()
        while self.tasks:
            await asyncio.sleep(0.005)

    async def connected(self, reader, writer):
        task = asyncio.current_task()
        self.tasks.add(task)
        try:
            other_reader, other = await asyncio.open_connection("127.0.0.1", self.target)
            await asyncio.wait(
                {asyncio.create_task(self.pump(reader, other)), asyncio.create_task(self.pump(other_reader, writer))},
                return_when=asyncio.FIRST_COMPLETED)
            other.close()
        except (OSError, asyncio.CancelledError):
            with contextlib.suppress(NameError, UnboundLocalError):
                other.close()
        finally:
            writer.close()
            self.tasks.discard(task)

    @staticmethod
    async def pump(reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()


class Gateway:
    def __init__(self, executable, configuration):
        self.executable = executable
        self.directory = tempfile.mkdtemp(prefix="parley-rounds-")
        os.mkdir(f"{self.directory}/config")
        for name, text in zip(("gateway", "development"), configuration):
            pathlib.Path(f"{self.directory}/config/{name}.yaml").write_text(text)
        self.ledger = Ledger()
        self.port = self.operations = None

    async def start(self):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
        self.log = open(f"{self.directory}/log", "ab")
        # Its worker processes write their events to standard error.
        self.process = await asyncio.create_subprocess_exec(
            *BEFORE_OTHERS, self.executable, "serve", cwd=self.directory, env=environment, stdout=self.log, stderr=subprocess.PIPE, limit=1 << 20)
        self.reading = asyncio.create_task(self.read())
        deadline = time.monotonic() + 30
        while not (self.port and self.operations):
            if time.monotonic() > deadline or self.process.returncode is not None:
                sys.exit(f"the gateway didn't start; its log is {self.directory}/log")
            await asyncio.sleep(0.05)
            text = pathlib.Path(f"{self.directory}/log").read_text(errors="replace")
            if found := re.search(r'listening on 127\.0\.0\.1:(\d+)"', text):
                self.operations = int(found[1])
            if found := re.search(r'"msg":"listening","address":"127\.0\.0\.1:(\d+)"', text):
                self.port = int(found[1])
        return self

    async def read(self):
        while line := await self.process.stderr.readline():
            text = line.decode(errors="replace")
            if text.startswith("{"):
                await self.ledger.record(text)
            else:
                with open(f"{self.directory}/errors", "a", encoding="utf-8") as file:
                    file.write(text)

    @property
    def url(self):
        return f"wss://127.0.0.1:{self.port}/v1/ws"

    @property
    def pid(self):
        return self.process.pid

    def resident(self):
        for line in open(f"/proc/{self.pid}/status", encoding="ascii"):
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def children(self):
        """Returns the state of each child by pid."""
        found = {}
        for name in os.listdir("/proc"):
            if name.isdigit():
                with contextlib.suppress(OSError):
                    fields = open(f"/proc/{name}/stat", encoding="utf-8", errors="replace").read().rsplit(")", 1)[1].split()
                    if int(fields[1]) == self.pid:
                        found[int(name)] = fields[0]
        return found

    def fetch(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.operations, timeout=5)
        try:
            connection.request("GET", "/v1/gateway")
            return json.load(connection.getresponse())
        finally:
            connection.close()

    async def upstreams(self):
        status = await asyncio.to_thread(self.fetch)
        return {upstream["name"]: upstream for upstream in status["upstreams"]}

    async def quiet(self, seconds, names=None):
        """Waits up to `seconds` until the upstreams are idle. Returns those that aren't."""
        deadline = time.monotonic() + seconds
        while True:
            left = [
                f"{one['name']}: active {one['active']}, waiting {one['waiting']}, outstanding {[e['outstanding'] for e in one['endpoints']]}"
                for one in (await self.upstreams()).values()
                if (not names or one["name"] in names)
                and (one["active"] or one["waiting"] or any(e["outstanding"] for e in one["endpoints"]))
            ]
            if not left or time.monotonic() > deadline:
                return left
            await asyncio.sleep(0.1)


class Stage:
    """The gateway and its doubles."""

    def __init__(self, arguments, loops=0):
        self.arguments, self.loops = arguments, loops
        self.faulty, self.healthy, self.secure, self.relays = {}, {}, {}, {}

    async def start(self):
        kinds = self.arguments.kinds
        self.certificate = tempfile.mkdtemp(prefix="parley-rounds-tls-")
        pair = [f"{self.certificate}/cert.pem", f"{self.certificate}/key.pem"]
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-out", pair[0], "-keyout",
             pair[1]], check=True, capture_output=True)
        for kind in sorted({DOUBLES[kind] for kind in kinds if kind in DOUBLES}):
            for lane in LANES:
                self.faulty[kind, lane] = await Double(kind).start()
            self.healthy[kind] = await Double(kind, before=BEFORE_OTHERS).start()
            self.secure[kind] = await Double(kind, "--tls", *pair).start()
        for kind in kinds:
            if kind in DOUBLES:
                self.relays[kind] = Relay(self.healthy[DOUBLES[kind]].port)
        self.gateway = await Gateway(self.arguments.executable, self.configuration()).start()

    def configuration(self):
        lines = [
            f"listen:\n  address: 127.0.0.1:0\n  loops: {self.loops}\noperations:\n  address: 127.0.0.1:0\nlogging:\n  format: json\n  level: info",
            "connections:\n  max: 4000\n  per_address: 0\n  handshakes_per_second: 0",
            "messages:\n  max_violations: 0",
            "limits:\n" + "\n".join(f"  {name}: 0" for name in (
                "text_per_minute", "audio_per_minute", "audio_chunks_per_second", "audio_realtime_factor", "control_per_minute",
                "refusals_per_minute", "bytes_per_second", "global_per_second")),
            "sessions:\n  max: 4000\n  max_detached: 4000\n  resume_window: 1s\n  sweep: 1s\n  history_messages: 0",
            "reports:\n  keep: 5s\n  content: metadata", "store:\n  kind: memory", "shutdown:\n  drain: 2s", "upstreams:",
        ]
        more_lines = ["upstreams:"]
        routes = ["routes:"]

        def add(name, kind, port=None, query="", is_secure=False, more="", responds=True):
            if kind == "process":
                where = (
                    f"    kind: process\n    command: [{self.program(query)}]\n    max_processes: {PROCESSES_TOGETHER + 1}\n"
                    f"    breaker_failures: {2 * PROCESSES_TOGETHER}"
                )
            else:
                scheme = ("ws" if kind in SOCKETS else "http") + ("s" if is_secure else "")
                path = PATHS.get(kind, "/")
                where = (
                    f"    kind: {'openai' if kind in PATHS else kind.split('_')[0]}\n"
                    f"    urls: [\"{scheme}://127.0.0.1:{port}{path}{query}\"]\n    breaker_failures: {3 * TOGETHER // 2}\n"
                    f"    max_connections: {MAX_CONNECTIONS}"
                ) + (f"\n    task: {kind}\n    model: double" if kind in PATHS else "")
                where += "\n    history_messages: 0" if kind == "chat" else ""
            common = COMMON + (RESPONDING if responds else "")
            fields = dict(line.split(": ", 1) for line in (where + common + more).splitlines() if line.strip())
            (more_lines if name[0] == "h" else lines).append(f"  {name}:\n" + "\n".join(f"{key}: {value}" for key, value in fields.items()))
            routes.append(f"  {name}:\n    meta: [to={name}]\n    upstreams: [{name}]")

        for kind in self.arguments.kinds:
            double = DOUBLES.get(kind)
            port, crowd, ended = (self.faulty[double, lane].port if double else None for lane in LANES)
            add(f"f_{kind}", kind, port)
            # Just enough for correct responses: each endless response is read up to this limit.
            add(f"e_{kind}", kind, port, more=f"    max_answer_bytes: {'2KB' if kind in STREAMED - {'speech'} else '64KB'}\n")
            add(f"n_{kind}", kind, self.healthy[double].port if double else None, query="" if double else "healthy")
            add(f"r_{kind}", kind, self.relays[kind].port if double else None, query="" if double else "missing")
            long_timeouts = (
                "    connect_timeout: 10s\n    first_byte_timeout: 30s\n    total_timeout: 60s\n    wait_timeout: 30s\n"
                "    max_answer_bytes: 1GB\n"
            )
            many = "" if double else f"    max_processes: {MAX_PROCESSES}\n"
            # The first requests of a crowd fail while others still begin; the breaker would reject those.
            add(f"l_{kind}", kind, crowd, more=many + NEVER)
            add(f"c_{kind}", kind, ended, more=long_timeouts + many)
            if double:
                add(f"t_{kind}", kind, self.secure[double].port, is_secure=True, more=NEVER, responds=False)
            if kind in SOCKETS:
                for fault in HANDSHAKES:
                    query = "?fault=" + fault.replace(" ", "+")
                    add(handshake_upstream(kind, fault), kind, port, query=query, more=NEVER, responds=False)
        # Two files, because a file is limited to 1000 entries.
        return "\n".join(lines) + "\n", "\n".join(more_lines + routes) + "\n"

    def program(self, query):
        if query == "missing":
            return "/nonexistent/program"
        # On the other core, if the gateway has one of its own.
        elsewhere = "taskset, -c, \"1\", " if self.loops == 1 else ""
        priority = AFTER_OTHERS
        if query == "healthy":
            # The same priority that neighbors.py gives the other healthy doubles.
            priority = "chrt, --fifo, \"1\", " if self.loops == 1 and os.geteuid() == 0 else ""
        return elsewhere + priority + f"{sys.executable}, {HERE / 'quick_process.py'}"

    def ledger(self, kind, lane):
        return self.faulty[DOUBLES[kind], lane].ledger if kind in DOUBLES else self.gateway.ledger

    async def stop(self):
        gateway = self.gateway
        if gateway.process.returncode is None:
            gateway.process.send_signal(signal.SIGTERM)
            try:
                code = await asyncio.wait_for(gateway.process.wait(), 20)
                REPORT.check("the gateway exits with 0", code == 0, f"status {code}")
            except asyncio.TimeoutError:
                gateway.process.kill()
                REPORT.check("the gateway exits within 20 s of SIGTERM", False)
        for double in [*self.faulty.values(), *self.healthy.values(), *self.secure.values()]:
            await double.stop()
        shutil.rmtree(self.certificate, ignore_errors=True)
