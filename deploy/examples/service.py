# SPDX-License-Identifier: Apache-2.0

"""Shared parts of the HTTP examples: bounded request bodies, OpenAI's error format, streamed responses, the ready line.

A module for chat.py, speech.py and recogniser.py.
"""

import contextlib
import json
import select
import signal
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MAX_BODY_BYTES = 16 << 20


class Rejection(Exception):
    """Rejects a request, with the HTTP status and the `code` of OpenAI's error object."""

    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Handler(BaseHTTPRequestHandler):
    """One connection. A subclass maps the paths of POST requests to methods in `routes`."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 30
    routes = {}

    def do_GET(self):
        if self.path == "/health":
            self.send_whole(200, {"status": "ok"})
        else:
            self.send_rejection(Rejection(404, "not_found", f"Unknown path: GET {self.path}."))

    def do_POST(self):
        try:
            route = self.routes.get(self.path.partition("?")[0])
            body = self.read_body()
            if route is None:
                raise Rejection(404, "not_found", f"Unknown path: POST {self.path}.")
            route(self, body)
        except Rejection as rejection:
            self.send_rejection(rejection)
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def read_body(self):
        """Reads the whole body. A rejected body is left unread, so its connection can't be reused."""
        closes_anyway, self.close_connection = self.close_connection, True
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b"".join(self.read_chunks())
        else:
            length = self.headers.get("Content-Length", "")
            if not (length.isascii() and length.isdigit()):
                raise Rejection(411, "length_required", "The request must have a Content-Length.")
            if len(length) > 12 or int(length) > MAX_BODY_BYTES:
                raise Rejection(413, "request_too_large", f"The body must have at most {MAX_BODY_BYTES} bytes.")
            body = self.rfile.read(int(length))
            if len(body) < int(length):
                raise ConnectionResetError("the body ends early")
        self.close_connection = closes_anyway
        return body

    def read_chunks(self):
        total = 0
        while True:
            try:
                size = int(self.rfile.readline(1024).partition(b";")[0], 16)
            except ValueError:
                raise Rejection(400, "invalid_body", "A chunk's size isn't a number.") from None
            total += size
            if size < 0 or total > MAX_BODY_BYTES:
                raise Rejection(413, "request_too_large", f"The body must have at most {MAX_BODY_BYTES} bytes.")
            if size == 0:
                while self.rfile.readline(1024).strip():
                    pass
                return
            yield self.rfile.read(size)
            self.rfile.readline(8)

    def send_rejection(self, rejection):
        kind = "server_error" if rejection.status >= 500 else "invalid_request_error"
        error = {"message": rejection.message, "type": kind, "param": None, "code": rejection.code}
        self.send_whole(rejection.status, {"error": error})

    def send_whole(self, status, value):
        """Sends a JSON value, or plain text if the value is a string."""
        is_text = isinstance(value, str)
        body = (value if is_text else json.dumps(value)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8" if is_text else "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status == 503:
            self.send_header("Retry-After", "1")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def begin_stream(self, content_type):
        """Begins a response of unknown length: chunked, or ended by the end of the connection for HTTP/1.0."""
        self.chunked = self.request_version != "HTTP/1.0"
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Cache-Control", "no-cache")
        self.send_header(*(("Transfer-Encoding", "chunked") if self.chunked else ("Connection", "close")))
        self.end_headers()

    def send_piece(self, piece):
        # An empty chunk would end the response.
        if piece:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if self.chunked else piece)

    def end_stream(self):
        if self.chunked:
            self.wfile.write(b"0\r\n\r\n")

    def is_abandoned(self):
        """Returns whether the client has closed its end, which is how a request is cancelled over HTTP/1.1."""
        try:
            if not select.select([self.connection], [], [], 0)[0]:
                return False
            return self.connection.recv(1, socket.MSG_PEEK) == b""
        except OSError:
            return True

    def log_message(self, format, *arguments):
        """Disables the log line of each request."""


def json_object(body):
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise Rejection(400, "invalid_json", "The body isn't JSON.") from None
    if not isinstance(value, dict):
        raise Rejection(400, "invalid_json", "The body isn't a JSON object.")
    return value


class Server(ThreadingHTTPServer):
    """Serves each connection on a thread. The threads don't keep the process alive."""

    request_queue_size = 128

    def handle_error(self, request, client_address):
        """Reports an error, unless it is only that the client has disconnected."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


def announce(**ports):
    """Prints the ports that the program listens on, for the process that started it."""
    print(json.dumps({"ready": True, **ports}), flush=True)


def run(handler, host, port):
    """Serves until SIGINT or SIGTERM."""
    # A shell starts background jobs with SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt), Server((host, port), handler) as server:
        announce(port=server.server_port)
        server.serve_forever()
