"""The innocent client: one that behaves, with a message every few milliseconds, and keeps the time of each answer."""
import asyncio
import json
import ssl
import time

import websockets

TLS = ssl.create_default_context()
TLS.check_hostname = False
TLS.verify_mode = ssl.CERT_NONE


class Innocent:
    # Between two messages: often enough for a p99 within seconds, seldom enough to leave the gateway to the attackers.
    pause = 0.004

    def __init__(self, gateway):
        self.gateway = gateway
        self.socket = None
        self.serial = 0
        self.acknowledged = 0

    async def connect(self):
        self.socket = await websockets.connect(self.gateway.url, ssl=TLS, compression=None, open_timeout=30, ping_interval=None)
        await self.receive("session")
        await self.socket.send('{"type":"ack","seq":0}')
        return self

    async def receive(self, kind, **fields):
        """The next message, which has to be this one."""
        message = json.loads(await asyncio.wait_for(self.socket.recv(), 30))
        if message["type"] != kind or any(message.get(name) != value for name, value in fields.items()):
            raise RuntimeError(f"{kind} {fields} was due, this came: {message}")
        return message

    async def exchange(self):
        """A ping and its pong, or a text with its ack and its answer. Returns the seconds from sending to the last answer."""
        self.serial += 1
        name = f"m{self.serial}"
        begin = time.perf_counter()
        if self.serial % 2:
            await self.socket.send(json.dumps({"type": "ping", "id": name}))
            await self.receive("pong", id=name)
            return time.perf_counter() - begin
        await self.socket.send(json.dumps({"type": "text", "id": name, "text": "Is anybody there?"}))
        await self.receive("ack", id=name)
        answer = await self.receive("text", reply_to=name, text="Is anybody there?", done=True)
        seconds = time.perf_counter() - begin
        if answer["seq"] >= self.acknowledged + 50:
            self.acknowledged = answer["seq"]
            await self.socket.send(json.dumps({"type": "ack", "seq": self.acknowledged}))
        return seconds

    async def talk(self, seconds):
        """Talks for so long, and returns how long each exchange took."""
        times = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            times.append(await self.exchange())
            await asyncio.sleep(self.pause)
        return times

    async def report(self):
        await self.socket.send('{"type":"status","id":"s"}')
        return await self.receive("status", id="s")

    async def leave(self):
        await self.socket.send('{"type":"bye"}')
        await self.socket.wait_closed()
        if self.socket.close_code != 1000:
            raise RuntimeError(f"closed {self.socket.close_code} after bye")


def percentile(times, part):
    return sorted(times)[min(len(times) - 1, int(len(times) * part))]
