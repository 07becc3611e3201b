"""Asks a voice assistant behind Parley one question, spoken or written, and hears the answer.

Run:        .build/examples-venv/bin/python deploy/examples/voice_client.py wss://localhost:8443/v1/ws --insecure \
                --text "what is two plus three" --out answer.wav
Protocol:   parley.v1 (the gateway's Protocol page). A question is a text, or a WAV file of 16-bit PCM that is sent in
            chunks, as a microphone would give them.
Needs:      what deploy/examples/setup.sh installs.

What people want to see goes to standard error. Standard output gets one line of JSON for each question: "question",
"transcript", "answer", "audio_seconds", "rate" and "timing", in milliseconds since the question ended: the first
"transcript" that is final, "text" and "audio", and "done"; "gateway" is what the gateway says of it. The exit status is
0 when the answer has a text and a sound that isn't silence.

--interrupt-ms tries a barge-in: that long after the first sound the client talks in between, and tells the gateway how
much of the answer was heard. --then is what it says.
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

# limits.audio_realtime_factor is 1.5, and a hair's breadth below it is too close.
FASTEST = 1.4
# An acknowledgement is due for each 64 messages.
ACKNOWLEDGE_EVERY = 32
OUTPUT = {"modalities": ["text", "audio"]}


class Failed(Exception):
    """There is no answer, or none that is what it should be."""


@dataclass
class Question:
    """A text, or a sound: WAV files are read with `from_wav`."""

    text: str | None = None
    samples: bytes = b""
    rate: int = 0
    channels: int = 0

    @classmethod
    def from_wav(cls, path, text=None):
        """`text` is what the sound says, for the summary only."""
        with wave.open(str(path), "rb") as file:
            if file.getsampwidth() != 2:
                raise Failed(f"{path} isn't 16-bit PCM")
            return cls(text, file.readframes(file.getnframes()), file.getframerate(), file.getnchannels())


@dataclass
class Answer:
    """What has come of one question so far. Times are of time.monotonic()."""

    identifier: str
    transcripts: list[str] = field(default_factory=list)
    text: str = ""
    sound: bytearray = field(default_factory=bytearray)
    form: dict | None = None
    is_audio_open: bool = False
    # When the question ended, and what came when.
    asked: float = 0.0
    times: dict[str, float] = field(default_factory=dict)
    gateway: dict | None = None
    # Set by the first sound, at the latest by the end.
    begins: asyncio.Event = field(default_factory=asyncio.Event)
    ends: asyncio.Event = field(default_factory=asyncio.Event)
    # Set when a cancellation came too late.
    escapes: asyncio.Event = field(default_factory=asyncio.Event)
    # How much of the sound was played before the client interrupted it, and how that was told.
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
        """Milliseconds since the question ended. What came before that is negative."""
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
    """One session. `read` runs beside everything else."""

    def __init__(self, socket, pace, chunk_ms, meta):
        self.socket, self.pace, self.chunk_ms, self.meta = socket, pace, chunk_ms, meta
        self.sequence = self.acknowledged = self.asked = 0
        self.answer, self.interim, self.cancelled = None, "", set()

    async def open(self):
        session = json.loads(await self.socket.recv())
        if session["type"] != "session":
            raise Failed(f"a session was due, this came: {session}")
        await self.acknowledge()

    async def ask(self, question, interrupt_ms=None):
        """Returns the answer when it is complete or interrupted."""
        self.asked += 1
        answer = self.answer = Answer(f"q{self.asked}")
        await self.send(question, answer)
        if interrupt_ms is not None:
            await self.interrupt(answer, interrupt_ms)
        await answer.ends.wait()
        return answer

    async def send(self, question, answer):
        fields = {"id": answer.identifier, "output": OUTPUT, "lang": "en"} | ({"meta": self.meta} if self.meta else {})
        if question.samples:
            form = {"codec": "pcm16", "rate": question.rate, "channels": question.channels}
            await self.send_message("audio", format=form, **fields)
            await self.stream(question)
            answer.asked = time.monotonic()
            await self.send_message("audio", id=answer.identifier, final=True)
        else:
            answer.asked = time.monotonic()
            await self.send_message("text", text=question.text, **fields)

    async def stream(self, question):
        """Sends chunks, none of them before a microphone at this pace would have filled it."""
        frame = 2 * question.channels
        size = question.rate * self.chunk_ms // 1000 * frame
        begin, per_second = time.monotonic(), question.rate * frame * self.pace
        for offset in range(0, len(question.samples), size):
            chunk = question.samples[offset : offset + size]
            await asyncio.sleep(begin + (offset + len(chunk)) / per_second - time.monotonic())
            await self.socket.send(chunk)

    async def interrupt(self, answer, milliseconds):
        """Talks in between when so much of the answer was played."""
        await answer.begins.wait()
        if "audio" not in answer.times:
            return
        await asyncio.sleep(answer.times["audio"] + milliseconds / 1000 - time.monotonic())
        answer.played_ms = min(milliseconds, round(answer.seconds * 1000))
        if not answer.ends.is_set():
            self.cancelled.add(answer.identifier)
            answer.interrupted_by = "cancel"
            await self.send_message("cancel", id=answer.identifier, reason="barge-in", played_ms=answer.played_ms)
            escaping, ending = (asyncio.create_task(event.wait()) for event in (answer.escapes, answer.ends))
            await asyncio.wait([escaping, ending], return_when=asyncio.FIRST_COMPLETED)
            escaping.cancel()
            ending.cancel()
            if not answer.escapes.is_set():
                return
        # It had come as a whole, and can't be cancelled any more; that it isn't played to the end has to be told.
        answer.interrupted_by = "status"
        await self.send_message(
            "status", state="recording", reply_to=answer.identifier, played_ms=answer.played_ms)

    async def send_message(self, kind, **fields):
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def acknowledge(self):
        self.acknowledged = self.sequence
        await self.send_message("ack", seq=self.sequence)

    async def read(self):
        """Takes what comes, until the connection ends."""
        async for message in self.socket:
            if isinstance(message, bytes):
                self.sequence += 1
                self.take_sound(message)
            else:
                await self.take(json.loads(message))
            if self.sequence - self.acknowledged >= ACKNOWLEDGE_EVERY:
                await self.acknowledge()
        raise Failed(f"the gateway closed the connection: {self.socket.close_code} {self.socket.close_reason}")

    def take_sound(self, chunk):
        if self.answer is None or not self.answer.is_audio_open:
            raise Failed("a sound came without its opening")
        self.answer.note("audio")
        self.answer.sound += chunk
        self.answer.begins.set()

    async def take(self, message):
        kind, name = message["type"], message.get("reply_to")
        if kind == "error":
            self.take_error(message["error"])
        if "seq" not in message:
            return
        # Where a cancelled request's messages were dropped, numbers are missing.
        if message["seq"] != self.sequence + 1 and not self.cancelled:
            raise Failed(f"after {self.sequence} came {message['seq']}")
        self.sequence = message["seq"]
        answer = self.answer
        if answer is None or name != answer.identifier:
            raise Failed(f"this answers nothing that was asked: {message}")
        if kind == "transcript":
            self.take_transcript(answer, message)
        elif kind == "text":
            if message["text"]:
                answer.note("text")
            answer.text += message["text"]
        elif kind == "audio":
            self.take_audio(answer, message)
        if message.get("done"):
            answer.note("done")
            answer.gateway = message.get("timing")
            answer.begins.set()
            answer.ends.set()
        await self.acknowledge()

    def take_transcript(self, answer, message):
        if not message["final"]:
            if message["text"] != self.interim:
                print(f"    … {message['text']}", file=sys.stderr)
            self.interim = message["text"]
        elif message["text"]:
            answer.note("transcript")
            answer.transcripts.append(message["text"])

    def take_audio(self, answer, message):
        form = message["format"]
        if form["codec"] != "pcm16":
            raise Failed(f"the answer's sound is {form['codec']}, which this client can't play")
        if answer.form not in (None, form):
            raise Failed(f"the answer's sound is {answer.form}, then {form}")
        if answer.is_audio_open != message.get("final", False):
            raise Failed("the answer's sound opens twice, or ends without an opening")
        answer.form, answer.is_audio_open = form, not answer.is_audio_open

    def take_error(self, error):
        name = error.get("reply_to")
        if error["code"] == "not_found" and name in self.cancelled:
            self.answer.escapes.set()
        else:
            raise Failed(f"{error['code']}: {error['message']} ({error.get('correlation_id')})")


def to_wav(answer):
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(answer.form["channels"])
        sound.setsampwidth(2)
        sound.setframerate(answer.form["rate"])
        sound.writeframes(answer.sound)
    return file.getvalue()


def check(answer, data):
    """Reads back what was written, as somebody who plays it would."""
    with wave.open(io.BytesIO(data), "rb") as sound:
        frames, rate = sound.getnframes(), sound.getframerate()
        samples = array.array("h", sound.readframes(frames))
    if sys.byteorder == "big":
        samples.byteswap()
    if len(answer.sound) % (2 * answer.form["channels"]):
        raise Failed("the answer's sound ends within a sample")
    if abs(frames / rate - answer.seconds) > 0.001:
        raise Failed(f"{answer.seconds:.3f} s of sound came, {frames / rate:.3f} s were written")
    if max(map(abs, samples), default=0) < 1000:
        raise Failed("the answer's sound is silence")
    if answer.is_audio_open and not answer.interrupted_by:
        raise Failed("the answer's sound has no end")


def report(question, answer, out):
    """Prints what came of a question, writes its sound, and checks it."""

    def tell(line):
        print(line, file=sys.stderr)

    if question.samples:
        tell(f"heard:    {answer.transcript}")
    tell(f"answer:   {answer.text.strip()}")
    times = ", ".join(f"{what} {ms} ms" for what, ms in answer.timing().items() if what != "gateway")
    tell(f"after the question's end: {times}")
    if answer.interrupted_by:
        tell(f"interrupted after {answer.played_ms} ms of {answer.seconds:.2f} s, told with {answer.interrupted_by}")
    problem = None
    if not answer.text.strip():
        problem = "the answer has no text"
    elif answer.form is None:
        problem = "the answer has no sound"
    else:
        data = to_wav(answer)
        if out:
            Path(out).write_bytes(data)
        tell(f"sound:    {answer.seconds:.2f} s at {answer.form['rate']} Hz" + (f", in {out}" if out else ""))
        check(answer, data)
    print(json.dumps(answer.summary(question)), flush=True)
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
                answer = await conversation.ask(question, interrupt_ms)
                report(question, answer, out if question is questions[-1] else None)
                # It is the first answer that is interrupted.
                interrupt_ms = None
            reading.cancel()
        await conversation.send_message("bye")


def read_arguments():
    parser = argparse.ArgumentParser(description="Asks a voice assistant behind Parley one question.")
    parser.add_argument("url", help="such as wss://localhost:8443/v1/ws")
    parser.add_argument("--ca", help="PEM file of the authority that the gateway's certificate is checked against")
    parser.add_argument("--insecure", action="store_true", help="take any certificate")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--text", help="the question, written")
    what.add_argument("--wav", help="the question, spoken: 16-bit PCM")
    parser.add_argument("--question", help="what the WAV file says, for the summary")
    parser.add_argument("--live", action="store_true", help="speak in real time, and show what has been understood")
    parser.add_argument("--chunk-ms", type=int, default=40, choices=range(20, 101), metavar="20…100")
    parser.add_argument("--interrupt-ms", type=int, help="talk in between after so much of the answer's sound")
    parser.add_argument("--then", help="what is written after that")
    parser.add_argument("--out", help="a WAV file for the sound of the (last) answer")
    parser.add_argument("--timeout", type=float, default=120, help="seconds for everything (default: %(default)s)")
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
            # A task group's failures are a group in the group.
            for error in getattr(failure, "exceptions", [failure]):
                print(f"voice_client: {str(error) or type(error).__name__}", file=sys.stderr)
        status = 1
    except* KeyboardInterrupt:
        status = 130
    sys.exit(status)


if __name__ == "__main__":
    main()
