# SPDX-License-Identifier: Apache-2.0

"""A well-behaved client that sends a message every few milliseconds and measures the latency of each response."""
import asyncio
import base64
import hashlib
import hmac
import json
import ssl
import time

import websockets

TLS = ssl.create_default_context()
TLS.check_hostname = False
TLS.verify_mode = ssl.CERT_NONE


# The value of auth.secret in attacks on authentication.
SECRET = "a secret of the attacks with more than 32 bytes"


def token(user, lifetime=3600, secret=SECRET):
    """Returns a JSON Web Token of a user, signed with HS256."""
    def encode(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    claims = {"sub": user, "iat": int(time.time()), "exp": int(time.time()) + lifetime}
    signed = encode(b'{"alg":"HS256","typ":"JWT"}') + "." + encode(json.dumps(claims).encode())
    return signed + "." + encode(hmac.digest(secret.encode(), signed.encode(), hashlib.sha256))


class Client:
    # Seconds between two messages: short enough for a p99 within seconds, long enough to leave the gateway to the attackers.
    pause = 0.004

    def __init__(self, gateway):
        self.gateway = gateway
        self.socket = None
        self.serial = 0
        self.acknowledged = 0

    async def connect(self):
        headers = {"Authorization": "Bearer " + token("well-behaved")}
        self.socket = await websockets.connect(
            self.gateway.url, ssl=TLS, compression=None, open_timeout=30, ping_interval=None, additional_headers=headers)
        await self.receive("session")
        await self.socket.send('{"type":"ack","seq":0}')
        return self

    async def receive(self, kind, **fields):
        """Returns the next message, which must be of this kind and have these fields."""
        message = json.loads(await asyncio.wait_for(self.socket.recv(), 30))
        if message["type"] != kind or any(message.get(name) != value for name, value in fields.items()):
            raise RuntimeError(f"expected {kind} {fields}, got {message}")
        return message

    async def exchange(self):
        """Sends a ping or a text, and returns the seconds until its pong, or its ack and response."""
        self.serial += 1
        name = f"m{self.serial}"
        begin = time.perf_counter()
        if self.serial % 2:
            await self.socket.send(json.dumps({"type": "ping", "id": name}))
            await self.receive("pong", id=name)
            return time.perf_counter() - begin
        await self.socket.send(json.dumps({"type": "text", "id": name, "text": "Is anybody there?"}))
        await self.receive("ack", id=name)
        response = await self.receive("text", reply_to=name, text="Is anybody there?", done=True)
        seconds = time.perf_counter() - begin
        if response["seq"] >= self.acknowledged + 50:
            self.acknowledged = response["seq"]
            await self.socket.send(json.dumps({"type": "ack", "seq": self.acknowledged}))
        return seconds

    async def exchange_for(self, seconds):
        """Runs exchanges for this many seconds, and returns their durations."""
        times = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            times.append(await self.exchange())
            await asyncio.sleep(self.pause)
        return times

    async def connect_for(self, seconds):
        """Opens and closes connections for this many seconds. Returns the seconds until each `session`, and the errors."""
        times, errors = [], []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            begin = time.perf_counter()
            try:
                client = await Client(self.gateway).connect()
                times.append(time.perf_counter() - begin)
                await client.close()
            except Exception as error:  # the caller counts every kind of error
                errors.append(repr(error))
            # At most 10 connects a second: half of what an address is allowed by default.
            await asyncio.sleep(max(self.pause, 0.1))
        return times, errors

    async def report(self):
        await self.socket.send('{"type":"status","id":"s"}')
        return await self.receive("status", id="s")

    async def close(self):
        await self.socket.send('{"type":"bye"}')
        await self.socket.wait_closed()
        if self.socket.close_code != 1000:
            raise RuntimeError(f"closed {self.socket.close_code} after bye")


def percentile(times, part):
    return sorted(times)[min(len(times) - 1, int(len(times) * part))]
