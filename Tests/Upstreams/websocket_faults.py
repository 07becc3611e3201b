# SPDX-License-Identifier: Apache-2.0

"""WebSocket upstreams: Parley's own protocol, and vosk-server's.

The sans-I/O protocol of `websockets` performs the handshake and validates incoming frames; outgoing frames are written
directly to the wire, so that they can be slow, giant or invalid. A handshake fault is selected by the query, as in
`/?fault=error+429`: one of hang, die, close, rubbish, garbage-status, error, redirect, slow and trickle.

vosk-server's protocol has no texts, only samples. So a fault is selected by the samples themselves, which begin with
the text that selects the fault elsewhere.
"""
import asyncio
import json
import struct
import urllib.parse

from websockets.frames import Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from responses import VoskResponse
from conversation import Conversation, MessageOut
from events import Broken, Exchange, Malformed
from faults import Fault, rubbish
from http_faults import BodyOut

SUBPROTOCOL = "parley.upstream.v1"
MAX_MESSAGE_BYTES = 64 << 20
# A frame with opcode 3, which is reserved, and four random bytes.
RESERVED = b"\x83\x04" + rubbish(8)[4:]
# Faults that happen before the end of the audio.
AT_ONCE = {
    "hang", "stall", "die", "close", "rubbish", "rubbish-json", "rubbish-field", "endless", "endless-rude", "error",
}
# Maximum number of pending control frames; beyond it the client isn't read.
MAX_CONTROL_FRAMES = 1000


def frame_head(opcode, length):
    if length < 126:
        return struct.pack("!BB", 0x80 | opcode, length)
    if length < 1 << 16:
        return struct.pack("!BBH", 0x80 | opcode, 126, length)
    return struct.pack("!BBQ", 0x80 | opcode, 127, length)


