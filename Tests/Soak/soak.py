#!/usr/bin/env python3
"""Nothing acknowledged is lost: clients that number what they say and check what comes, while their connections are cut in mid-frame, their
readers stall, they repeat themselves, come back on other event loops, and the gateway is killed and started anew at random moments.

Fails (exit 1) when, for any client, something acknowledged was lost, answered twice, or came out of order; when a session that should go on
didn't, or pretended to; or when `lost` was said without reason. Prints its seed: the same seed makes the same clients and faults, though not
the same timing.
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
    """The executable, which keeps its port and its store over its deaths."""

    def __init__(self, executable, store, clients):
        self.executable = executable
        self.folder = tempfile.mkdtemp(prefix="parley-soak-")
        self.port, operations = free_port(), free_port()
        flags = {
            "listen.address": f"127.0.0.1:{self.port}", "operations.address": f"127.0.0.1:{operations}", "listen.loops": "2",
            "logging.format": "json", "logging.level": "info", "store.kind": store, "store.path": "soak.sqlite",
            "store.synchronous": "normal", "connections.max": "0", "connections.per_address": "0", "sessions.max": "0",
            "sessions.max_detached": "0", "limits.text_per_minute": "0", "limits.audio_per_minute": "0", "limits.control_per_minute": "0",
            "limits.audio_chunks_per_second": "0", "limits.audio_realtime_factor": "0", "limits.bytes_per_second": "0",
        }
        if store == "memory":
            # What sessions remember is full after a minute: what grows after that is a leak.
            flags |= {"sessions.history_messages": "20", "sessions.history_bytes": "16KiB", "sessions.duplicate_ids": "400"}
        self.arguments = [executable, "serve"] + [part for key, value in flags.items() for part in ("--" + key, value)]
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
        self.log = open(os.path.join(self.folder, "log"), "ab")
        self.starts = []
        self.start()

    def start(self):
        begin = time.monotonic()
        self.process = subprocess.Popen(
            self.arguments, cwd=self.folder, env=self.environment, stdout=self.log, stderr=subprocess.STDOUT)
        while True:
            if self.process.poll() is not None:
                sys.exit(f"the gateway didn't start; its log is {self.log.name}")
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


class Broken(Exception):
    """A promise that wasn't kept."""


