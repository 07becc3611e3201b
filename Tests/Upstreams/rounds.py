#!/usr/bin/env python3
"""Rounds of faults: what clients are told, what neighbours feel, and whether the gateway is afterwards what it was before.

    rounds.py --executable PARLEY [--rounds 1000] [--minutes 8] [--kinds websocket,process] [--faults die,huge] [--cancels 10000] [--seed N]

Starts a gateway in a folder of its own, and the doubles (faulty.py, faulty_process.py) behind it. For each kind and fault, sessions in parallel
ask for it again and again; each time the error has to be the right one, and the next good message of the session has to be answered, with its own
answer. Meanwhile a neighbour, in a process of its own, measures how long a ping takes, and a message to a healthy upstream of the same kind.
Then requests are cancelled in flight, and the gateway is killed with processes at work. Fails (exit 1) when something wasn't as it should be;
`remark` lines are for people. Needs the PyPI package websockets; rounds.sh sees to that.
"""
import argparse
import asyncio
import base64
import collections
import contextlib
import http.client
import itertools
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time

import websockets

HERE = pathlib.Path(__file__).resolve().parent
TLS = ssl.create_default_context()
TLS.check_hostname = False
TLS.verify_mode = ssl.CERT_NONE

KINDS = ["websocket", "vosk", "chat", "transcription", "speech", "http_json", "http_sse", "process"]
AUDIO = {"vosk", "transcription"}
BODIES = {"http_json", "transcription"}
HTTP = {"chat", "transcription", "speech", "http_json", "http_sse"}
SOCKETS = {"websocket", "vosk"}
DOUBLES = {
    "websocket": "websocket", "vosk": "vosk", "chat": "openai", "transcription": "openai", "speech": "openai", "http_json": "http",
    "http_sse": "http",
}
PATHS = {"chat": "/v1", "transcription": "/v1", "speech": "/v1"}
FAULTS = [
    "refuse", "tls", "hang", "stall", "die", "close", "close-fin", "rubbish", "rubbish-json", "rubbish-field", "garbage-status", "endless",
    "endless-rude", "trickle", "trickle-body 300", "huge", "huge 3000000", "twice", "twice-body", "other", "anonymous", "error 503", "error 500",
    "error 429", "error 400", "redirect", "slow 300", "status",
]
HANDSHAKES = ["hang", "die", "close", "rubbish", "garbage-status", "error 503", "redirect", "trickle", "slow 200"]
# What ends with a deadline, so that many are asked for at once.
LONG = {"hang", "stall", "trickle", "trickle-body 300", "other", "slow 300", "handshake hang", "handshake trickle", "rubbish-field"}
OF_HTTP = {"close-fin", "garbage-status", "trickle-body 300", "twice-body", "redirect", "error 429", "error 400"}
STREAMED = {"websocket", "vosk", "chat", "speech", "http_sse", "process"}
UNTIL_MINE = {"refuse", "tls"}

UNAVAILABLE, TIMEOUT, ERROR = "upstream_unavailable", "upstream_timeout", "upstream_error"
# A code with ! isn't retryable.
EXPECTED = {
    "refuse": {UNAVAILABLE}, "tls": {UNAVAILABLE}, "hang": {TIMEOUT}, "stall": {TIMEOUT}, "die": {ERROR}, "close": {ERROR}, "close-fin": {ERROR},
    "rubbish": {ERROR}, "rubbish-json": {ERROR}, "rubbish-field": {ERROR}, "garbage-status": {ERROR}, "endless": {ERROR + "!"},
    "endless-rude": {ERROR + "!"}, "trickle": {TIMEOUT}, "trickle-body 300": {TIMEOUT}, "huge": {ERROR + "!"}, "huge 3000000": {ERROR + "!"},
    "twice": {"ok"}, "twice-body": {"ok"}, "other": {TIMEOUT}, "anonymous": {ERROR}, "error 503": {UNAVAILABLE}, "error 500": {ERROR},
    "error 429": {UNAVAILABLE}, "error 400": {ERROR + "!"}, "redirect": {ERROR + "!"}, "slow 300": {"ok"}, "status": {"ok"},
    "handshake hang": {TIMEOUT}, "handshake die": {UNAVAILABLE}, "handshake close": {UNAVAILABLE}, "handshake rubbish": {UNAVAILABLE},
    "handshake garbage-status": {UNAVAILABLE}, "handshake error 503": {UNAVAILABLE}, "handshake redirect": {ERROR + "!"},
    "handshake trickle": {TIMEOUT}, "handshake slow 200": {"ok"},
}
PARTICULAR = {
    ("websocket", "error 503"): {ERROR}, ("process", "error 503"): {ERROR}, ("vosk", "error 503"): {ERROR},
    # There are no numbers in these protocols: the stranger's answer can't be told from the right one.
    ("chat", "other"): {"ok"}, ("transcription", "other"): {"ok"}, ("speech", "other"): {"ok"}, ("http_json", "other"): {"ok"},
    ("http_sse", "other"): {"ok"}, ("vosk", "other"): {"ok"}, ("vosk", "anonymous"): {"ok"}, ("process", "other"): {ERROR},
    # Bodies are good for one answer; the length that a WAV file tells isn't believed.
    ("speech", "rubbish-json"): {ERROR},
}
BREAKER = "the upstream doesn't work at the moment"
OPEN_MS = 200
COMMON = """
    connect_timeout: 500ms
    first_byte_timeout: 1s
    between_bytes_timeout: 1s
    total_timeout: 5s
    idle_close: 2s
    retries: 0
    max_answer_bytes: 1MB
    breaker_open: 200ms
    breaker_rate: 0
"""
# What the neighbour measures is to be the gateway's own slowness, and not that of a machine with too few cores.
BEFORE_OTHERS = ["nice", "-n", "-5"] if os.geteuid() == 0 else []
# Where nothing good comes in between.
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

    def check(self, name, is_right, details=""):
        if is_right:
            self.passed += 1
        else:
            self.failed.append(f"{name}: {details}" if details else name)
            print(f"FAILED  {self.failed[-1]}", flush=True)
        return is_right

    def remark(self, text):
        print(f"remark  {text}", flush=True)


