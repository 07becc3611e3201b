#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Restarts three gateways one after the other (SIGTERM, wait for the end, start again) with clients in conversation.

A client that gets `goaway` connects to another node that is ready, as a load balancer would send it, before it leaves the old connection.
Fails (exit 1) when an acknowledged text was lost or got two responses, when a session wasn't resumed, or when a client was without a
connection for longer than --gap seconds: from the end of the old connection, or the beginning of the takeover, to the new `session` message.
"""
import asyncio
import collections
import random
import time

import cluster as c
from checker import Checker, NoFaults


class Client(Checker):
    """A client that follows `goaway`."""

    def __init__(self, number, cluster, seed, counts):
        super().__init__(NoFaults(), counts)
        self.number, self.cluster = number, cluster
        self.random = random.Random(f"{seed}/{number}")
        self.next = 0
        self.gaps = []
        self.is_stopping = False
        self.is_open = asyncio.Event()
        self.rejected = []
        self.since = None  # when the client began to be without a connection

    async def run(self):
        connection = None
        while not (self.is_stopping and self.is_complete()):
            try:
                if connection is None:
                    connection = await self.connect()
                await self.converse(connection)
                # A goaway: the new connection takes the session over from the old one.
                old, connection = connection, None
                self.since = time.monotonic()
                connection = await self.connect(old.port)
                old.close()
            except (OSError, EOFError, TimeoutError) as error:
                self.counts[f"connections lost: {type(error).__name__} {str(error)[:50]}"] += 1
                if self.since is None:
                    self.since = time.monotonic()
                if connection:
                    connection.close()
                connection = None
                await asyncio.sleep(self.random.uniform(0, 0.05))
            except c.Violation as error:
                raise c.Violation(f"node {self.node}, session {self.session}: {error}") from None
        connection.close()

    async def connect(self, except_port=None):
        ready = [node for node in self.cluster.nodes if node.is_serving and node.port != except_port]
        node = self.random.choice(ready or self.cluster.nodes)
        connection = await c.RawClient(node.port).open()
        if self.since is not None and except_port:
            # Until now the old connection was in use.
            self.since = time.monotonic()
        session = await connection.begin(self.token, self.last)
        if self.since is not None:
            self.gaps.append(time.monotonic() - self.since)
            self.since = None
        self.began(session, node.number)
        connection.send(type="ack", seq=self.last)
        for id in self.unacknowledged():
            self.send_text(connection, id)
        self.is_open.set()
        return connection

    async def converse(self, connection):
        """Sends texts and verifies what comes, until a goaway or the end."""
        sender = asyncio.create_task(self.sending(connection))
        try:
            while not (self.is_stopping and self.is_complete()):
                message = await connection.receive()
                if message["type"] == "close":
                    self.counts[f"closed with {message['code']}"] += 1
                    raise EOFError(f"close {message['code']}")
                self.receive(message)
                if message["type"] == "error" and not message.get("done"):
                    self.rejected.append(message["error"].get("reply_to"))
                if message["type"] == "goaway":
                    self.counts["goaways"] += 1
                    return
        finally:
            sender.cancel()

    async def sending(self, connection):
        while True:
            # Not in step with the other clients.
            await asyncio.sleep(self.random.uniform(1, 5))
            connection.send(type="ack", seq=self.last)
            while self.rejected:
                self.send_text(connection, self.rejected.pop())
            if self.is_stopping:
                # Its answer wakes the reader.
                connection.send(type="ping")
            else:
                id = f"t{self.next}"
                self.next += 1
                pause = self.random.choice(["0", "0", "100"])
                self.sends(id, f"{pause} " + " ".join(f"{self.number}.{id}.{word}" for word in range(10)))
                self.send_text(connection, id)

    def send_text(self, connection, id):
        text = self.texts[id]
        connection.send(type="text", id=id, text=text, **({} if text.startswith("0 ") else {"meta": {"speed": "slow"}}))


async def roll(cluster):
    """Restarts each node. Returns how long each took to end and to start."""
    times = []
    for node in cluster.nodes:
        node.is_serving = False
        ended = await node.terminate(120)
        if node.process.returncode != 0:
            raise c.Violation(f"{node.name} exited with {node.process.returncode}")
        started = await node.start()
        node.is_serving = True
        times.append((ended, started))
        await asyncio.sleep(3)
    return times


async def main():
    parser = c.arguments(__doc__, lease="5s")
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--drain", default="30s", help="shutdown.drain")
    parser.add_argument("--gap", type=float, default=1, help="maximum time without a connection, in seconds")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    cluster = c.Cluster(options, flags={"shutdown.drain": options.drain})
    counts = collections.Counter()
    problems, tasks = [], []
    clients = [Client(number, cluster, options.seed, counts) for number in range(options.clients)]
    try:
        await cluster.start()
        for node in cluster.nodes:
            node.is_serving = True
        for begin in range(0, len(clients), 25):
            batch = clients[begin:begin + 25]
            tasks += [asyncio.create_task(client.run()) for client in batch]
            await asyncio.wait_for(asyncio.gather(*(client.is_open.wait() for client in batch)), 60)
        await asyncio.sleep(3)
        for client in clients:
            client.gaps.clear()
        for number, (ended, started) in enumerate(await roll(cluster)):
            print(f"node {number}: ended in {ended:.2f} s, ready again after {started:.2f} s", flush=True)
    except (c.Violation, TimeoutError) as error:
        problems.append(repr(error))
    for client in clients:
        client.is_stopping = True
    _, late = await asyncio.wait(tasks, timeout=60)
    for client, task in zip(clients, tasks):
        if task in late:
            problems.append(f"client {client.number}: no response to {sorted(client.acknowledged - client.done)[:5]}, "
                            f"no ack for {client.unacknowledged()[:5]}")
        elif task.exception():
            problems.append(f"client {client.number}: {task.exception()!r}")
    starts = cluster.starts()
    counts["calls repeated"] = sum(max(0, starts.get(text, 0) - 1) for client in clients for text in client.texts.values())
    gaps = [gap for client in clients for gap in client.gaps]
    print(", ".join(f"{value} {name}" for name, value in sorted(counts.items())))
    if gaps:
        print(f"{len(gaps)} reconnects: p50 {1000 * c.percentile(gaps, 50):.0f} ms, p99 {1000 * c.percentile(gaps, 99):.0f} ms, "
              f"longest {1000 * max(gaps):.0f} ms without a connection")
        if max(gaps) > options.gap:
            problems.append(f"{sum(1 for gap in gaps if gap > options.gap)} times a client was without a connection for up to {max(gaps):.2f} s")
    c.finish(cluster, problems)


asyncio.run(main())
