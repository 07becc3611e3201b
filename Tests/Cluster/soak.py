#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The soak of the shared store: three gateways, one Redis, and sessions of parley_client that reconnect to a random node, while nodes and Redis
are killed, suspended and cut off from each other at random.

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

import cluster as c
from checker import Checker
from disturbances import Faults
from parley_client import BackoffPolicy, Parley

SCRIPTS = pathlib.Path(__file__).parents[2] / "Sources/GatewayServer/Store/Redis/StoreScripts.swift"


class Client(Checker):
    """A session of parley_client, which sends texts and reconnects to random nodes. The checker verifies the messages on its connections."""

    def __init__(self, number, cluster, seed, faults, counts):
        super().__init__(faults, counts)
        self.number, self.cluster = number, cluster
        self.random = random.Random(f"{seed}/{number}")
        self.next = 0
        self.is_stopping = False
        self.violation = None
        self.has_begun = False  # whether the current connection has a session
        self.replies = {}
        self.ended = set()
        self.tried = None
        self.state = ""  # for the report of a client that doesn't end
        self.parley = Parley(
            self.url, ssl=c.TLS, on_wire=self.on_wire, connect_timeout=8, heartbeat=1, queue_messages=1000,
            backoff=BackoffPolicy(base=0.2, cap=0.2, attempts=None), websocket_options={"compression": None, "proxy": None},
            generator=random.Random(self.random.random()))

    def url(self):
        """Chooses the node of the next attempt."""
        node = self.random.choice(self.cluster.nodes)
        self.attempts(node.number)
        self.tried = node.number
        return f"wss://127.0.0.1:{node.port}/v1/ws"

    async def run(self):
        self.parley.on("state", self.state_changed)
        self.parley.on("done", self.reply_ended)
        self.parley.on("goaway", lambda event: self.counts.update(["goaways followed"]))
        self.parley.start()
        while not (self.is_stopping and self.is_complete() and not self.parley.replies):
            if self.violation:
                raise c.Violation(f"node {self.node}, session {self.session}: {self.violation}")
            await self.step()
        await self.parley.close()

    def fail(self, text):
        self.violation = self.violation or text

    async def step(self):
        dice = self.random.random()
        if self.is_stopping:
            pass
        elif dice < 0.45 and len(self.parley.replies) < 40:
            self.send_new()
        elif dice < 0.50 and self.acknowledged:
            # Repeats a recent text: it must be acknowledged as a duplicate, and get no second response.
            id = self.random.choice(list(self.texts)[-300:])
            if id in self.acknowledged and self.parley.state == "open":
                self.counts["duplicates sent"] += 1
                self.parley._connection.send(json.dumps({"type": "text", "id": id, "text": self.texts[id], **meta(self.texts[id])}))
        elif dice < 0.52:
            self.counts["changes of node"] += 1
            self.parley.reconnect()
        elif dice < 0.75 and self.parley.state == "open":
            self.parley._connection.send(json.dumps({"type": "ack", "seq": self.last}))
        await asyncio.sleep(self.random.uniform(0.02, 0.25))

    def send_new(self):
        number = self.next
        self.next += 1
        pause, words = self.random.choice([("0", 1), ("0", 20), ("20", 10), ("60", 20), ("100", 25)])
        text = f"{pause} " + " ".join(f"{self.number}.t{number}.{word}" for word in range(words))
        reply = self.parley.say(text, **meta(text))
        if reply.error:
            return self.fail(f"the client rejected a text: {reply.error!r}")
        self.replies[reply.id] = reply
        self.sends(reply.id, text)
        return None

    # MARK: Replies and states

    def state_changed(self, event):
        self.has_begun = event.state == "open"
        self.state = f"{event.state} at {time.strftime('%H:%M:%S', time.gmtime())}, node {self.tried}, {event.error!r}"
        if event.state == "waiting":
            self.counts["connections lost"] += 1
            if event.error.code.isdigit():
                self.counts[f"connections lost with {event.error.code}"] += 1
        elif event.state == "closed" and not self.is_stopping:
            self.fail(f"the client stopped: {event.error!r}")

    def reply_ended(self, event):
        """Verifies what the application gets of a request."""
        reply = self.replies.get(event.id)
        if reply is None or event.id in self.ended:
            return self.fail(f"the reply {event.id} ended twice, or was never requested")
        self.ended.add(event.id)
        if event.error is None:
            if reply.text != self.texts[event.id]:
                self.fail(f"the reply {event.id} is {reply.text!r}, expected {self.texts[event.id]!r}")
        elif event.error.code == "lost":
            if not self.faults.may_lose(self.sent[event.id]):
                self.fail(f"the reply {event.id} was lost without reason")
        elif event.error.code == "overloaded" and event.id not in self.acknowledged:
            # The client gives up after a minute, and says so; nothing was acknowledged.
            self.counts["texts given up"] += 1
            self.excused.add(event.id)
        elif event.error.code not in ("upstream_error", "upstream_unavailable"):
            self.fail(f"the reply {event.id} failed: {event.error!r}")
        del self.replies[event.id]
        return None

    # MARK: The wire

    def on_wire(self, direction, data):
        """Verifies each received message, before the client handles it."""
        if direction == "sent":
            return
        message = json.loads(data)
        try:
            if message["type"] == "error" and message["error"]["fatal"]:
                self.counts[f"fatal {message['error']['code']}"] += 1
                if message["error"]["code"] not in ("overloaded", "draining", "slow_consumer"):
                    raise c.Violation(f"fatal error: {message}")
            elif message["type"] == "session":
                if self.has_begun:
                    raise c.Violation("two sessions on one connection")
                self.has_begun = True
                self.began(message, self.tried)
            elif not self.has_begun:
                raise c.Violation(f"{message} arrived before session")
            else:
                self.receive(message)
        except c.Violation as violation:
            self.fail(str(violation))


def meta(text):
    """Returns the field that leads a text to the slow upstream, if it begins with a pause."""
    return {} if text.startswith("0 ") else {"meta": {"speed": "slow"}}


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