REPORT = Report()


class Ledger:
    """The events of one double: which requests are open, and who waits for one."""

    def __init__(self):
        self.open = 0
        self.counts = collections.Counter()
        self.ends = []
        self.begun = asyncio.Condition()
        self.pids = set()
        self.forked = []
        self.wrong = []
        self.connections = 0

    async def take(self, line):
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
        elif kind in ("malformed", "refused"):
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
    """A faulty.py and its ledger."""

    def __init__(self, kind, *arguments):
        self.kind = kind
        self.arguments = arguments
        self.ledger = Ledger()

    async def start(self):
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, str(HERE / "faulty.py"), "--kind", self.kind, *self.arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, limit=1 << 20)
        self.port = json.loads(await self.process.stdout.readline())["port"]
        self.reading = asyncio.create_task(self.read())
        return self

    async def read(self):
        while line := await self.process.stdout.readline():
            await self.ledger.take(line.decode(errors="replace"))

    async def stop(self):
        self.process.stdin.close()
        await self.process.wait()


class Relay:
    """A port where somebody listens only while it is wanted."""

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
        self.folder = tempfile.mkdtemp(prefix="parley-rounds-")
        os.mkdir(f"{self.folder}/config")
        for name, text in zip(("gateway", "development"), configuration):
            pathlib.Path(f"{self.folder}/config/{name}.yaml").write_text(text)
        self.ledger = Ledger()
        self.port = self.operations = None

    async def start(self):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
        self.log = open(f"{self.folder}/log", "ab")
        # What its processes write to standard error is the double's report.
        self.process = await asyncio.create_subprocess_exec(
            *BEFORE_OTHERS, self.executable, "serve", cwd=self.folder, env=environment, stdout=self.log, stderr=subprocess.PIPE, limit=1 << 20)
        self.reading = asyncio.create_task(self.read())
        deadline = time.monotonic() + 30
        while not (self.port and self.operations):
            if time.monotonic() > deadline or self.process.returncode is not None:
                sys.exit(f"the gateway didn't start; its log is {self.folder}/log")
            await asyncio.sleep(0.05)
            text = pathlib.Path(f"{self.folder}/log").read_text(errors="replace")
            if found := re.search(r'listening on 127\.0\.0\.1:(\d+)"', text):
                self.operations = int(found[1])
            if found := re.search(r'"msg":"listening","address":"127\.0\.0\.1:(\d+)"', text):
                self.port = int(found[1])
        return self

    async def read(self):
        while line := await self.process.stderr.readline():
            text = line.decode(errors="replace")
            if text.startswith("{"):
                await self.ledger.take(text)
            else:
                with open(f"{self.folder}/errors", "a", encoding="utf-8") as file:
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
        """pid: state of each."""
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
        """What of the upstreams is still at work after so long."""
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


class Outcome:
    """How one request ended."""

    def __init__(self):
        self.code = None
        self.message = ""
        self.retryable = None
        self.retry_after = None
        self.details = None
        self.text = []
        self.audio = 0
        self.elapsed = 0
        self.cancelled = False
        self.first = asyncio.Event()
        self.done = asyncio.get_running_loop().create_future()

    @property
    def key(self):
        if self.code == "ok":
            return "ok"
        return (self.code or "none") + ("" if self.retryable or not self.code else "!")

    @property
    def is_breaker(self):
        return self.message == BREAKER


