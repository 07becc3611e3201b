# SPDX-License-Identifier: Apache-2.0

"""Asks a voice assistant behind Parley one question, spoken or written, and receives the response.

Run:        .build/examples-venv/bin/python deploy/examples/voice_client.py wss://localhost:8443/v1/ws --insecure \
                --text "what is two plus three" --out answer.wav
Protocol:   parley.v1 (the gateway's Protocol page). A question is a text, or a WAV file of 16-bit PCM that is streamed
            in chunks, like a microphone's audio.
Needs:      what deploy/examples/setup.sh installs.

A summary for people is written to standard error. Standard output gets one line of JSON for each question: "question",
"transcript", "answer", "audio_seconds", "rate" and "timing", in milliseconds since the end of the question: of the first
final "transcript", the first "text" and "audio", and "done"; "gateway" is the gateway's own timing. The exit status is 0
if the response has a text and audio that isn't silence.

--interrupt-ms tries a barge-in: this long after the first audio the client interrupts the response, and reports to the
gateway how much of it was played. --then is the text that it sends next.
"""

import argparse
import array
import asyncio
import io
import json
import ssl
import sys
import time
import wave
from dataclasses import dataclass, field
from pathlib import Path

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

# The default of limits.audio_realtime_factor is 1.5; stay clear of it.
FASTEST = 1.4
# An acknowledgement is required at least every 64 messages.
ACKNOWLEDGE_EVERY = 32
OUTPUT = {"modalities": ["text", "audio"]}


class Failed(Exception):
    """There is no response, or an invalid one."""


@dataclass
class Question:
    """A text, or audio from a WAV file (`from_wav`)."""

    text: str | None = None
    samples: bytes = b""
    rate: int = 0
    channels: int = 0

    @classmethod
    def from_wav(cls, path, text=None):
        """`text` is the transcript of the file, for the summary only."""
        with wave.open(str(path), "rb") as file:
            if file.getsampwidth() != 2:
                raise Failed(f"{path} isn't 16-bit PCM")
            return cls(text, file.readframes(file.getnframes()), file.getframerate(), file.getnchannels())


@dataclass
class Response:
    """The response to one question, as received so far. Times are of time.monotonic()."""

    id: str
    transcripts: list[str] = field(default_factory=list)
    text: str = ""
    sound: bytearray = field(default_factory=bytearray)
    form: dict | None = None
    is_audio_open: bool = False
    # The end of the question, and the arrival of each part of the response.
    asked: float = 0.0
    times: dict[str, float] = field(default_factory=dict)
    gateway: dict | None = None
    # Set by the first audio, at the latest by the end of the response.
    audio_started: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    # Set when a cancellation came too late: the response was already complete.
    cancel_missed: asyncio.Event = field(default_factory=asyncio.Event)
    # How much of the audio was played before the interruption, and the type of the message that reported it.
    played_ms: int | None = None
    interrupted_by: str | None = None

    def note(self, what):
        self.times.setdefault(what, time.monotonic())

    @property
    def transcript(self):
        return " ".join(self.transcripts)

    @property
    def seconds(self):
        return len(self.sound) / (2 * self.form["rate"] * self.form["channels"]) if self.form else 0.0

    def timing(self):
        """Returns milliseconds since the end of the question, negative for parts that arrived before."""
        times = {what: round((moment - self.asked) * 1000) for what, moment in self.times.items()}
        return times | ({"gateway": self.gateway} if self.gateway else {})

    def summary(self, question):
        summary = {
            "question": question.text,
            "transcript": self.transcript if question.samples else None,
            "answer": self.text,
            "audio_seconds": round(self.seconds, 3),
            "rate": self.form and self.form["rate"],
            "timing": self.timing(),
        }
        if self.interrupted_by:
            summary |= {"played_ms": self.played_ms, "interrupted_by": self.interrupted_by}
        return summary


