#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The soak of the shared store: three gateways, one Redis, and clients that reconnect to a random node, while nodes and Redis are killed,
suspended and cut off from each other at random.

Fails (exit 1) when, for any client, an acknowledged text was lost, got two responses, or responses arrived out of order; when a session wasn't
resumed; or when `lost` was reported without a fault that explains it. Prints its seed: the same seed produces the same clients and faults, but
not the same timing.

--without-fence shows that the soak can fail: the proxies before Redis replace the names of the scripts by those of scripts that don't check
the owner. It then passes (exit 0) if a violation was found.
"""
import asyncio
import collections
import hashlib
import json
import logging
import pathlib
import random
import re
import sys
import time

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

import cluster as c
from checker import Checker
from disturbances import Faults

SCRIPTS = pathlib.Path(__file__).parents[2] / "Sources/GatewayServer/Store/Redis/StoreScripts.swift"


class Client(Checker):
    """A client with one session, which sends texts and reconnects to random nodes."""

    def __init__(self, number, cluster, seed, faults, counts):
        super().__init__(faults, counts)
        self.number, self.cluster = number, cluster
        self.random = random.Random(f"{seed}/{number}")
        self.next = 0
        self.is_stopping = False
        self.rejected = collections.deque()
        self.state = ""  # for the report of a client that doesn't end

    async def run(self):
        lost = time.monotonic()
        while not (self.is_stopping and self.is_complete()):
            try:
                await self.connection(lost)
                lost = time.monotonic()
            except (ConnectionClosed, OSError, InvalidHandshake, InvalidMessage, EOFError, asyncio.TimeoutError) as error:
                self.counts["connections lost"] += 1
                self.state = f"last failure {error!r} on node {self.tried}"
                if isinstance(error, ConnectionClosed) and error.rcvd and error.rcvd.code not in (1000, 1012, 1013):
                    self.counts[f"closed with {error.rcvd.code}"] += 1
                await asyncio.sleep(self.random.uniform(0, 0.2))
            except c.Violation as error:
                raise c.Violation(f"node {self.node}, session {self.session}: {error}") from None

    async def connection(self, lost):
        node = self.random.choice(self.cluster.nodes)
        self.attempts(node.number)
        self.tried = node.number
        headers = {"Parley-Resume": self.token} if self.token else {}
        socket = await connect(
            f"wss://127.0.0.1:{node.port}/v1/ws?last_seq={self.last}" if self.token else f"wss://127.0.0.1:{node.port}/v1/ws", ssl=c.TLS,
            additional_headers=headers, compression=None, open_timeout=5, ping_interval=None, close_timeout=0.05, max_size=None)
        try:
            message = json.loads(await asyncio.wait_for(socket.recv(), 15))
            if message["type"] == "error" and message["error"]["fatal"] and message["error"]["code"] in ("overloaded", "draining"):
                self.counts["connections rejected as " + message["error"]["code"]] += 1
                raise EOFError
            if message["type"] != "session":
                raise c.Violation(f"{message} arrived before session")
            self.began(message, node.number)
            self.state = f"connected at {time.strftime('%H:%M:%S', time.gmtime())}"
            await self.send(socket, type="ack", seq=self.last)
            for id in self.unacknowledged():
                await self.send_text(socket, id)
            self.heard = time.monotonic()
            self.is_leaving = False
            reader = asyncio.create_task(self.read(socket))
            try:
                while not reader.done() and not (self.is_stopping and self.is_complete()):
                    await self.step(socket)
            finally:
                reader.cancel()
                result = (await asyncio.gather(reader, return_exceptions=True))[0]
                if isinstance(result, Exception):
                    raise result
        finally:
            socket.transport.abort()

    async def step(self, socket):
        dice = self.random.random()
        if time.monotonic() - self.heard > 2:
            # Nothing came, not even the answer to a ping.
            self.counts["connections given up"] += 1
            raise EOFError
        if self.is_leaving and dice < 0.3:
            self.counts["goaways followed"] += 1
            raise EOFError
        if self.rejected and self.rejected[0][0] < time.monotonic():
            _, id = self.rejected.popleft()
            if id not in self.acknowledged:
                await self.send_text(socket, id)
        if self.is_stopping or dice < 0.15:
            await self.send(socket, type="ping")
        elif dice < 0.55 and len(self.texts) - len(self.done) < 40:
            await self.send_new(socket)
        elif dice < 0.60 and self.acknowledged:
            # Repeats a recent text: it must be acknowledged as a duplicate, and get no second response.
            id = f"t{self.random.randrange(max(0, self.next - 300), self.next)}"
            if id in self.acknowledged:
                self.counts["duplicates sent"] += 1
                await self.send_text(socket, id)
        elif dice < 0.62:
            self.counts["changes of node"] += 1
            raise EOFError
        elif dice < 0.85:
            await self.send(socket, type="ack", seq=self.last)
        await asyncio.sleep(self.random.uniform(0.02, 0.25))

    async def send_new(self, socket):
        id = f"t{self.next}"
        self.next += 1
        pause, words = self.random.choice([("0", 1), ("0", 20), ("20", 10), ("60", 20), ("100", 25)])
        self.sends(id, f"{pause} " + " ".join(f"{self.number}.{id}.{word}" for word in range(words)))
        await self.send_text(socket, id)

    async def send_text(self, socket, id):
        text = self.texts[id]
        await self.send(socket, type="text", id=id, text=text, **({} if text.startswith("0 ") else {"meta": {"speed": "slow"}}))

    @staticmethod
    async def send(socket, **message):
        await socket.send(json.dumps(message))

    async def read(self, socket):
        while True:
            message = json.loads(await socket.recv())
            self.heard = time.monotonic()
            self.is_leaving |= message["type"] == "goaway"
            if message["type"] == "error" and message["error"].get("fatal"):
                self.counts[f"fatal {message['error']['code']}"] += 1
                if message["error"]["code"] not in ("overloaded", "draining", "slow_consumer"):
                    raise c.Violation(f"fatal error: {message}")
                raise EOFError
            self.receive(message)
            if message["type"] == "error" and message["error"]["code"] == "overloaded" and not message.get("done"):
                self.rejected.append((time.monotonic() + 0.3, message["error"].get("reply_to")))


def scripts_without_fence():
    """Returns the scripts of the store by their names, and what becomes of them without the check of the owner."""
    source = SCRIPTS.read_text()
    pairs = []
    for name in ("commit", "end", "refresh"):
        body = re.search(r'static let %s = RedisScript\(\s*"""\n(.*?)\n( *)"""\)' % name, source, re.DOTALL)
        script = "\n".join(line.removeprefix(body[2]) for line in body[1].split("\n"))
        check = "head[2] ~= ARGV[2] or head[1] ~= ARGV[1]"
        if check not in script:
            sys.exit(f"the script {name} has no check of the owner")
        if name == "commit":
            # The stale owner's changes are applied; the other owner's serial numbers stay.
            changed = script.replace(f"elseif {check} then\n  return 1", f"elseif {check} then\n  ARGV[3] = head[3]")
        else:
            changed = script.replace(f"{check} then return 1 end", f"{check} then return 0 end")
        if changed == script:
            sys.exit(f"the script {name} can't be changed")
        pairs.append((script, changed))
    return pairs


def digest(script):
    return hashlib.sha1(script.encode()).hexdigest()


async def main():
    parser = c.arguments(__doc__, acknowledge="disk")
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    parser.add_argument("--only", nargs="+", help="kinds of faults, such as kill_node")
    parser.add_argument("--without-fence", action="store_true")
    options = parser.parse_args()
    for name in ("websockets", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    print(f"seed {options.seed}", flush=True)
    scripts = scripts_without_fence() if options.without_fence else []
    cluster = c.Cluster(options, proxied=True, rewrite=[(digest(script), digest(changed)) for script, changed in scripts],
                        flags={"shutdown.drain": "2s"})
    counts = collections.Counter()
    if options.without_fence:
        options.only = options.only or ["suspend_node", "suspend_node", "cut_store", "kill_node"]
    faults = Faults(cluster, random.Random(options.seed), counts, options.only)
    try:
        for server in cluster.redis:
            await server.start()
            for _, changed in scripts:
                server.call("SCRIPT", "LOAD", changed)
        await cluster.start()
    except c.Violation as error:
        c.finish(cluster, [str(error)])
    clients = [Client(number, cluster, options.seed, faults, counts) for number in range(options.clients)]
    tasks = [asyncio.create_task(client.run()) for client in clients]
    driver = asyncio.create_task(faults.run(options.faults))
    await asyncio.wait([driver, *tasks], return_when=asyncio.FIRST_COMPLETED)
    problems = [f"the harness: {driver.exception()!r}"] if driver.done() and driver.exception() else []
    problems += failures(tasks)
    if not problems:
        for client in clients:
            client.is_stopping = True
        _, late = await asyncio.wait(tasks, timeout=90)
        problems = failures(tasks)
        for number, task in enumerate(tasks):
            if task in late:
                client = clients[number]
                problems.append(f"client {number}, node {client.node}, session {client.session}, {client.state}: no response to "
                                f"{sorted(client.acknowledged - client.done)[:5]}, no ack for {client.unacknowledged()[:5]}")
        problems += repeated_calls(cluster, clients, counts)
    driver.cancel()
    await asyncio.wait([driver], timeout=20)
    print(", ".join(f"{value} {name}" for name, value in sorted(counts.items())))
    print(f"{sum(len(client.acknowledged) for client in clients)} texts acknowledged, "
          f"{sum(len(client.done) for client in clients)} complete responses; seed {options.seed}")
    if options.without_fence:
        for problem in problems[:5]:
            print("found:", problem)
        print(f"{cluster.proxies.call(do='rewrites')['count']} calls of scripts without their fence")
        problems = [] if problems else ["no violation was found without the fence"]
    c.finish(cluster, problems)


def failures(tasks):
    return [f"client {number}: {task.exception()}" for number, task in enumerate(tasks) if task.done() and task.exception()]


def repeated_calls(cluster, clients, counts):
    """Verifies that no call of the upstream was repeated without a fault that ended the first one."""
    starts = cluster.starts()
    problems = []
    for client in clients:
        for id, text in client.texts.items():
            number = starts.get(text, 0)
            if number > 1:
                counts["calls repeated"] += number - 1
                if not client.faults.may_break(client.sent[id], client.nodes[id]):
                    problems.append(f"client {client.number}: {number} calls for {id} without a fault")
    return problems


asyncio.run(main())