class Client:
    """A session."""

    numbers = itertools.count(1)

    def __init__(self, url):
        self.url = url
        self.asked = {}
        self.speaking = None
        self.seq = 0
        self.unacknowledged = 0
        self.closed = None

    async def open(self):
        self.socket = await websockets.connect(
            self.url, ssl=TLS, compression=None, max_size=None, open_timeout=20, ping_interval=None, max_queue=None)
        self.session = json.loads(await self.socket.recv())
        await self.socket.send('{"type":"ack","seq":0}')
        self.reading = asyncio.create_task(self.read())
        return self

    async def read(self):
        try:
            async for data in self.socket:
                await self.take(data)
        except websockets.ConnectionClosed:
            pass
        self.closed = (self.socket.close_code, self.socket.close_reason)
        for outcome in list(self.asked.values()):
            self.end(outcome, "connection-lost", f"{self.closed}")

    async def take(self, data):
        if isinstance(data, bytes):
            self.seq += 1
            if self.speaking:
                self.speaking.audio += len(data)
        else:
            message = json.loads(data)
            if "seq" in message:
                self.seq = message["seq"]
                self.unacknowledged += 1
            kind = message["type"]
            failure = message.get("error", {}) if kind == "error" else {}
            outcome = self.asked.get(message.get("reply_to") or failure.get("reply_to"))
            if kind == "pong":
                outcome = self.asked.get(message.get("id"))
                if outcome:
                    self.end(outcome, "ok")
            elif kind == "error" and outcome:
                outcome.retryable = failure.get("retryable")
                outcome.retry_after = failure.get("retry_after_ms")
                outcome.details = failure.get("details")
                self.end(outcome, failure["code"], failure.get("message", ""))
            elif outcome and kind != "ack":
                if kind in ("text", "transcript"):
                    outcome.text.append((kind, message["text"], message.get("final")))
                if kind == "audio":
                    self.speaking = None if message.get("final") else outcome
                outcome.first.set()
                if message.get("done"):
                    outcome.cancelled = kind == "status" and message.get("state") == "cancelled"
                    self.end(outcome, "ok")
        if self.unacknowledged >= 32 and self.socket.state.name == "OPEN":
            self.unacknowledged = 0
            await self.socket.send(json.dumps({"type": "ack", "seq": self.seq}))

    def end(self, outcome, code, message=""):
        if not outcome.done.done():
            outcome.code, outcome.message = code, message
            outcome.first.set()
            outcome.done.set_result(None)

    async def send(self, kind, to, text, samples=320):
        """Asks; what comes of it is to be awaited."""
        name = f"q{next(self.numbers)}"
        outcome = self.asked[name] = Outcome()
        outcome.name = name
        outcome.begun = time.monotonic()
        if kind in AUDIO:
            message = {
                "type": "audio", "id": name, "format": {"codec": "pcm16", "rate": 16000, "channels": 1},
                "data": base64.b64encode(bytes(2 * samples)).decode(), "final": True, "meta": {"to": to, "fault": text, "prompt": text},
            }
        else:
            message = {"type": "text", "id": name, "text": text, "meta": {"to": to}}
            if kind == "http_json":
                message["stream"] = False
            if kind == "speech":
                message["output"] = {"modalities": ["audio"]}
        try:
            await self.socket.send(json.dumps(message))
        except websockets.ConnectionClosed:
            self.end(outcome, "connection-lost", f"{self.closed}")
        return outcome

    async def wait(self, outcome, seconds=12):
        try:
            await asyncio.wait_for(asyncio.shield(outcome.done), seconds)
        except asyncio.TimeoutError:
            self.end(outcome, "no-answer", f"nothing within {seconds} s")
        outcome.elapsed = time.monotonic() - outcome.begun
        self.asked.pop(outcome.name, None)
        return outcome

    async def ask(self, kind, to, text, samples=320, seconds=12):
        return await self.wait(await self.send(kind, to, text, samples), seconds)

    async def good(self, kind, to, seconds=5):
        """Asks for something right until it is let through. Returns what was wrong, and how often it was refused by the breaker."""
        refused = 0
        deadline = time.monotonic() + seconds
        while True:
            number = next(self.numbers)
            words = 1 + number % 5
            samples = 100 + number % 5000
            text = "good" + " word" * (words - 1) + f" n{number}"
            outcome = await self.ask(kind, to, text, samples)
            if outcome.code == UNAVAILABLE and outcome.is_breaker and time.monotonic() < deadline:
                refused += 1
                if not outcome.retryable or not outcome.retry_after:
                    return f"refused by the breaker with retryable {outcome.retryable}, retry_after_ms {outcome.retry_after}", refused
                await asyncio.sleep(min(outcome.retry_after, 1000) / 1000)
                continue
            if outcome.code != "ok":
                return f"{outcome.key}: {outcome.message} ({outcome.details}) after {outcome.elapsed * 1000:.0f} ms", refused
            said = "".join(part for _, part, _ in outcome.text)
            if kind == "speech":
                is_right = outcome.audio == (words + 1) * 8820
                said = f"{outcome.audio} bytes of audio for {words + 1} words"
            elif kind == "transcription":
                is_right = said == f"{2 * samples + 44} bytes"
            elif kind == "vosk":
                said = "".join(part for _, part, final in outcome.text if final)
                is_right = said == f"{2 * samples} bytes"
            else:
                is_right = said == text.upper()
            if not is_right:
                return f"ANOTHER ANSWER: {said[:80]!r} for {text!r} ({2 * samples} bytes)", refused
            return None, refused

    async def cancel(self, outcome):
        outcome.cancel_sent = time.monotonic()
        await self.socket.send(json.dumps({"type": "cancel", "id": outcome.name}))

    async def bye(self):
        with contextlib.suppress(websockets.ConnectionClosed):
            await self.socket.send('{"type":"bye"}')
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(self.reading), 5)
        await self.socket.close()
        return self.closed

    def vanish(self):
        self.socket.transport.abort()


class Neighbour:
    """Asks something healthy again and again, in a process of its own."""

    def __init__(self, url, kind):
        self.url, self.kind = url, kind

    async def start(self):
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, __file__, "--neighbour", self.url, self.kind, stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=1 << 24)
        await self.process.stdout.readline()
        return self

    async def figures(self):
        """Milliseconds of pings and answers since the last time, and what went wrong."""
        self.process.stdin.write(b"\n")
        return json.loads(await self.process.stdout.readline())

    async def stop(self):
        self.process.stdin.close()
        await self.process.wait()


async def be_neighbour(url, kind):
    with contextlib.suppress(OSError):
        os.nice(-10)
    client = await Client(url).open()
    pings, answers, wrong = [], [], []

    async def tell():
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        print("ready", flush=True)
        while await reader.readline():
            print(json.dumps({"pings": pings, "answers": answers, "wrong": wrong[:20], "count": len(wrong)}), flush=True)
            pings.clear(), answers.clear(), wrong.clear()
        os._exit(0)

    telling = asyncio.create_task(tell())
    while not telling.done():
        begun = time.monotonic()
        name = f"p{next(Client.numbers)}"
        outcome = client.asked[name] = Outcome()
        outcome.name, outcome.begun = name, begun
        try:
            await client.socket.send(json.dumps({"type": "ping", "id": name}))
        except websockets.ConnectionClosed:
            wrong.append(f"closed {client.closed}")
            await asyncio.sleep(0.5)
            continue
        await client.wait(outcome)
        pings.append(outcome.elapsed * 1000)
        begun = time.monotonic()
        what, _ = await client.good(kind, f"n_{kind}")
        answers.append((time.monotonic() - begun) * 1000)
        if what:
            wrong.append(what)
        await asyncio.sleep(0.005)


