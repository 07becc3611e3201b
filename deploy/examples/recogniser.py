# SPDX-License-Identifier: Apache-2.0

"""An STT service for English: pocketsphinx with OpenAI's and with vosk-server's protocol.

Run:        .build/examples-venv/bin/python deploy/examples/recogniser.py --http-port 8103 --vosk-port 8104
Protocols:  HTTP: OpenAI's POST /v1/audio/transcriptions, a form with `file` (WAV of 16-bit PCM, mu-law or A-law, one or
            two channels, 8000 to 48000 Hz), `model`, `language`?, `response_format`? ("json", "verbose_json", "text");
            GET /health.
            WebSocket: vosk-server's (websocket/asr_server.py of alphacep/vosk-server). {"config": {"sample_rate":
            16000, "words": true, "max_alternatives": 0}}, then binary messages of 16-bit mono PCM. The reply to each is
            {"partial": ...} or, at the end of an utterance, {"result": [...], "text": ...}. The reply to the end mark,
            {"eof" : 1} with exactly these spaces, is the rest; then the connection is closed.
Needs:      what deploy/examples/setup.sh installs.

Its accuracy is enough to try a gateway, no more. Audio is split into utterances at silence. Each utterance in progress
has its own decoder of some 100 MB; when all decoders are in use, a request is rejected with 503, or 1013 on the
WebSocket.

    espeak-ng -v en-us+adam -s 160 -w question.wav "what is two plus three"
    curl http://127.0.0.1:8103/v1/audio/transcriptions -F file=@question.wav -F model=pocketsphinx
"""

import argparse
import asyncio
import json
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

from pocketsphinx import Decoder, Endpointer
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

import service
from service import Rejection
from sound import RATE, Resampler, from_pcm, read_form, read_wav

# A decoder holds Python's global lock while it processes a piece, so pieces are short: 100 ms of audio take some 40 ms.
PIECE_BYTES = RATE // 10 * 2
MAX_UTTERANCE_SECONDS = 15
MAX_SECONDS = 120
IDLE_SECONDS = 60
# The silence that ends an utterance.
PAUSE_SECONDS = 0.5
# The initial cepstral means, before the voice is known; for espeak-ng better than the model's.
FIRST_MEANS = "45,3,-4"
# vosk-server compares the end mark as a string.
END_MARK = '{"eof" : 1}'
# A cheap search for one word, used instead of the real one while a decoder adapts to a voice.
ADAPTING = "adapting"


class Busy(Exception):
    """All decoders are in use."""


class Stopped(Exception):
    """The request was cancelled."""


class Decoders:
    """A pool of decoders. Creating one takes half a second, so released decoders are reused."""

    def __init__(self, most):
        self.lock, self.most, self.created = threading.Lock(), most, 0
        self.idle = []

    def acquire(self):
        with self.lock:
            if self.idle:
                return self.idle.pop()
            if self.created == self.most:
                raise Busy
            self.created += 1
        decoder = Decoder(loglevel="FATAL")
        decoder.add_keyphrase(ADAPTING, "hello")
        return decoder

    def release(self, decoder):
        with self.lock:
            self.idle.append(decoder)


