# SPDX-License-Identifier: Apache-2.0

"""A scripted gateway for tests of `parley talk`: plays one scene over plain WebSocket, on a free port.

usage: scripted_gateway.py SCENE

Prints the port, then one line of JSON per connection (target and headers) and per text message of the client.
"""

import asyncio
import base64
import hashlib
import json
import struct
import sys


class Connection:
    def __init__(self, reader, writer, number, request):
        self.reader, self.writer, self.number, self.request = reader, writer, number, request

    def frame(self, opcode, payload):
        size = len(payload)
        head = bytes([0x80 | opcode])
        head += bytes([size]) if size < 126 else b"\x7e" + struct.pack(">H", size) if size < 65536 else b"\x7f" + struct.pack(">Q", size)
        return head + payload

    async def send(self, message):
        self.writer.write(self.frame(1, json.dumps(message).encode()))
        await self.writer.drain()

    async def send_binary(self, data):
        self.writer.write(self.frame(2, data))
        await self.writer.drain()

    async def receive(self):
        """Returns the next text message of the client; None after its close frame."""
        while True:
            head = await self.reader.readexactly(2)
            size = head[1] & 0x7F
            if size == 126:
                size = struct.unpack(">H", await self.reader.readexactly(2))[0]
            elif size == 127:
                size = struct.unpack(">Q", await self.reader.readexactly(8))[0]
            key = await self.reader.readexactly(4)
            payload = bytes(byte ^ key[index % 4] for index, byte in enumerate(await self.reader.readexactly(size)))
            opcode = head[0] & 0x0F
            if opcode == 8:
                return None
            if opcode == 1:
                message = json.loads(payload)
                print(json.dumps({"connection": self.number, "message": message}), flush=True)
                return message

    async def wait_for(self, kind):
        while True:
            message = await self.receive()
            if message is None or message["type"] == kind:
                return message

    async def acknowledged(self, seq):
        """Waits until the client has acknowledged `seq`."""
        while (await self.wait_for("ack"))["seq"] < seq:
            pass

    async def session(self, **fields):
        await self.send({"type": "session", "session_id": "01S", "resume_token": f"token{self.number}", "resumed": False, "lost": False,
                         "last_seq": 0, "limits": {}, "protocol": "parley.v1"} | fields)

    async def close_after_bye(self):
        if await self.wait_for("bye") is not None:
            self.writer.write(self.frame(8, struct.pack(">H", 1000)))
            await self.writer.drain()

    def abort(self):
        self.writer.transport.abort()


def response(text, request, seq, **fields):
    return {"type": "text", "seq": seq, "reply_to": request["id"], "text": text, "final": True, "done": True} | fields


async def drip(connection):
    """A response that trickles in byte by byte, for longer than the client's timeout."""
    await connection.session()
    request = await connection.wait_for("text")
    await connection.send({"type": "ack", "id": request["id"]})
    for byte in connection.frame(1, json.dumps(response("slow", request, 1)).encode()):
        connection.writer.write(bytes([byte]))
        await connection.writer.drain()
        await asyncio.sleep(0.03)
    await connection.close_after_bye()


async def thinking(connection):
    """Only pings for longer than the client's timeout, then the response."""
    await connection.session()
    request = await connection.wait_for("text")
    for _ in range(8):
        connection.writer.write(connection.frame(9, b"?"))
        await connection.writer.drain()
        await asyncio.sleep(0.25)
    await connection.send(response("thought over", request, 1))
    await connection.close_after_bye()


async def pings(connection):
    """Endless pings, no response."""
    await connection.session()
    await connection.wait_for("text")
    while True:
        connection.writer.write(connection.frame(9, b"?"))
        await connection.writer.drain()
        await asyncio.sleep(0.05)


