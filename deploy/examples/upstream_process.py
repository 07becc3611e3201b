# SPDX-License-Identifier: Apache-2.0

"""An upstream that Parley runs as a process: returns texts in upper case, and the duration of audio.

Run:        python3 deploy/examples/upstream_process.py, and write requests to its standard input, for instance
            {"type":"text","request":1,"text":"hello there"}
Protocol:   one JSON object a line, in both directions. One request at a time; every line has its number. Audio (16-bit
            PCM here) is an "audio" with its format, "chunk" lines, each followed by this many raw bytes, and an
            "audio" that is final.
"""

import json
import signal
import sys


def send(**message):
    print(json.dumps({"request": request, **message}), flush=True)


signal.signal(signal.SIGINT, lambda *_: sys.exit())
rate = size = request = 0
while line := sys.stdin.buffer.readline():
    message = json.loads(line)
    request = message["request"]
    match message:
        case {"type": "text", "text": text}:
            for word in text.upper().split():
                send(type="text", text=word + " ", final=False)
            send(type="text", text="", final=True, done=True)
        case {"type": "audio", "format": {"rate": samples, "channels": channels}}:
            rate, size = 2 * samples * channels, 0
            send(type="status", state="transcribing")
        case {"type": "chunk", "bytes": count}:
            size += len(sys.stdin.buffer.read(count))
        case {"type": "audio", "final": True}:
            send(type="text", text=f"{size / rate:.2f} seconds", final=True, done=True)
