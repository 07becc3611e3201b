#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An upstream server with faults selected by each request: HTTP, OpenAI's API, WebSocket or vosk-server.

    faulty.py --kind http|openai|websocket|vosk [--port 0] [--tls CERT.pem KEY.pem] [--fault "slow 100"] [--stay]

It listens on 127.0.0.1, prints {"ready":true,"port":N}, and then a line of JSON for each event:
- connected, disconnected: a connection, after its TLS handshake;
- request, and then for the same id exactly one of completed (the fault was carried out completely), cancelled (the
  gateway closed or cancelled before), broken (the fault itself closed the connection during the response), failed (a
  bug in this server);
- paused, resumed, status: messages from the gateway;
- malformed, rejected: protocol violations of the gateway.
It exits at the end of its standard input, unless --stay is given. The faults are in faults.py; --fault is the default for requests that select none.
For vosk-server the samples select them, see websocket_faults.py.
"""
import argparse
import asyncio
import os
import ssl
import sys
import threading

from events import Events
from faults import Fault
from wire import Reader, Wire


def handler_of(kind, default):
    """Returns the coroutine function that serves one connection."""
    if kind in ("http", "openai"):
        import openai_http
        import parley_http
        from http_faults import HTTPServer

        return HTTPServer(parley_http.parse if kind == "http" else openai_http.parse, default).serve
    import websocket_faults

    connection = websocket_faults.ParleyConnection if kind == "websocket" else websocket_faults.VoskConnection
    return lambda wire: connection(wire, default).serve()


def end_with_input(events):
    while os.read(0, 4096):
        pass
    events.flush()
    os._exit(0)


def log_exception(loop, context):
    print(context["message"], repr(context.get("exception")), file=sys.stderr, flush=True)


async def main(arguments):
    events = Events(1, threaded=True)
    serve = handler_of(arguments.kind, Fault.of(arguments.fault))
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(log_exception)

    async def connected(reader, writer):
        wire = Wire(reader, writer, events)
        events.emit("connected", connection=wire.number)
        try:
            await serve(wire)
        except OSError:
            pass
        finally:
            events.emit("disconnected", connection=wire.number)
            writer.close()

    tls = None
    if arguments.tls:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(*arguments.tls)
        tls.set_alpn_protocols(["http/1.1"])
    # The peer has one second for its close_notify; then FIN is sent.
    server = await loop.create_server(
        lambda: asyncio.StreamReaderProtocol(Reader(), connected), "127.0.0.1", arguments.port, ssl=tls, backlog=1024,
        ssl_shutdown_timeout=1 if tls else None)
    events.line({"ready": True, "port": server.sockets[0].getsockname()[1]})
    if not arguments.stay:
        threading.Thread(target=end_with_input, args=(events,), daemon=True).start()
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", required=True, choices=["http", "openai", "websocket", "vosk"])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    parser.add_argument("--fault", default="ok")
    parser.add_argument("--stay", action="store_true")
    asyncio.run(main(parser.parse_args()))
