#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The faults of faulty_process.py that rounds.py uses, in a program that starts quickly.

A run starts tens of thousands of these processes; importing asyncio alone would take three times as long as this whole program. It therefore serves
one text request at a time, without early faults, and emits only the events connected, request and forked.
"""
import json
import os
import signal
import sys
import time

BLOCK = 256 * 1024
DEFAULTS = {"trickle": 1000, "slow": 1000, "huge": 1 << 30, "endless": 5, "endless-rude": 5}


def emit(event, **fields):
    os.write(2, (json.dumps({"event": event} | fields) + "\n").encode())


def put(data):
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(1, rest):]


def hang():
    """Hangs until the gateway closes the input."""
    while os.read(0, 65536):
        pass
    os._exit(0)


class Request:
    """One text request. Each fault is a method, as in faults.py."""

    def __init__(self, message):
        self.fields = {"request": message["request"]}
        text = message["text"]
        words = text.upper().split(" ")
        self.pieces = [word + " " for word in words[:-1]] + words[-1:]
        name, _, rest = text.partition(" ")
        number = rest.partition(" ")[0]
        self.number = int(number) if number.isdigit() else DEFAULTS.get(name)
        emit("request", id=message.get("id"), fault=name)
        getattr(self, name.replace("-", "_"), self.ok)()

    def line(self, kind="text", **fields):
        return json.dumps({"type": kind} | self.fields | fields).encode() + b"\n"

    def send(self, pieces):
        put(b"".join(self.line(text=piece, final=False) for piece in pieces))

    def response(self):
        *pieces, last = self.pieces
        return b"".join(self.line(text=piece, final=False) for piece in pieces) + self.line(text=last, final=True, done=True)

    def ok(self):
        put(self.response())

    def hang(self):
        hang()

    def stall(self):
        self.send(self.pieces[:1])
        hang()

    def die(self):
        self.send(self.pieces[:1])
        os.kill(os.getpid(), signal.SIGKILL)

    def close(self):
        self.send(self.pieces[:max(1, len(self.pieces) // 2)])
        os._exit(0)

    def rubbish(self):
        # Imported only when needed, and not from faults.py, to keep startup fast.
        import random
        put(b"\n".join(b"\xff\xfe\xc3\x28" + random.Random(count).randbytes(count - 4) for count in (300, 301, 302)) + b"\n")

    def rubbish_json(self):
        put(b'{"type":"text",]\n')

    def rubbish_field(self):
        put(self.line(text=12345, final=False))

    def endless(self):
        piece = self.line(text=("more " * self.number)[:self.number], final=False)
        block = piece * (BLOCK // len(piece))
        while True:
            put(block)

    # A process is paused by not reading its pipe, so there is no pause to ignore.
    endless_rude = endless

    def trickle(self):
        data = self.response()
        for place in range(len(data)):
            put(data[place:place + 1])
            time.sleep(self.number / 1000)

    def huge(self):
        before, after = self.line(text="@", final=False).split(b"@")
        put(before)
        block = b"x" * BLOCK
        for rest in range(self.number, 0, -BLOCK):
            put(block[:rest])
        put(after + self.line(text="", final=True, done=True))

    def twice(self):
        put(self.response() * 2)

    def other(self):
        self.fields = {"request": 999}
        self.ok()

    def anonymous(self):
        self.fields = {}
        self.ok()

    def error(self):
        put(self.line("error", message="no", retryable=True, retry_after_ms=2000))

    def slow(self):
        time.sleep(self.number / 1000)
        self.ok()

    def status(self):
        put(self.line("status", state="thinking", progress=0.3))
        self.ok()

    def fork(self):
        emit("forked", pid=os.posix_spawnp("sleep", ["sleep", "1000"], os.environ))
        hang()

    def stubborn(self):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600)
        os._exit(0)


if __name__ == "__main__":
    # A process whose output isn't read is about to be killed; no traceback.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    emit("connected", connection=1, pid=os.getpid())
    for line in sys.stdin.buffer:
        Request(json.loads(line))
