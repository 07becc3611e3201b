# SPDX-License-Identifier: Apache-2.0

"""The faults, shared by all protocols: how a request selects one, and what each does.

The first word of a text selects the fault; any other text gets a correct response. Times are in milliseconds, sizes in bytes.

| word | effect |
|---|---|
| `ok` or any other | the text in upper case, word by word if the response is streamed |
| `hang` | no response |
| `stall` | one piece, then nothing |
| `die` | one piece, then TCP RST, or SIGKILL to itself |
| `close` | half of the pieces without the closing, then a clean end: chunked terminator and FIN, close 1000, exit 0 |
| `close-fin` | HTTP streams: the same without the chunked terminator |
| `rubbish` | random bytes that aren't UTF-8: as a body, a WebSocket frame with a reserved opcode, or lines |
| `rubbish-json` | one SSE event, body, frame or line that isn't JSON |
| `rubbish-field` | a response whose text is a number; a WAV header of zeros |
| `garbage-status` | HTTP: an invalid status line |
| `endless [BYTES]` | endless pieces with texts of BYTES (5); `endless-rude` ignores a pause |
| `trickle [MS]` | the correct response, one byte every MS (1000), in HTTP including the head; `trickle-body [MS]` without the head |
| `huge [BYTES]` | one piece of BYTES (1 GB) of text or audio |
| `twice` | the correct response including its end, twice; for an HTTP body a pipelined second response |
| `twice-body` | HTTP bodies: a second body after the declared one |
| `other` | a response with the number request + 1000000 (process: 999); HTTP: an unsolicited response before the correct one |
| `anonymous` | WebSocket and process: the correct response without `request` |
| `error [NNN]` | HTTP: status NNN (500) with OpenAI's body; Vosk: close 1011; otherwise an `error` message |
| `redirect` | HTTP 302 to http://127.0.0.1:1/ |
| `slow [MS]` | the correct response after a delay of MS (1000) |
| `stream [N]` | N (10) pieces `w0 `, `w1 `, … at once; speech: 0.2 s each |
| `status` | a status message, then the correct response |
| `sse-crlf` `sse-split` `sse-comments` | SSE: CRLF line endings, splits at any byte, comments and fields; the text ends in ` Grüße 世界` |
| `alternatives [N]` | Vosk: results with N (3) alternatives, as with VOSK_ALTERNATIVES |
| `fork` `memory [BYTES]` `stubborn` | process only, see faulty_process.py |

`early` in front of a fault triggers it at the first bytes of streamed audio instead of at its end.
"""
import asyncio
import dataclasses
import random

from events import Malformed

NUMBERS = {
    "error": 500, "slow": 1000, "stream": 10, "trickle": 1000, "trickle-body": 1000, "huge": 1 << 30,
    "memory": 2 << 30, "endless": 5, "endless-rude": 5, "alternatives": 3,
}
NAMES = set(NUMBERS) | {
    "ok", "hang", "stall", "die", "close", "close-fin", "rubbish", "rubbish-json", "rubbish-field", "garbage-status",
    "twice", "twice-body", "other", "anonymous", "redirect", "status",
    "sse-crlf", "sse-split", "sse-comments", "fork", "stubborn",
}
GREETING = " Grüße 世界"
# Placeholder for a text or audio of any size until the response is written.
MARK = "@@here@@"
NO_JSON = '{"type":"text",]'
BATCH = 16 * 1024


@dataclasses.dataclass(frozen=True)
class Fault:
    name: str = "ok"
    number: int = None
    early: bool = False

    @classmethod
    def of(cls, text, default=None):
        """Returns the fault that the text selects, or else the default."""
        if text is not None and not isinstance(text, str):
            raise Malformed("the text isn't a string")
        words = (text or "").split(maxsplit=3)
        early = words[:1] == ["early"]
        words = words[early:]
        if not words or words[0] not in NAMES:
            return default or cls()
        number = NUMBERS.get(words[0])
        if number is not None and words[1:] and words[1].isascii() and words[1].isdigit():
            number = int(words[1][:12])
        return cls(words[0], number, early)


def rubbish(count):
    """Deterministic random bytes, beginning with bytes that are neither UTF-8 nor white space."""
    return b"\xff\xfe\xc3\x28" + random.Random(count).randbytes(count - 4)


