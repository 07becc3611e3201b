# SPDX-License-Identifier: Apache-2.0

"""A WebSocket upstream: returns texts in upper case, and the duration of audio.

Run:        .build/examples-venv/bin/python deploy/examples/upstream_websocket.py --port 8105
Protocol:   parley.upstream.v1. A text message is a JSON object with the number of its request; a binary message is that
            number in 4 bytes, big-endian, and audio (16-bit PCM here). Responses to several requests may interleave.
"""

import argparse, asyncio, collections, contextlib, json, signal, websockets.asyncio.server


async def send_words(socket, number, words):
    with contextlib.suppress(websockets.ConnectionClosed):
        for word in words:
            await socket.send(json.dumps({"type": "text", "request": number, "text": word + " ", "final": False}))
            await asyncio.sleep(0.02)
        await socket.send(json.dumps({"type": "text", "request": number, "text": "", "final": True, "done": True}))


async def serve_connection(socket):
    tasks, rate, size = {}, {}, collections.Counter()
    with contextlib.suppress(websockets.ConnectionClosed):
        async for frame in socket:
            match frame if isinstance(frame, bytes) else json.loads(frame):
                case bytes():
                    size[int.from_bytes(frame[:4], "big")] += len(frame) - 4
                case {"type": "text", "request": number, "text": text}:
                    tasks[number] = asyncio.create_task(send_words(socket, number, text.upper().split()))
                case {"type": "audio", "request": number, "format": {"rate": samples, "channels": channels}}:
                    rate[number] = 2 * samples * channels
                case {"type": "audio", "request": number, "final": True}:
                    tasks[number] = asyncio.create_task(send_words(socket, number, [f"{size[number] / rate[number]:.1f} s"]))
                case {"type": "cancel", "request": number} if number in tasks:
                    tasks[number].cancel()


async def main(port):
    async with websockets.asyncio.server.serve(serve_connection, "127.0.0.1", port, subprotocols=["parley.upstream.v1"]) as server:
        print(json.dumps({"ready": True, "port": server.sockets[0].getsockname()[1]}), flush=True)
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, server.close)
        await server.wait_closed()


parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, default=8105)
asyncio.run(main(parser.parse_args().port))