class Client:
    """One session: what it said, what it was promised, and what it got."""

    def __init__(self, number, gateway, seed, counts):
        self.number = number
        self.gateway = gateway
        self.random = random.Random(f"{seed}/{number}")
        self.counts = counts
        self.socket = None
        self.session = None
        self.token = None
        self.last = 0
        self.said = {}  # id: text
        self.acknowledged = set()
        self.answers = collections.defaultdict(str)
        self.done = set()
        self.next_text = 0
        self.stream = None  # id of the audio stream that is open
        self.sent = self.accepted = 0
        self.has_ended = False
        self.lengths = {}  # id of an ended stream: its chunks
        self.next_stream = 0
        self.is_stopping = False

    # MARK: What it does

    async def run(self):
        while not (self.is_stopping and self.is_content()):
            try:
                await self.connection()
            except (ConnectionClosed, OSError, InvalidHandshake, InvalidMessage, EOFError, asyncio.TimeoutError):
                self.counts["connections lost"] += 1
                await asyncio.sleep(self.random.uniform(0, 0.1))
        if self.socket:
            await self.socket.close()

    def is_content(self):
        """Everything that was acknowledged is answered, and nothing waits for an acknowledgement."""
        return set(self.said) == self.acknowledged == self.done and self.stream is None

    async def connection(self):
        url = f"wss://127.0.0.1:{self.gateway.port}/v1/ws?last_seq={self.last}"
        headers = {"Parley-Resume": self.token} if self.token else {}
        self.socket = await connect(
            url, ssl=TLS, additional_headers=headers, compression=None, open_timeout=10, ping_interval=None, close_timeout=0.1, max_size=None)
        message = json.loads(await asyncio.wait_for(self.socket.recv(), 20))
        if message["type"] != "session":
            raise Broken(f"{message['type']} came before the session")
        await self.begin(message)
        reader = asyncio.create_task(self.read())
        try:
            while not reader.done() and not (self.is_stopping and self.is_content()):
                await self.act()
        finally:
            reader.cancel()
            result = (await asyncio.gather(reader, return_exceptions=True))[0]
            if isinstance(result, Broken):
                raise result
        if self.is_stopping and self.is_content():
            return
        raise EOFError

    async def begin(self, message):
        if self.session is None:
            self.session = message["session_id"]
        elif not message["resumed"] or message["session_id"] != self.session:
            raise Broken(f"the session wasn't resumed: {({k: message.get(k) for k in ('resumed', 'lost', 'resume_error', 'session_id')})}")
        elif message["lost"]:
            raise Broken("lost was said, although the outbox never was full")
        else:
            self.counts["resumes"] += 1
        if message["last_seq"] < self.last:
            raise Broken(f"last_seq went back from {self.last} to {message['last_seq']}")
        self.token = message["resume_token"]
        await self.say(type="ack", seq=self.last)
        for id in list(self.said):
            if id not in self.acknowledged:
                await self.say(type="text", id=id, text=self.said[id])
        if self.stream:
            await self.take_up(message.get("open_audio"))

    async def take_up(self, open):
        """Goes on with the stream that was open when the connection went."""
        if open and open["id"] == self.stream:
            if open["chunks"] < self.accepted:
                raise Broken(f"{self.accepted} chunks of {self.stream} were acknowledged, {open['chunks']} are there")
            self.accepted = self.sent = open["chunks"]
            await self.say(type="audio", id=self.stream, **{"from": self.accepted + 1})
            if self.has_ended:
                await self.end_stream()
        elif self.has_ended or self.stream in self.done:
            # The end had arrived: the transcript says of how much.
            if self.stream not in self.lengths:
                self.lengths[self.stream] = self.sent
            if self.stream in self.done:
                self.stream = None
        elif self.accepted:
            raise Broken(f"{self.stream} with {self.accepted} acknowledged chunks isn't open any more")
        else:
            self.sent = 0
            await self.say(type="audio", id=self.stream, format=FORMAT)

    async def act(self):
        """One thing to say, or to do wrong."""
        dice = self.random.random()
        if self.is_stopping:
            if self.stream and not self.has_ended:
                await self.end_stream()
            await asyncio.sleep(0.05)
        elif dice < 0.45:
            await self.speak()
        elif dice < 0.75:
            await self.feed()
        elif dice < 0.80 and self.acknowledged:
            # Says something again that is remembered: it is to be acknowledged as a duplicate, and not answered again.
            id = f"t{self.random.randrange(max(0, self.next_text - 300), self.next_text)}"
            if id not in self.acknowledged:
                return
            self.counts["repeated"] += 1
            await self.say(type="text", id=id, text=self.said[id])
        elif dice < 0.82:
            self.counts["stalled"] += 1
            self.is_stalled = True
            await asyncio.sleep(self.random.uniform(0.1, 0.6))
            self.is_stalled = False
        elif dice < 0.84:
            self.counts["cut"] += 1
            self.socket.transport.abort()
        elif dice < 0.86:
            self.counts["cut in mid-frame"] += 1
            self.socket.transport.write(b"\x81\xfe\x10\x00\x00\x00\x00\x00" + b"never whole")
            await asyncio.sleep(0.01)
            self.socket.transport.abort()
        else:
            await self.say(type="ack", seq=self.last)
        await asyncio.sleep(self.random.uniform(0, 0.06))

    is_stalled = False

    async def speak(self):
        id = f"t{self.next_text}"
        self.next_text += 1
        words = self.random.choice([1, 3, 30, 60])
        self.said[id] = " ".join(f"{self.number}.{id}.{word}" for word in range(words))
        await self.say(type="text", id=id, text=self.said[id])

    async def feed(self):
        if self.stream is None:
            self.stream = f"a{self.next_stream}"
            self.next_stream += 1
            self.sent = self.accepted = 0
            self.has_ended = False
            await self.say(type="audio", id=self.stream, format=FORMAT)
        elif not self.has_ended:
            for _ in range(self.random.randint(1, 40)):
                self.sent += 1
                await self.socket.send(struct.pack("<h", self.sent % 30000) * (CHUNK // 2))
            if self.sent > 200:
                await self.end_stream()

    async def end_stream(self):
        self.has_ended = True
        self.lengths[self.stream] = self.sent
        await self.say(type="audio", id=self.stream, final=True)

    async def say(self, **message):
        await self.socket.send(json.dumps(message))

    # MARK: What it hears

    async def read(self):
        while True:
            while self.is_stalled:
                await asyncio.sleep(0.02)
            raw = await self.socket.recv()
            if isinstance(raw, bytes):
                raise Broken("a binary frame that nobody asked for")
            self.hear(json.loads(raw))

    def hear(self, message):
        if "seq" in message:
            if message["seq"] != self.last + 1:
                raise Broken(f"{message['seq']} came behind {self.last}")
            self.last = message["seq"]
        kind = message["type"]
        if kind == "ack":
            self.hear_ack(message)
        elif kind == "text":
            self.hear_answer(message["reply_to"], message["text"], message.get("done"))
        elif kind == "transcript":
            self.hear_transcript(message)
        elif kind == "error":
            self.hear_error(message)
        elif kind not in ("goaway", "pong"):
            raise Broken(f"what is {kind}?")

    def hear_ack(self, message):
        if message["id"] == self.stream and "chunks" in message:
            if message["chunks"] < self.accepted or message["chunks"] > self.sent:
                raise Broken(f"{message['chunks']} chunks acknowledged, behind {self.accepted} of {self.sent}")
            self.accepted = message["chunks"]
        elif message["id"] in self.said:
            if message.get("duplicate") is None and message["id"] in self.acknowledged:
                raise Broken(f"{message['id']} was accepted twice")
            self.acknowledged.add(message["id"])

    def hear_answer(self, id, text, is_done):
        if id in self.done:
            raise Broken(f"{id} was answered twice")
        self.answers[id] += text
        if is_done:
            if self.answers[id] != self.said[id]:
                raise Broken(f"{id}: {self.answers[id]!r} instead of {self.said[id]!r}")
            self.finish(id)

    def hear_transcript(self, message):
        id = message["reply_to"]
        if id in self.done:
            raise Broken(f"{id} was answered twice")
        seconds = float(re.match(r"[\d.]+", message["text"])[0])
        expected = self.lengths.get(id, self.sent) * CHUNK / 32000
        if abs(seconds - expected) > 0.051:
            raise Broken(f"{id}: {seconds} s were heard, {expected} were said and acknowledged")
        self.finish(id)

    def hear_error(self, message):
        error = message["error"]
        # Only this may happen to what was accepted: the gateway died in the middle of the answer.
        if error["code"] != "upstream_error" or not message.get("done") or not error["retryable"]:
            raise Broken(f"an error: {message}")
        if error["reply_to"] in self.done:
            raise Broken(f"{error['reply_to']} was answered twice")
        self.counts["answers cut by a kill"] += 1
        self.finish(error["reply_to"])

    def finish(self, id):
        self.counts["answers"] += 1
        if id == self.stream:
            self.stream = None
        if id in self.said:
            self.acknowledged.add(id)  # Its answer says as much.
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
    """Memory and descriptors at each minute, the first of which is for warming up."""
    figures = []
    for minute in range(minutes):
        await asyncio.sleep(60)
        figures.append((gateway.resident(), gateway.descriptors()))
        print(f"minute {minute + 1}: {figures[-1][0] / 1024:.1f} MB, {figures[-1][1]} descriptors; {counts['answers']} answers", flush=True)
    return figures


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executable", type=pathlib.Path, required=True)
    parser.add_argument("--store", choices=["sqlite", "memory"], default="sqlite")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--minutes", type=int, default=10, help="without kills")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    options = parser.parse_args()
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    print(f"seed {options.seed}", flush=True)
    counts = collections.Counter()
    gateway = Gateway(str(options.executable.resolve()), options.store, options.clients)
    clients = [Client(number, gateway, options.seed, counts) for number in range(options.clients)]
    tasks = [asyncio.create_task(client.run()) for client in clients]
    if options.store == "sqlite":
        driver = asyncio.create_task(killer(gateway, options.kills, random.Random(options.seed), counts))
    else:
        driver = asyncio.create_task(watcher(gateway, options.minutes, counts))
    await asyncio.wait([driver, *tasks], return_when=asyncio.FIRST_COMPLETED)
    broken = [f"client {number}: {task.exception()!r}" for number, task in enumerate(tasks) if task.done() and task.exception()]
    if not broken:
        for client in clients:
            client.is_stopping = True
        done, late = await asyncio.wait(tasks, timeout=60)
        broken = [f"client {number}: {task.exception()!r}" for number, task in enumerate(tasks) if task in done and task.exception()]
        for number, task in enumerate(tasks):
            if task in late:
                client = clients[number]
                missing = sorted(client.acknowledged - client.done)[:5]
                broken.append(f"client {number}: no answer to {missing}, no ack for {sorted(set(client.said) - client.acknowledged)[:5]}, "
                              f"stream {client.stream}")
    if options.store == "memory" and not broken:
        figures = driver.result()
        half = figures[len(figures) // 2 :]
        if max(half)[0] > figures[0][0] * 1.1 + 20 * 1024:
            broken.append(f"memory grew from {figures[0][0]} to {max(half)[0]} KB")
        if max(entry[1] for entry in half) > figures[0][1] + options.clients // 2 + 10:
            broken.append("file descriptors grew")
    # It may be about to start the gateway anew.
    driver.cancel()
    await asyncio.wait([driver], timeout=10)
    gateway.kill()
    print(", ".join(f"{value} {name}" for name, value in sorted(counts.items())))
    acknowledged = sum(len(client.acknowledged) for client in clients)
    print(f"{acknowledged} texts acknowledged; the gateway started in {1000 * max(gateway.starts):.0f} ms at most")
    for line in broken[:20]:
        print("BROKEN", line)
    print("failed" if broken else "nothing acknowledged was lost, doubled or reordered")
    sys.stdout.flush()
    # Clients that wait for a gateway that is gone don't have to be asked.
    os._exit(1 if broken else 0)


asyncio.run(main())
