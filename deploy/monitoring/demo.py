# SPDX-License-Identifier: Apache-2.0
"""The parts of demo.sh: an upstream that speaks, clients that talk with it, and the check of the dashboard.

usage: demo.py upstream
       demo.py clients URL CERTIFICATE
       demo.py check PROMETHEUS_URL DASHBOARD
"""

import asyncio
import contextlib
import json
import math
import random
import re
import signal
import ssl
import sys
import time
import urllib.parse
import urllib.request

CHUNK = bytes(1920)  # 40 ms of silence, 16-bit at 24 kHz
FORMAT = {"codec": "pcm16", "rate": 24000, "channels": 1}
CLIENTS = 6
# The window of rates: Grafana's $__rate_interval is at least four scrapes. Some gauges are measured every ten seconds only.
WINDOW = "20s"


# An upstream of kind websocket (parley.upstream.v1): it responds to each request with a text and a second of sound.


async def respond(socket, number):
    from websockets import ConnectionClosed

    def send(**fields):
        return socket.send(json.dumps({"request": number, **fields}))

    with contextlib.suppress(ConnectionClosed):
        await asyncio.sleep(random.uniform(0.02, 0.1))
        await send(type="text", text="It is noon.", final=True)
        await send(type="audio", format=FORMAT)
        for _ in range(25):
            await socket.send(number.to_bytes(4, "big") + CHUNK)
            await asyncio.sleep(0.01)
        await send(type="audio", final=True, done=True)


async def serve(socket):
    from websockets import ConnectionClosed

    tasks = {}
    with contextlib.suppress(ConnectionClosed):
        async for frame in socket:
            if isinstance(frame, bytes):
                continue
            match json.loads(frame):
                case {"type": "text", "request": number} | {"type": "audio", "request": number, "final": True}:
                    tasks[number] = asyncio.create_task(respond(socket, number))
                case {"type": "cancel", "request": number} if number in tasks:
                    tasks[number].cancel()


async def upstream():
    from websockets.asyncio.server import serve as listen

    async with listen(serve, "127.0.0.1", 0, subprotocols=["parley.upstream.v1"]) as server:
        print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.close)
        await server.wait_closed()


# Clients. Each does in turn what makes the panels move.


class Client:
    def __init__(self, url, context):
        self.url, self.context = url, context
        self.token, self.sequence, self.number = None, 0, 0

    async def run(self):
        from websockets import WebSocketException
        from websockets.asyncio.client import connect

        while True:
            query, headers = "", {}
            if self.token:
                query, headers = f"?last_seq={self.sequence}", {"Parley-Resume": self.token}
            with contextlib.suppress(WebSocketException, OSError, EOFError):
                async with connect(self.url + query, ssl=self.context, additional_headers=headers) as self.socket:
                    session = json.loads(await self.socket.recv())
                    self.token = session["resume_token"]
                    if not session.get("resumed"):
                        self.sequence = 0
                    await self.send(type="ack", seq=self.sequence)
                    for _ in range(2):
                        await self.talk()
                    # The connection is lost; the next one resumes the session.
                    self.socket.transport.abort()
            await asyncio.sleep(0.2)

    async def talk(self):
        await self.ask(type="text", text="What time is it?")
        await self.ask(type="text", text="And now?", interrupt=True)
        await self.ask(type="text", text="loud", meta={"to": "process"})
        await self.ask(type="text", text="lost", meta={"to": "nobody"})
        await self.ask(sound=True)
        await self.socket.send("this isn't JSON")

    async def send(self, **fields):
        await self.socket.send(json.dumps(fields))

    async def ask(self, interrupt=False, sound=False, **fields):
        self.number += 1
        name = f"d{self.number}-{id(self)}"
        fields |= {"id": name, "output": {"modalities": ["text", "audio"]}}
        if sound:
            await self.send(type="audio", format=FORMAT, **{**fields, "lang": "en"})
            for _ in range(5):
                await self.socket.send(CHUNK)
                await asyncio.sleep(0.04)
            await self.send(type="audio", id=name, final=True)
        else:
            await self.send(**fields)
        deadline = time.monotonic() + 5
        while True:
            message = await asyncio.wait_for(self.socket.recv(), deadline - time.monotonic())
            if isinstance(message, bytes):
                self.sequence += 1
                if interrupt:
                    interrupt = False
                    await self.send(type="cancel", id=name, reason="barge-in", played_ms=40)
                continue
            message = json.loads(message)
            self.sequence = message.get("seq", self.sequence)
            is_done = message.get("done") or message.get("error", {}).get("done")
            if is_done and name in (message.get("reply_to"), message.get("error", {}).get("reply_to")):
                break
        await self.send(type="ack", seq=self.sequence)
        await self.send(type="status", state="recording", reply_to=name, played_ms=900)


async def idle(url, context):
    """Stays connected, so that the gateway's pings measure round trips."""
    from websockets import WebSocketException
    from websockets.asyncio.client import connect

    while True:
        with contextlib.suppress(WebSocketException, OSError, EOFError):
            async with connect(url, ssl=context) as socket:
                async for _ in socket:
                    pass
        await asyncio.sleep(1)


async def scan(url):
    """Opens connections that never become a WebSocket, as scanners do."""
    address = urllib.parse.urlsplit(url)
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(address.hostname, address.port)
            writer.write(b"\x16\x03\x01\x00\x05hello")
            await writer.drain()
            await asyncio.sleep(0.1)
            writer.close()
        await asyncio.sleep(0.5)


async def clients(url, certificate):
    context = ssl.create_default_context(cafile=certificate)
    await asyncio.gather(scan(url), idle(url, context), *(Client(url, context).run() for _ in range(CLIENTS)))


# The check of the dashboard.


def query(prometheus, path, **parameters):
    text = urllib.parse.urlencode(parameters)
    with urllib.request.urlopen(f"{prometheus}{path}?{text}", timeout=10) as response:
        return json.load(response)["data"]


def panels(dashboard):
    for panel in dashboard["panels"]:
        yield from panel.get("panels", [])
        if panel["type"] != "row":
            yield panel


def is_empty(prometheus, expression):
    for name, value in {"$instance": ".*", "$upstream": ".*", "$__rate_interval": WINDOW}.items():
        expression = expression.replace(name, value)
    series = query(prometheus, "/api/v1/query", query=expression)["result"]
    # A percentile without observations is NaN: the panel would be empty, too.
    return not any(math.isfinite(float(each["value"][1])) for each in series)


def check(prometheus, path):
    with open(path, encoding="utf-8") as file:
        expressions = [(panel["title"], target["expr"]) for panel in panels(json.load(file)) for target in panel["targets"]]
    # This gateway isn't in a cluster.
    expressions = [each for each in expressions if not re.search("parley_(cluster|node)_", each[1])]
    empty = [(title, expression) for title, expression in expressions if is_empty(prometheus, expression)]
    for title, expression in empty:
        print(f"empty: {title}: {expression}")
    failed = [
        rule["name"]
        for group in query(prometheus, "/api/v1/rules")["groups"]
        for rule in group["rules"]
        if rule["health"] == "err"
    ]
    for name in failed:
        print(f"rule fails: {name}")
    print(f"{len(expressions)} expressions, {len(empty)} empty; {len(failed)} rules fail")
    return not empty and not failed


def main():
    match sys.argv[1:]:
        case ["upstream"]:
            asyncio.run(upstream())
        case ["clients", url, certificate]:
            asyncio.run(clients(url, certificate))
        case ["check", prometheus, dashboard]:
            sys.exit(0 if check(prometheus, dashboard) else 1)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