class Connection:
    """Performs the handshake, receives messages and sends control frames. Subclasses handle the messages."""

    subprotocols = None

    def __init__(self, wire, default):
        self.wire = wire
        self.default = default
        self.protocol = ServerProtocol(subprotocols=self.subprotocols, max_size=MAX_MESSAGE_BYTES)
        self.control = asyncio.Queue()
        self.fragments = []
        self.opcode = None

    async def serve(self):
        controlling = asyncio.create_task(self.write_control())
        try:
            # Responses don't block reading: a cancel has to be seen while a frame trickles.
            while data := await self.wire.reader.read(65536):
                self.protocol.receive_data(data)
                for event in self.protocol.events_received():
                    if isinstance(event, Request):
                        await self.handshake(event)
                    else:
                        self.frame(event)
                self.flush()
                while self.control.qsize() > MAX_CONTROL_FRAMES and not controlling.done():
                    await asyncio.sleep(0.01)
        except (OSError, Broken):
            pass
        finally:
            controlling.cancel()
            await self.end()
            failure = self.protocol.handshake_exc or self.protocol.parser_exc
            if failure and not self.wire.closed_by_fault:
                self.wire.events.emit("malformed", reason=str(failure), connection=self.wire.number)

    def flush(self):
        for data in self.protocol.data_to_send():
            self.control.put_nowait(data)

    async def write_control(self):
        """Writes pongs, close frames and the end of the connection between other frames."""
        try:
            while True:
                data = await self.control.get()
                if data:
                    await self.wire.write(data)
                else:
                    async with self.wire.lock:
                        self.wire.writer.close()
                self.control.task_done()
        except OSError:
            pass

    async def handshake(self, request):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(request.path).query)
        if "fault" in query:
            await self.inject_handshake_fault(Fault.of(query["fault"][0]), request)
        response = self.protocol.accept(request)
        self.protocol.send_response(response)
        self.flush()

    async def inject_handshake_fault(self, fault, request):
        out = BodyOut(self.wire)
        self.wire.closed_by_fault = True
        match fault.name:
            case "hang":
                await self.wire.reader.peer_closed.wait()
                raise Broken
            case "slow":
                await asyncio.sleep(fault.number / 1000)
            case "trickle":
                self.protocol.send_response(self.protocol.accept(request))
                for data in self.protocol.data_to_send():
                    await self.wire.write(data, fault.number / 1000)
                self.protocol.send_response = lambda response: None
            case "error" | "redirect" | "garbage-status":
                await out.perform(None, fault)
                await out.shut()
            case "rubbish":
                await self.wire.push(rubbish(300))
                await out.shut()
            case "die" | "close":
                await self.wire.push(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: webs")
                await (out.kill() if fault.name == "die" else out.shut())
        self.wire.closed_by_fault = False

    def frame(self, frame):
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            self.opcode = frame.opcode
        elif frame.opcode != Opcode.CONT:
            return
        self.fragments.append(bytes(frame.data))
        if not frame.fin:
            return
        data = b"".join(self.fragments)
        self.fragments = []
        try:
            if self.opcode == Opcode.TEXT:
                self.text(data.decode())
            else:
                self.binary(data)
        except (Malformed, UnicodeDecodeError) as error:
            self.wire.events.emit("malformed", reason=str(error), connection=self.wire.number)

    def begin_close(self, code):
        """Sends a close frame after all written data; the peer's close frame ends the connection."""
        self.wire.closed_by_fault = True
        if self.protocol.state.name == "OPEN":
            self.protocol.send_close(code)
            self.flush()

    def text(self, text):
        raise NotImplementedError

    def binary(self, data):
        raise NotImplementedError

    async def end(self):
        raise NotImplementedError


class SocketOut(MessageOut):
    """One frame per message."""

    def __init__(self, wire, call, connection):
        super().__init__(wire, call)
        self.connection = connection

    def payload(self, unit):
        payload = super().payload(unit)
        return struct.pack("!I", self.number) + payload if isinstance(unit, bytes) else payload

    def head(self, unit, length):
        return frame_head(Opcode.BINARY if isinstance(unit, bytes) else Opcode.TEXT, length)

    def other_number(self, request):
        return request + 1000000

    async def shut(self):
        self.connection.begin_close(1000)
        # Gives the peer time for its close frame, which isn't a cancellation.
        try:
            await asyncio.wait_for(self.wire.reader.peer_closed.wait(), 10)
        except asyncio.TimeoutError:
            self.wire.abort()
        raise Broken

    async def kill(self):
        await self.wire.reset()
        raise Broken

    async def rubbish(self, response, fault):
        await self.wire.write(RESERVED)


class ParleyConnection(Connection):
    """A connection shared by many requests."""

    subprotocols = [SUBPROTOCOL]

    def __init__(self, wire, default):
        super().__init__(wire, default)
        self.conversation = Conversation(wire, default, lambda wire, call: SocketOut(wire, call, self))

    def text(self, text):
        self.conversation.receive(text)

    def binary(self, data):
        if len(data) < 4:
            raise Malformed("a binary message without a request number")
        self.conversation.chunk(struct.unpack_from("!I", data)[0], memoryview(data)[4:])

    async def end(self):
        await self.conversation.end()


class VoskOut(SocketOut):
    """A response that ends with the connection. This protocol has no error messages."""

    def payload(self, unit):
        # White space as in vosk-api's JSON (src/json.h).
        if isinstance(unit, dict):
            unit = json.dumps(unit, ensure_ascii=False, indent=2, separators=(",", " : "))
        return super().payload(unit)

    async def end(self):
        self.connection.begin_close(1000)

    async def gate(self):
        pass

    async def error(self, response, fault):
        self.connection.begin_close(1011)

    async def other(self, response, fault):
        await self.ok(response, fault)

    anonymous = other


def leading_text(samples):
    """Returns the text at the beginning of the samples, up to a zero byte. Real audio never spells the name of a fault."""
    text, _, _ = samples[:200].partition(b"\0")
    return text.decode("ascii", errors="replace")


class VoskConnection(Connection):
    """One connection, one recognizer, any number of utterances.

    Handles messages like `recognize` and `process_chunk` of websocket/asr_server.py in
    https://github.com/alphacep/vosk-server: a text that contains "config" is a configuration; the end mark is compared
    as a string, and FinalResult and the end of the connection follow; any other message is passed to AcceptWaveform,
    which raises for a text (close 1011), and the response is Result if it detects an endpoint, else PartialResult. An
    endpoint is half a second of silence after sound, or five seconds of silence only (rules 2 and 1 of Kaldi's
    OnlineEndpointConfig).
    """

    COUNT = iter(range(1, 1 << 60))
    END_MARK = '{"eof" : 1}'

    def __init__(self, wire, default):
        super().__init__(wire, default)
        self.fault = default
        self.exchange = None
        self.responding = None
        self.sample_rate = 8000.0
        self.max_alternatives = 0
        # Bytes of the utterance and of its trailing silence.
        self.size = 0
        self.silence = 0
        self.has_sound = False
        self.eof = False

    def text(self, text):
        if "config" in text:
            self.configure(text)
        elif text == self.END_MARK:
            self.open()
            self.eof = True
            self.respond()
        else:
            self.begin_close(1011)
            raise Malformed(f"AcceptWaveform takes bytes, not a str: {text[:40]}")

    def configure(self, text):
        try:
            config = json.loads(text)["config"]
            self.sample_rate = float(config.get("sample_rate", self.sample_rate))
            self.max_alternatives = int(config.get("max_alternatives", self.max_alternatives))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            self.begin_close(1011)
            raise Malformed(f"invalid configuration: {error!r}") from None

    def open(self):
        if self.eof:
            raise Malformed("data after eof")
        if not self.exchange:
            self.exchange = Exchange(self.wire, self.fault, id=f"u{next(self.COUNT)}")

    def binary(self, data):
        if not self.exchange:
            self.fault = Fault.of(leading_text(data), self.default)
            if self.fault.name == "alternatives":
                self.max_alternatives = self.fault.number
        self.open()
        is_end = self.accept_waveform(data)
        if self.fault.early or self.fault.name in AT_ONCE:
            self.respond()
        elif self.fault.name not in ("slow", "trickle") and not self.responding:
            out = VoskOut(self.wire, None, self)
            unit = self.result() if is_end else {"partial": f"{self.size} bytes"}
            self.control.put_nowait(out.framed(unit, out.payload(unit)))

    def accept_waveform(self, data):
        """Returns whether an endpoint follows these samples."""
        self.size += len(data)
        sound = data.rstrip(b"\0")
        self.has_sound = self.has_sound or bool(sound)
        self.silence = len(data) - len(sound) if sound else self.silence + len(data)
        return self.silence >= (0.5 if self.has_sound else 5) * self.sample_rate * 2

    def result(self):
        """Returns the result of the utterance and begins the next one."""
        response = VoskResponse([f"{self.size} bytes"] if self.size else [], self.max_alternatives)
        self.size, self.silence, self.has_sound = 0, 0, False
        return response.result("".join(response.pieces))

    def respond(self):
        if not self.responding:
            response = VoskResponse([f"{self.size} bytes"] if self.size else [""], self.max_alternatives)
            self.responding = self.exchange.start(self.perform, response)

    async def perform(self, response):
        # Queued partial results go first.
        await self.control.join()
        await VoskOut(self.wire, None, self).perform(response, self.fault)

    async def end(self):
        if self.exchange:
            self.exchange.cancel()
        if self.responding:
            await asyncio.wait({self.responding})
