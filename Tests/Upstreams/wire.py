"""The bytes of one connection: written with back-pressure, at any pace, and ended in every way there is."""
import asyncio
import concurrent.futures
import itertools
import os
import socket
import struct

BLOCK = 256 * 1024
NUMBERS = itertools.count(1)


class Reader(asyncio.StreamReader):
    """A stream that also says at once when the other side has gone, whatever is still unread."""

    def __init__(self):
        super().__init__(limit=64 * 1024)
        self.gone = asyncio.Event()

    def feed_eof(self):
        super().feed_eof()
        self.gone.set()

    def set_exception(self, exception):
        super().set_exception(exception)
        self.gone.set()


class Wire:
    """A TCP or TLS connection. `ours` is set once a fault has ended it, so that nobody else is blamed."""

    def __init__(self, reader, writer, events):
        self.reader = reader
        self.writer = writer
        self.events = events
        self.number = next(NUMBERS)
        self.lock = asyncio.Lock()
        self.ours = False
        if writer:
            # Drained then means handed to the kernel, all but one byte. Nought would never be reached over TLS.
            writer.transport.set_write_buffer_limits(high=1, low=0)

    async def push(self, data):
        self.writer.write(data)
        await self.writer.drain()
        # Draining doesn't yield while the other side keeps up.
        await asyncio.sleep(0)

    async def write(self, data, pace=None):
        """One piece of the protocol that nothing may come between; with `pace`, a byte in so many seconds."""
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
                # Others follow on the same connection: what is begun has to be ended.
                if sent < len(data) and not self.reader.gone.is_set():
                    self.finish(data[sent:])
                raise

    def finish(self, data):
        self.writer.write(data)

    async def blocks(self, before, filler, count, after):
        """One giant piece: `filler` is a single byte. Once begun it goes on to its end, cancelled or not."""
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
        """TCP RST, after what was written has arrived."""
        self.ours = True
        await asyncio.sleep(0.05)
        connection = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.abort()

    async def close(self):
        """TCP FIN, with TLS after its close_notify."""
        self.ours = True
        self.writer.close()

    def abort(self):
        self.writer.transport.abort()


class PipeTransport:
    """What a StreamReader needs for back-pressure where bytes come from a thread."""

    def __init__(self):
        self.flowing = asyncio.Event()
        self.flowing.set()

    def pause_reading(self):
        self.flowing.clear()

    def resume_reading(self):
        self.flowing.set()


class PipeWire(Wire):
    """Standard input and output, whatever they are: pipes, sockets, files, a terminal."""

    def __init__(self, events):
        super().__init__(Reader(), None, events)
        self.transport = PipeTransport()
        self.reader.set_transport(self.transport)
        self.reading = concurrent.futures.ThreadPoolExecutor(1)
        # One thread: what is written after a cancelled write comes after it.
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
