#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two clients present the same resume token to two nodes at the same instant, many times. Exactly one of them has the session afterwards.

Fails (exit 1) when a client gets another session than that of the token; when not exactly one connection is left; when Redis names another
owner than the node of that connection; when the epoch doesn't grow; or when the session has lost a text.
"""
import asyncio
import collections
import random

import cluster as c


async def closing(client, timeout):
    """Returns the close code of a connection that closes within a time; 0 if it stays open."""
    try:
        async with asyncio.timeout(timeout):
            while (message := await client.receive())["type"] != "close":
                pass
            return message["code"]
    except TimeoutError:
        return 0
    except (OSError, EOFError):
        return 1006


class Race:
    def __init__(self, cluster, seed):
        self.cluster, self.random = cluster, random.Random(seed)
        self.counts = collections.Counter()
        self.problems = []
        self.texts = 0

    async def new_session(self):
        client = await c.RawClient(self.cluster.nodes[0].port).open()
        session = await client.begin()
        client.send(type="ack", seq=0)
        self.id, self.epoch = session["session_id"], 0
        client.node = self.cluster.nodes[0]
        await self.text(client)
        return client

    async def text(self, client):
        """Sends a text and checks its response."""
        self.texts += 1
        id = f"t{self.texts}"
        client.send(type="text", id=id, text=f"text {id}")
        received, is_acknowledged = "", False
        async with asyncio.timeout(10):
            while True:
                message = await client.receive()
                if message["type"] == "ack" and message["id"] == id:
                    is_acknowledged = True
                elif message["type"] == "text" and message["reply_to"] == id:
                    received += message["text"]
                    if message.get("done"):
                        break
                elif message["type"] in ("close", "error"):
                    raise c.Violation(f"{message} instead of a response")
        if not is_acknowledged or received != f"text {id}":
            raise c.Violation(f"response {received!r} to {id}")
        client.send(type="ack", seq=client.seq)

    async def round(self, owner):
        """Two clients resume the session of a third. Returns the one that has the session."""
        pair = self.random.sample(self.cluster.nodes, 2)
        clients = [await c.RawClient(node.port).open() for node in pair]
        for client, node in zip(clients, pair):
            client.node = node
            client.request(owner.session["resume_token"], owner.seq)
        results = await asyncio.gather(*(client.accepted() for client in clients), return_exceptions=True)
        resumed = []
        for client, result in zip(clients, results):
            if isinstance(result, Exception):
                self.counts[f"refused: {type(result).__name__} {str(result)[:60]}"] += 1
            elif result["session_id"] != self.id or not result["resumed"] or result["lost"]:
                raise c.Violation(f"not resumed: { {key: result.get(key) for key in ('resumed', 'lost', 'resume_error', 'session_id')} }")
            else:
                client.seq = owner.seq
                resumed.append(client)
        if not resumed:
            raise c.Violation(f"neither client got the session: {results}")
        codes = await asyncio.gather(*(closing(client, 0.15) if len(resumed) > 1 else asyncio.sleep(0, 0) for client in resumed))
        open = [client for client, code in zip(resumed, codes) if code == 0]
        if len(open) != 1:
            # A slow takeover: what counts is that it ends.
            codes = await asyncio.gather(*(closing(client, 3) for client in resumed))
            open = [client for client, code in zip(resumed, codes) if code == 0]
        for code in codes:
            if code:
                self.counts[f"closed with {code}"] += 1
        if len(open) != 1:
            raise c.Violation(f"{len(open)} connections are left; close codes {codes}")
        [winner] = open
        await self.text(winner)
        self.check_owner(winner)
        self.counts["both resumed" if len(resumed) == 2 else "one resumed"] += 1
        for client in clients + [owner]:
            if client is not winner:
                client.close()
        return winner

    def check_owner(self, winner):
        server = self.cluster.redis[0]
        owner, epoch = server.call("HMGET", f"parley:{{s:{self.id}}}", "o", "e")
        id = server.call("HGET", f"parley:{{n:{winner.node.name}}}", "id")
        if owner != id:
            raise c.Violation(f"the owner in Redis is {owner}, but {winner.node.name} ({id}) has the connection")
        if int(epoch) < self.epoch:
            raise c.Violation(f"the epoch fell from {self.epoch} to {int(epoch)}")
        self.epoch = int(epoch)


async def main():
    parser = c.arguments(__doc__, lease="5s")
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    cluster = c.Cluster(options)
    race = Race(cluster, options.seed)
    problems = []
    try:
        await cluster.start()
        owner = await race.new_session()
        for number in range(options.rounds):
            try:
                owner = await race.round(owner)
            except (c.Violation, OSError, EOFError, TimeoutError) as error:
                problems.append(f"round {number}: {error!r}")
                if len(problems) > 20:
                    break
                owner = await race.new_session()
            if (number + 1) % 100 == 0:
                print(f"{number + 1:5} rounds, epoch {race.epoch}: {dict(race.counts)}", flush=True)
    except c.Violation as error:
        problems.append(str(error))
    print(f"{options.rounds} rounds: {dict(race.counts)}")
    c.finish(cluster, problems)


asyncio.run(main())
