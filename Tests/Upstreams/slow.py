# SPDX-License-Identifier: Apache-2.0

"""The three services of a voice assistant in OpenAI's API, each with a delay.

The delay in milliseconds is the first part of the path, before `/v1`: `/400/v1/audio/transcriptions`. Prints {"ready": true, "port": …}. With
--times, prints for each response when it is sent, in Unix milliseconds: {"sent": "v1/audio/transcriptions", "at": …}.
"""
import json
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RATE = 24_000
TRANSCRIPT = "What is the weather like?"
# One sentence, so that there is one call of the speech service.
RESPONSE = ["It ", "is ", "sunny", "."]
# 0.4 seconds of silence.
SPEECH = bytes(2 * RATE * 4 // 10)


def wav(samples):
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(samples), b"WAVE", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16, b"data", len(samples)) + samples


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def respond(self, body, kind):
        if "--times" in sys.argv[1:]:
            print(json.dumps({"sent": self.path.split("/", 2)[2], "at": time.time() * 1000}), flush=True)
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        request = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        _, delay, path = self.path.split("/", 2)
        time.sleep(int(delay) / 1000)
        if path == "v1/audio/transcriptions":
            return self.respond(json.dumps({"text": TRANSCRIPT}).encode(), "application/json")
        if path == "v1/audio/speech":
            form = json.loads(request).get("response_format")
            return self.respond(SPEECH if form == "pcm" else wav(SPEECH), "audio/pcm" if form == "pcm" else "audio/wav")
        chunks = [{"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]} for piece in RESPONSE]
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        events = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
        self.respond(events.encode(), "text/event-stream")


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
print(json.dumps({"ready": True, "port": server.server_port}), flush=True)
# Runs until the test that started it kills it.
threading.Event().wait()
