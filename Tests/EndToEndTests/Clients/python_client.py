# SPDX-License-Identifier: Apache-2.0

"""A conversation with a gateway through a third-party client, the library `websockets`.

Usage: python_client.py wss://127.0.0.1:PORT/v1/ws deflate|plain
Prints PASS and exits 0, or prints the failed expectation and exits 1.
"""

import asyncio
import base64
import json
import math
import ssl
import struct
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed


def expect(condition, what):
    if not condition:
        raise SystemExit(f"FAIL: {what}")


class Client:
    def __init__(self, socket):
        self.socket = socket

    async def send(self, message):
        await self.socket.send(json.dumps(message))

    async def message(self, kind, **fields):
        """Returns the next message, and checks its type and fields; acks of chunks are skipped."""
        while True:
            raw = await asyncio.wait_for(self.socket.recv(), 20)
            expect(isinstance(raw, str), f"{kind}, not {len(raw)} bytes")
            message = json.loads(raw)
            if message["type"] == "ack" and "chunks" in message and kind != "ack":
                continue
            expect(message["type"] == kind, f"{kind}, not {raw}")
            for name, value in fields.items():
                expect(message.get(name) == value, f"{name} = {value!r} in {raw}")
            return message

    async def error(self, code):
        message = await self.message("error")
        expect(message["error"]["code"] == code, f"{code}, not {message}")
        expect(message["error"]["fatal"] is False, f"not fatal: {message}")


async def texts(client):
    await client.send({"type": "ping", "id": "p", "ts": 12.5})
    await client.message("pong", id="p", ts=12.5)
    await client.send({"type": "text", "id": "m1", "text": "Grüße, 世界 👋"})
    await client.message("ack", id="m1")
    await client.message("text", reply_to="m1", text="Grüße, 世界 👋", final=True, done=True)

    whole = " ".join(f"word{number}" for number in range(500))
    await client.send({"type": "text", "id": "m2", "text": whole})
    await client.message("ack", id="m2")
    received, sequence = "", None
    while True:
        delta = await client.message("text", reply_to="m2")
        expect(sequence is None or delta["seq"] == sequence + 1, "seq grows by one")
        sequence = delta["seq"]
        received += delta["text"]
        if delta.get("done"):
            break
    expect(received == whole, "the deltas add up")
    await client.send({"type": "ack", "seq": sequence})

    await client.send({"type": "text", "id": "m3", "text": whole, "stream": False})
    await client.message("ack", id="m3")
    await client.message("text", text=whole, done=True)
    await client.send({"type": "text", "id": "m1", "text": "again"})
    await client.message("ack", id="m1", duplicate=True)


async def audio(client):
    # Half a second of a tone at half scale.
    samples = [int(16384 * math.sin(2 * math.pi * 440 * index / 16000)) for index in range(8000)]
    sound = struct.pack(f"<{len(samples)}h", *samples)
    chunks = [sound[start : start + 640] for start in range(0, len(sound), 640)]
    form = {"codec": "pcm16", "rate": 16000, "channels": 1}
    await client.send({"type": "audio", "id": "a1", "format": form, "meta": {"echo": "audio"}})
    for chunk in chunks:
        await client.socket.send(chunk)
    await client.send({"type": "audio", "id": "a1", "final": True})
    received, accepted = b"", 0
    while True:
        raw = await asyncio.wait_for(client.socket.recv(), 20)
        if isinstance(raw, bytes):
            received += raw
            continue
        message = json.loads(raw)
        if message["type"] == "ack":
            accepted = message["chunks"]
        elif message["type"] == "transcript":
            expect(message["text"].startswith("0.5 s of pcm16 at 16000 Hz, peak -6.0 dBFS"), message["text"])
            expect(message["done"] is True, "the transcript is the last")
            break
        else:
            expect(message["type"] == "audio", raw)
    expect(accepted == len(chunks), f"{len(chunks)} chunks are acknowledged, not {accepted}")
    expect(received == sound, "the audio is echoed")

    data = base64.b64encode(sound).decode()
    await client.send({"type": "audio", "id": "a2", "format": form, "data": data, "final": True})
    await client.message("ack", id="a2")
    await client.message("transcript", reply_to="a2", done=True)


async def errors(client):
    await client.socket.send("{")
    await client.error("invalid_json")
    await client.send({"type": "nonsense"})
    await client.error("unsupported_type")
    await client.send({"type": "text", "id": "m9"})
    await client.error("invalid_message")
    await client.socket.send(b"\x00\x00")
    await client.error("invalid_audio")
    await client.send({"type": "cancel", "id": "nobody"})
    await client.error("not_found")
    # An iterator is sent in fragments.
    await client.socket.send(iter(['{"type":"pi', 'ng","id":"f', 'rag"}']))
    await client.message("pong", id="frag")
    await (await client.socket.ping())


async def resuming(url, options):
    """The connection is lost, and a second one resumes the session."""
    async with connect(url, **options) as socket:
        client = Client(socket)
        session = await client.message("session", resumed=False)
        await client.send({"type": "text", "id": "before", "text": "one two three", "stream": False})
        await client.message("ack", id="before")
        socket.transport.abort()
    token = {"Parley-Resume": session["resume_token"]}
    async with connect(url + "?last_seq=0", additional_headers=token, **options) as socket:
        client = Client(socket)
        again = await client.message("session", session_id=session["session_id"], resumed=True, lost=False)
        expect(again["resume_token"] != session["resume_token"], "another token")
        await client.message("text", reply_to="before", text="one two three", seq=1, done=True)
        await client.send({"type": "ack", "seq": 1})
        await client.send({"type": "text", "id": "before", "text": "one two three", "stream": False})
        await client.message("ack", id="before", duplicate=True)
        await client.send({"type": "text", "id": "after", "text": "four", "stream": False})
        await client.message("ack", id="after")
        await client.message("text", reply_to="after", seq=2)
        await client.send({"type": "bye"})


async def main(url, mode):
    trust = ssl.create_default_context()
    trust.check_hostname = False
    trust.verify_mode = ssl.CERT_NONE
    compression = "deflate" if mode == "deflate" else None
    async with connect(url, ssl=trust, subprotocols=["parley.v1"], compression=compression) as socket:
        expect(socket.subprotocol == "parley.v1", "the subprotocol is echoed")
        negotiated = socket.response.headers.get("Sec-WebSocket-Extensions", "")
        expect(("permessage-deflate" in negotiated) == (mode == "deflate"), f"extensions: {negotiated!r}")
        client = Client(socket)
        await client.message("session", protocol="parley.v1", resumed=False)
        await texts(client)
        await audio(client)
        await errors(client)
        await client.send({"type": "bye"})
        try:
            raw = await asyncio.wait_for(socket.recv(), 20)
            expect(False, f"the close, not {raw}")
        except ConnectionClosed as closed:
            expect(closed.rcvd is not None and closed.rcvd.code == 1000, f"close 1000, not {closed}")
    await resuming(url, {"ssl": trust, "subprotocols": ["parley.v1"], "compression": compression})
    print("PASS")


asyncio.run(main(sys.argv[1], sys.argv[2]))
