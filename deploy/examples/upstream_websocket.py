"""An upstream for Parley's own WebSocket protocol: says texts back in upper case, and how long an audio lasts.

Run:        .build/examples-venv/bin/python deploy/examples/upstream_websocket.py --port 8105
Protocol:   parley.upstream.v1. A text frame is a JSON object that names its request by number; a binary frame is audio
            (16-bit PCM here) behind that number in 4 bytes, big-endian. Answers to several requests may interleave.
"""

import argparse, asyncio, collections, json, signal
from websockets.asyncio.server import serve


async def answer(socket, request, words):
    for word in words:
        await socket.send(json.dumps({"type": "text", "request": request, "text": word + " ", "final": False}))
        await asyncio.sleep(0.02)
    await socket.send(json.dumps({"type": "text", "request": request, "text": "", "final": True, "done": True}))


async def converse(socket):
    tasks, bytes_a_second, size = {}, {}, collections.Counter()
    async for frame in socket:
        match frame if isinstance(frame, bytes) else json.loads(frame):
            case bytes():
                size[int.from_bytes(frame[:4], "big")] += len(frame) - 4
            case {"type": "text", "request": request, "text": text}:
                tasks[request] = asyncio.create_task(answer(socket, request, text.upper().split()))
            case {"type": "audio", "request": request, "format": {"rate": rate, "channels": channels}}:
                bytes_a_second[request] = 2 * rate * channels
            case {"type": "audio", "request": request, "final": True}:
                words = f"{size.pop(request, 0) / bytes_a_second.pop(request):.2f} seconds".split()
                tasks[request] = asyncio.create_task(answer(socket, request, words))
            case {"type": "cancel", "request": request} if request in tasks:
                tasks.pop(request).cancel()


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8105)
    async with serve(converse, "127.0.0.1", parser.parse_args().port, subprotocols=["parley.upstream.v1"]) as server:
        print(json.dumps({"ready": True, "port": server.sockets[0].getsockname()[1]}), flush=True)
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, server.close)
        await server.wait_closed()


asyncio.run(main())