class Conversation:
    """One session. `read` runs concurrently with the other methods."""

    def __init__(self, socket, pace, chunk_ms, meta):
        self.socket, self.pace, self.chunk_ms, self.meta = socket, pace, chunk_ms, meta
        self.sequence = self.acknowledged = self.asked = 0
        self.response, self.interim, self.cancelled = None, "", set()

    async def open(self):
        session = json.loads(await self.socket.recv())
        if session["type"] != "session":
            raise Failed(f"expected a session, received: {session}")
        await self.acknowledge()

    async def ask(self, question, interrupt_ms=None):
        """Returns the response when it is complete or interrupted."""
        self.asked += 1
        response = self.response = Response(f"q{self.asked}")
        await self.send(question, response)
        if interrupt_ms is not None:
            await self.interrupt(response, interrupt_ms)
        await response.ended.wait()
        return response

    async def send(self, question, response):
        fields = {"id": response.id, "output": OUTPUT, "lang": "en"} | ({"meta": self.meta} if self.meta else {})
        if question.samples:
            form = {"codec": "pcm16", "rate": question.rate, "channels": question.channels}
            await self.send_message("audio", format=form, **fields)
            await self.stream(question)
            response.asked = time.monotonic()
            await self.send_message("audio", id=response.id, final=True)
        else:
            response.asked = time.monotonic()
            await self.send_message("text", text=question.text, **fields)

    async def stream(self, question):
        """Sends each chunk when a microphone at this pace would have recorded it."""
        frame = 2 * question.channels
        size = question.rate * self.chunk_ms // 1000 * frame
        begin, per_second = time.monotonic(), question.rate * frame * self.pace
        for offset in range(0, len(question.samples), size):
            chunk = question.samples[offset : offset + size]
            await asyncio.sleep(begin + (offset + len(chunk)) / per_second - time.monotonic())
            await self.socket.send(chunk)

    async def interrupt(self, response, milliseconds):
        """Interrupts the response when this much of it was played."""
        await response.audio_started.wait()
        if "audio" not in response.times:
            return
        await asyncio.sleep(response.times["audio"] + milliseconds / 1000 - time.monotonic())
        response.played_ms = min(milliseconds, round(response.seconds * 1000))
        if not response.ended.is_set():
            self.cancelled.add(response.id)
            response.interrupted_by = "cancel"
            await self.send_message("cancel", id=response.id, reason="barge-in", played_ms=response.played_ms)
            missed, ending = (asyncio.create_task(event.wait()) for event in (response.cancel_missed, response.ended))
            await asyncio.wait([missed, ending], return_when=asyncio.FIRST_COMPLETED)
            missed.cancel()
            ending.cancel()
            if not response.cancel_missed.is_set():
                return
        # The response was already complete and can't be cancelled any more; report that it isn't played to the end.
        response.interrupted_by = "status"
        await self.send_message(
            "status", state="recording", reply_to=response.id, played_ms=response.played_ms)

    async def send_message(self, kind, **fields):
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def acknowledge(self):
        self.acknowledged = self.sequence
        await self.send_message("ack", seq=self.sequence)

    async def read(self):
        """Handles messages until the connection closes."""
        async for message in self.socket:
            if isinstance(message, bytes):
                self.sequence += 1
                self.handle_chunk(message)
            else:
                await self.handle(json.loads(message))
            if self.sequence - self.acknowledged >= ACKNOWLEDGE_EVERY:
                await self.acknowledge()
        raise Failed(f"the gateway closed the connection: {self.socket.close_code} {self.socket.close_reason}")

    def handle_chunk(self, chunk):
        if self.response is None or not self.response.is_audio_open:
            raise Failed("audio arrived without its opening")
        self.response.note("audio")
        self.response.sound += chunk
        self.response.audio_started.set()

    async def handle(self, message):
        kind, name = message["type"], message.get("reply_to")
        if kind == "error":
            self.handle_error(message["error"])
        if "seq" not in message:
            return
        # Numbers are missing where messages of a cancelled request were dropped.
        if message["seq"] != self.sequence + 1 and not self.cancelled:
            raise Failed(f"seq {message['seq']} arrived after {self.sequence}")
        self.sequence = message["seq"]
        response = self.response
        if response is None or name != response.id:
            raise Failed(f"this message belongs to no question: {message}")
        if kind == "transcript":
            self.handle_transcript(response, message)
        elif kind == "text":
            if message["text"]:
                response.note("text")
            response.text += message["text"]
        elif kind == "audio":
            self.handle_audio(response, message)
        if message.get("done"):
            response.note("done")
            response.gateway = message.get("timing")
            response.audio_started.set()
            response.ended.set()
        await self.acknowledge()

    def handle_transcript(self, response, message):
        if not message["final"]:
            if message["text"] != self.interim:
                print(f"    … {message['text']}", file=sys.stderr)
            self.interim = message["text"]
        elif message["text"]:
            response.note("transcript")
            response.transcripts.append(message["text"])

    def handle_audio(self, response, message):
        form = message["format"]
        if form["codec"] != "pcm16":
            raise Failed(f"the codec {form['codec']} isn't supported by this client")
        if response.form not in (None, form):
            raise Failed(f"the format changes from {response.form} to {form}")
        if response.is_audio_open != message.get("final", False):
            raise Failed("the audio of the response begins twice, or ends without a beginning")
        response.form, response.is_audio_open = form, not response.is_audio_open

    def handle_error(self, error):
        name = error.get("reply_to")
        if error["code"] == "not_found" and name in self.cancelled:
            self.response.cancel_missed.set()
        else:
            raise Failed(f"{error['code']}: {error['message']} ({error.get('correlation_id')})")


