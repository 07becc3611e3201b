# SPDX-License-Identifier: Apache-2.0

"""The byte stream of one connection: written with back-pressure at any pace, and closed in any way."""
import asyncio
import concurrent.futures
import itertools
import os
import socket
import struct

BLOCK = 256 * 1024
NUMBERS = itertools.count(1)


class Reader(asyncio.StreamReader):
    """A stream that signals immediately when the peer has closed, even before all data is read."""

    def __init__(self):
        super().__init__(limit=64 * 1024)
        self.peer_closed = asyncio.Event()

    def feed_eof(self):
        super().feed_eof()
        self.peer_closed.set()

    def set_exception(self, exception):
        super().set_exception(exception)
        self.peer_closed.set()


class Wire:
    """A TCP or TLS connection. `closed_by_fault` is set when a fault closes it, so that the end isn't attributed to the gateway."""

    def __init__(self, reader, writer, events):
        self.reader = reader
        self.writer = writer
        self.events = events
        self.number = next(NUMBERS)
        self.lock = asyncio.Lock()
        self.closed_by_fault = False
        if writer:
            # Then drain() returns when the kernel has accepted all but one byte. Zero would never be reached over TLS.
            writer.transport.set_write_buffer_limits(high=1, low=0)

    async def push(self, data):
        self.writer.write(data)
        await self.writer.drain()
        # drain() doesn't yield while the peer keeps up.
        await asyncio.sleep(0)

    async def write(self, data, pace=None):
        """Writes one protocol element atomically; with `pace`, one byte per `pace` seconds."""
        async with self.lock:
            if not pace:
                await self.push(data)
                return
            sent = 0
            try:
                while sent < len(data):
                    sent += 1
                    await self.push(data[sent - 1:sent])
                    if sent < len(data):
                        await asyncio.sleep(pace)
            except asyncio.CancelledError:
                # Other data follows on the same connection, so a begun element has to be completed.
                if sent < len(data) and not self.reader.peer_closed.is_set():
                    self.finish(data[sent:])
                raise

    def finish(self, data):
        self.writer.write(data)

    async def blocks(self, before, filler, count, after):
        """Writes one giant element filled with the byte `filler`. Once begun it is completed even if cancelled."""
        writing = asyncio.create_task(self.write_blocks(before, filler * BLOCK, count, after))
        writing.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.shield(writing)

    async def write_blocks(self, before, block, count, after):
        async with self.lock:
            await self.push(before)
            while count > 0:
                await self.push(block if count >= BLOCK else block[:count])
                count -= BLOCK
            await self.push(after)

    async def reset(self):
        """Sends TCP RST after the written data has arrived."""
        self.closed_by_fault = True
        await asyncio.sleep(0.05)
        connection = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.abort()

    async def close(self):
        """Sends TCP FIN, with TLS after close_notify."""
        self.closed_by_fault = True
        self.writer.close()

    def abort(self):
        self.writer.transport.abort()


class PipeTransport:
    """The flow control that StreamReader needs when its bytes come from a thread."""

    def __init__(self):
        self.flowing = asyncio.Event()
        self.flowing.set()

    def pause_reading(self):
        self.flowing.clear()

    def resume_reading(self):
        self.flowing.set()


class PipeWire(Wire):
    """Standard input and output of any type: pipes, sockets, files, a terminal."""

    def __init__(self, events):
        super().__init__(Reader(), None, events)
        self.transport = PipeTransport()
        self.reader.set_transport(self.transport)
        self.reading = concurrent.futures.ThreadPoolExecutor(1)
        # A single thread keeps the order, also after a cancelled write.
        self.writing = concurrent.futures.ThreadPoolExecutor(1)
        self.loop = asyncio.get_running_loop()

    async def pump(self):
        try:
            while data := await self.loop.run_in_executor(self.reading, os.read, 0, 65536):
                self.reader.feed_data(data)
                await self.transport.flowing.wait()
        except OSError:
            pass
        self.reader.feed_eof()

    @staticmethod
    def put(data):
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(1, rest):]

    async def push(self, data):
        await self.loop.run_in_executor(self.writing, self.put, data)

    def finish(self, data):
        self.writing.submit(self.put, data)

    def abort(self):
        self.events.emit("disconnected", connection=self.number)
        os._exit(1)