class Out:
    """The output for one response. Protocols define how units are written and how the response ends; each fault is a method."""

    tail = b""

    def __init__(self, wire):
        self.wire = wire
        self.pace = None

    async def perform(self, response, fault):
        await getattr(self, fault.name.replace("-", "_"), self.ok)(response, fault)

    # Defined by protocols.

    def payload(self, unit):
        """The bytes of a dict (JSON), a str or bytes (audio)."""
        raise NotImplementedError

    def head(self, unit, length):
        """The framing before a payload of this length."""
        return b""

    async def begin(self):
        """Writes the data before the first unit."""

    async def gate(self):
        """Waits while the gateway has paused the response."""

    async def end(self):
        """Writes the data after the last unit."""

    async def part(self, response, half=False):
        """Sends one piece, or half of them, without the closing."""
        count = max(1, len(response.pieces) // 2) if half else 1
        await self.send(response.cut(response.pieces[:count]))

    async def shut(self):
        """Closes the connection cleanly and raises Broken."""
        raise NotImplementedError

    async def kill(self):
        """Closes the connection as a crash would and raises Broken."""
        raise NotImplementedError

    def marked_unit(self, response):
        """The unit that contains MARK."""
        return response.marked()

    def around(self, response):
        """The units before and after the marked one."""
        return response.opening(), response.closing()

    # Writing units.

    def framed(self, unit, payload):
        return self.head(unit, len(payload)) + payload + self.tail

    async def send(self, units):
        await self.begin()
        batch = []
        size = 0
        for unit in units:
            batch.append(self.framed(unit, self.payload(unit)))
            size += len(batch[-1])
            if size > BATCH or self.pace:
                await self.put(b"".join(batch))
                batch, size = [], 0
        if batch:
            await self.put(b"".join(batch))

    async def put(self, data):
        await self.gate()
        await self.wire.write(data, self.pace)

    async def raw(self, unit, payload):
        """Writes a unit with a given payload."""
        await self.begin()
        await self.put(self.framed(unit, payload))

    # The faults.

    async def ok(self, response, fault):
        await self.send(response.units(response.pieces))
        await self.end()

    async def hang(self, response, fault):
        await asyncio.get_running_loop().create_future()

    async def stall(self, response, fault):
        await self.part(response)
        await self.hang(response, fault)

    async def die(self, response, fault):
        await self.part(response)
        await self.kill()

    async def close(self, response, fault):
        await self.part(response, half=True)
        await self.shut()

    async def rubbish_json(self, response, fault):
        await self.raw(NO_JSON, self.payload(NO_JSON))
        await self.end()

    async def rubbish_field(self, response, fault):
        unit = self.marked_unit(response)
        await self.raw(unit, self.payload(unit).replace(b'"' + MARK.encode() + b'"', b"12345"))
        await self.end()

    async def endless(self, response, fault, rude=False):
        await self.send(response.opening())
        unit = response.more(fault.number)
        piece = self.framed(unit, self.payload(unit))
        block = piece * max(1, 4 * BATCH // len(piece))
        while True:
            if not rude:
                await self.gate()
            await self.wire.write(block)

    async def endless_rude(self, response, fault):
        await self.endless(response, fault, rude=True)

    async def huge(self, response, fault):
        opening, closing = self.around(response)
        await self.send(opening)
        unit = self.marked_unit(response)
        before, after = self.payload(unit).split(MARK.encode())
        head = self.head(unit, len(before) + fault.number + len(after))
        filler = b"\0" if isinstance(unit, bytes) else b"x"
        await self.wire.blocks(head + before, filler, fault.number, after + self.tail)
        await self.send(closing)
        await self.end()

    async def twice(self, response, fault):
        await self.send(response.units(response.pieces))
        await self.send(response.units(response.pieces))
        await self.end()

    async def slow(self, response, fault):
        await asyncio.sleep(fault.number / 1000)
        await self.ok(response, fault)

    async def trickle(self, response, fault):
        self.pace = fault.number / 1000
        await self.ok(response, fault)

    async def stream(self, response, fault):
        response.pieces = response.numbered(fault.number)
        await self.ok(response, fault)

    async def status(self, response, fault):
        if status := response.status():
            await self.send([status])
        await self.ok(response, fault)