def to_wav(response):
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(response.form["channels"])
        sound.setsampwidth(2)
        sound.setframerate(response.form["rate"])
        sound.writeframes(response.sound)
    return file.getvalue()


def check(response, data):
    """Checks a written WAV file as a player would read it."""
    with wave.open(io.BytesIO(data), "rb") as sound:
        frames, rate = sound.getnframes(), sound.getframerate()
        samples = array.array("h", sound.readframes(frames))
    if sys.byteorder == "big":
        samples.byteswap()
    if len(response.sound) % (2 * response.form["channels"]):
        raise Failed("the audio of the response ends within a sample")
    if abs(frames / rate - response.seconds) > 0.001:
        raise Failed(f"received {response.seconds:.3f} s of audio, wrote {frames / rate:.3f} s")
    if max(map(abs, samples), default=0) < 1000:
        raise Failed("the audio of the response is silence")
    if response.is_audio_open and not response.interrupted_by:
        raise Failed("the audio of the response has no end")


def report(question, response, out):
    """Prints a summary of a response, writes its audio, and checks it."""

    def show(line):
        print(line, file=sys.stderr)

    if question.samples:
        show(f"transcript: {response.transcript}")
    show(f"response:   {response.text.strip()}")
    times = ", ".join(f"{what} {ms} ms" for what, ms in response.timing().items() if what != "gateway")
    show(f"after the end of the question: {times}")
    if response.interrupted_by:
        show(f"interrupted after {response.played_ms} ms of {response.seconds:.2f} s, reported with {response.interrupted_by}")
    problem = None
    if not response.text.strip():
        problem = "the response has no text"
    elif response.form is None:
        problem = "the response has no audio"
    else:
        data = to_wav(response)
        if out:
            Path(out).write_bytes(data)
        show(f"audio:      {response.seconds:.2f} s at {response.form['rate']} Hz" + (f", in {out}" if out else ""))
        check(response, data)
    print(json.dumps(response.summary(question)), flush=True)
    if problem:
        raise Failed(problem)


def security(options):
    if options.url.startswith("ws://"):
        return None
    context = ssl.create_default_context(cafile=options.ca)
    if options.insecure:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def talk(options, questions):
    pace, meta = (1.0, {"ear": "live"}) if options.live else (FASTEST, {})
    async with (
        asyncio.timeout(options.timeout),
        connect(options.url, ssl=security(options), subprotocols=["parley.v1"], max_size=None) as socket,
    ):
        conversation = Conversation(socket, pace, options.chunk_ms, meta)
        await conversation.open()
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(conversation.read())
            interrupt_ms, out = options.interrupt_ms, options.out
            for question in questions:
                response = await conversation.ask(question, interrupt_ms)
                report(question, response, out if question is questions[-1] else None)
                # Only the first response is interrupted.
                interrupt_ms = None
            reading.cancel()
        await conversation.send_message("bye")


def read_arguments():
    parser = argparse.ArgumentParser(description="Asks a voice assistant behind Parley one question.")
    parser.add_argument("url", help="for example wss://localhost:8443/v1/ws")
    parser.add_argument("--ca", help="PEM file of the authority that verifies the gateway's certificate")
    parser.add_argument("--insecure", action="store_true", help="accept any certificate")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--text", help="the question as a text")
    what.add_argument("--wav", help="the question as a WAV file, 16-bit PCM")
    parser.add_argument("--question", help="transcript of the WAV file, for the summary")
    parser.add_argument("--live", action="store_true", help="stream in real time, and show partial transcripts")
    parser.add_argument("--chunk-ms", type=int, default=40, choices=range(20, 101), metavar="20…100")
    parser.add_argument("--interrupt-ms", type=int, help="interrupt the response after this much audio")
    parser.add_argument("--then", help="text to send after the response")
    parser.add_argument("--out", help="WAV file for the audio of the last response")
    parser.add_argument("--timeout", type=float, default=120, help="overall timeout in seconds (default: %(default)s)")
    return parser.parse_args()


def main():
    options, status = read_arguments(), 0
    try:
        questions = [Question.from_wav(options.wav, options.question) if options.wav else Question(options.text)]
        if options.then:
            questions.append(Question(options.then))
        asyncio.run(talk(options, questions))
    except* (Failed, OSError, EOFError, wave.Error, WebSocketException) as failures:
        for failure in failures.exceptions:
            # The failures of a task group are a nested group.
            for error in getattr(failure, "exceptions", [failure]):
                print(f"voice_client: {str(error) or type(error).__name__}", file=sys.stderr)
        status = 1
    except* KeyboardInterrupt:
        status = 130
    sys.exit(status)


if __name__ == "__main__":
    main()
