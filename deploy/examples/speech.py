# SPDX-License-Identifier: Apache-2.0

"""A TTS service: espeak-ng with OpenAI's speech API.

Run:        python3 deploy/examples/speech.py --port 8102
Protocol:   POST /v1/audio/speech {"model", "input", "voice", "response_format"?, "speed"?}; GET /health.
Needs:      espeak-ng (deploy/examples/setup.sh installs it) and Python 3.11 or later.

The audio is streamed as it is synthesized. "wav" (the default here) is the output of espeak-ng: 22050 Hz, mono, 16
bits, with an unknown length in the header; "pcm" is OpenAI's: 24000 Hz, mono, 16 bits, without a header. A voice is one of
espeak-ng's ("en-us", "de", "en-us+f2") or one of OpenAI's names, all of which select the default voice: English, or the
language of the text's first letter. When a client disconnects, its espeak-ng is killed.

    curl http://127.0.0.1:8102/v1/audio/speech -H 'Content-Type: application/json' -o hello.wav \
        -d '{"model":"espeak-ng","input":"Good morning","voice":"alloy","response_format":"wav"}'
"""

import argparse
import array
import re
import struct
import subprocess

import service
from service import Rejection

DEFAULT_VOICE = "en-us+adam"
OPENAI_VOICES = set("alloy ash ballad cedar coral echo fable marin nova onyx sage shimmer verse".split())
# The default voice by script; the first letter of the text decides.
VOICES_OF_LETTERS = {"\u0900-\u0963": "hi", "\u0980-\u09fe": "bn", "\u0600-\u06ff": "ar", "\u0400-\u04ff": "ru", "\u0370-\u03ff": "el"}
WORDS_PER_MINUTE = 160
MAX_CHARACTERS = 4096
WAV_HEADER_BYTES = 44
PCM_RATE = 24000
PIECE_BYTES = 8192


def resampled(pieces, rate):
    """Resamples pieces of 16-bit mono samples from `rate` to 24000 Hz, by linear interpolation."""
    step = rate / PCM_RATE
    samples, position, odd = array.array("h"), 0.0, b""
    for piece in pieces:
        piece = odd + piece
        whole = len(piece) & ~1
        odd = piece[whole:]
        samples.frombytes(piece[:whole])
        made = array.array("h")
        while position < len(samples) - 1:
            index = int(position)
            left = samples[index]
            made.append(round(left + (samples[index + 1] - left) * (position - index)))
            position += step
        used = min(int(position), len(samples))
        del samples[:used]
        position -= used
        yield made.tobytes()


def default_voice(text):
    letter = re.search("[A-Za-z" + "".join(VOICES_OF_LETTERS) + "]", text)
    voices = (voice for letters, voice in VOICES_OF_LETTERS.items() if letter and re.match(f"[{letters}]", letter[0]))
    return next(voices, DEFAULT_VOICE)


class Speech(service.Handler):
    def speak(self, body):
        request = service.json_object(body)
        text = request.get("input")
        if not isinstance(text, str) or not text.strip():
            raise Rejection(400, "invalid_input", "input must be a string that isn't blank.")
        if len(text) > MAX_CHARACTERS:
            raise Rejection(400, "input_too_long", f"input must have at most {MAX_CHARACTERS} characters.")
        form = request.get("response_format", "wav")
        if form not in ("wav", "pcm"):
            raise Rejection(400, "unsupported_format", "response_format must be wav or pcm.")
        speed = request.get("speed", 1)
        if isinstance(speed, bool) or not isinstance(speed, (int, float)) or not 0.25 <= speed <= 4:
            raise Rejection(400, "invalid_speed", "speed must be between 0.25 and 4.")
        voice = request.get("voice", "alloy")
        if not isinstance(voice, str) or not re.fullmatch(r"[A-Za-z0-9+_-]{1,64}", voice):
            raise Rejection(400, "invalid_voice", "voice must be a name of letters, digits, +, _ and -.")
        if voice in OPENAI_VOICES:
            voice = default_voice(text)

        pace = max(80, min(450, round(WORDS_PER_MINUTE * speed)))
        command = ["espeak-ng", "--stdin", "--stdout", "-b", "1", "-v", voice, "-s", str(pace)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as espeak:
            try:
                self.deliver(espeak, text, form)
            finally:
                espeak.kill()

    routes = {"/v1/audio/speech": speak}

    def deliver(self, espeak, text, form):
        try:
            # The longest input fits into the pipe's buffer, so this write can't block until the output is read.
            espeak.stdin.write(text.encode(errors="replace"))
            espeak.stdin.close()
        except BrokenPipeError:
            pass
        header = espeak.stdout.read(WAV_HEADER_BYTES)
        if len(header) < WAV_HEADER_BYTES:
            raise Rejection(400, "invalid_voice", "espeak-ng has no such voice.")
        pieces = iter(lambda: espeak.stdout.read1(PIECE_BYTES), b"")
        if form == "pcm":
            self.begin_stream(f"audio/pcm;rate={PCM_RATE}")
            pieces = resampled(pieces, struct.unpack_from("<I", header, 24)[0])
        else:
            self.begin_stream("audio/wav")
            self.send_piece(header)
        for piece in pieces:
            if self.is_abandoned():
                raise ConnectionAbortedError("the client has disconnected")
            self.send_piece(piece)
        self.end_stream()


def main():
    parser = argparse.ArgumentParser(description="Text to speech with espeak-ng.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8102, help="0 selects a free port (default: %(default)s)")
    options = parser.parse_args()
    service.run(Speech, options.host, options.port)


if __name__ == "__main__":
    main()
