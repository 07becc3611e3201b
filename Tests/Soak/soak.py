#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that no acknowledged message is lost. The clients are sessions of parley_client, the Python client of Sources/parley-python. The test
verifies all messages on their connections, and the replies that the application gets, while connections are cut in mid-frame, readers stall,
messages are repeated, clients reconnect to other event loops, and the gateway is killed and restarted at random.

Fails (exit 1) when, for any client, an acknowledged message was lost, got two responses, or responses arrived out of order; when a session
wasn't resumed or lost its state; or when `lost` was reported without reason. Prints its seed: the same seed produces the same clients and
faults, but not the same timing.
"""
import argparse
import asyncio
import collections
import json
import logging
import os
import pathlib
import random
import re
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time

from parley_client import BackoffPolicy, Parley

TLS = ssl.create_default_context()
TLS.check_hostname = False
TLS.verify_mode = ssl.CERT_NONE
# 20 ms of pcm16 at 16 kHz.
CHUNK = 640
FORMAT = {"codec": "pcm16", "rate": 16000, "channels": 1}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Gateway:
    """The executable, which keeps its port and its store across restarts."""

    def __init__(self, executable, store):
        self.executable = executable
        self.directory = tempfile.mkdtemp(prefix="parley-soak-")
        self.port, operations = free_port(), free_port()
        flags = {
            "listen.address": f"127.0.0.1:{self.port}", "operations.address": f"127.0.0.1:{operations}", "listen.loops": "2",
            "logging.format": "json", "logging.level": "info", "store.kind": store, "store.path": "soak.sqlite",
            "store.synchronous": "normal", "connections.max": "0", "connections.per_address": "0", "sessions.max": "0",
            "sessions.max_detached": "0", "limits.text_per_minute": "0", "limits.audio_per_minute": "0", "limits.control_per_minute": "0",
            "limits.audio_chunks_per_second": "0", "limits.audio_realtime_factor": "0", "limits.bytes_per_second": "0",
        }
        if store == "memory":
            # Small enough to be full after a minute: memory that grows after that is a leak.
            flags |= {"sessions.history_messages": "20", "sessions.history_bytes": "16KiB", "sessions.duplicate_ids": "400"}
        self.arguments = [executable, "serve"] + [part for key, value in flags.items() for part in ("--" + key, value)]
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
        self.log = open(os.path.join(self.directory, "log"), "ab")
        self.starts = []
        self.start()

    def start(self):
        begin = time.monotonic()
        self.process = subprocess.Popen(
            self.arguments, cwd=self.directory, env=self.environment, stdout=self.log, stderr=subprocess.STDOUT)
        while True:
            if self.process.poll() is not None:
                sys.exit(f"the gateway didn't start; see {self.log.name}")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                break
            except OSError:
                time.sleep(0.01)
        self.starts.append(time.monotonic() - begin)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def resident(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


class Violation(Exception):
    """A violated guarantee."""


class Client:
    """A session of parley_client. Verifies the messages on its connections, and what the client makes of them."""

    def __init__(self, number, gateway, seed, counts, mutation):
        self.number = number
        self.gateway = gateway
        self.random = random.Random(f"{seed}/{number}")
        self.counts = counts
        self.mutation = mutation
        self.parley = None
        self.violation = None
        # On the connections:
        self.has_begun = False  # whether the current connection has a session
        self.session = None
        self.last = 0  # sequence number of the last message received
        self.texts = {}  # id: text
        self.acknowledged = set()
        self.responses = collections.defaultdict(str)
        self.done = set()
        self.stream = None  # id of the open audio stream
        self.sent = self.accepted = 0  # chunks of the open stream
        self.has_ended = False  # whether the end of the open stream was sent
        self.given = collections.Counter()  # id of a stream: number of chunks that the client was given
        self.chunks = None  # the source of the open stream
        self.recorded = set()  # ids of complete recordings
        # From the client:
        self.replies = {}  # id: reply
        self.shown = {}  # id: text of the complete reply, or None if it failed
        self.is_stopping = False

    # MARK: Sending

    async def run(self):
        self.parley = Parley(
            f"wss://127.0.0.1:{self.gateway.port}/v1/ws", ssl=TLS, on_wire=self.on_wire, connect_timeout=20,
            backoff=BackoffPolicy(base=0.1, cap=0.1, attempts=None), websocket_options={"compression": None, "proxy": None},
            generator=random.Random(self.random.random()))
        self.parley.on("state", self.state_changed)
        self.parley.on("lost", lambda event: self.fail(f"the client reports a loss: {event}"))
        self.parley.on("error", lambda event: self.fail(f"the client reports {event.error!r}"))
        self.parley.on("done", self.reply_ended)
        self.parley.start()
        while not (self.is_stopping and self.is_complete()):
            if self.violation:
                raise Violation(self.violation)
            await self.step()
        await self.parley.close()
        if self.violation:
            raise Violation(self.violation)

    def fail(self, text):
        if not self.is_stopping or not self.is_complete():
            self.violation = self.violation or text

    def is_complete(self):
        """Returns whether all messages are acknowledged and have complete responses, on the wire and for the application."""
        is_answered = set(self.texts) == self.acknowledged == self.done and self.stream is None
        return is_answered and len(self.shown) == len(self.texts) + len(self.given)

    def state_changed(self, event):
        self.has_begun = False
        if event.state == "waiting":
            self.counts["connections lost"] += 1
        elif event.state == "open":
            self.has_begun = True
        elif event.state == "closed":
            self.fail(f"the client stopped: {event.error!r}")

    def reply_ended(self, event):
        """Verifies what the application gets of a request."""
        id = event.id
        if id in self.shown:
            return self.fail(f"the reply {id} ended twice")
        reply = self.replies.pop(id)
        if id not in self.done and id not in self.recorded:
            self.fail(f"the reply {id} ended before its response: {event.error!r}")
        elif event.error is None and id in self.texts and reply.text != self.texts[id]:
            self.fail(f"the reply {id} is {reply.text!r}, expected {self.texts[id]!r}")
        elif event.error is not None and event.error.code != "upstream_error":
            self.fail(f"the reply {id} failed: {event.error!r}")
        self.shown[id] = None if event.error else reply.text
        return None

    def send_raw(self, **message):
        """Sends a message past the client."""
        if self.parley.state == "open":
            self.parley._connection.send(json.dumps(message))

    @property
    def transport(self):
        return self.parley._connection.socket.transport if self.parley._connection else None

    async def step(self):
        """Sends something, or injects a fault."""
        dice = self.random.random()
        if self.is_stopping:
            self.end_stream()
            await asyncio.sleep(0.05)
        elif dice < 0.45:
            self.send_text()
        elif dice < 0.75:
            self.send_audio()
        elif dice < 0.80 and self.acknowledged:
            # Repeats a recent message: it must be acknowledged as a duplicate, and get no second response.
            id = self.random.choice(list(self.texts)[-300:])
            if id not in self.acknowledged:
                return
            self.counts["duplicates sent"] += 1
            self.send_raw(type="text", id=id, text=self.texts[id])
        elif dice < 0.86 and self.transport:
            await self.disturb(dice)
        else:
            self.send_raw(type="ack", seq=self.last)
        await asyncio.sleep(self.random.uniform(0, 0.06))

    async def disturb(self, dice):
        transport = self.transport
        if dice < 0.82:
            self.counts["stalls"] += 1
            transport.pause_reading()
            await asyncio.sleep(self.random.uniform(0.1, 0.6))
            transport.resume_reading()
        elif dice < 0.84:
            self.counts["resets"] += 1
            transport.abort()
        else:
            self.counts["resets in mid-frame"] += 1
            transport.write(b"\x81\xfe\x10\x00\x00\x00\x00\x00" + b"never whole")
            await asyncio.sleep(0.01)
            transport.abort()

    def send_text(self):
        words = self.random.choice([1, 3, 30, 60])
        number = len(self.texts)
        text = " ".join(f"{self.number}.t{number}.{word}" for word in range(words))
        reply = self.parley.say(text)
        if reply.error:
            self.fail(f"the client rejected a text: {reply.error!r}")
        self.texts[reply.id] = text
        self.replies[reply.id] = reply

    def send_audio(self):
        if self.stream is None:
            self.sent = self.accepted = 0
            self.has_ended = False
            self.chunks = asyncio.Queue()
            reply = self.parley.listen(source(self.chunks), FORMAT)
            self.stream = reply.id
            self.given[reply.id] = 0
            self.replies[reply.id] = reply
        elif self.chunks:
            for _ in range(self.random.randint(1, 40)):
                self.given[self.stream] += 1
                self.chunks.put_nowait(struct.pack("<h", self.given[self.stream] % 30000) * (CHUNK // 2))
            if self.given[self.stream] > 200:
                self.end_stream()

    def end_stream(self):
        if self.chunks:
            self.chunks.put_nowait(None)
            self.chunks = None

    # MARK: The wire

    def on_wire(self, direction, data):
        """Verifies each message, before the client handles it."""
        try:
            if direction == "sent":
                self.sends(data)
            else:
                self.receives(data)
        except Violation as violation:
            self.fail(str(violation))

    def sends(self, data):
        if isinstance(data, bytes):
            self.sent += 1
            return
        message = json.loads(data)
        if message["type"] == "audio":
            if message["id"] != self.stream:
                raise Violation(f"the client sent {message}, but {self.stream} is open")
            if "from" in message:
                if message["from"] != self.accepted + 1:
                    raise Violation(f"the client continues with chunk {message['from']}, after {self.accepted} accepted ones")
                self.sent = self.accepted
            elif "format" in message:
                self.sent = self.accepted
            elif message.get("final"):
                if self.sent != self.given[self.stream]:
                    raise Violation(f"{self.stream} ended after {self.sent} of {self.given[self.stream]} chunks")
                self.has_ended = True
        elif message["type"] == "text" and message["text"] != self.texts.get(message["id"], message["text"]):
            raise Violation(f"the client sent {message}")

    def begin(self, message):
        if self.has_begun:
            raise Violation("two sessions on one connection")
        self.has_begun = True
        if self.session is None:
            self.session = message["session_id"]
        elif not message["resumed"] or message["session_id"] != self.session:
            fields = {name: message.get(name) for name in ("resumed", "lost", "resume_error", "session_id")}
            raise Violation(f"the session wasn't resumed: {fields}")
        elif message["lost"]:
            raise Violation("lost was reported, although the outbox was never full")
        else:
            self.counts["resumes"] += 1
        if message["last_seq"] < self.last:
            raise Violation(f"last_seq decreased from {self.last} to {message['last_seq']}")
        self.verify_stream(message.get("open_audio"))

    def verify_stream(self, open):
        """Verifies what the gateway has of the stream that was open when the connection closed."""
        if self.stream is None:
            return
        if open and open["id"] == self.stream:
            if open["chunks"] < self.accepted:
                raise Violation(f"{self.accepted} chunks of {self.stream} were acknowledged, but the gateway has {open['chunks']}")
            self.accepted = open["chunks"]
        elif self.accepted and not self.has_ended:
            raise Violation(f"{self.stream} with {self.accepted} acknowledged chunks is no longer open")

    def receives(self, raw):
        if isinstance(raw, bytes):
            raise Violation("unexpected binary message")
        message = json.loads(raw)
        if message["type"] == "session":
            return self.begin(message)
        if not self.has_begun:
            raise Violation(f"{message['type']} arrived before session")
        for message in mutated(message, self.mutation, self.random):
            self.receive(message)
        return None

    def receive(self, message):
        if "seq" in message:
            if message["seq"] != self.last + 1:
                raise Violation(f"sequence number {message['seq']} follows {self.last}")
            self.last = message["seq"]
        kind = message["type"]
        if kind == "ack":
            self.receive_ack(message)
        elif kind == "text":
            self.receive_text(message["reply_to"], message["text"], message.get("done"))
        elif kind == "transcript":
            self.receive_transcript(message)
        elif kind == "error":
            self.receive_error(message)
        elif kind not in ("goaway", "pong"):
            raise Violation(f"unexpected message type {kind}")

    def receive_ack(self, message):
        if message["id"] == self.stream and "chunks" in message:
            if message["chunks"] < self.accepted or message["chunks"] > self.sent:
                raise Violation(f"{message['chunks']} chunks acknowledged, after {self.accepted}, of {self.sent} sent")
            self.accepted = message["chunks"]
        elif message["id"] in self.texts:
            if message.get("duplicate") is None and message["id"] in self.acknowledged:
                raise Violation(f"{message['id']} was accepted twice")
            self.acknowledged.add(message["id"])

    def receive_text(self, id, text, is_done):
        if id in self.done:
            raise Violation(f"{id} got two responses")
        self.responses[id] += text
        if is_done:
            response = self.responses.pop(id)
            if response != self.texts[id]:
                raise Violation(f"{id}: response {response!r}, expected {self.texts[id]!r}")
            self.finish(id)

    def receive_transcript(self, message):
        id = message["reply_to"]
        if id in self.recorded:
            raise Violation(f"{id} got two responses")
        seconds = float(re.match(r"[\d.]+", message["text"])[0])
        expected = self.given[id] * CHUNK / 32000
        if abs(seconds - expected) > 0.051:
            raise Violation(f"{id}: the transcript states {seconds} s, but {expected} s were recorded")
        self.finish(id)

    def receive_error(self, message):
        error = message["error"]
        # The only error allowed for an accepted message: the gateway was killed during the response.
        if error["code"] != "upstream_error" or not message.get("done") or not error["retryable"]:
            raise Violation(f"unexpected error: {message}")
        if error["reply_to"] in self.done or error["reply_to"] in self.recorded:
            raise Violation(f"{error['reply_to']} got two responses")
        self.counts["responses cut by a kill"] += 1
        self.finish(error["reply_to"])

    def finish(self, id):
        self.counts["responses"] += 1
        if id == self.stream:
            self.stream = None
        if id in self.texts:
            self.acknowledged.add(id)  # A response implies acceptance.
            self.done.add(id)
        else:
            self.recorded.add(id)
            self.counts["recordings"] += 1


async def source(chunks):
    """Yields chunks from a queue until None."""
    while (chunk := await chunks.get()) is not None:
        yield chunk


def mutated(message, mutation, generator):
    """Returns the messages to verify in place of one: with a mutation, the checks must fail."""
    if mutation is None or "seq" not in message or generator.random() > 0.001:
        return [message]
    return {"lose": [], "double": [message, message], "renumber": [message | {"seq": message["seq"] + 1}]}[mutation]


async def killer(gateway, kills, generator, counts):
    for number in range(kills):
        await asyncio.sleep(generator.uniform(0.2, 1.8))
        gateway.kill()
        await asyncio.sleep(generator.uniform(0, 0.3))
        await asyncio.to_thread(gateway.start)
        counts["kills"] += 1
        if (number + 1) % 10 == 0:
            print(f"{number + 1:4} kills: " + ", ".join(f"{value} {name}" for name, value in sorted(counts.items())), flush=True)


async def watcher(gateway, minutes, counts):
    """Samples memory and descriptors every minute; the first minute is the warm-up."""
    figures = []
    for minute in range(minutes):
        await asyncio.sleep(60)
        figures.append((gateway.resident(), gateway.descriptors()))
        resident, descriptors = figures[-1]
        print(f"minute {minute + 1}: {resident / 1024:.1f} MB, {descriptors} descriptors; {counts['responses']} responses", flush=True)
    return figures


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executable", type=pathlib.Path, required=True)
    parser.add_argument("--store", choices=["sqlite", "memory"], default="sqlite")
    parser.add_argument("--kills", type=int, default=200, help="number of kills with --store sqlite")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--minutes", type=int, default=10, help="duration with --store memory")
    parser.add_argument("--mutate", choices=["lose", "double", "renumber"], help="change messages before their verification; must fail")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    options = parser.parse_args()
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    print(f"seed {options.seed}", flush=True)
    counts = collections.Counter()
    gateway = Gateway(str(options.executable.resolve()), options.store)
    clients = [Client(number, gateway, options.seed, counts, options.mutate) for number in range(options.clients)]
    tasks = [asyncio.create_task(client.run()) for client in clients]
    if options.store == "sqlite":
        driver = asyncio.create_task(killer(gateway, options.kills, random.Random(options.seed), counts))
    else:
        driver = asyncio.create_task(watcher(gateway, options.minutes, counts))
    await asyncio.wait([driver, *tasks], return_when=asyncio.FIRST_COMPLETED)
    violations = [f"client {number}: {task.exception()!r}" for number, task in enumerate(tasks) if task.done() and task.exception()]
    if not violations:
        for client in clients:
            client.is_stopping = True
        done, late = await asyncio.wait(tasks, timeout=60)
        violations = [f"client {number}: {task.exception()!r}" for number, task in enumerate(tasks) if task in done and task.exception()]
        for number, task in enumerate(tasks):
            if task in late:
                client = clients[number]
                missing = sorted(client.acknowledged - client.done)[:5]
                unacknowledged = sorted(set(client.texts) - client.acknowledged)[:5]
                violations.append(f"client {number}: no response to {missing}, no ack for {unacknowledged}, stream {client.stream}")
    if options.store == "memory" and not violations:
        figures = driver.result()
        half = figures[len(figures) // 2 :]
        if max(half)[0] > figures[0][0] * 1.1 + 20 * 1024:
            violations.append(f"memory grew from {figures[0][0]} to {max(half)[0]} KB")
        if max(entry[1] for entry in half) > figures[0][1] + options.clients // 2 + 10:
            violations.append("file descriptors grew")
    # Waits for the driver, which may be restarting the gateway.
    driver.cancel()
    await asyncio.wait([driver], timeout=10)
    gateway.kill()
    print(", ".join(f"{value} {name}" for name, value in sorted(counts.items())))
    acknowledged = sum(len(client.acknowledged) for client in clients)
    print(f"{acknowledged} texts acknowledged; the slowest start of the gateway took {1000 * max(gateway.starts):.0f} ms")
    for line in violations[:20]:
        print("VIOLATION:", line)
    print("failed" if violations else "passed: no acknowledged message was lost, duplicated or reordered")
    sys.stdout.flush()
    # Exits without waiting for clients that still try to reconnect.
    os._exit(1 if violations else 0)


asyncio.run(main())
