#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs attackers in a process of their own: `attackers.py NAME PORT COUNT SECONDS SEED`. Prints the outcomes as JSON.

An attack is a coroutine that opens a connection, attacks and returns its outcome in a few words. COUNT attackers run it concurrently and
repeatedly until the time has passed. The outcome of connections that are still open then is "open".
"""
import asyncio
import collections
import json
import logging
import os
import random
import socket
import ssl
import struct
import sys
import time
import zlib

from client import token

TLS = ssl.create_default_context()
TLS.check_hostname = False
TLS.verify_mode = ssl.CERT_NONE

HEAD = (
    b"GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)
MASK = b"\x01\x02\x03\x04"


class Target:
    def __init__(self, port):
        self.port = port
        self.serial = 0

    def new_address(self):
        """Returns a new source address for each call; the loopback network has 16 million."""
        self.serial += 1
        return f"127.{1 + self.serial // 62500 % 250}.{self.serial // 250 % 250}.{2 + self.serial % 250}"

    async def connect(self, address=None, tls=TLS, window=None):
        """Connects; `window` sets the size of the receive buffer (SO_RCVBUF) in bytes."""
        connection = socket.socket()
        try:
            connection.setblocking(False)
            if window:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
            connection.bind((address or self.new_address(), 0))
            await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", self.port))
            return await asyncio.open_connection(sock=connection, ssl=tls, server_hostname="localhost" if tls else None)
        except BaseException:
            connection.close()
            raise

    async def upgrade(self, fields=b"", window=None):
        reader, writer = await self.connect(window=window)
        writer.write(HEAD + fields + b"\r\n")
        response = await reader.readuntil(b"\r\n\r\n")
        if not response.startswith(b"HTTP/1.1 101"):
            raise RuntimeError(response.split(b"\r\n")[0].decode())
        return reader, writer


def frame(first, payload=b"", length=None):
    """Returns a masked frame; `length` is the length in its header, if it differs from the payload's."""
    size = len(payload) if length is None else length
    head = bytes([first])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 65536:
        head += b"\xfe" + struct.pack(">H", size)
    else:
        head += b"\xff" + struct.pack(">Q", size)
    mask = int.from_bytes((MASK * (len(payload) // 4 + 1))[: len(payload)], "big")
    return head + MASK + (int.from_bytes(payload, "big") ^ mask).to_bytes(len(payload), "big")


def bomb(size):
    """Returns a DEFLATE stream of a thousandth of `size` bytes, which inflates to `size` equal bytes."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (compressor.compress(b"a" * size) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


# MARK: Outcomes and sending

async def close_code(reader):
    """Reads until the close frame and returns its code."""
    while True:
        first, second = await reader.readexactly(2)
        size = second & 0x7F
        if size > 125:
            size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
        payload = await reader.readexactly(size)
        if first & 0x0F == 8:
            return str(int.from_bytes(payload[:2], "big"))


async def status(reader):
    """Reads the status line and returns the status code; "cut" if the connection ends before it."""
    line = await reader.readline()
    return line.split()[1].decode() if line else "cut"


async def send_repeatedly(writer, piece, count=None):
    """Sends `piece` repeatedly, as fast as the peer reads it."""
    sent = 0
    while count is None or sent < count:
        writer.write(piece)
        await writer.drain()
        # drain() doesn't suspend once the connection is closing.
        await asyncio.sleep(0)
        sent += 1


async def send_until_closed(reader, writer, sending, ending=close_code):
    """Sends until `ending` returns its outcome; errors of sending are ignored."""
    sender = asyncio.ensure_future(sending)
    try:
        return await ending(reader)
    finally:
        sender.cancel()
        await asyncio.gather(sender, return_exceptions=True)
        writer.transport.abort()


# MARK: Before the upgrade

async def header_lines(target):
    reader, writer = await target.connect()
    writer.write(HEAD)
    return await send_until_closed(reader, writer, send_repeatedly(writer, b"a: b\r\n" * 1000, 100), status)


async def long_header(target):
    reader, writer = await target.connect()
    writer.write(HEAD + b"X-Long: ")
    return await send_until_closed(reader, writer, send_repeatedly(writer, b"a" * 1000, 20_000), status)


async def window_bits(target):
    """Sends as many compression offers as a head may contain: all with impossible windows, but for the last."""
    bad = [f"permessage-deflate; server_max_window_bits={bits}; client_max_window_bits={bits + 7}" for bits in (0, 7, 8, 16, 99)]
    offers = ", ".join(bad * 35 + ["permessage-deflate; server_max_window_bits=9; client_max_window_bits=15"])
    reader, writer = await target.connect()
    writer.write(HEAD + b"Sec-WebSocket-Extensions: " + offers.encode() + b"\r\n\r\n")
    result = await status(reader)
    await reader.readuntil(b"\r\n\r\n")
    if result == "101":
        # The compressor is allocated when it is needed: for the response to a text that compresses well.
        text = json.dumps({"type": "text", "id": "w", "stream": False, "text": "all work and no play " * 4000}).encode()
        writer.write(frame(0x81, text))
        await reader.readexactly(500)
        await asyncio.sleep(0.5)
    writer.transport.abort()
    return result


def client_hello():
    """Returns a ClientHello from OpenSSL."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        TLS.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


async def send_slowly(writer, data, pause):
    """Sends single bytes with a pause after each."""
    for byte in data:
        writer.write(bytes([byte]))
        await asyncio.sleep(pause)


async def end(reader):
    """Reads until the end of the connection."""
    while await reader.read(65536):
        pass
    return "end"


def with_duration(attack):
    """Appends the number of seconds to an attack's outcome."""
    async def timed(target):
        begin = time.monotonic()
        result = await attack(target)
        return f"{result} after {time.monotonic() - begin:.0f} s"
    return timed


@with_duration
async def slow_handshake(target):
    reader, writer = await target.connect(tls=None)
    return await send_until_closed(reader, writer, send_slowly(writer, client_hello(), 0.05), end)


@with_duration
async def slow_head(target):
    reader, writer = await target.connect()
    return await send_until_closed(reader, writer, send_slowly(writer, HEAD * 10, 0.05), end)


async def silent(target):
    reader, writer = await target.connect(tls=None)
    return await end(reader)


async def silent_from_one_address(target):
    reader, writer = await target.connect("127.0.0.2", tls=None)
    begin = time.monotonic()
    await end(reader)
    writer.transport.abort()
    seconds = time.monotonic() - begin
    return "closed at once" if seconds < 1 else f"end after {seconds:.0f} s"


async def handshakes_from_one_address(target):
    reader, writer = await target.connect("127.0.0.2")
    writer.transport.abort()
    return "handshake"


async def bad_tokens(target):
    """Presents a forged token from the one address that all attackers share."""
    reader, writer = await target.connect("127.0.0.2")
    forged = token(f"u{random.randrange(1000)}", secret="not the secret of the gateway at all")
    writer.write(HEAD + b"Authorization: Bearer " + forged.encode() + b"\r\n\r\n")
    response = await reader.readuntil(b"\r\n\r\n")
    writer.transport.abort()
    return response.split(b" ")[1].decode()


async def churn(target, data=b""):
    """Opens and resets connections as fast as the machine allows, on plain sockets."""
    loop = asyncio.get_running_loop()
    for number in range(20):
        connection = socket.socket()
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        try:
            connection.bind((target.new_address(), 0))
            await loop.sock_connect(connection, ("127.0.0.1", target.port))
            if data:
                await loop.sock_sendall(connection, data[: random.randrange(1, len(data))])
        finally:
            connection.close()
    return "20 connections"


async def churn_with_hello(target):
    return await churn(target, client_hello())


async def malformed_hello(target):
    """Sends a ClientHello with some bytes after the record header replaced."""
    data = bytearray(client_hello())
    for _ in range(random.randint(1, 20)):
        data[random.randrange(5, min(len(data), 120))] = random.randrange(256)
    reader, writer = await target.connect(tls=None)
    writer.write(data)
    if writer.can_write_eof():
        writer.write_eof()
    record = await reader.read(7)
    writer.transport.abort()
    return "alert" if record[:1] == b"\x15" else "handshake" if record[:1] == b"\x16" else "end"


async def openssl(target, version, command, pause):
    """Sends commands to `openssl s_client`, for attacks that Python's module doesn't support. A command is a letter on a line."""
    process = await asyncio.create_subprocess_exec(
        "openssl", "s_client", version, "-connect", f"127.0.0.1:{target.port}",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL)

    async def send_commands():
        process.stdin.write(HEAD + b"\r\n")
        while True:
            await asyncio.sleep(pause)
            process.stdin.write(command + b"\n")
            await process.stdin.drain()

    commands = asyncio.ensure_future(send_commands())
    try:
        await process.wait()
        return "end"
    finally:
        commands.cancel()
        await asyncio.gather(commands, return_exceptions=True)
        if process.returncode is None:
            process.kill()
            await process.wait()


async def renegotiation(target):
    return await openssl(target, "-tls1_2", b"R", 0.01)


async def key_updates(target):
    return await openssl(target, "-tls1_3", b"K", 0.002)


HOSTILE = "\x1b[31mred\x1b]0;title\x07\x85\u202e\u2028{\"level\":\"info\"}\\\"'"


async def log_injection(target):
    """Sends line ends and terminal escapes in header fields, and in all values of messages if the upgrade succeeds."""
    hostile = HOSTILE.encode()
    fields = [
        b"User-Agent", b"Origin", b"Sec-WebSocket-Protocol", b"Sec-WebSocket-Extensions", b"Cookie", b"Authorization", b"X-Forwarded-For"]
    line_end = random.choice([b"\r\n ", b"\r", b"\n", b"\r\n\r\n", b"\x00", b""])
    path = random.choice([b"/v1/ws?token=" + hostile, b"/%0d%0a%1b[31m" + hostile, b"/v1/ws?id=%0d%0a{%22level%22:%22info%22}", b"/v1/ws"])
    reader, writer = await target.connect()
    writer.write(HEAD.replace(b"/v1/ws", path) + random.choice(fields) + b": x" + line_end + hostile + b"\r\n\r\n")
    result = await status(reader)
    if result == "101":
        await reader.readuntil(b"\r\n\r\n")
        for message in [
            {"type": "text", "id": HOSTILE, "text": "x"}, {"type": HOSTILE}, {"type": "text", "id": "a", "text": "x", HOSTILE: 1},
            {"type": "text", "id": "a", "text": HOSTILE}, {"type": "cancel", "id": "a\r\n" + HOSTILE, "reason": HOSTILE}] * 6:
            writer.write(frame(0x81, json.dumps(message, ensure_ascii=random.random() < 0.5).encode()))
        writer.write(frame(0x88, struct.pack(">H", 3000) + HOSTILE.encode()[:100].decode(errors="ignore").encode()))
        await close_code(reader)
    writer.transport.abort()
    return result


# MARK: Frames

async def flood(target, opening, piece, fields=b""):
    reader, writer = await target.upgrade(fields)
    writer.write(opening)
    return await send_until_closed(reader, writer, send_repeatedly(writer, piece))


DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"


async def one_byte_fragments(target):
    return await flood(target, frame(0x01, b"a"), frame(0x00, b"a") * 1000)


async def empty_continuations(target):
    return await flood(target, frame(0x01), frame(0x00) * 1000)


async def reserved_bits(target):
    return await flood(target, frame(0x01, b"a"), frame(random.choice([0x10, 0x20, 0x40, 0x50]), b"a") * 100, DEFLATE)


async def huge_lengths(target):
    length = random.choice([2**63 - 1, 2**62, 2**40])
    return await flood(target, b"", frame(random.choice([0x81, 0x82]), b"a" * 10_000, length))


async def negative_lengths(target):
    return await flood(target, b"", frame(random.choice([0x81, 0x82]), b"a" * 10_000, 2**63 + random.randrange(2**63)))


async def whole_bomb(target):
    return await flood(target, b"", frame(0xC1, BOMB), DEFLATE)


async def bomb_in_fragments(target):
    size = len(BOMB) // 500
    rest = b"".join(frame(0x00, BOMB[start : start + size]) for start in range(size, len(BOMB), size))
    return await flood(target, frame(0x41, BOMB[:size]), rest, DEFLATE)


async def bombs_under_the_limit(target):
    """Sends compressed messages that inflate to just below the limit; each is a thousandth of that."""
    return await flood(target, b"", frame(0xC2, SMALL_BOMB) * 100, DEFLATE)


async def empty_frames_of_an_ended_stream(target):
    opening = {"type": "audio", "id": "u1", "format": {"codec": "pcm16", "rate": 16000, "channels": 1}}
    start = [frame(0x81, json.dumps(message).encode()) for message in (opening, {"type": "cancel", "id": "u1"})]
    return await flood(target, b"".join(start), frame(0x82) * 1000)


async def ping_flood(target):
    """Sends pings without reading the pongs."""
    reader, writer = await target.upgrade(window=4096)
    writer.transport.pause_reading()
    begin = time.monotonic()
    try:
        await send_repeatedly(writer, frame(0x89, b"p" * 125) * 500)
    except ConnectionError:
        return f"cut after {time.monotonic() - begin:.0f} s"
    finally:
        writer.transport.abort()


async def slow_body(target):
    """Sends nearly all of the largest message, and the rest byte by byte."""
    reader, writer = await target.upgrade()
    whole = frame(0x82, b"a" * 1_990_000)
    writer.write(whole[:1_980_000])
    return await send_until_closed(reader, writer, send_slowly(writer, whole[1_980_000:], 0.05))


async def slow_reader(target):
    """Requests more than the sockets' buffers hold, at the default rate limit, and reads nothing."""
    reader, writer = await target.upgrade(window=4096)
    writer.transport.pause_reading()
    begin = time.monotonic()
    text = " ".join(["w"] * 20_000)
    try:
        for number in range(100_000):
            writer.write(frame(0x81, json.dumps({"type": "text", "id": f"s{number}", "text": text}).encode()))
            await writer.drain()
            await asyncio.sleep(0.01 if number < 15 else 1)
    except ConnectionError:
        return f"cut after {time.monotonic() - begin:.0f} s"
    finally:
        writer.transport.abort()


async def greedy_reader(target):
    """Sends the same requests as slow_reader, and reads the responses as fast as they arrive."""
    reader, writer = await target.upgrade()
    text = " ".join(["w"] * 20_000)

    async def send_requests():
        for number in range(100_000):
            writer.write(frame(0x81, json.dumps({"type": "text", "id": f"s{number}", "text": text}).encode()))
            await asyncio.sleep(1)

    return await send_until_closed(reader, writer, send_requests(), end)


ATTACKS = {
    attack: globals()[attack] for attack in """
    one_byte_fragments empty_continuations ping_flood huge_lengths negative_lengths whole_bomb bomb_in_fragments reserved_bits window_bits
    bombs_under_the_limit empty_frames_of_an_ended_stream header_lines long_header slow_handshake slow_head slow_body slow_reader
    greedy_reader renegotiation key_updates silent silent_from_one_address handshakes_from_one_address churn churn_with_hello
    malformed_hello log_injection bad_tokens""".split()
}


async def attacker(attack, target, until, outcomes):
    while (remaining := until - time.monotonic()) > 0:
        try:
            result = await asyncio.wait_for(attack(target), remaining)
        except asyncio.TimeoutError:
            result = "open"
        except asyncio.IncompleteReadError:
            result = "end"
        except ssl.SSLError as error:
            result = error.reason or "end of TLS"
        except ConnectionError:
            result = "reset"
        except (OSError, RuntimeError) as error:
            result = str(error)
            await asyncio.sleep(0.05)
        outcomes[result] += 1
        # A disconnected attacker reconnects a few times a second: 20 handshakes a second are allowed per address, and their cost is known.
        if attack.__name__ not in ("churn", "churn_with_hello", "malformed_hello", "bad_tokens"):
            await asyncio.sleep(random.uniform(0, 0.4))


async def main(name, port, count, seconds, seed):
    random.seed(seed)
    # Suppresses asyncio's warnings about writing to closed connections.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    outcomes = collections.Counter()
    target = Target(port)
    until = time.monotonic() + seconds
    await asyncio.gather(*(attacker(ATTACKS[name], target, until, outcomes) for _ in range(count)))
    print(json.dumps(dict(outcomes.most_common())), flush=True)
    # Exits without closing connections or awaiting cancelled handshakes.
    os._exit(0)


if __name__ == "__main__":
    BOMB = bomb(1 << 24)
    SMALL_BOMB = bomb(2_000_000)
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5])))
