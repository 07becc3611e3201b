# SPDX-License-Identifier: Apache-2.0
"""A minimal WebSocket client."""
import asyncio
import base64
import json
import os
import ssl

TLS = ssl.create_default_context()
TLS.check_hostname = False
TLS.verify_mode = ssl.CERT_NONE


class RawClient:
    """A minimal WebSocket client whose connection can be opened before the request is sent."""

    def __init__(self, port):
        self.port = port
        self.session = None
        self.seq = 0

    async def open(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=TLS)
        return self

    def request(self, token=None, last=0):
        """Sends the upgrade request."""
        query = f"?last_seq={last}" if token else ""
        resume = f"Parley-Resume: {token}\r\n" if token else ""
        self.writer.write((
            f"GET /v1/ws{query} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n{resume}\r\n").encode())

    async def begin(self, token=None, last=0, timeout=30):
        """Sends the request, and returns the `session` message."""
        self.request(token, last)
        return await self.accepted(timeout)

    async def accepted(self, timeout=30):
        async with asyncio.timeout(timeout):
            head = await self.reader.readuntil(b"\r\n\r\n")
            if b" 101 " not in head[:20]:
                raise ConnectionError(head.decode("latin-1").split("\r\n")[0])
            self.session = await self.receive()
        if self.session["type"] != "session":
            raise ConnectionError(json.dumps(self.session))
        return self.session

    async def receive(self):
        """Returns the next message; `{"type": "close", "code": …}` for a close frame."""
        while True:
            first, length = await self.reader.readexactly(2)
            if length == 126:
                length = int.from_bytes(await self.reader.readexactly(2))
            elif length == 127:
                length = int.from_bytes(await self.reader.readexactly(8))
            data = await self.reader.readexactly(length)
            match first & 15:
                case 1:
                    message = json.loads(data)
                    self.seq = message.get("seq", self.seq)
                    return message
                case 8:
                    return {"type": "close", "code": int.from_bytes(data[:2]), "reason": data[2:].decode()}
                case 9:
                    self.frame(10, data)

    def frame(self, opcode, data):
        head = bytes([128 | opcode, 128 | len(data)]) if len(data) < 126 else bytes([128 | opcode, 254]) + len(data).to_bytes(2)
        # A mask of zeros changes nothing.
        self.writer.write(head + bytes(4) + data)

    def send(self, **message):
        self.frame(1, json.dumps(message).encode())

    def close(self):
        self.writer.transport.abort()