class Stage:
    """The gateway, the doubles, and what was measured before."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.random = random.Random(arguments.seed)
        self.faulty, self.healthy, self.secure, self.relays = {}, {}, {}, {}

    async def start(self):
        kinds = self.arguments.kinds
        self.certificate = tempfile.mkdtemp(prefix="parley-rounds-tls-")
        pair = [f"{self.certificate}/cert.pem", f"{self.certificate}/key.pem"]
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-out", pair[0], "-keyout",
             pair[1]], check=True, capture_output=True)
        for kind in sorted({DOUBLES[kind] for kind in kinds if kind in DOUBLES}):
            self.faulty[kind] = await Double(kind).start()
            self.healthy[kind] = await Double(kind).start()
            self.secure[kind] = await Double(kind, "--tls", *pair).start()
        for kind in kinds:
            if kind in DOUBLES:
                self.relays[kind] = Relay(self.healthy[DOUBLES[kind]].port)
        self.gateway = await Gateway(self.arguments.executable, self.configuration()).start()

    def configuration(self):
        lines = [
            "listen:\n  address: 127.0.0.1:0\noperations:\n  address: 127.0.0.1:0\nlogging:\n  format: json\n  level: info",
            "connections:\n  max: 4000\n  per_address: 0\n  handshakes_per_second: 0",
            "messages:\n  max_violations: 0",
            "limits:\n" + "\n".join(f"  {name}: 0" for name in (
                "text_per_minute", "audio_per_minute", "audio_chunks_per_second", "audio_realtime_factor", "control_per_minute",
                "refusals_per_minute", "bytes_per_second", "global_per_second")),
            "sessions:\n  max: 4000\n  max_detached: 4000\n  resume_window: 1s\n  sweep: 1s\n  history_messages: 0",
            "reports:\n  keep: 5s\n  content: metadata", "store:\n  kind: memory", "shutdown:\n  drain: 2s", "upstreams:",
        ]
        routes = ["routes:"]

        def add(name, kind, port=None, query="", is_secure=False, more=""):
            if kind == "process":
                where = f"    kind: process\n    command: [{self.program(query)}]\n    max_processes: 4\n    breaker_failures: 6"
            else:
                scheme = ("ws" if kind in SOCKETS else "http") + ("s" if is_secure else "")
                path = PATHS.get(kind, "/")
                where = (
                    f"    kind: {'openai' if kind in PATHS else kind.split('_')[0]}\n"
                    f"    urls: [\"{scheme}://127.0.0.1:{port}{path}{query}\"]\n    breaker_failures: 20"
                ) + (f"\n    task: {kind}\n    model: double" if kind in PATHS else "")
                where += "\n    history_messages: 0" if kind == "chat" else ""
            fields = dict(line.split(": ", 1) for line in (where + COMMON + more).splitlines() if line.strip())
            lines.append(f"  {name}:\n" + "\n".join(f"{key}: {value}" for key, value in fields.items()))
            routes.append(f"  {name}:\n    meta: [to={name}]\n    upstreams: [{name}]")

        for kind in self.arguments.kinds:
            double = DOUBLES.get(kind)
            port = self.faulty[double].port if double else None
            add(f"f_{kind}", kind, port)
            add(f"e_{kind}", kind, port, more="    max_answer_bytes: 64KB\n")
            add(f"n_{kind}", kind, self.healthy[double].port if double else None)
            add(f"r_{kind}", kind, self.relays[kind].port if double else None, query="" if double else "missing")
            add(f"c_{kind}", kind, port,
                more="    connect_timeout: 10s\n    first_byte_timeout: 30s\n    total_timeout: 60s\n    wait_timeout: 30s\n    max_processes: 8\n    max_connections: 600\n"
                "    max_answer_bytes: 1GB\n")
            if double:
                add(f"t_{kind}", kind, self.secure[double].port, is_secure=True, more=NEVER)
            if kind in SOCKETS:
                for fault in HANDSHAKES:
                    add(f"h_{kind}_{re.sub('[ -]', '_', fault)}", kind, port, query="?fault=" + fault.replace(" ", "+"), more=NEVER)
        # A file has no more than 1000 entries.
        return "\n".join(lines) + "\n", "\n".join(routes) + "\n"

    @staticmethod
    def program(query):
        return "/nonexistent/program" if query == "missing" else f"{sys.executable}, {HERE / 'faulty_process.py'}"

    def ledger(self, kind):
        return self.faulty[DOUBLES[kind]].ledger if kind in DOUBLES else self.gateway.ledger

    def open_requests(self, kind):
        """As the double counts them. What a killed process would say of its own is never said."""
        return self.ledger(kind).open if kind in DOUBLES else 0

    async def stop(self):
        gateway = self.gateway
        if gateway.process.returncode is None:
            gateway.process.send_signal(signal.SIGTERM)
            try:
                code = await asyncio.wait_for(gateway.process.wait(), 20)
                REPORT.check("the gateway ends with 0", code == 0, f"status {code}")
            except asyncio.TimeoutError:
                gateway.process.kill()
                REPORT.check("the gateway ends within 20 s of SIGTERM", False)
        for double in [*self.faulty.values(), *self.healthy.values(), *self.secure.values()]:
            await double.stop()
        shutil.rmtree(self.certificate, ignore_errors=True)


def faults_of(kind, wanted):
    names = []
    for fault in FAULTS:
        if fault in OF_HTTP and kind not in HTTP:
            continue
        if fault == "close-fin" and kind in BODIES or fault == "twice-body" and kind not in BODIES:
            continue
        if fault == "anonymous" and kind in HTTP or fault == "tls" and kind == "process":
            continue
        if kind == "vosk" and fault in ("twice", "status"):
            continue
        if fault in ("error 500",) and kind not in HTTP:
            continue
        names.append(fault)
    if kind in SOCKETS:
        names += ["handshake " + fault for fault in HANDSHAKES]
    names += ["cancel", "disconnect", "bye"]
    return [name for name in names if not wanted or name.split()[0] in wanted or name in wanted]


def expected(kind, fault):
    known = PARTICULAR.get((kind, fault)) or EXPECTED[fault]
    return known


class Tally:
    """What was seen in all rounds of one fault at one kind."""

    def __init__(self, kind, fault):
        self.kind, self.fault = kind, fault
        self.codes = collections.Counter()
        self.messages = collections.Counter()
        self.retry_after = []
        self.breaker_after = []
        self.elapsed = []
        self.after = collections.Counter()
        self.good = self.refused = 0
        self.opened = self.bursts = 0
        self.texts = collections.Counter()

    def add(self, outcome):
        if outcome.is_breaker:
            self.codes["(breaker)"] += 1
            self.breaker_after.append(outcome.retry_after)
            return
        self.codes[outcome.key] += 1
        if outcome.code != "ok":
            self.messages[f"{outcome.message}" + (f" [{outcome.details}]" if outcome.details else "")] += 1
        elif self.fault == "other":
            self.texts["".join(part for _, part, _ in outcome.text)[:30] or f"{outcome.audio} B"] += 1
        self.elapsed.append(outcome.elapsed)
        if outcome.retry_after is not None:
            self.retry_after.append(outcome.retry_after)

    @property
    def rounds(self):
        return sum(self.codes.values())

    def line(self):
        codes = ", ".join(f"{code} {count}" for code, count in self.codes.most_common())
        after = f"{min(self.retry_after)}..{max(self.retry_after)}" if self.retry_after else "-"
        breaker = f"{self.opened}/{self.bursts}" if self.bursts else "-"
        took = f"{percentile(self.elapsed, 0.5) * 1000:.0f}/{max(self.elapsed, default=0) * 1000:.0f}"
        return f"{self.kind:14} {self.fault:25} {self.rounds:6}  {codes:52} {after:12} {breaker:6} {took:12} {self.good} good, {self.refused} refused"

    def judge(self):
        name = f"{self.kind}, {self.fault}"
        wanted = expected(self.kind, self.fault)
        others = {code: count for code, count in self.codes.items() if code not in wanted and code != "(breaker)"}
        REPORT.check(
            f"{name}: the right code", not others and self.rounds > 0, f"{others} instead of {sorted(wanted)}; messages: {dict(self.messages)}")
        REPORT.check(f"{name}: the next good message is answered", not self.after, f"{dict(self.after.most_common(4))} of {self.good}")
        if len(self.messages) > 1:
            REPORT.remark(f"{name}: {dict(self.messages)}")
        if self.texts:
            REPORT.remark(f"{name}: answered with {dict(self.texts.most_common(3))}")
        bad = [wait for wait in self.breaker_after if wait is None or not 1 <= wait <= 1000]
        REPORT.check(f"{name}: the breaker says when to come again", not bad, f"retry_after_ms {bad[:5]}")
        if self.fault.startswith("error 503") and self.kind != "vosk":
            REPORT.check(f"{name}: Retry-After is passed on", self.retry_after and set(self.retry_after) == {2000}, f"{set(self.retry_after)}")
        # Where bytes are heard one by one, total_timeout is what ends it.
        longest = 5.7 if self.fault == "trickle-body 300" or (self.kind, self.fault) == ("process", "trickle") else 1.8
        if wanted == {TIMEOUT} and self.elapsed:
            REPORT.check(f"{name}: the deadline is kept", max(self.elapsed) <= longest, f"{max(self.elapsed):.2f} s at most")


async def run_fault(stage, kind, fault, seconds, rounds):
    """One fault at one kind, by several sessions at the same time."""
    tally = Tally(kind, fault)
    text = f"{fault} one two three four"
    to, good_to = f"f_{kind}", f"f_{kind}"
    relay = None
    if fault == "refuse":
        to = good_to = f"r_{kind}"
        relay = stage.relays.get(kind)
        if kind == "process":
            good_to = f"n_{kind}"
    elif fault == "tls":
        to, good_to = f"t_{kind}", f"n_{kind}"
    elif fault.startswith("handshake "):
        to, good_to = f"h_{kind}_{re.sub('[ -]', '_', fault.split(' ', 1)[1])}", f"n_{kind}"
    elif fault.startswith("endless"):
        to = good_to = f"e_{kind}"
    if fault in UNTIL_MINE or fault.startswith("handshake "):
        text = "good one two"
    count = 3 if kind == "process" else 16 if fault in LONG else 8
    clients = await asyncio.gather(*(Client(stage.gateway.url).open() for _ in range(count)))
    deadline = time.monotonic() + seconds
    batch = 0
    while tally.rounds < rounds and (time.monotonic() < deadline or batch < 1):
        # Now and then so many at once that the breaker opens.
        each = 3 if batch % 10 == 5 and fault not in LONG else 1

        async def fail(client):
            outcomes = [await client.send(kind, to, text) for _ in range(each)]
            for outcome in outcomes:
                tally.add(await client.wait(outcome))

        await asyncio.gather(*(fail(client) for client in clients))
        if each > 1:
            tally.bursts += 1
            state = (await stage.gateway.upstreams())[to]["endpoints"][0]["breaker"]
            tally.opened += state != "closed"
        if relay:
            await relay.open()

        async def recover(client):
            wrong, refused = await client.good(kind, good_to)
            tally.good += 1
            tally.refused += refused
            if wrong:
                tally.after[re.sub(r"\bn?\d+\b", "#", wrong)] += 1

        await asyncio.gather(*(recover(client) for client in clients))
        if relay:
            await relay.shut()
            await asyncio.sleep(0.05)
        batch += 1
    lost = [client.closed for client in clients if client.closed]
    REPORT.check(f"{kind}, {fault}: sessions stay", not lost, f"{lost[:3]}")
    await asyncio.gather(*(client.bye() for client in clients))
    print(tally.line(), flush=True)
    tally.judge()


async def run_end(stage, kind, how, seconds, rounds):
    """Requests whose client ends them in the middle of the answer."""
    ledger = stage.ledger(kind)
    count = 3 if kind == "process" else 8
    # Two kinds of answers: one that has gone quiet, and one that doesn't.
    faults = itertools.cycle(["stall", "endless"] if kind in STREAMED else ["trickle-body 100"])
    wrong = collections.Counter()
    total = 0
    took = []
    deadline = time.monotonic() + seconds

    async def once(client, fault):
        outcome = await client.send(kind, f"c_{kind}", f"{fault} one two three four five six")
        if kind in STREAMED:
            await asyncio.wait_for(outcome.first.wait(), 8)
        else:
            await asyncio.sleep(0.15)
        if outcome.done.done():
            wrong[f"ended before, {fault}: {outcome.key} {outcome.message} [{outcome.details}]"] += 1
            if how != "cancel":
                await client.bye()
            return
        if how == "cancel":
            await client.cancel(outcome)
            await client.wait(outcome)
            if fault != "endless":
                took.append(time.monotonic() - outcome.cancel_sent)
            if not outcome.cancelled:
                wrong[f"no status cancelled: {outcome.key} {outcome.message}"] += 1
            what, _ = await client.good(kind, f"c_{kind}")
            if what:
                wrong["good: " + re.sub(r"\bn?\d+\b", "#", what)] += 1
        elif how == "bye":
            closed = await client.bye()
            if not closed or closed[0] != 1000:
                wrong[f"closed {closed}"] += 1
        else:
            client.vanish()

    clients = []
    while total < rounds and (time.monotonic() < deadline or total < 2 * count):
        if not clients:
            clients = await asyncio.gather(*(Client(stage.gateway.url).open() for _ in range(count)))
        # Who has vanished is missed by nobody before the deadline of what he had asked for: the breaker may have opened.
        await clients[0].good(kind, f"c_{kind}")
        fault = next(faults)
        results = await asyncio.gather(*(once(client, fault) for client in clients), return_exceptions=True)
        for result in results:
            if result:
                wrong[repr(result)] += 1
        total += count
        if how != "cancel":
            clients = []
    await asyncio.gather(*(client.bye() for client in clients))
    median = f", answered after {percentile(took, 0.5) * 1000:.1f}/{max(took) * 1000:.1f} ms" if took else ""
    print(f"{kind:14} {how + ' in mid-answer':25} {total:6}  wrong: {dict(wrong) or 'nothing'}{median}", flush=True)
    REPORT.check(f"{kind}, {how} in mid-answer", not wrong, f"{dict(wrong)} of {total}")
    begun = time.monotonic()
    # A connection that is lost is waited for as long as resume_window.
    if kind in DOUBLES:
        await ledger.until(lambda: ledger.open == 0, 1 + 2)
        REPORT.check(f"{kind}, {how}: the double has no open request", ledger.open == 0, f"{ledger.open} open 3 s later")
    else:
        left = {}
        while time.monotonic() < begun + 3:
            left = await stage.gateway.quiet(0, {f"c_{kind}"})
            if not left:
                break
            await asyncio.sleep(0.1)
    spent = time.monotonic() - begun
    if how != "disconnect" and spent > 0.5:
        REPORT.remark(f"{kind}, {how}: the double was still at it {spent:.1f} s after the last")


def compare(name, kind, quiet, during):
    for what in ("pings", "answers"):
        before, now = quiet[what], during[what]
        if not now:
            REPORT.check(f"{name}: the neighbour's {what}", False, "none at all")
            continue
        label = "ping" if what == "pings" else "answer"
        p50, p99 = percentile(now, 0.5), percentile(now, 0.99)
        old50, old99 = percentile(before, 0.5), percentile(before, 0.99)
        flag = "  <-- more than twice as long" if p99 > 2 * old99 and p99 > 5 else ""
        print(
            f"    neighbour's {label:6} p50 {old50:.2f} -> {p50:.2f} ms, p99 {old99:.2f} -> {p99:.2f} ms, longest {max(now):.1f} ms "
            f"of {len(now)}{flag}", flush=True)
        if flag:
            REPORT.check(f"{name}: the neighbour's {label}", False, f"p99 {old99:.2f} -> {p99:.2f} ms")
    REPORT.check(f"{name}: the neighbour gets its answers", not during["count"], f"{during['count']}: {during['wrong'][:3]}")


async def settle(stage, kind, base, name):
    """Everything has to come back to what it was."""
    gateway = stage.gateway
    left = await gateway.quiet(6)
    # The neighbour may be at it.
    left = [line for line in left if not line.startswith("n_")]
    REPORT.check(f"{name}: nothing is active, waiting or outstanding", not left, f"{left}")
    if kind in DOUBLES:
        ledger = stage.ledger(kind)
        await ledger.until(lambda: ledger.open == 0, 3)
        REPORT.check(f"{name}: the double has no open request", ledger.open == 0, f"{ledger.open}")
        REPORT.check(f"{name}: the gateway keeps to the protocol", not ledger.wrong, f"{len(ledger.wrong)}: {ledger.wrong[:3]}")
        ledger.wrong.clear()
    deadline = time.monotonic() + 8
    while time.monotonic() < deadline:
        descriptors, children = gateway.descriptors(), gateway.children()
        if descriptors <= base["descriptors"] and len(children) <= base["children"]:
            break
        await asyncio.sleep(0.2)
    REPORT.check(
        f"{name}: descriptors", descriptors <= base["descriptors"] + 2, f"{base['descriptors']} -> {descriptors}: {kinds_of_descriptors(gateway)}")
    zombies = [pid for pid, state in children.items() if state == "Z"]
    REPORT.check(f"{name}: no child is left", len(children) <= base["children"] and not zombies, f"{children}, at first {base['children']}")
    resident = gateway.resident()
    grown = (resident - base["resident"]) / 1e6
    print(f"    afterwards: {descriptors} descriptors, {len(children)} children, RSS {resident / 1e6:.1f} MB ({grown:+.1f})", flush=True)
    REPORT.check(f"{name}: memory", grown <= 10, f"RSS has grown by {grown:.1f} MB to {resident / 1e6:.1f} MB")
    ups = await gateway.upstreams()
    connections = {n: u["connections"] for n, u in ups.items() if u["connections"] and n[:2] != "n_"}
    REPORT.check(f"{name}: connections are counted down to 0", not connections, f"{connections}")


def kinds_of_descriptors(gateway):
    kinds = collections.Counter()
    for name in os.listdir(f"/proc/{gateway.pid}/fd"):
        with contextlib.suppress(OSError):
            kinds[os.readlink(f"/proc/{gateway.pid}/fd/{name}").split(":")[0]] += 1
    return dict(kinds)


async def warm_up(stage, kind):
    """What is made once has been made before anything is measured."""
    clients = await asyncio.gather(*(Client(stage.gateway.url).open() for _ in range(3 if kind == "process" else 24)))
    targets = [f"f_{kind}", f"n_{kind}", f"e_{kind}", f"c_{kind}"]
    for to in targets:
        for client in clients:
            wrong, _ = await client.good(kind, to)
            REPORT.check(f"{kind}: warm-up of {to}", not wrong, wrong)
    if kind in DOUBLES:
        await asyncio.gather(*(client.ask(kind, f"t_{kind}", "good") for client in clients))
    await asyncio.gather(*(client.ask(kind, f"f_{kind}", "error 503") for client in clients))
    await asyncio.sleep(0.3)
    for client in clients[:2]:
        await client.good(kind, f"f_{kind}")
    await asyncio.gather(*(client.bye() for client in clients))


async def base_of(stage):
    gateway = stage.gateway
    await asyncio.sleep(3.2)
    return {"descriptors": gateway.descriptors(), "children": len(gateway.children()), "resident": gateway.resident()}


async def trial(stage, kind, seconds):
    arguments = stage.arguments
    print(f"\n== {kind}", flush=True)
    await warm_up(stage, kind)
    neighbour = await Neighbour(stage.gateway.url, kind).start()
    base = await base_of(stage)
    await neighbour.figures()
    await asyncio.sleep(3)
    quiet = await neighbour.figures()
    print(
        f"{'kind':14} {'fault':25} rounds  {'codes (! not retryable)':52} retry_after  breaker took p50/max", flush=True)
    faults = faults_of(kind, arguments.faults)
    all_during = {"pings": [], "answers": [], "wrong": [], "count": 0}
    for fault in faults:
        if fault in ("cancel", "disconnect", "bye"):
            await run_end(stage, kind, fault, seconds, arguments.rounds)
        else:
            await run_fault(stage, kind, fault, seconds, arguments.rounds)
        during = await neighbour.figures()
        for what in all_during:
            all_during[what] += during[what]
        p99 = percentile(during["answers"], 0.99)
        ping99 = percentile(during["pings"], 0.99)
        if max(p99, ping99) > 5 or during["count"]:
            REPORT.remark(
                f"{kind}, {fault}: neighbour's p99 ping {ping99:.1f} ms, answer {p99:.1f} ms (longest {max(during['pings'] or [0]):.0f}, "
                f"{max(during['answers'] or [0]):.0f}), wrong: {during['wrong'][:2]}")
        left = await stage.gateway.quiet(3, {f"{letter}_{kind}" for letter in "fretc"})
        REPORT.check(f"{kind}, {fault}: nothing is left at work", not left, f"{left}")
    compare(kind, kind, quiet, all_during)
    await settle(stage, kind, base, kind)
    await neighbour.stop()


async def run_cancels(stage, kind, total):
    """Requests that hang, cancelled in flight."""
    ledger = stage.ledger(kind)
    sessions = 8 if kind == "process" else 50
    size = 8 if kind == "process" else 500
    total = min(total, 200) if kind == "process" else total
    base = await base_of(stage)
    clients = await asyncio.gather(*(Client(stage.gateway.url).open() for _ in range(sessions)))
    # Not while the breaker lets only one pass.
    for client in clients[:2]:
        await client.good(kind, f"c_{kind}")
    wrong = collections.Counter()
    answered, seen = [], []
    done = 0

    async def cancelled(client, outcome):
        await client.cancel(outcome)
        await client.wait(outcome, 10)
        answered.append(time.monotonic() - outcome.cancel_sent)
        if not outcome.cancelled:
            wrong[f"{outcome.key}: {outcome.message}"] += 1

    async def batch(count):
        outcomes = []
        before = ledger.counts["request"]
        ended = len(ledger.ends)
        for index in range(count):
            client = clients[index % sessions]
            outcomes.append((client, await client.send(kind, f"c_{kind}", "hang")))
        if not await ledger.until(lambda: ledger.counts["request"] >= before + count, 5):
            wrong[f"only {ledger.counts['request'] - before} of {count} reached the double"] += 1
        early = [outcome for _, outcome in outcomes if outcome.done.done()]
        if early:
            wrong[f"ended before: {early[0].key} {early[0].message}"] += len(early)
        if kind == "process":
            await deaths(outcomes)
            return
        await asyncio.gather(*(cancelled(client, outcome) for client, outcome in outcomes))
        if not await ledger.until(lambda: len(ledger.ends) >= ended + count, 5):
            wrong[f"the double saw {len(ledger.ends) - ended} of {count} cancels"] += 1
        sent = {outcome.name: outcome.cancel_sent for _, outcome in outcomes}
        ends = ledger.ends[ended:]
        if all(name in sent for _, name, _ in ends):
            seen.extend(moment - sent[name] for moment, name, _ in ends)
        else:
            # Where the double doesn't learn names: in order.
            seen.extend(moment - begun for (moment, _, _), begun in zip(ends, sorted(sent.values())))

    async def deaths(outcomes):
        """A process can't be told anything: it has to be gone."""
        workers = [pid for pid, state in stage.gateway.children().items() if state != "Z" and pid in ledger.pids]
        loop = asyncio.get_running_loop()
        handles, gone = {}, {}
        for pid in workers:
            with contextlib.suppress(OSError):
                handles[pid] = os.pidfd_open(pid)

        def note(pid):
            gone[pid] = time.monotonic()
            loop.remove_reader(handles[pid])

        for pid, handle in handles.items():
            loop.add_reader(handle, note, pid)
        await asyncio.gather(*(cancelled(client, outcome) for client, outcome in outcomes))
        await asyncio.sleep(0.1)
        first = min(outcome.cancel_sent for _, outcome in outcomes)
        seen.extend(moment - first for moment in gone.values())
        if len(gone) < len(outcomes):
            await asyncio.sleep(1)
            wrong[f"{len(gone)} of {len(outcomes)} processes were gone within 100 ms"] += 1
        for pid, handle in handles.items():
            loop.remove_reader(handle)
            os.close(handle)

    begun = time.monotonic()
    while done < total:
        await batch(min(size, total - done))
        done += min(size, total - done)
    took = time.monotonic() - begun
    crowd = list(seen)
    seen.clear()
    for _ in range(20 if kind == "process" else 200):
        await batch(1)
    for label, values in (("all at once", crowd), ("one at a time", seen)):
        print(
            f"    {label}: the double saw the cancel after p50 {percentile(values, 0.5) * 1000:.1f}, p99 {percentile(values, 0.99) * 1000:.1f}, "
            f"at most {max(values, default=0) * 1000:.1f} ms; {sum(value > 0.05 for value in values)} of {len(values)} after 50 ms", flush=True)
    print(
        f"    {done} cancelled in {took:.1f} s, answered after p50 {percentile(answered, 0.5) * 1000:.1f}, at most {max(answered) * 1000:.1f} ms",
        flush=True)
    REPORT.check(f"{kind}: each of {done} cancels is answered and seen", not wrong, f"{dict(wrong)}")
    REPORT.check(
        f"{kind}: the double sees a cancel within 50 ms", percentile(seen, 0.99) <= 0.05, f"p99 {percentile(seen, 0.99) * 1000:.1f} ms, one at a time")
    REPORT.check(f"{kind}: sessions stay", not any(client.closed for client in clients))
    for client in clients[:3]:
        what, _ = await client.good(kind, f"c_{kind}")
        REPORT.check(f"{kind}: answers after cancels", not what, what)
    await asyncio.gather(*(client.bye() for client in clients))
    await settle(stage, kind, base, f"{kind}, after cancels")


