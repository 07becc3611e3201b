#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures how long a resume on another node takes, from the upgrade request to the `session` message.

With the owner alive, a client resumes on another node --resumes times; p99 must be at most 50 ms (--alive). With the owner killed,
--sessions clients resume at once on another node, --kills times; p99 must be at most 200 ms (--dead) plus the lease.
"""
import asyncio
import time

import cluster as c


async def measure(node, token, last):
    """Resumes a session. Returns the client and the time, in seconds."""
    client = await c.RawClient(node.port).open()
    begin = time.monotonic()
    session = await client.begin(token, last)
    elapsed = time.monotonic() - begin
    if not session["resumed"] or session["lost"]:
        raise c.Violation(f"not resumed: {session}")
    client.seq = last
    client.send(type="ack", seq=last)
    return client, elapsed


async def converse(client, id):
    """Sends a text and waits for its response, so that the session has something to move."""
    client.send(type="text", id=id, text="hello " * 20)
    async with asyncio.timeout(10):
        while not (message := await client.receive()).get("done"):
            if message["type"] == "close":
                raise c.Violation(f"closed: {message}")
    client.send(type="ack", seq=client.seq)


async def begin_on(node):
    client = await c.RawClient(node.port).open()
    await client.begin()
    client.send(type="ack", seq=0)
    await converse(client, "t0")
    return client


def report(name, times, bound):
    p50, p99, worst = (1000 * c.percentile(times, share) for share in (50, 99, 100))
    print(f"{name}: {len(times)} resumes, p50 {p50:.1f} ms, p99 {p99:.1f} ms, worst {worst:.1f} ms; at most {bound:.0f} ms", flush=True)
    return [f"{name}: p99 {p99:.1f} ms"] if p99 > bound else []


async def with_owner_alive(cluster, resumes, bound):
    client = await begin_on(cluster.nodes[0])
    times = []
    for number in range(1, resumes + 1):
        node = cluster.nodes[number % len(cluster.nodes)]
        old, (client, elapsed) = client, await measure(node, client.session["resume_token"], client.seq)
        old.close()
        # The first ones open the links between the nodes.
        if number > 2 * len(cluster.nodes):
            times.append(elapsed)
        await converse(client, f"t{number}")
    client.close()
    return report("owner alive", times, bound)


async def with_owner_killed(cluster, kills, sessions, bound):
    times = []
    for number in range(kills):
        owner = cluster.nodes[number % len(cluster.nodes)]
        heirs = [node for node in cluster.nodes if node is not owner]
        clients = [await begin_on(owner) for _ in range(sessions)]
        owner.kill()
        results = await asyncio.gather(*(
            measure(heirs[index % 2], client.session["resume_token"], client.seq) for index, client in enumerate(clients)))
        times += [elapsed for _, elapsed in results]
        for client, _ in results:
            await converse(client, "t1")
            client.close()
        await owner.start()
    return report(f"owner killed, lease {cluster.options.lease}", times, bound + 1000 * float(cluster.options.lease.rstrip("s")))


async def main():
    parser = c.arguments(__doc__, lease="5s")
    parser.add_argument("--resumes", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--sessions", type=int, default=10)
    parser.add_argument("--alive", type=float, default=50, help="bound of p99 with the owner alive, in ms")
    parser.add_argument("--dead", type=float, default=200, help="bound of p99 with the owner killed, in ms, besides the lease")
    options = parser.parse_args()
    cluster = c.Cluster(options)
    problems = []
    try:
        await cluster.start()
        problems += await with_owner_alive(cluster, options.resumes, options.alive)
        problems += await with_owner_killed(cluster, options.kills, options.sessions, options.dead)
    except (c.Violation, OSError, EOFError, TimeoutError) as error:
        problems.append(repr(error))
    c.finish(cluster, problems)


asyncio.run(main())
