#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that no acknowledged message is lost. Clients number their messages and verify the responses, while connections are cut in
mid-frame, readers stall, messages are repeated, clients reconnect to other event loops, and the gateway is killed and restarted at random.

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
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

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
    """A client with one session: records sent messages, acknowledgements and responses, and verifies them."""

    def __init__(self, number, gateway, seed, counts):
        self.number = number
        self.gateway = gateway
        self.random = random.Random(f"{seed}/{number}")
        self.counts = counts
        self.socket = None
        self.session = None
        self.token = None
        self.last = 0  # sequence number of the last message received
        self.texts = {}  # id: text
        self.acknowledged = set()
        self.responses = collections.defaultdict(str)
        self.done = set()
        self.next_text = 0
        self.stream = None  # id of the open audio stream
        self.sent = self.accepted = 0  # chunks of the open stream
        self.has_ended = False  # whether the end of the open stream was sent
        self.chunk_counts = {}  # id of an ended stream: number of chunks
        self.next_stream = 0
        self.is_stopping = False

    # MARK: Sending

    async def run(self):
        while not (self.is_stopping and self.is_complete()):
            try:
                await self.connection()
            except (ConnectionClosed, OSError, InvalidHandshake, InvalidMessage, EOFError, asyncio.TimeoutError):
                self.counts["connections lost"] += 1
                await asyncio.sleep(self.random.uniform(0, 0.1))
        if self.socket:
            await self.socket.close()

    def is_complete(self):
        """Returns whether all messages are acknowledged and have complete responses."""
        return set(self.texts) == self.acknowledged == self.done and self.stream is None

    async def connection(self):
        url = f"wss://127.0.0.1:{self.gateway.port}/v1/ws?last_seq={self.last}"
        headers = {"Parley-Resume": self.token} if self.token else {}
        self.socket = await connect(
            url, ssl=TLS, additional_headers=headers, compression=None, open_timeout=10, ping_interval=None, close_timeout=0.1, max_size=None)
        message = json.loads(await asyncio.wait_for(self.socket.recv(), 20))
        if message["type"] != "session":
            raise Violation(f"{message['type']} arrived before session")
        await self.begin(message)
        reader = asyncio.create_task(self.read())
        try:
            while not reader.done() and not (self.is_stopping and self.is_complete()):
                await self.step()
        finally:
            reader.cancel()
            result = (await asyncio.gather(reader, return_exceptions=True))[0]
            if isinstance(result, Violation):
                raise result
        if self.is_stopping and self.is_complete():
            return
        raise EOFError

    async def begin(self, message):
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
        self.token = message["resume_token"]
        await self.send(type="ack", seq=self.last)
        for id in list(self.texts):
            if id not in self.acknowledged:
                await self.send(type="text", id=id, text=self.texts[id])
        if self.stream:
            await self.resume_stream(message.get("open_audio"))

    async def resume_stream(self, open):
        """Continues the audio stream that was open when the connection closed."""
        if open and open["id"] == self.stream:
            if open["chunks"] < self.accepted:
                raise Violation(f"{self.accepted} chunks of {self.stream} were acknowledged, but the gateway has {open['chunks']}")
            self.accepted = self.sent = open["chunks"]
            await self.send(type="audio", id=self.stream, **{"from": self.accepted + 1})
            if self.has_ended:
                await self.end_stream()
        elif self.has_ended or self.stream in self.done:
            # The gateway has received the end; the transcript states the length.
            if self.stream not in self.chunk_counts:
                self.chunk_counts[self.stream] = self.sent
            if self.stream in self.done:
                self.stream = None
        elif self.accepted:
            raise Violation(f"{self.stream} with {self.accepted} acknowledged chunks is no longer open")
        else:
            self.sent = 0
            await self.send(type="audio", id=self.stream, format=FORMAT)

    async def step(self):
        """Sends something, or injects a fault."""
        dice = self.random.random()
        if self.is_stopping:
            if self.stream and not self.has_ended:
                await self.end_stream()
            await asyncio.sleep(0.05)
        elif dice < 0.45:
            await self.send_text()
        elif dice < 0.75:
            await self.send_audio()
        elif dice < 0.80 and self.acknowledged:
            # Repeats a recent message: it must be acknowledged as a duplicate, and get no second response.
            id = f"t{self.random.randrange(max(0, self.next_text - 300), self.next_text)}"
            if id not in self.acknowledged:
                return
            self.counts["duplicates sent"] += 1
            await self.send(type="text", id=id, text=self.texts[id])
        elif dice < 0.82:
            self.counts["stalls"] += 1
            self.is_stalled = True
            await asyncio.sleep(self.random.uniform(0.1, 0.6))
            self.is_stalled = False
        elif dice < 0.84:
            self.counts["resets"] += 1
            self.socket.transport.abort()
        elif dice < 0.86:
            self.counts["resets in mid-frame"] += 1
            self.socket.transport.write(b"\x81\xfe\x10\x00\x00\x00\x00\x00" + b"never whole")
            await asyncio.sleep(0.01)
            self.socket.transport.abort()
        else:
            await self.send(type="ack", seq=self.last)
        await asyncio.sleep(self.random.uniform(0, 0.06))

    is_stalled = False

    async def send_text(self):
        id = f"t{self.next_text}"
        self.next_text += 1
        words = self.random.choice([1, 3, 30, 60])
        self.texts[id] = " ".join(f"{self.number}.{id}.{word}" for word in range(words))
        await self.send(type="text", id=id, text=self.texts[id])

    async def send_audio(self):
        if self.stream is None:
            self.stream = f"a{self.next_stream}"
            self.next_stream += 1
            self.sent = self.accepted = 0
            self.has_ended = False
            await self.send(type="audio", id=self.stream, format=FORMAT)
        elif not self.has_ended:
            for _ in range(self.random.randint(1, 40)):
                self.sent += 1
                await self.socket.send(struct.pack("<h", self.sent % 30000) * (CHUNK // 2))
            if self.sent > 200:
                await self.end_stream()

    async def end_stream(self):
        self.has_ended = True
        self.chunk_counts[self.stream] = self.sent
        await self.send(type="audio", id=self.stream, final=True)

    async def send(self, **message):
        await self.socket.send(json.dumps(message))

    # MARK: Receiving

    async def read(self):
        while True:
            while self.is_stalled:
                await asyncio.sleep(0.02)
            raw = await self.socket.recv()
            if isinstance(raw, bytes):
                raise Violation("unexpected binary message")
            self.receive(json.loads(raw))

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
            if self.responses[id] != self.texts[id]:
                raise Violation(f"{id}: response {self.responses[id]!r}, expected {self.texts[id]!r}")
            self.finish(id)

    def receive_transcript(self, message):
        id = message["reply_to"]
        if id in self.done:
            raise Violation(f"{id} got two responses")
        seconds = float(re.match(r"[\d.]+", message["text"])[0])
        expected = self.chunk_counts.get(id, self.sent) * CHUNK / 32000
        if abs(seconds - expected) > 0.051:
            raise Violation(f"{id}: the transcript states {seconds} s, but {expected} s were sent")
        self.finish(id)

    def receive_error(self, message):
        error = message["error"]
        # The only error allowed for an accepted message: the gateway was killed during the response.
        if error["code"] != "upstream_error" or not message.get("done") or not error["retryable"]:
            raise Violation(f"unexpected error: {message}")
        if error["reply_to"] in self.done:
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
            self.done.discard(id)
            self.counts["recordings"] += 1


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
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    options = parser.parse_args()
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    print(f"seed {options.seed}", flush=True)
    counts = collections.Counter()
    gateway = Gateway(str(options.executable.resolve()), options.store)
    clients = [Client(number, gateway, options.seed, counts) for number in range(options.clients)]
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
