# SPDX-License-Identifier: Apache-2.0

"""The client of "run.sh --check": a conversation through HAProxy that survives the loss of its gateway and of Redis's master.

usage: check.py ADDRESS STATE

STATE has the file "pids" with the process ids of the parts. A line is printed for each step; the exit status is 1 if one fails.
"""

import asyncio
import json
import os
import pathlib
import signal
import ssl
import sys
import time
import urllib.request

import websockets

address, state = sys.argv[1], pathlib.Path(sys.argv[2])
# HAProxy, and the gateways behind it.
PROXY, GATEWAYS = 8443, {"node1": 8501, "node2": 8502, "node3": 8503}
TIMEOUT = 60


def expect(condition, what):
    if not condition:
        sys.exit(f"check: {what}")


def kill(name):
    pids = dict(line.split() for line in (state / "pids").read_text(encoding="utf-8").splitlines())
    os.kill(int(pids[name]), signal.SIGKILL)


def node_of(session):
    """Returns the name of the gateway that has the session."""
    for name, port in GATEWAYS.items():
        try:
            with urllib.request.urlopen(f"http://{address}:{port + 1100}/v1/sessions", timeout=2) as response:
                if session in response.read().decode():
                    return name
        except OSError:
            continue
    return None


class Client:
    """A client that resumes its session, repeats what isn't acknowledged, and collects the responses."""

    def __init__(self):
        self.tls = ssl.create_default_context(cafile=state / "certificate.pem")
        self.socket, self.token, self.last, self.session = None, None, 0, None
        self.acknowledged, self.responses = [], {}

    async def connect(self, port=PROXY):
        """Connects, and resumes the session if there is one. Tries again until TIMEOUT."""
        if self.socket:
            self.socket.transport.abort()
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                headers = {"Parley-Resume": self.token} if self.token else {}
                self.socket = await websockets.connect(
                    f"wss://localhost:{port}/v1/ws?last_seq={self.last}", host=address, port=port, ssl=self.tls,
                    server_hostname="localhost", subprotocols=["parley.v1"], additional_headers=headers, open_timeout=10)
                message = json.loads(await asyncio.wait_for(self.socket.recv(), 10))
                break
            except (OSError, websockets.WebSocketException, asyncio.TimeoutError) as error:
                expect(time.monotonic() < deadline, f"no connection within {TIMEOUT} s: {error!r}")
                await asyncio.sleep(0.05)
        expect(message["type"] == "session", f"the first message is {message}")
        if self.token:
            expect(message["resumed"] and not message["lost"], f"not resumed: {message}")
            expect(message["session_id"] == self.session, "another session")
        self.token, self.session = message["resume_token"], message["session_id"]
        await self.socket.send(json.dumps({"type": "ack", "seq": self.last}))
        return message

    def receive(self, message):
        """Records a response. Each sequence number arrives once, in order; those of messages that were taken back are missing."""
        if "seq" in message:
            expect(message["seq"] > self.last, f"seq {message['seq']} after {self.last}")
            self.last = message["seq"]
        if message["type"] == "text":
            self.responses.setdefault(message["reply_to"], []).append(message)

    async def say(self, name, until_response=True):
        """Sends a text, again after a retryable rejection or a lost connection, until its ack arrives."""
        deadline = time.monotonic() + TIMEOUT
        text = json.dumps({"type": "text", "id": name, "text": f"hello from {name}", "stream": False})
        is_acknowledged = False
        try:
            await self.socket.send(text)
            while not is_acknowledged or until_response and name not in self.responses:
                expect(time.monotonic() < deadline, f"{name} wasn't acknowledged within {TIMEOUT} s")
                message = json.loads(await asyncio.wait_for(self.socket.recv(), TIMEOUT))
                if message["type"] == "ack" and message.get("id") == name:
                    is_acknowledged = True
                    self.acknowledged.append(name)
                elif message["type"] == "error":
                    self.receive(message)
                    expect(message["error"]["code"] == "overloaded", f"{message}")
                    await asyncio.sleep(message["error"].get("retry_after_ms", 200) / 1000)
                    await self.socket.send(text)
                else:
                    self.receive(message)
        except websockets.ConnectionClosed:
            await self.connect()
            await self.say(name)


async def main():
    client = Client()
    message = await client.connect()
    expect(message.get("durability") == "replicas", f"durability is {message.get('durability')}")
    # The gateway is killed before the response is read.
    await client.say("m1", until_response=False)
    first = node_of(client.session)
    expect(first, "no gateway has the session")
    begin = time.monotonic()
    kill(first)
    await client.connect()
    second = node_of(client.session)
    expect(second and second != first, f"the session is on {second}")
    print(f"check: {first} killed; resumed on {second} after {time.monotonic() - begin:.1f} s")
    await client.say("m2")

    third = next(name for name in GATEWAYS if name not in (first, second))
    begin = time.monotonic()
    await client.connect(GATEWAYS[third])
    print(f"check: handed over to {third} in {(time.monotonic() - begin) * 1000:.0f} ms")
    await client.say("m3")

    begin = time.monotonic()
    kill("redis1")
    await client.say("m4")
    print(f"check: the master of Redis killed; acknowledged again after {time.monotonic() - begin:.1f} s")
    await client.connect()
    await client.say("m5")

    names = [f"m{number}" for number in range(1, 6)]
    expect(set(client.acknowledged) == set(names), f"acknowledged: {client.acknowledged}")
    for name in names:
        texts = [message["text"] for message in client.responses.get(name, [])]
        expect(texts == [f"hello from {name}"], f"responses to {name}: {texts}")
    await client.socket.send(json.dumps({"type": "bye"}))
    print("check: every acknowledged text has one response, in order")


asyncio.run(main())