async def unacknowledged(connection):
    """The connection is lost before the `ack`, and again in the middle of the response."""
    if connection.number == 1:
        await connection.session()
        await connection.wait_for("text")
        return connection.abort()
    if connection.number == 2:
        await connection.session(resumed=True)
        request = await connection.wait_for("text")
        await connection.send({"type": "ack", "id": request["id"]})
        await connection.send({"type": "text", "seq": 1, "reply_to": request["id"], "text": "first ", "final": False})
        await connection.acknowledged(1)
        return connection.abort()
    await connection.session(resumed=True, last_seq=2)
    await connection.send(response("second", {"id": "t1"}, 2))
    await connection.close_after_bye()


async def duplicate(connection):
    """The text was received, but its `ack` was lost."""
    if connection.number == 1:
        await connection.session()
        await connection.wait_for("text")
        return connection.abort()
    await connection.session(resumed=True, last_seq=0)
    request = await connection.wait_for("text")
    await connection.send({"type": "ack", "id": request["id"], "duplicate": True})
    await connection.send(response("once", request, 1))
    await connection.close_after_bye()


async def expired(connection):
    """The session has expired, and with it a request that was acknowledged."""
    if connection.number == 1:
        await connection.session()
        request = await connection.wait_for("text")
        await connection.send({"type": "ack", "id": request["id"]})
        await connection.send({"type": "status", "seq": 1, "reply_to": request["id"], "state": "thinking"})
        await connection.acknowledged(1)
        return connection.abort()
    await connection.session(lost=True, resume_error="expired")
    request = await connection.wait_for("text")
    await connection.send({"type": "ack", "id": request["id"]})
    await connection.send(response("of the new one", request, 1))
    await connection.close_after_bye()


async def spoken(connection):
    """Two responses with audio; that of the second ends in the middle of a sample."""
    await connection.session()
    form = {"codec": "pcm16", "rate": 22050, "channels": 1}
    for number, chunks in enumerate([[b"\x01\x00" * 500, b"\x02"], [b"\x03\x00" * 10, b"\x04\x00\x05"]]):
        request = await connection.wait_for("text")
        assert request["output"] == {"modalities": ["text", "audio"], "format": {"codec": "pcm16", "rate": 24000, "channels": 1}}, request
        base = number * 10
        await connection.send({"type": "ack", "id": request["id"]})
        await connection.send({"type": "text", "seq": base + 1, "reply_to": request["id"], "text": "spoken", "final": True})
        await connection.send({"type": "audio", "seq": base + 2, "reply_to": request["id"], "format": form})
        for chunk in chunks:
            await connection.send_binary(chunk)
        await connection.send({"type": "audio", "seq": base + 5, "reply_to": request["id"], "format": form, "final": True, "done": True})
    await connection.close_after_bye()


async def silent(connection):
    """A text response without audio, whatever the request."""
    await connection.session()
    await connection.send(response("no sound", await connection.wait_for("text"), 1))
    await connection.close_after_bye()


async def transcribed(connection):
    """A transcript, followed by a response."""
    await connection.session()
    request = await connection.wait_for("audio")
    await connection.send({"type": "ack", "id": request["id"], "chunks": 0})
    while not (await connection.wait_for("audio")).get("final"):
        pass
    reply = {"reply_to": request["id"]}
    await connection.send({"type": "transcript", "seq": 1, "text": "what", "final": False} | reply)
    await connection.send({"type": "transcript", "seq": 2, "text": "what time is it", "final": True} | reply)
    await connection.send(response("ten past nine", request, 3))
    await connection.close_after_bye()


async def main(scene):
    count = 0

    async def serve(reader, writer):
        nonlocal count
        count += 1
        number = count
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        fields = dict(line.split(": ", 1) for line in request.split("\r\n")[1:] if ": " in line)
        fields = {name.lower(): value for name, value in fields.items()}
        print(json.dumps({"connection": number, "target": request.split(" ")[1], "resume": fields.get("parley-resume"),
                          "host": fields.get("host"), "authorization": fields.get("authorization")}), flush=True)
        accept = base64.b64encode(hashlib.sha1((fields["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
                     + accept + b"\r\n\r\n")
        try:
            await scene(Connection(reader, writer, number, request))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


asyncio.run(main(globals()[sys.argv[1]]))
