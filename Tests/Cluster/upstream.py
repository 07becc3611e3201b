#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A slow upstream of kind `http`: streams the text of a request back, one word after the other.

The first word states the pause before each word in milliseconds. GET /starts responds with the number of calls by text. Prints
{"ready": true, "port": …}, and ends with its standard input.
"""
import asyncio
import collections
import json
import os
import sys
import threading

starts = collections.Counter()


async def serve(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            if head.startswith("GET"):
                body = json.dumps(starts).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                await writer.drain()
                continue
            lines = (line.partition(":") for line in head.split("\r\n"))
            length = next(int(value) for name, _, value in lines if name.lower() == "content-length")
            text = json.loads(await reader.readexactly(length))["text"]
            await respond(text, reader, writer)
    except (OSError, EOFError):
        pass
    finally:
        writer.close()


async def respond(text, reader, writer):
    starts[text] += 1
    words = text.split(" ")
    pause = int(words[0]) / 1000
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    for index, word in enumerate(words):
        await asyncio.sleep(pause)
        if reader.at_eof():
            raise EOFError
        is_last = index == len(words) - 1
        message = {"type": "text", "text": word if is_last else word + " ", "final": is_last} | ({"done": True} if is_last else {})
        data = f"data: {json.dumps(message)}\n\n".encode()
        writer.write(b"%x\r\n%s\r\n" % (len(data), data))
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()


def end_with_input():
    while os.read(0, 4096):
        pass
    os._exit(0)


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=4096)
    print(json.dumps({"ready": True, "port": server.sockets[0].getsockname()[1]}), flush=True)
    threading.Thread(target=end_with_input, daemon=True).start()
    await server.serve_forever()


if __name__ == "__main__":
    sys.setswitchinterval(0.05)
    asyncio.run(main())