def is_alive(pid):
    with contextlib.suppress(OSError):
        return open(f"/proc/{pid}/stat", encoding="utf-8").read().rsplit(")", 1)[1].split()[0] != "Z"
    return False


async def run_kill(arguments):
    """SIGKILL of the gateway, with processes at work."""
    print("\n== the gateway is killed with processes at work", flush=True)
    for with_cancel in (True, False):
        stage = Stage(argparse.Namespace(**{**vars(arguments), "kinds": ["process"]}))
        await stage.start()
        ledger = stage.gateway.ledger
        clients = await asyncio.gather(*(Client(stage.gateway.url).open() for _ in range(4)))
        outcomes = [await client.send("process", "c_process", text) for client, text in zip(clients, ["hang", "stall", "fork", "stubborn"])]
        await ledger.until(lambda: ledger.counts["request"] >= 4 and ledger.forked, 10)
        workers, forked = list(ledger.pids), list(ledger.forked)
        if with_cancel:
            # First as it should be: everything goes when its request does.
            begun = time.monotonic()
            for client, outcome in zip(clients, outcomes):
                await client.cancel(outcome)
            while any(map(is_alive, workers + forked)) and time.monotonic() < begun + 3:
                await asyncio.sleep(0.005)
            spent = time.monotonic() - begun
            left = [pid for pid in workers + forked if is_alive(pid)]
            print(f"    cancelled: workers and grandchild gone after {spent * 1000:.0f} ms, left: {left}", flush=True)
            REPORT.check("process: a cancel takes the grandchild along", not left, f"alive: {left}, grandchild {forked}")
            await asyncio.sleep(0.3)
            zombies = [pid for pid, state in stage.gateway.children().items() if state == "Z"]
            REPORT.check("process: no zombies after a cancel", not zombies, f"{zombies}")
            await asyncio.gather(*(client.bye() for client in clients))
            await stage.stop()
            continue
        begun = time.monotonic()
        stage.gateway.process.kill()
        # Not wait(): that would be for all who hold its standard error.
        while any(map(is_alive, [stage.gateway.pid, *workers])) and time.monotonic() < begun + 2:
            await asyncio.sleep(0.005)
        spent = time.monotonic() - begun
        left = [pid for pid in workers if is_alive(pid)]
        await asyncio.sleep(0.5)
        orphans = [pid for pid in forked if is_alive(pid)]
        print(f"    SIGKILL: {len(workers)} workers gone after {spent * 1000:.0f} ms, left {left}; grandchildren alive: {orphans}", flush=True)
        REPORT.check("process: workers die with the gateway within a second", not left and spent < 1, f"left {left} after {spent:.2f} s")
        if orphans:
            REPORT.remark(f"the grandchild {orphans} outlives a killed gateway (the next one sweeps control groups, where there are any)")
            stage_again = Gateway(arguments.executable, stage.configuration())
            await stage_again.start()
            await asyncio.sleep(1)
            print(f"    another gateway was started: grandchildren alive: {[pid for pid in orphans if is_alive(pid)]}", flush=True)
            stage_again.process.terminate()
            await stage_again.process.wait()
            for pid in orphans:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
        await stage.gateway.process.wait()
        await stage.stop()


