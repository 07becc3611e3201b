# SPDX-License-Identifier: Apache-2.0

"""Opens and closes connections to a gateway: two thirds with a closing handshake, the others abruptly.

usage: connections.py LOG COUNT. LOG is the gateway's log, which contains its port.
"""

import asyncio
import json
import ssl
import sys
import time

from websockets.asyncio.client import connect


def port_of(log: str) -> int:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with open(log, encoding="utf-8") as lines:
            for line in lines:
                if '"listening"' in line:
                    return int(json.loads(line)["address"].rsplit(":", 1)[1])
        time.sleep(0.2)
    raise SystemExit("timeout: the gateway isn't listening")


async def converse(port: int, context: ssl.SSLContext, number: int) -> None:
    socket = await connect(f"wss://127.0.0.1:{port}/v1/ws", ssl=context, open_timeout=60)
    assert json.loads(await socket.recv())["type"] == "session"
    await socket.send(json.dumps({"type": "text", "id": "a", "text": "hello " * (number % 40 + 1)}))
    assert json.loads(await socket.recv())["type"] == "ack"
    if number % 3 == 0:
        socket.transport.abort()
    else:
        await socket.close()


async def main() -> None:
    port, count = port_of(sys.argv[1]), int(sys.argv[2])
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    for start in range(0, count, 20):
        await asyncio.gather(*(converse(port, context, number) for number in range(start, min(count, start + 20))))


asyncio.run(main())
