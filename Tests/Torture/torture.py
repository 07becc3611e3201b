#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Torture test on loopback: hundreds of clients that reset connections in mid-frame, stall or send invalid data, next to well-behaved ones.

Starts the gateway, runs for --minutes, and fails (exit 1) when a well-behaved client gets an error, or when at the end the gateway's memory
or file descriptors are above their level after the first round. Requires the package websockets, which run.sh installs.
"""
import argparse
import asyncio
import contextvars
import json
import logging
import os
import pathlib
import random
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time

import websockets

TLS = ssl.create_default_context()
TLS.check_hostname = False
TLS.verify_mode = ssl.CERT_NONE


class Gateway:
    """The gateway process under test, and its state from /proc."""

    def __init__(self, executable, clients):
        self.directory = tempfile.mkdtemp(prefix="parley-torture-")
        flags = {
            "listen.address": "127.0.0.1:0", "operations.address": "127.0.0.1:0", "logging.format": "json", "logging.level": "info",
            "connections.max": str(4 * clients), "connections.per_address": str(8 * clients), "sessions.max": str(4 * clients),
            "sessions.max_detached": "0", "sessions.resume_window": "2s",
            "limits.text_per_minute": "100000", "limits.audio_per_minute": "100000", "limits.control_per_minute": "100000",
            "delivery.send_timeout": "2s", "tls.handshake_timeout": "3s", "http.header_timeout": "4s",
            "heartbeat.interval": "5s", "sessions.sweep": "5s",
        }
        arguments = [str(executable), "serve"] + [part for key, value in flags.items() for part in ("--" + key, value)]
        self.log = open(os.path.join(self.directory, "log"), "wb")
        # Only the flags configure this gateway, not environment variables.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
        self.process = subprocess.Popen(arguments, cwd=self.directory, env=environment, stdout=self.log, stderr=subprocess.STDOUT)
        self.port = None
        deadline = time.monotonic() + 20
        while self.port is None:
            if time.monotonic() > deadline or self.process.poll() is not None:
                sys.exit("the gateway didn't start; see " + self.log.name)
            for line in open(self.log.name, encoding="utf-8"):
                if '"msg":"listening"' in line:
                    self.port = int(json.loads(line)["address"].rsplit(":", 1)[1])
            time.sleep(0.05)

    @property
    def url(self):
        return f"wss://127.0.0.1:{self.port}/v1/ws"

    def resident(self):
        for line in open(f"/proc/{self.process.pid}/status", encoding="ascii"):
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def is_alive(self):
        return self.process.poll() is None

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return None


class Tally:
    def __init__(self):
        self.conversations = 0
        self.messages = 0
        self.attacks = 0
        self.errors = []

    def fail(self, error):
        self.errors.append(error)
        if len(self.errors) <= 20:
            print("ERROR of a well-behaved client:", error, flush=True)


async def behave(gateway, tally, stop, number):
    """Sends texts, pings and audio, and verifies the responses."""
    serial = 0
    while not stop.is_set():
        try:
            async with websockets.connect(gateway.url, ssl=TLS, max_size=None, open_timeout=60) as socket_:
                await expect(socket_, lambda m: m["type"] == "session")
                await socket_.send('{"type":"ack","seq":0}')
                for _ in range(random.randint(3, 30)):
                    if stop.is_set():
                        break
                    serial += 1
                    await converse(socket_, f"c{number}-{serial}", tally)
                    await asyncio.sleep(random.uniform(0, 0.4))
                await socket_.send('{"type":"bye"}')
                await socket_.wait_closed()
                if socket_.close_code != 1000:
                    tally.fail(f"closed {socket_.close_code} {socket_.close_reason} after bye")
                tally.conversations += 1
        except Exception as error:  # any error of a well-behaved client is the gateway's fault
            tally.fail(repr(error))
            await asyncio.sleep(0.2)


async def expect(socket_, matches):
    while True:
        message = await asyncio.wait_for(socket_.recv(), 60)
        if isinstance(message, bytes):
            continue
        message = json.loads(message)
        if message["type"] == "error":
            raise RuntimeError(f"unexpected error {message['error']['code']}: {message['error']['message']}")
        if matches(message):
            return message


async def converse(socket_, name, tally):
    kind = random.random()
    if kind < 0.4:
        await socket_.send(json.dumps({"type": "ping", "id": name}))
        await expect(socket_, lambda m: m["type"] == "pong" and m["id"] == name)
    elif kind < 0.9:
        text = " ".join(random.choice(["soup", "żółw", "日本", "🙂", "tea"]) for _ in range(random.randint(1, 60)))
        await socket_.send(json.dumps({"type": "text", "id": name, "text": text}, ensure_ascii=random.random() < 0.5))
        response = ""
        while True:
            piece = await expect(socket_, lambda m: m["type"] == "text" and m["reply_to"] == name)
            response += piece["text"]
            if piece.get("done"):
                break
        if response != text:
            tally.fail(f"{name}: the response differs from the text")
    else:
        await socket_.send(json.dumps({"type": "audio", "id": name, "format": {"codec": "pcm16", "rate": 16000, "channels": 1}}))
        for _ in range(10):
            await socket_.send(struct.pack("<320h", *[1000] * 320))
        await socket_.send(json.dumps({"type": "audio", "id": name, "final": True}))
        done = await expect(socket_, lambda m: m["type"] == "transcript" and m["reply_to"] == name)
        if not done["text"].startswith("0.2 s of pcm16"):
            tally.fail(f"{name}: {done['text']}")
    tally.messages += 1


def frame(first, payload):
    key = os.urandom(4)
    size = len(payload)
    head = bytes([first])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 65536:
        head += b"\xfe" + struct.pack(">H", size)
    else:
        head += b"\xff" + struct.pack(">Q", size)
    return head + key + bytes(byte ^ key[index & 3] for index, byte in enumerate(payload))


REQUEST = (
    b"GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


# The connections of a task's current attack.
CONNECTIONS = contextvars.ContextVar("connections")


async def attack(gateway, tally, stop):
    while not stop.is_set():
        CONNECTIONS.set([])
        try:
            await asyncio.wait_for(random.choice(ATTACKS)(gateway), 30)
        except (OSError, ssl.SSLError, asyncio.TimeoutError, asyncio.IncompleteReadError, EOFError):
            pass  # attackers are expected to be disconnected
        for writer in CONNECTIONS.get():
            writer.transport.abort()
        tally.attacks += 1
        await asyncio.sleep(random.uniform(0, 0.3))


async def connect(gateway, tls=TLS):
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port, ssl=tls)
    CONNECTIONS.get().append(writer)
    return reader, writer


async def upgrade(gateway):
    reader, writer = await connect(gateway)
    writer.write(REQUEST)
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def reset(gateway):
    """Resets the connection in mid-frame."""
    reader, writer = await upgrade(gateway)
    whole = frame(0x81, json.dumps({"type": "text", "id": "v", "text": "x" * random.randint(1, 5000)}).encode())
    writer.write(whole[: random.randint(1, len(whole))])
    await asyncio.sleep(random.uniform(0, 0.3))
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def stall(gateway):
    """Requests long responses and reads nothing."""
    reader, writer = await upgrade(gateway)
    reader._transport.pause_reading()
    text = " ".join(["w"] * 20000)
    for number in range(6):
        writer.write(frame(0x81, json.dumps({"type": "text", "id": f"s{number}", "text": text}).encode()))
    await asyncio.sleep(random.uniform(1, 6))


async def invalid_frames(gateway):
    """Sends bytes that aren't frames, or invalid frames."""
    reader, writer = await upgrade(gateway)
    for _ in range(random.randint(1, 20)):
        writer.write(random.choice([
            os.urandom(random.randint(1, 2000)), frame(0xC1, b"x"), frame(0x83, b""), frame(0x80, b"stray"), b"\x81\x05hello",
            b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff", frame(0x81, b"\xff\xfe"), frame(0x89, b"p" * 125) * 50, frame(0x88, b"\x03"),
        ]))
        await asyncio.sleep(0.01)
    await asyncio.wait_for(reader.read(), 10)