class Recogniser:
    """Recognises the speech of one voice, and adapts to the voice from one utterance to the next.

    Its methods are slow and must be called on a worker thread, one at a time. They call `must_stop` repeatedly.
    """

    def __init__(self, decoders, must_stop):
        self.decoders, self.must_stop = decoders, must_stop
        self.endpointer = Endpointer(window=PAUSE_SECONDS, sample_rate=RATE)
        self.decoder, self.means = None, FIRST_MEANS
        self.start, self.spoken, self.waiting = 0.0, 0, b""

    def adapt(self, sound):
        """Adapts to the voice in all of the audio, before any of it is recognised."""
        self.begin(search=ADAPTING)
        for piece in self.pieces(sound, PIECE_BYTES):
            self.decoder.process_raw(piece, no_search=True)
        self.end()

    def process(self, sound):
        """Processes more 16-bit samples at 16 kHz. Returns the words of the utterances that end in them, or None."""
        words, has_ended = [], False
        self.waiting += sound
        size = self.endpointer.frame_bytes
        whole = len(self.waiting) // size * size
        frames, self.waiting = self.waiting[:whole], self.waiting[whole:]
        for frame in self.pieces(frames, size):
            was_speaking = self.endpointer.in_speech
            speech = self.endpointer.process(frame)
            if speech is None:
                continue
            if not was_speaking:
                self.begin(self.endpointer.speech_start)
            self.recognise(speech)
            is_too_long = self.spoken > MAX_UTTERANCE_SECONDS * RATE * 2
            if not self.endpointer.in_speech or is_too_long:
                words += self.end()
                has_ended = True
                if self.endpointer.in_speech:
                    self.begin(self.start + self.spoken / (2 * RATE))
        return words if has_ended else None

    def finish(self):
        """Returns the words of the utterance in progress at the end of the audio."""
        if self.decoder is None:
            return []
        if rest := self.endpointer.end_stream(self.waiting):
            self.recognise(rest)
        return self.end()

    def partial(self):
        """Returns the words of the utterance in progress, as recognised so far."""
        hypothesis = self.decoder.hyp() if self.decoder else None
        return hypothesis.hypstr if hypothesis else ""

    def close(self):
        """Releases the decoder, in any state."""
        if self.decoder is not None:
            self.end()

    def begin(self, start=0.0, search=None):
        self.decoder = self.decoders.acquire()
        self.decoder.activate_search(search)
        self.decoder.set_cmn(self.means)
        self.decoder.start_utt()
        self.start, self.spoken = start, 0

    def recognise(self, speech):
        for piece in self.pieces(speech, PIECE_BYTES):
            self.decoder.process_raw(piece)
        self.spoken += len(speech)

    def end(self):
        decoder, self.decoder = self.decoder, None
        try:
            decoder.end_utt()
            self.means = decoder.get_cmn(False)
            return [self.word(segment) for segment in decoder.seg() or () if segment.word[0] not in "<["]
        finally:
            self.decoders.release(decoder)

    def word(self, segment):
        return {
            "conf": round(min(1.0, segment.prob), 6),
            "start": round(self.start + segment.start_frame / 100, 2),
            "end": round(self.start + (segment.end_frame + 1) / 100, 2),
            # "word(2)" is the second pronunciation of a word.
            "word": segment.word.partition("(")[0],
        }

    def pieces(self, sound, size):
        for offset in range(0, len(sound), size):
            if self.must_stop():
                raise Stopped
            yield sound[offset : offset + size]


def text_of(words):
    return " ".join(word["word"] for word in words)


