# SPDX-License-Identifier: Apache-2.0

"""Events that a double reports to the test, one JSON line each, including the end of each request."""
import asyncio
import json
import os
import queue
import sys
import threading
import traceback


class Events:
    """Event lines on a descriptor. With `threaded`, a test that doesn't read them never blocks the server."""

    def __init__(self, descriptor, threaded):
        self.descriptor = descriptor
        self.lines = queue.SimpleQueue() if threaded else None
        if threaded:
            threading.Thread(target=self.pump, daemon=True).start()

    def emit(self, event, **fields):
        self.line({"event": event} | {key: value for key, value in fields.items() if value is not None})

    def line(self, fields):
        line = (json.dumps(fields, ensure_ascii=False, default=repr) + "\n").encode(errors="replace")
        if self.lines:
            self.lines.put(line)
        else:
            self.write(line)

    def pump(self):
        while True:
            line = self.lines.get()
            if isinstance(line, threading.Event):
                line.set()
            else:
                self.write(line)

    def write(self, line):
        try:
            while line:
                line = line[os.write(self.descriptor, line):]
        except OSError:
            pass

    def flush(self):
        """Waits up to a second until the queued lines are written."""
        if self.lines:
            written = threading.Event()
            self.lines.put(written)
            written.wait(1)


class Broken(Exception):
    """The fault itself closed the connection during the response."""


class Malformed(Exception):
    """The gateway violated the protocol."""


class Exchange:
    """One request and its response: emits `request`, then exactly one of `completed`, `cancelled`, `broken`, `failed`."""

    def __init__(self, wire, fault, **fields):
        self.wire = wire
        self.fields = fields
        self.task = None
        self.loop = asyncio.get_running_loop()
        self.begin = self.loop.time()
        self.is_finished = False
        wire.events.emit("request", **fields, fault=fault.name, connection=wire.number)

    def start(self, respond, *arguments):
        """Responds in a task, which emits the outcome and raises only its own cancellation."""
        self.task = asyncio.create_task(self.run(respond, *arguments))
        return self.task

    async def run(self, respond, *arguments):
        try:
            await respond(*arguments)
            self.finish("completed")
        except Broken:
            self.finish("broken")
        except OSError:
            self.finish("cancelled")
        except asyncio.CancelledError:
            self.finish("cancelled")
            raise
        except Exception:
            traceback.print_exc(file=sys.stderr)
            self.finish("failed")
            self.wire.abort()

    def finish(self, outcome):
        if self.is_finished:
            return
        self.is_finished = True
        if outcome == "cancelled" and self.wire.closed_by_fault:
            outcome = "broken"
        after = None if outcome == "completed" else round((self.loop.time() - self.begin) * 1000)
        self.wire.events.emit(outcome, **self.fields, after_ms=after)

    def cancel(self):
        self.finish("cancelled")
        if self.task:
            self.task.cancel()