async def invalid_messages(gateway):
    """Sends valid frames with invalid messages, until it is disconnected."""
    reader, writer = await upgrade(gateway)
    for _ in range(40):
        writer.write(frame(0x81, random.choice([b"{", b"[]", b'{"type":1}', b'{"type":"text"}', b'{"type":"x"}', b"[" * 500, b'{"a":1,"a":2}'])))
    await asyncio.wait_for(reader.read(), 10)


async def half_open(gateway):
    """Sends nothing, or an incomplete or invalid handshake."""
    reader, writer = await connect(gateway, tls=None)
    writer.write(random.choice([b"", b"\x16\x03\x01", b"\x16\x03\x01\x02\x00\x01\x00", os.urandom(300), b"GET / HTTP/1.1\r\n\r\n"]))
    await asyncio.wait_for(reader.read(), 10)


async def trickle(gateway):
    """Sends an endless request head."""
    reader, writer = await connect(gateway)
    writer.write(b"GET /v1/ws HTTP/1.1\r\n")
    for _ in range(100):
        writer.write(b"X-A: b\r\n")
        await writer.drain()
        if reader.at_eof():
            break
        await asyncio.sleep(0.1)


ATTACKS = [reset, reset, stall, invalid_frames, invalid_frames, invalid_messages, half_open, trickle]


