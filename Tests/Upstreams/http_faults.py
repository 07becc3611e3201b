# SPDX-License-Identifier: Apache-2.0

"""A hand-written HTTP/1.1 server on raw streams, so that any misbehaviour of an HTTP upstream is possible."""
import asyncio
import dataclasses
import http
import json
import random
import urllib.parse

from events import Broken, Exchange, Malformed
from faults import BATCH, GREETING, MARK, NO_JSON, Fault, Out, rubbish

MAX_BODY_BYTES = 64 << 20
JSON = "application/json"
ERROR_TYPES = {403: "permission_error", 408: "timeout", 429: "rate_limit_exceeded"}


@dataclasses.dataclass
class Request:
    method: str
    path: str
    headers: dict
    body: bytes
    persistent: bool

    def json(self):
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise Malformed(f"the body isn't JSON: {error}") from None
        if not isinstance(value, dict):
            raise Malformed("the body isn't an object")
        return value


@dataclasses.dataclass
class ParsedRequest:
    """A parsed request: its id, the text that selects the fault, the response, and whether the response is streamed."""
    id: str
    text: str
    response: object
    streamed: bool


class Rejected(Exception):
    """The request isn't supported by the protocol and gets an error status."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


def head(status, headers):
    try:
        phrase = http.HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {status} {phrase}"] + [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def error_response(status, message, headers=None):
    kind = ERROR_TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    body = json.dumps({"error": {"message": message, "type": kind, "param": None, "code": kind}}).encode()
    if status < 200 or status in (204, 304):
        return head(status, headers or {})
    return head(status, {"Content-Type": JSON, "Content-Length": len(body)} | (headers or {})) + body


class HTTPOut(Out):
    """Faults shared by streams and bodies."""

    def again(self):
        """Returns an output for another response on the same connection."""
        return type(self)(self.wire)

    async def shut(self):
        await self.wire.close()
        raise Broken

    async def kill(self):
        await self.wire.reset()
        raise Broken

    async def error(self, response, fault):
        headers = {"Retry-After": 2} if fault.number in (429, 503) else {}
        await self.put(error_response(fault.number, "no", headers))

    async def redirect(self, response, fault):
        await self.put(head(302, {"Location": "http://127.0.0.1:1/", "Content-Length": 0}))

    async def garbage_status(self, response, fault):
        await self.put(b"HTTP/banana 2oo\xff\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nno")
        await HTTPOut.shut(self)

    async def other(self, response, fault):
        await self.again().ok(response.other_response(), fault)
        await self.ok(response, fault)

    async def trickle_body(self, response, fault):
        await self.begin()
        await self.trickle(response, fault)


class BodyOut(HTTPOut):
    """A body with Content-Length, written as a single unit."""

    def payload(self, unit):
        text = unit if isinstance(unit, str) else json.dumps(unit, ensure_ascii=False)
        return text.encode(errors="replace")

    def head(self, unit, length):
        mime = "text/plain; charset=utf-8" if isinstance(unit, str) and unit is not NO_JSON else JSON
        return head(200, {"Content-Type": mime, "Content-Length": length})

    def marked_unit(self, response):
        return response.whole([MARK])

    def around(self, response):
        return [], []

    async def send(self, units):
        for unit in units:
            await self.raw(unit, self.payload(unit))

    async def ok(self, response, fault):
        await self.send([response.whole(response.pieces)])

    async def part(self, response, half=False):
        unit = response.whole(response.pieces)
        payload = self.payload(unit)
        await self.put(self.head(unit, len(payload)) + payload[:len(payload) // 2])

    async def rubbish(self, response, fault):
        await self.put(head(200, {"Content-Type": JSON, "Content-Length": 300}) + rubbish(300))

    async def endless(self, response, fault, rude=False):
        before, _ = self.payload(self.marked_unit(response)).split(MARK.encode())
        chunk = b"%x\r\n" % (4 * BATCH) + b"x" * (4 * BATCH) + b"\r\n"
        await self.put(head(200, {"Content-Type": JSON, "Transfer-Encoding": "chunked"}))
        if before:
            await self.put(b"%x\r\n%b\r\n" % (len(before), before))
        while True:
            await self.wire.write(chunk)

    async def twice(self, response, fault):
        await self.ok(response, fault)
        await self.ok(response, fault)

    async def twice_body(self, response, fault):
        unit = response.whole(response.pieces)
        payload = self.payload(unit)
        await self.put(self.framed(unit, payload) + payload)

    async def trickle_body(self, response, fault):
        unit = response.whole(response.pieces)
        payload = self.payload(unit)
        await self.put(self.head(unit, len(payload)))
        await self.wire.write(payload, fault.number / 1000)

    async def status(self, response, fault):
        await self.ok(response, fault)


class StreamOut(HTTPOut):
    """A chunked body of SSE events or audio."""

    tail = b"\r\n"

    def __init__(self, wire):
        super().__init__(wire)
        self.style = None
        self.mime = None
        self.begun = False

    async def perform(self, response, fault):
        self.mime = response.mime
        await super().perform(response, fault)

    async def begin(self):
        if not self.begun:
            self.begun = True
            headers = {"Content-Type": self.mime, "Cache-Control": "no-cache", "Transfer-Encoding": "chunked"}
            await self.put(head(200, headers))

    async def end(self):
        await self.put(b"0\r\n\r\n")

    def head(self, unit, length):
        return b"%x\r\n" % length

    def payload(self, unit):
        if isinstance(unit, bytes):
            return unit
        if isinstance(unit, dict):
            unit = json.dumps(unit, ensure_ascii=False, indent=1 if self.style == "comments" else None)
        if self.style == "crlf":
            return f"data: {unit}\r\n\r\n".encode(errors="replace")
        if self.style == "comments":
            # The space after the colon is optional. Fields without a colon and unknown fields are ignored.
            lines = enumerate(unit.split("\n"))
            data = "\n".join(("data:" if number % 2 else "data: ") + line for number, line in lines)
            fields = f"event: message\nretry: 1000\n{data}\nnonsense\nunknown: field"
            return f": keep-alive\n:\n{fields}\n\n: between\n\n".encode(errors="replace")
        return f"data: {unit}\n\n".encode(errors="replace")

    def again(self):
        other = super().again()
        other.mime = self.mime
        return other

    async def shut(self):
        await self.end()
        await super().shut()

    async def close_fin(self, response, fault):
        await self.part(response, half=True)
        await super().shut()

    async def rubbish(self, response, fault):
        await self.raw(b"", rubbish(300))
        await self.end()

    async def rubbish_field(self, response, fault):
        if self.mime != "text/event-stream":
            await self.raw(b"", b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0" + bytes(16) + b"data\0\0\0\0")
            await self.end()
        else:
            await super().rubbish_field(response, fault)

    async def twice(self, response, fault):
        if self.mime == "text/event-stream":
            await super().twice(response, fault)
        else:
            await self.ok(response, fault)
            await self.again().ok(response, fault)

    async def twice_body(self, response, fault):
        await self.twice(response, fault)

    def append_greeting(self, response):
        if self.mime == "text/event-stream":
            response.pieces = response.pieces + [GREETING]
            return True
        return False

    async def sse_crlf(self, response, fault):
        self.style = "crlf" if self.append_greeting(response) else None
        await self.ok(response, fault)

    async def sse_comments(self, response, fault):
        self.style = "comments" if self.append_greeting(response) else None
        await self.ok(response, fault)

    async def sse_split(self, response, fault):
        """Sends a chunk and a segment for every few bytes; always splits the first multi-byte character."""
        if not self.append_greeting(response):
            await self.ok(response, fault)
            return
        await self.begin()
        data = b"".join(self.payload(unit) for unit in response.units(response.pieces))
        chance = random.Random(7)
        cuts = {next(index for index, byte in enumerate(data) if byte >= 0xC0) + 1, len(data)}
        position = 0
        while position < len(data):
            position += chance.randint(1, 9)
            cuts.add(min(position, len(data)))
        begin = 0
        for cut in sorted(cuts):
            await self.put(b"%x\r\n%b\r\n" % (cut - begin, data[begin:cut]))
            await asyncio.sleep(0.001)
            begin = cut
        await self.end()


async def read_request(wire):
    """Returns the next request of the connection, or None at its end."""
    reader = wire.reader
    try:
        block = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise Malformed("the connection ended within the head") from None
        return None
    except asyncio.LimitOverrunError:
        raise Malformed("the head is too long") from None
    first, *lines = block[:-4].decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or words[2] != "HTTP/1.1":
        raise Malformed(f"not a request line of HTTP/1.1: {first[:100]}")
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise Malformed(f"not a header field: {line[:100]}")
        headers[name.lower()] = value.strip()
    if "host" not in headers:
        raise Malformed("no Host")
    if headers.get("expect", "").lower() == "100-continue":
        await wire.push(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = await read_body(reader, headers)
    persistent = "close" not in headers.get("connection", "").lower()
    return Request(words[0], urllib.parse.urlsplit(words[1]).path, headers, body, persistent)


async def read_body(reader, headers):
    try:
        if "chunked" in headers.get("transfer-encoding", "").lower():
            body = b""
            while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
                if size < 0 or len(body) + size > MAX_BODY_BYTES:
                    raise Malformed("a chunk of the body is too large")
                body += await reader.readexactly(size)
                if await reader.readexactly(2) != b"\r\n":
                    raise Malformed("a chunk is longer than declared")
            while await reader.readuntil(b"\r\n") != b"\r\n":
                pass
            return body
        size = int(headers.get("content-length", 0))
        if not 0 <= size <= MAX_BODY_BYTES:
            raise Malformed("the body is too large")
        return await reader.readexactly(size)
    except (ValueError, asyncio.LimitOverrunError):
        raise Malformed("invalid size of the body") from None
    except asyncio.IncompleteReadError:
        raise Malformed("the connection ended within the body") from None


class HTTPServer:
    """Serves connections. `parse` parses a Request into ParsedRequest, or raises Rejected or Malformed."""

    def __init__(self, parse, default):
        self.parse = parse
        self.default = default
        self.count = 0

    async def serve(self, wire):
        """Serves the requests of one connection in order."""
        while True:
            try:
                request = await read_request(wire)
                if request is None:
                    return
                self.count += 1
                parsed = self.parse_request(request)
                fault = Fault.of(parsed.text, self.default)
            except Malformed as error:
                wire.events.emit("malformed", reason=str(error), connection=wire.number)
                await wire.push(error_response(400, str(error), {"Connection": "close"}))
                return
            except Rejected as rejection:
                wire.events.emit("rejected", reason=str(rejection), connection=wire.number)
                await wire.push(error_response(rejection.status, str(rejection)))
                continue
            name = parsed.id or request.headers.get("x-request-id") or f"r{self.count}"
            details = {"text": parsed.text and parsed.text[:1000]}
            details["conversation"] = getattr(parsed.response, "conversation", None)
            exchange = Exchange(wire, fault, id=name, **details)
            out = (StreamOut if parsed.streamed else BodyOut)(wire)
            responding = exchange.start(out.perform, parsed.response, fault)
            if not await self.wait_for_response(wire, exchange, responding) or not request.persistent:
                return

    def parse_request(self, request):
        try:
            return self.parse(request)
        except (AttributeError, TypeError, KeyError, ValueError) as error:
            raise Malformed(f"a field has the wrong type: {error}") from None

    async def wait_for_response(self, wire, exchange, responding):
        """Waits for the response. Returns whether the connection can be reused."""
        closed = asyncio.create_task(wire.reader.peer_closed.wait())
        try:
            await asyncio.wait({responding, closed}, return_when=asyncio.FIRST_COMPLETED)
            if not responding.done():
                exchange.cancel()
                await asyncio.wait({responding})
                return False
        finally:
            closed.cancel()
            responding.cancel()
        return not wire.closed_by_fault and not wire.writer.is_closing()
