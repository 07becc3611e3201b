#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""TCP proxies with faults, controlled by lines of JSON on standard input; each line gets one line in response.

    {"do": "open", "name": "redis-0", "target": 6379, "rewrite": [["old", "new"]]}    responds with {"port": …}
    {"do": "set", "name": "redis-0", "up": "hold", "down": "pass", "delay": 0.1}
    {"do": "cut", "name": "redis-0"}                                                  resets the connections
    {"do": "rewrites"}                                                                responds with {"count": …}

`up` is the direction of the client's bytes. A direction passes bytes (`pass`), keeps them until it passes again (`hold`, as TCP does when
packets are lost for some time), or discards them (`drop`); a connection that has lost bytes is reset when both directions pass again.
`rewrite` replaces texts by others of equal length, in both directions.
"""
import asyncio
import json
import os
import socket
import struct
import sys
import time

BLOCK = 64 * 1024


class Proxy:
    """The connections to one port."""

    def __init__(self, target, rewrite):
        self.target = target
        self.rewrite = [(old.encode(), new.encode()) for old, new in rewrite]
        self.modes = {"up": "pass", "down": "pass"}
        self.delay = 0
        self.passes = {"up": asyncio.Event(), "down": asyncio.Event()}
        for event in self.passes.values():
            event.set()
        self.connections = set()
        self.rewrites = 0

    def set(self, up="pass", down="pass", delay=0):
        self.modes, self.delay = {"up": up, "down": down}, delay
        for direction, mode in self.modes.items():
            (self.passes[direction].clear if mode == "hold" else self.passes[direction].set)()
        if up == down == "pass":
            for connection in [connection for connection in self.connections if connection.has_lost]:
                connection.reset()

    def cut(self):
        for connection in list(self.connections):
            connection.reset()

    async def accept(self, reader, writer):
        connection = Connection(self, writer)
        self.connections.add(connection)
        try:
            await connection.run(reader)
        except OSError:
            pass
        finally:
            connection.reset()
            self.connections.discard(connection)


class Connection:
    """One connection, with its two directions."""

    def __init__(self, proxy, writer):
        self.proxy, self.writers, self.has_lost = proxy, [writer], False

    def reset(self):
        for writer in self.writers:
            # RST instead of FIN, as from a network device that forgets the connection.
            handle = writer.get_extra_info("socket")
            if handle is not None and handle.fileno() >= 0:
                handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def run(self, reader):
        # A lost SYN: nothing reaches the target before the direction passes.
        await self.proxy.passes["up"].wait()
        there, writer = await asyncio.open_connection("127.0.0.1", self.proxy.target)
        self.writers.append(writer)
        await asyncio.gather(self.direction("up", reader, writer), self.direction("down", there, self.writers[0]))

    async def direction(self, name, reader, writer):
        queue = asyncio.Queue(256)
        task = asyncio.create_task(self.write(name, queue, writer))
        rest = b""
        try:
            while data := await reader.read(BLOCK):
                if self.proxy.modes[name] == "drop":
                    self.has_lost = True
                    continue
                if self.proxy.rewrite:
                    data, rest = self.rewritten(rest + data)
                await queue.put((time.monotonic() + self.proxy.delay, data))
            await queue.put((0, rest))
            await queue.put((0, None))
            await task
        finally:
            task.cancel()

    async def write(self, name, queue, writer):
        while True:
            due, data = await queue.get()
            wait = due - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            await self.proxy.passes[name].wait()
            if data is None:
                writer.write_eof()
                return
            if self.proxy.modes[name] == "drop":
                self.has_lost = True
                continue
            writer.write(data)
            await writer.drain()

    def rewritten(self, data):
        """Returns the data with all replacements, and the end that may be the beginning of a text to replace."""
        for old, new in self.proxy.rewrite:
            self.proxy.rewrites += data.count(old)
            data = data.replace(old, new)
        keep = max((length for old, _ in self.proxy.rewrite for length in range(1, len(old)) if data.endswith(old[:length])), default=0)
        return data[:len(data) - keep], data[len(data) - keep:]


async def main():
    proxies = {}
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        request = json.loads(line)
        response = {}
        match request.pop("do"):
            case "open":
                proxy = proxies[request["name"]] = Proxy(request["target"], request.get("rewrite", []))
                server = await asyncio.start_server(proxy.accept, "127.0.0.1", request.get("port", 0), backlog=4096)
                response["port"] = server.sockets[0].getsockname()[1]
            case "set":
                proxies[request.pop("name")].set(**request)
            case "cut":
                proxies[request["name"]].cut()
            case "rewrites":
                response["count"] = sum(proxy.rewrites for proxy in proxies.values())
        print(json.dumps(response), flush=True)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