async def round_(gateway, seconds, clients, tally):
    stop = asyncio.Event()
    good = clients // 4
    tasks = [asyncio.create_task(behave(gateway, tally, stop, number)) for number in range(good)]
    tasks += [asyncio.create_task(attack(gateway, tally, stop)) for _ in range(clients - good)]
    end = time.monotonic() + seconds
    while time.monotonic() < end and gateway.is_alive():
        await asyncio.sleep(min(15, max(0.1, end - time.monotonic())))
        print(f"  {tally.conversations} conversations, {tally.messages} exchanges, {tally.attacks} attacks, {len(tally.errors)} errors, "
              f"{gateway.resident() / 1e6:.1f} MB, {gateway.descriptors()} descriptors", flush=True)
    stop.set()
    _, late = await asyncio.wait(tasks, timeout=70)
    for task in late:
        task.cancel()


async def wait_for_cleanup(gateway):
    """Waits until the deadlines of all attackers' connections have passed; returns memory and descriptors."""
    await asyncio.sleep(12)
    return gateway.resident(), gateway.descriptors()


async def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--executable", type=pathlib.Path, required=True)
    options = parser.parse_args()
    random.seed(options.seed)
    # Suppresses asyncio's warnings about writing to closed connections.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    print(f"seed {options.seed}, {options.clients} clients, {options.minutes} minutes", flush=True)
    gateway = Gateway(options.executable.resolve(), options.clients)
    tally = Tally()
    total = options.minutes * 60
    warm = max(20, total / 5)
    try:
        await round_(gateway, warm, options.clients, tally)
        before, descriptors_before = await wait_for_cleanup(gateway)
        print(f"after the first round: {before / 1e6:.1f} MB, {descriptors_before} descriptors", flush=True)
        await round_(gateway, max(10, total - warm), options.clients, tally)
        after, descriptors_after = await wait_for_cleanup(gateway)
        print(f"at the end: {after / 1e6:.1f} MB, {descriptors_after} descriptors", flush=True)
    finally:
        alive = gateway.is_alive()
        status = gateway.stop()
    problems = []
    if not alive:
        problems.append("the gateway exited; see " + gateway.log.name)
    elif status != 0:
        problems.append(f"the gateway's exit status was {status}")
    if tally.errors:
        problems.append(f"{len(tally.errors)} errors of well-behaved clients")
    if after > before * 1.15 + 8e6:
        problems.append(f"memory grew from {before / 1e6:.1f} to {after / 1e6:.1f} MB")
    if descriptors_after > descriptors_before + 2:
        problems.append(f"descriptors grew from {descriptors_before} to {descriptors_after}")
    if tally.conversations == 0:
        problems.append("no conversation completed")
    for problem in problems:
        print("FAILED:", problem)
    print(f"{tally.conversations} conversations and {tally.messages} exchanges among {tally.attacks} attacks, {len(tally.errors)} errors")
    sys.exit(1 if problems else 0)


asyncio.run(main())