async def main(arguments):
    begun = time.monotonic()
    stage = Stage(arguments)
    await stage.start()
    print(f"gateway {stage.gateway.pid} in {stage.gateway.folder}, seed {arguments.seed}", flush=True)
    count = sum(len(faults_of(kind, arguments.faults)) for kind in arguments.kinds)
    seconds = arguments.minutes * 60 / max(1, count)
    try:
        for kind in arguments.kinds:
            await trial(stage, kind, seconds)
        if arguments.cancels:
            for kind in arguments.kinds:
                print(f"\n== cancelled in flight: {kind}", flush=True)
                await run_cancels(stage, kind, arguments.cancels)
        log = pathlib.Path(f"{stage.gateway.folder}/log").read_text(errors="replace")
        levels = collections.Counter(re.findall(r'"level":"(\w+)"', log))
        print(f"\nthe gateway's log: {dict(levels)}", flush=True)
        serious = [line[:300] for line in log.splitlines() if '"level":"error"' in line or '"level":"critical"' in line]
        REPORT.check("the log has no errors", not serious, f"{len(serious)}: {serious[:3]}")
        REPORT.check("the gateway lives", stage.gateway.process.returncode is None)
    finally:
        await stage.stop()
    if "process" in arguments.kinds:
        await run_kill(arguments)
    print(f"\n{time.monotonic() - begun:.0f} s; failures:" if REPORT.failed else f"\n{time.monotonic() - begun:.0f} s")
    for line in REPORT.failed:
        print("  " + line)
    print(f"{REPORT.passed} passed, {len(REPORT.failed)} failed", flush=True)
    return 1 if REPORT.failed else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--neighbour"]:
        asyncio.run(be_neighbour(*sys.argv[2:4]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executable", default=os.environ.get("PARLEY_EXECUTABLE", ".build/release/parley"))
    parser.add_argument("--rounds", type=int, default=1000, help="of each fault at each kind, as far as the time goes")
    parser.add_argument("--minutes", type=float, default=8, help="for all faults together")
    parser.add_argument("--kinds", type=lambda text: text.split(","), default=KINDS)
    parser.add_argument("--faults", type=lambda text: text.split(","), default=[])
    parser.add_argument("--cancels", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    sys.exit(asyncio.run(main(parser.parse_args())))
