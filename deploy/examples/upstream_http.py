# SPDX-License-Identifier: Apache-2.0

"""An HTTP upstream: returns texts in upper case, and the duration of audio.

Run:        python3 deploy/examples/upstream_http.py --port 8106
Protocol:   POST of one JSON object, {"type": "text", "text": ...} or {"type": "audio", "format": ..., "data": base64 of
            16-bit PCM here}. The response is one JSON object or, if the request has "stream": true, server-sent events,
            each a piece of the response; the last one is "done".
"""

import argparse
import base64
import contextlib
import json
import signal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def response_to(request):
    if request["type"] == "text":
        return request["text"].upper()
    rate = 2 * request["format"]["rate"] * request["format"]["channels"]
    return f"{len(base64.b64decode(request['data'])) / rate:.2f} seconds"


def pieces(text):
    for word in text.split():
        yield {"type": "text", "text": word + " ", "final": False}
    yield {"type": "text", "text": "", "final": True, "done": True}


class Upstream(BaseHTTPRequestHandler):
    def do_POST(self):
        try:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            text = response_to(request)
        except (ValueError, KeyError, TypeError, AttributeError):
            self.send_error(400)
            return
        streams = request.get("stream") is True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream" if streams else "application/json")
        self.end_headers()
        if streams:
            # The end of the connection ends the response: this is HTTP/1.0.
            for piece in pieces(text):
                self.wfile.write(f"data: {json.dumps(piece)}\n\n".encode())
        else:
            self.wfile.write(json.dumps({"type": "text", "text": text}).encode())

    def log_message(self, format, *arguments):
        """Disables the log line of each request."""


parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, default=8106)
signal.signal(signal.SIGINT, signal.default_int_handler)
with ThreadingHTTPServer(("127.0.0.1", parser.parse_args().port), Upstream) as server:
    server.daemon_threads = True
    print(json.dumps({"ready": True, "port": server.server_port}), flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
