#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the timeline of a session with the clocks of those who caused its delays.

    waterfall.py --executable PARLEY [--rounds 5] [--tolerance 20] [--delay 400]

A voice assistant gets three kinds of turns: one with a slow recognizer, one with a slow first token, and one with a client that plays and
acknowledges late. The upstreams of slow.py write down when they send a response, the client when it sends and receives. For each stage, the
program prints the largest difference between that moment and the offset in the timeline, in milliseconds. Fails (exit 1) when a difference is
above --tolerance, or when the longest stage isn't the slow one. Needs the PyPI package websockets; waterfall.sh installs that.
"""
import argparse
import asyncio
import json
import os
import pathlib
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request

import websockets

HERE = pathlib.Path(__file__).resolve().parent
SERVICES = {"transcript": "v1/audio/transcriptions", "first_token": "v1/chat/completions", "first_audio": "v1/audio/speech"}
STAGES = ["speech_end", *SERVICES, "done", "delivered", "played"]
# The slow party of each kind of turn, and the stages between which it shows.
SLOW = {"recognizer": ("speech_end", "transcript"), "first token": ("transcript", "first_token"), "client": ("done", "played")}
ROUTES = {"recognizer": "slowear,chat,voice", "first token": "ear,slowchat,voice", "client": "ear,chat,voice"}


def now():
    """Returns Unix milliseconds."""
    return time.time() * 1000


class Upstreams:
    """A running slow.py, and when each of its services sent the last response."""

    async def start(self):
        self.process = await asyncio.create_subprocess_exec(sys.executable, "-B", HERE / "slow.py", "--times", stdout=subprocess.PIPE)
        self.port = json.loads(await self.process.stdout.readline())["port"]
        self.sent = {}
        self.reading = asyncio.create_task(self.read())
        return self

    async def read(self):
        while line := await self.process.stdout.readline():
            event = json.loads(line)
            self.sent[event["sent"]] = event["at"]

    async def stop(self):
        self.process.kill()
        await self.process.wait()
        await self.reading


class Gateway:
    """A running gateway with a route to each kind of assistant."""

    async def start(self, executable, upstreams, delay):
        self.directory = tempfile.mkdtemp()
        arguments = [
            "--environment", "development", "--listen.address", "127.0.0.1:0", "--operations.address", "127.0.0.1:0", "--logging.format", "json",
        ]
        for name, task, wait in [("ear", "transcription", 0), ("slowear", "transcription", delay), ("chat", "chat", 0),
                                 ("slowchat", "chat", delay), ("voice", "speech", 0)]:
            for key, value in [("kind", "openai"), ("task", task), ("model", "test"), ("urls", f"http://127.0.0.1:{upstreams.port}/{wait}/v1")]:
                arguments += [f"--upstreams.{name}.{key}", value]
        for number, chain in enumerate(ROUTES.values()):
            arguments += [f"--routes.r{number}.meta", f"to=r{number}", f"--routes.r{number}.upstreams", chain]
        self.process = await asyncio.create_subprocess_exec(
            executable, "serve", *arguments, cwd=self.directory, stdout=subprocess.PIPE, env={"PATH": os.environ["PATH"]})
        self.lines = []
        self.port = self.operations = None
        while self.port is None or self.operations is None:
            line = await self.process.stdout.readline()
            if not line:
                sys.exit("the gateway doesn't start:\n" + "".join(self.lines))
            self.lines.append(line.decode())
            entry = json.loads(line)
            if entry["msg"] == "listening":
                self.port = int(entry["address"].rsplit(":", 1)[1])
            elif entry["logger"] == "parley.operations" and (found := re.search(r"listening on .*:(\d+)$", entry["msg"])):
                self.operations = int(found[1])
        self.reading = asyncio.create_task(self.process.stdout.read())
        return self

    def timeline(self, session):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.operations}/v1/sessions/{session}/timeline", timeout=10) as response:
            return json.load(response)

    async def stop(self):
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()
        self.reading.cancel()
        shutil.rmtree(self.directory)


async def turn(socket, upstreams, kind, name, delay):
    """Speaks to the assistant, plays the response, and returns when each stage ended."""
    route = f"r{list(ROUTES).index(kind)}"
    upstreams.sent.clear()
    await socket.send(json.dumps({
        "type": "audio", "id": name, "format": {"codec": "pcm16", "rate": 16_000, "channels": 1}, "meta": {"to": route},
        "output": {"modalities": ["text", "audio"], "format": {"codec": "pcm16", "rate": 24_000, "channels": 1}},
    }))
    for _ in range(2):
        await socket.send(bytes(3200))
        await asyncio.sleep(0.1)
    await socket.send(json.dumps({"type": "audio", "id": name, "final": True}))
    times = {"speech_end": now()}
    sequence = 0
    while True:
        data = await asyncio.wait_for(socket.recv(), 20)
        if isinstance(data, bytes):
            continue
        message = json.loads(data)
        if message["type"] == "error":
            sys.exit(f"{kind}: {data}")
        sequence = max(sequence, message.get("seq", 0))
        if message.get("reply_to") == name and message.get("done"):
            break
    times["done"] = now()
    if kind == "client":
        await asyncio.sleep(delay / 1000)
    await socket.send(json.dumps({"type": "status", "state": "idle", "reply_to": name, "played_ms": 400}))
    times["played"] = now()
    await socket.send(json.dumps({"type": "ack", "seq": sequence}))
    times["delivered"] = now()
    # The gateway has handled both when it answers.
    await socket.send(json.dumps({"type": "ping", "id": name + "p"}))
    while isinstance(data, bytes) or json.loads(data)["type"] != "pong":
        data = await asyncio.wait_for(socket.recv(), 20)
    times |= {stage: upstreams.sent[service] for stage, service in SERVICES.items()}
    return times


async def main(options):
    upstreams = await Upstreams().start()
    gateway = await Gateway().start(options.executable, upstreams, options.delay)
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    wrong = []
    try:
        async with websockets.connect(f"wss://127.0.0.1:{gateway.port}/v1/ws", ssl=tls, max_size=None) as socket:
            session = json.loads(await socket.recv())["session_id"]
            clocks = {}
            for number in range(options.rounds):
                for kind in SLOW:
                    name = f"{kind.replace(' ', '-')}-{number}"
                    clocks[name] = kind, await turn(socket, upstreams, kind, name, options.delay)
            turns = {each["request_id"]: each for each in gateway.timeline(session)["turns"]}
        print(f"| slow | {' | '.join(STAGES)} | the slow stage |\n|---|{'---:|' * len(STAGES)}---|")
        for kind, (begin, end) in SLOW.items():
            names = [name for name, (other, _) in clocks.items() if other == kind]
            worst, lengths = dict.fromkeys(STAGES, 0.0), []
            for name in names:
                found = turns[name]
                lengths.append(found[end] - found[begin])
                for stage in STAGES:
                    difference = found["started_at"] + found[stage] - clocks[name][1][stage]
                    worst[stage] = max(worst[stage], difference, key=abs)
                spans = {other: found[pair[1]] - found[pair[0]] for other, pair in SLOW.items()}
                if max(spans, key=spans.get) != kind:
                    wrong.append(f"{name}: the longest stage is that of the {max(spans, key=spans.get)}: {found}")
            wrong += [f"{kind}: {stage} differs by {value:.1f} ms" for stage, value in worst.items() if abs(value) > options.tolerance]
            print(f"| {kind} | {' | '.join(f'{worst[stage]:+.1f}' for stage in STAGES)} | {min(lengths)} to {max(lengths)} ms |")
        print(f"{len(clocks)} turns; the cells are the largest differences in ms between the timeline and the clock of the sender")
    finally:
        await gateway.stop()
        await upstreams.stop()
    for line in wrong:
        print(f"waterfall: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executable", default=os.environ.get("PARLEY_EXECUTABLE", ".build/release/parley"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tolerance", type=float, default=20, help="milliseconds")
    parser.add_argument("--delay", type=int, default=400, help="milliseconds")
    sys.exit(asyncio.run(main(parser.parse_args())))