class Transcription(service.Handler):
    """OpenAI's protocol."""

    # Set by main.
    decoders = stopping = None

    def transcribe(self, body):
        form = read_form(self.headers.get("Content-Type", ""), body)
        if "file" not in form:
            raise Rejection(400, "missing_file", "The form must have a file.")
        kind = form.get("response_format", b"json").decode(errors="replace")
        if kind not in ("json", "verbose_json", "text"):
            raise Rejection(400, "unsupported_format", "response_format must be json, verbose_json or text.")
        if not form.get("language", b"en").lower().startswith(b"en"):
            raise Rejection(400, "unsupported_language", "language must be English.")
        sound = read_wav(form["file"])
        if sound.seconds > MAX_SECONDS:
            raise Rejection(413, "audio_too_long", f"The audio must be at most {MAX_SECONDS} seconds long.")
        try:
            words = self.recognise(sound)
        except Busy:
            raise Rejection(503, "overloaded", "All decoders are in use; retry later.") from None
        except Stopped:
            raise ConnectionAbortedError("the client has disconnected") from None
        text = text_of(words)
        if kind == "text":
            self.send_whole(200, text + "\n")
        elif kind == "json":
            self.send_whole(200, {"text": text})
        else:
            whole = {"task": "transcribe", "language": "english", "duration": round(sound.seconds, 3), "text": text}
            times = [{"word": word["word"], "start": word["start"], "end": word["end"]} for word in words]
            self.send_whole(200, whole | {"words": times})

    routes = {"/v1/audio/transcriptions": transcribe}

    def recognise(self, sound):
        recogniser = Recogniser(self.decoders, lambda: self.stopping.is_set() or self.is_abandoned())
        try:
            resampler = Resampler(sound.rate)
            samples = b"".join(map(resampler.resample, recogniser.pieces(sound.samples, sound.rate // 10)))
            recogniser.adapt(samples)
            return (recogniser.process(samples) or []) + recogniser.finish()
        finally:
            recogniser.close()


class VoskService:
    """vosk-server's protocol."""

    def __init__(self, decoders, workers, stopping):
        self.decoders, self.workers, self.stopping = decoders, workers, stopping

    async def converse(self, socket):
        recogniser = Recogniser(self.decoders, self.stopping.is_set)
        try:
            await self.listen(socket, recogniser)
        except Rejection as rejection:
            await socket.close(1008, rejection.message)
        except Busy:
            await socket.close(1013, "all decoders are in use")
        except TimeoutError:
            await socket.close(1000, f"no audio for {IDLE_SECONDS} seconds")
        except (ConnectionClosed, Stopped):
            pass
        finally:
            await self.off_the_loop(recogniser.close)

    async def listen(self, socket, recogniser):
        """Receives messages and replies as `recognize` of vosk-server's asr_server.py does."""
        config, resampler = {}, None
        while True:
            message = await asyncio.wait_for(socket.recv(), IDLE_SECONDS)
            if isinstance(message, str) and "config" in message:
                config |= self.configuration(message)
                continue
            # A later configuration applies, except for its rate.
            resampler = resampler or Resampler(self.sample_rate(config))
            if message == END_MARK:
                words = await self.off_the_loop(recogniser.finish)
                return await socket.send(json.dumps(self.result(words, config)))
            if isinstance(message, str):
                # vosk-server passes every other message to AcceptWaveform, which accepts no text.
                return await socket.close(1011)
            words = await self.off_the_loop(lambda: recogniser.process(resampler.resample(from_pcm(message))))
            reply = {"partial": recogniser.partial()} if words is None else self.result(words, config)
            await socket.send(json.dumps(reply))

    def configuration(self, message):
        config = service.json_object(message).get("config")
        if not isinstance(config, dict):
            raise Rejection(400, "invalid_config", "config must be an object")
        return config

    def sample_rate(self, config):
        rate = config.get("sample_rate", RATE)
        if isinstance(rate, float) and rate.is_integer():
            rate = int(rate)
        if type(rate) is not int or not 8000 <= rate <= 48000:
            raise Rejection(400, "invalid_config", "sample_rate must be an integer from 8000 to 48000")
        return rate

    async def off_the_loop(self, function):
        return await asyncio.get_running_loop().run_in_executor(self.workers, function)

    def result(self, words, config):
        text = text_of(words)
        shown = {"result": words} if words and config.get("words", True) else {}
        if not config.get("max_alternatives"):
            return shown | {"text": text}
        # A single alternative, whose confidence is a likelihood; its words have none.
        for word in words:
            del word["conf"]
        return {"alternatives": [shown | {"confidence": 1.0, "text": text}]}


async def run(options, transcriptions, vosk, stopping):
    """Serves both protocols until SIGINT or SIGTERM."""
    end = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end.set)
    threading.Thread(target=transcriptions.serve_forever, args=[0.1], daemon=True).start()
    async with serve(vosk.converse, options.host, options.vosk_port, compression=None, close_timeout=0.2) as server:
        vosk_port = server.sockets[0].getsockname()[1]
        service.announce(http_port=transcriptions.server_port, vosk_port=vosk_port)
        await end.wait()
        stopping.set()
        transcriptions.shutdown()


def main():
    parser = argparse.ArgumentParser(description="Speech recognition with pocketsphinx, with OpenAI's and vosk-server's protocols.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--http-port", type=int, default=8103, help="0 selects a free port (default: %(default)s)")
    parser.add_argument("--vosk-port", type=int, default=8104, help="0 selects a free port (default: %(default)s)")
    parser.add_argument("--decoders", type=int, default=4, help="concurrent utterances (default: %(default)s)")
    options = parser.parse_args()

    decoders, stopping = Decoders(options.decoders), threading.Event()
    # Create the first decoder now, so that the first request doesn't wait for it.
    decoders.release(decoders.acquire())
    Transcription.decoders, Transcription.stopping = decoders, stopping
    with (
        ThreadPoolExecutor(options.decoders) as workers,
        service.Server((options.host, options.http_port), Transcription) as transcriptions,
    ):
        asyncio.run(run(options, transcriptions, VoskService(decoders, workers, stopping), stopping))


if __name__ == "__main__":
    main()
