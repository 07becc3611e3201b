# SPDX-License-Identifier: Apache-2.0

"""The clients of rounds.py: sessions, and a neighbor that measures latencies.

    rounds_client.py URL KIND

runs that neighbor. For each line of input it prints a line of JSON with the measurements since the previous one.
"""
import asyncio
import base64
import contextlib
import itertools
import json
import os
import re
import ssl
import subprocess
import sys
import time

import websockets

from rounds_faults import AUDIO, BREAKER, UNAVAILABLE

TLS = ssl.create_default_context()
TLS.check_hostname = False
TLS.verify_mode = ssl.CERT_NONE


def alike(text):
    """Returns the text with numbers and ids replaced, so that similar messages are equal."""
    return re.sub(r"\b(n?\d+|[0-9A-Z]{26})\b", "#", text)


class Outcome:
    """The outcome of one request."""

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
                await self.handle(data)
        except websockets.ConnectionClosed:
            pass
        self.closed = (self.socket.close_code, self.socket.close_reason)
        for outcome in list(self.asked.values()):
            self.end(outcome, "connection-lost", f"{self.closed}")

    async def handle(self, data):
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
        """Sends a request and returns its outcome, to be awaited."""
        name = f"q{next(self.numbers)}"
        outcome = self.asked[name] = Outcome()
        outcome.name = name
        outcome.begun = time.monotonic()
        if kind in AUDIO:
            # Vosk gets the fault in the samples, see websocket_faults.py; transcription in the prompt.
            data = base64.b64encode(text.encode().ljust(2 * samples, b"\0")).decode()
            message = {
                "type": "audio", "id": name, "format": {"codec": "pcm16", "rate": 16000, "channels": 1}, "data": data, "final": True,
                "meta": {"to": to, "prompt": text},
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
            self.end(outcome, "no-response", f"nothing within {seconds} s")
        outcome.elapsed = time.monotonic() - outcome.begun
        self.asked.pop(outcome.name, None)
        return outcome

    async def ask(self, kind, to, text, samples=320, seconds=12):
        return await self.wait(await self.send(kind, to, text, samples), seconds)

    async def good(self, kind, to, seconds=5):
        """Sends a correct request until the breaker admits it. Returns what went wrong, and the number of rejections."""
        rejected = 0
        deadline = time.monotonic() + seconds
        while True:
            number = next(self.numbers)
            words = 1 + number % 5
            samples = 100 + number % 5000
            text = "good" + " word" * (words - 1) + f" n{number}"
            outcome = await self.ask(kind, to, text, samples)
            if outcome.code == UNAVAILABLE and outcome.is_breaker and time.monotonic() < deadline:
                rejected += 1
                if not outcome.retryable or not outcome.retry_after:
                    return f"rejected by the breaker with retryable {outcome.retryable}, retry_after_ms {outcome.retry_after}", rejected
                await asyncio.sleep(min(outcome.retry_after, 1000) / 1000)
                continue
            if outcome.code != "ok":
                return f"{outcome.key}: {outcome.message} ({outcome.details}) after {outcome.elapsed * 1000:.0f} ms", rejected
            received = "".join(part for _, part, _ in outcome.text)
            if kind == "speech":
                is_right = outcome.audio == (words + 1) * 8820
                received = f"{outcome.audio} bytes of audio for {words + 1} words"
            elif kind == "transcription":
                is_right = received == f"{2 * samples + 44} bytes"
            elif kind == "vosk":
                received = "".join(part for _, part, final in outcome.text if final)
                is_right = received == f"{2 * samples} bytes"
            else:
                is_right = received == text.upper()
            if not is_right:
                return f"WRONG RESPONSE: {received[:80]!r} for {text!r} ({2 * samples} bytes)", rejected
            return None, rejected

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

    def disconnect(self):
        self.reading.cancel()
        self.socket.transport.abort()


class Neighbor:
    """Sends requests to a healthy upstream in a loop, in a process of its own."""

    def __init__(self, url, kind, pause=0.02):
        # Often enough for percentiles, rarely enough to leave the cores to others.
        self.url, self.kind, self.pause = url, kind, pause
        self.asking = asyncio.Lock()

    async def start(self):
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, __file__, self.url, self.kind, str(self.pause), stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=1 << 24)
        await self.process.stdout.readline()
        return self

    async def measurements(self):
        """Returns latencies of pings and responses in milliseconds since the last call, and errors."""
        async with self.asking:
            self.process.stdin.write(b"\n")
            return json.loads(await self.process.stdout.readline())

    async def stop(self):
        self.process.stdin.close()
        await self.process.wait()


async def run_neighbor(url, kind, pause=0.02):
    with contextlib.suppress(OSError):
        os.nice(-10)
    client = await Client(url).open()
    pings, responses, wrong = [], [], []

    async def report():
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        print("ready", flush=True)
        while await reader.readline():
            print(json.dumps({"pings": pings, "responses": responses, "wrong": wrong[:20], "count": len(wrong)}), flush=True)
            pings.clear(), responses.clear(), wrong.clear()
        os._exit(0)

    reporting = asyncio.create_task(report())
    while not reporting.done():
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
        responses.append((time.monotonic() - begun) * 1000)
        if what:
            wrong.append(what)
        await asyncio.sleep(float(pause))


if __name__ == "__main__":
    asyncio.run(run_neighbor(*sys.argv[1:4]))
