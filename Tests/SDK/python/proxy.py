# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy with faults, for one client: connections are reset, held up, half-closed, delayed or answered like a corporate proxy."""
import asyncio
import contextlib
import socket
import struct

BLOCK = 64 * 1024
BAD_GATEWAY = (
    b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 33\r\nConnection: close\r\n\r\n<html>Proxy error: no route</html>")


class Proxy:
    """The connections of a client. Faults end by themselves, except that cut connections stay cut."""

    def __init__(self, target):
        self.target = target
        self.connections = set()
        self.delay = 0.0
        self.passes = {"up": asyncio.Event(), "down": asyncio.Event()}
        self.is_refusing = self.is_blackhole = False
        for event in self.passes.values():
            event.set()

    async def start(self):
        self.server = await asyncio.start_server(self.accept, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]

    # MARK: Faults

    async def cut(self, generator):
        """Resets the connections, possibly in the middle of a frame."""
        for connection in list(self.connections):
            connection.reset()

    async def stall(self, generator):
        """Holds one direction or both for a while."""
        directions = generator.choice([("up",), ("down",), ("up", "down")])
        for name in directions:
            self.passes[name].clear()
        await asyncio.sleep(generator.uniform(0.2, 4))
        for name in directions:
            self.passes[name].set()

    async def slow(self, generator):
        """Delays all bytes for a while."""
        self.delay = generator.uniform(0.05, 0.5)
        await asyncio.sleep(generator.uniform(0.5, 2))
        self.delay = 0.0

    async def half_close(self, generator):
        """Sends a FIN in one direction; the other stays open."""
        side = generator.choice([0, 1])
        for connection in list(self.connections):
            with contextlib.suppress(OSError, RuntimeError):
                connection.writers[side].write_eof()

    async def drop(self, seconds):
        """Drops everything for a while: connections say nothing and new ones aren't answered. Then they are reset."""
        self.is_blackhole = True
        for event in self.passes.values():
            event.clear()
        await asyncio.sleep(seconds)
        self.is_blackhole = False
        await self.cut(None)
        for event in self.passes.values():
            event.set()

    async def bad_gateway(self, generator):
        """Cuts, and answers new connections with 502 for a while."""
        self.is_refusing = True
        await self.cut(generator)
        await asyncio.sleep(generator.uniform(0.1, 1))
        self.is_refusing = False

    # MARK: Connections

    async def accept(self, reader, writer):
        connection = _Connection(self, reader, writer)
        self.connections.add(connection)
        try:
            await connection.run()
        except (OSError, EOFError, RuntimeError):  # RuntimeError: writes after a half-close
            pass
        finally:
            connection.reset()
            self.connections.discard(connection)


class _Connection:
    def __init__(self, proxy, reader, writer):
        self.proxy, self.reader, self.writers = proxy, reader, [writer]

    def reset(self):
        for writer in self.writers:
            handle = writer.get_extra_info("socket")
            if handle is not None and handle.fileno() >= 0:
                # RST instead of FIN, as from a network device that forgets the connection.
                handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def run(self):
        if self.proxy.is_refusing:
            await self.reader.readuntil(b"\r\n\r\n")
            self.writers[0].write(BAD_GATEWAY)
            await self.writers[0].drain()
            self.writers[0].write_eof()
            await self.reader.read()
            return
        await self.proxy.passes["up"].wait()
        there, writer = await asyncio.open_connection("127.0.0.1", self.proxy.target)
        self.writers.append(writer)
        tasks = [
            asyncio.create_task(self.copy("up", self.reader, writer)), asyncio.create_task(self.copy("down", there, self.writers[0]))]
        try:
            # As in TCP, an end in one direction leaves the other open; an error ends both.
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def copy(self, direction, reader, writer):
        while data := await reader.read(BLOCK):
            if self.proxy.delay:
                await asyncio.sleep(self.proxy.delay)
            await self.proxy.passes[direction].wait()
            writer.write(data)
            await writer.drain()
        await self.proxy.passes[direction].wait()
        writer.write_eof()
