#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An upstream program with faults selected by each request: JSON lines on standard input and output.

    faulty_process.py [--fault "slow 100"]

Events are those of faulty.py, on standard error; connected includes the pid, and disconnected is the last one unless
the process is killed. At the end of its input it completes finite responses, cancels endless ones, and exits with 0. On
SIGTERM it cancels all responses and terminates. Additional faults:
- fork: starts a grandchild `sleep 1000` with the same input and output, emits {"event":"forked","pid":N}, and hangs;
- memory [BYTES]: allocates and touches BYTES (2 GB) in steps of 16 MB, emits {"event":"memory","bytes":N} every 256 MB,
  and hangs;
- stubborn: hangs and ignores the end of its input and SIGTERM; exits after ten minutes.
"""
import argparse
import asyncio
import json
import os
import signal
import subprocess

from conversation import Conversation, MessageOut
from events import Events, Malformed
from faults import Fault, rubbish
from wire import PipeWire

MAX_LINE_BYTES = 16 << 20
STEP_BYTES = 16 << 20
# Faults that don't end by themselves.
WITHOUT_END = {"hang", "stall", "endless", "endless-rude", "fork", "memory"}


class ProcessOut(MessageOut):
    """One line per message; audio follows a line with its size."""

    def payload(self, unit):
        payload = super().payload(unit)
        return payload if isinstance(unit, bytes) else payload + b"\n"

    def head(self, unit, length):
        if not isinstance(unit, bytes):
            return b""
        request = {} if self.number is None else {"request": self.number}
        return json.dumps({"type": "chunk"} | request | {"bytes": length}).encode() + b"\n"

    def other_number(self, request):
        return 999

    async def anonymous(self, response, fault):
        self.number = None
        await super().anonymous(response, fault)

    async def shut(self):
        self.call.exchange.finish("broken")
        self.wire.events.emit("disconnected", connection=self.wire.number)
        os._exit(0)

    async def kill(self):
        self.call.exchange.finish("broken")
        os.kill(os.getpid(), signal.SIGKILL)

    async def rubbish(self, response, fault):
        await self.wire.write(b"\n".join(rubbish(count) for count in (300, 301, 302)) + b"\n")

    async def fork(self, response, fault):
        child = subprocess.Popen(["sleep", "1000"])
        self.wire.events.emit("forked", pid=child.pid)
        await self.hang(response, fault)

    async def memory(self, response, fault):
        held = []
        while STEP_BYTES * len(held) < fault.number:
            held.append(b"\1" * STEP_BYTES)
            if len(held) % 16 == 0 or STEP_BYTES * len(held) >= fault.number:
                self.wire.events.emit("memory", bytes=STEP_BYTES * len(held))
            await asyncio.sleep(0.01)
        await self.hang(response, fault)

    async def stubborn(self, response, fault):
        self.wire.stubborn = True
        await asyncio.sleep(600)
        os._exit(0)


class Process:
    """Serves the input until it ends. To be made in the event loop that serves it."""

    def __init__(self, default):
        self.wire = PipeWire(Events(2, threaded=False))
        self.wire.stubborn = False
        self.events = self.wire.events
        self.conversation = Conversation(self.wire, default, ProcessOut)

    async def serve(self):
        self.events.emit("connected", connection=self.wire.number, pid=os.getpid())
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.terminate)
        pumping = asyncio.create_task(self.wire.pump())
        while line := await self.line():
            try:
                await self.message(line)
            except (Malformed, UnicodeDecodeError) as error:
                self.events.emit("malformed", reason=str(error))
        await pumping
        calls = [call for call in self.conversation.calls.values() if call.responding and call.flowing.is_set()]
        if finite := [call.responding for call in calls if call.fault.name not in WITHOUT_END]:
            await asyncio.wait(finite)
        await self.conversation.end()
        self.events.emit("disconnected", connection=self.wire.number)
        os._exit(0)

    async def line(self):
        """Returns the next line, or nothing at the end."""
        line = b""
        while len(line) < MAX_LINE_BYTES:
            try:
                return line + await self.wire.reader.readuntil(b"\n")
            except asyncio.LimitOverrunError as error:
                line += await self.wire.reader.readexactly(error.consumed)
            except asyncio.IncompleteReadError as error:
                if line + error.partial:
                    self.events.emit("malformed", reason="the input ended within a line")
                return b""
        self.events.emit("malformed", reason="a line without end")
        os._exit(1)

    async def message(self, line):
        if b'"chunk"' in line:
            await self.chunk(line)
        else:
            self.conversation.receive(line.decode())

    async def chunk(self, line):
        try:
            message = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise Malformed(f"not JSON: {error}") from None
        if not isinstance(message, dict) or message.get("type") != "chunk":
            self.conversation.receive(line.decode())
            return
        size = message.get("bytes")
        if not isinstance(size, int) or not 0 <= size <= MAX_LINE_BYTES:
            raise Malformed(f"not a size of a chunk: {size!r}")
        try:
            data = await self.wire.reader.readexactly(size)
        except asyncio.IncompleteReadError:
            raise Malformed("the input ended within a chunk") from None
        self.conversation.chunk(self.conversation.number(message), data)

    def terminate(self):
        if self.wire.stubborn:
            self.events.emit("ignored", signal="SIGTERM")
            return
        for call in list(self.conversation.calls.values()):
            call.exchange.finish("cancelled")
        self.events.emit("disconnected", connection=self.wire.number)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)


async def main(default):
    await Process(default).serve()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fault", default="ok")
    asyncio.run(main(Fault.of(parser.parse_args().fault)))
