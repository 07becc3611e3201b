# SPDX-License-Identifier: Apache-2.0

"""Many requests on one connection in Parley's messages, shared by the WebSocket and process upstreams."""
import asyncio
import json

from responses import EchoResponse, MessageResponse, pieces_of
from events import Exchange, Malformed
from faults import Fault, Out

MAX_AUDIO_BYTES = 64 << 20


class MessageOut(Out):
    """The output for one request's messages. `other_number` returns the number of another request."""

    def __init__(self, wire, call):
        super().__init__(wire)
        self.call = call
        self.number = call and call.number

    def payload(self, unit):
        if isinstance(unit, dict):
            unit = json.dumps(unit, ensure_ascii=False)
        return unit.encode(errors="replace") if isinstance(unit, str) else unit

    def other_number(self, request):
        raise NotImplementedError

    async def gate(self):
        await self.call.flowing.wait()

    async def error(self, response, fault):
        await self.send([response.error()])

    async def other(self, response, fault):
        response.request = self.number = self.other_number(self.number)
        await self.ok(response, fault)

    async def anonymous(self, response, fault):
        response.request = None
        await self.ok(response, fault)


class Call:
    """One open request."""

    def __init__(self, number, exchange, fault, audio):
        self.number = number
        self.exchange = exchange
        self.fault = fault
        # Format and meta of audio, and the audio received so far.
        self.audio = audio
        self.size = 0
        self.chunks = []
        self.responding = None
        self.flowing = asyncio.Event()
        self.flowing.set()


class Conversation:
    """Receives messages and responds to each request in a task of its own."""

    def __init__(self, wire, default, make_out):
        self.wire = wire
        self.default = default
        self.make_out = make_out
        self.calls = {}
        # Numbers that were open once: late messages for them are allowed.
        self.known = set()

    def receive(self, text):
        """Handles a message. Raises Malformed."""
        try:
            message = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise Malformed(f"not JSON: {error}") from None
        if not isinstance(message, dict):
            raise Malformed("not an object")
        match message.get("type"):
            case "text":
                self.text(message)
            case "audio":
                self.audio(message)
            case "cancel":
                self.cancel(message)
            case "pause" | "resume":
                self.pause(message)
            case "status":
                fields = {"session": message.get("session"), "state": message.get("state")}
                self.wire.events.emit("status", **fields, connection=self.wire.number)
            case kind:
                raise Malformed(f"no such type: {kind!r}")

    def number(self, message):
        number = message.get("request")
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 1 << 32:
            raise Malformed(f"not a request number: {number!r}")
        return number

    def open(self, message, text, audio=None):
        number = self.number(message)
        if number in self.calls:
            raise Malformed(f"request {number} is open already")
        fault = Fault.of(text, self.default)
        exchange = Exchange(
            self.wire, fault, id=message.get("id"), request=number, session=message.get("session"), user=message.get("user"),
            claims=message.get("claims"), meta=message.get("meta"))
        self.calls[number] = Call(number, exchange, fault, audio)
        self.known.add(number)
        return self.calls[number]

    def find(self, number):
        """Returns the call, or None if it has ended."""
        if number not in self.known:
            raise Malformed(f"request {number} was never opened")
        return self.calls.get(number)

    def text(self, message):
        text = message.get("text")
        if not isinstance(text, str):
            raise Malformed("the text isn't a string")
        call = self.open(message, text)
        pieces = pieces_of(text) if message.get("stream") is not False else [text.upper()]
        self.respond(call, MessageResponse("text", pieces, call.number))

    def audio(self, message):
        number = self.number(message)
        if message.get("final") is True:
            call = self.find(number)
            if call and not call.responding:
                self.respond_to_audio(call)
            return
        meta = message.get("meta") or {}
        if not isinstance(meta, dict) or not isinstance(message.get("format"), dict):
            raise Malformed("format and meta have to be objects")
        self.open(message, meta.get("fault"), {"format": message["format"], "echo": meta.get("echo") == "audio"})

    def chunk(self, number, data):
        """Handles audio bytes."""
        call = self.find(number)
        if not call or call.responding:
            return
        if call.audio is None:
            raise Malformed(f"request {number} isn't audio")
        call.size += len(data)
        if call.audio["echo"] and call.size <= MAX_AUDIO_BYTES:
            call.chunks.append(bytes(data))
        if call.fault.early:
            self.respond_to_audio(call)

    def respond_to_audio(self, call):
        if call.audio is None:
            raise Malformed(f"request {call.number} isn't audio")
        if call.audio["echo"]:
            self.respond(call, EchoResponse(call.chunks, call.number, call.audio["format"]))
        else:
            self.respond(call, MessageResponse("transcript", [f"{call.size} bytes"], call.number))

    def respond(self, call, response):
        call.responding = call.exchange.start(self.make_out(self.wire, call).perform, response, call.fault)
        call.responding.add_done_callback(lambda task: self.remove(call))

    def remove(self, call):
        if self.calls.get(call.number) is call:
            del self.calls[call.number]

    def cancel(self, message):
        number = self.number(message)
        if call := self.find(number):
            del self.calls[number]
            call.exchange.fields["reason"] = message.get("reason")
            call.exchange.cancel()

    def pause(self, message):
        call = self.find(self.number(message))
        paused = message["type"] == "pause"
        name = "paused" if paused else "resumed"
        self.wire.events.emit(name, request=message["request"], connection=self.wire.number)
        if call and paused:
            call.flowing.clear()
        elif call:
            call.flowing.set()

    async def end(self):
        """Cancels all calls after the connection has ended."""
        for call in list(self.calls.values()):
            call.exchange.cancel()
        tasks = [call.responding for call in self.calls.values() if call.responding]
        self.calls.clear()
        if tasks:
            await asyncio.wait(tasks)
