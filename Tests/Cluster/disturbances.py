# SPDX-License-Identifier: Apache-2.0
"""The faults of the soak: each one breaks something for some time, and is recorded, so that the checker can tell what it explains."""
import asyncio
import signal
import time

from cluster import RedisError, Violation, redis

# After the end of a fault its effects may still arrive: held bytes, expired leases, calls of lost links.
AFTERMATH = 8


class Fault:
    def __init__(self, kind, nodes, loses):
        self.kind, self.nodes, self.loses = kind, nodes, loses
        self.begin, self.end = time.monotonic(), None


class Faults:
    """Injects faults at random, and remembers them."""

    def __init__(self, cluster, generator, counts, only=None):
        self.cluster, self.random, self.counts = cluster, generator, counts
        self.past = []
        self.lease = float(cluster.options.lease.rstrip("s"))
        self.is_lossy = cluster.options.acknowledge == "memory"
        self.kinds = {
            "kill_node": 6, "kill_redis": 4, "kill_both": 3, "suspend_node": 6, "cut_store": 5, "cut_link": 4, "cut_clients": 4,
            "slow_store": 3, "flush_scripts": 1, "terminate_node": 4, "drop_connections": 2,
        }
        if cluster.sentinel:
            for kind in ("kill_redis", "kill_both", "cut_store", "slow_store"):
                del self.kinds[kind]
            self.kinds |= {"fail_over": 5, "kill_master": 5, "isolate_master": 5}
        if only:
            self.kinds = {kind: 1 for kind in only}

    # MARK: Explanations

    def overlapping(self, since):
        return [fault for fault in self.past if fault.end is None or fault.end + AFTERMATH > since]

    def may_break(self, since, nodes):
        """Returns whether a fault since a time explains that a request failed whose session was on these nodes."""
        return any(fault.nodes is None or fault.nodes & nodes for fault in self.overlapping(since))

    def may_lose(self, since):
        """Returns whether a fault since a time explains that the store lost something."""
        return any(fault.loses for fault in self.overlapping(since))

    # MARK: Injecting

    async def run(self, number):
        for index in range(number):
            await asyncio.sleep(self.random.uniform(0.3, 1.5))
            kind = self.random.choices(list(self.kinds), self.kinds.values())[0]
            await getattr(self, kind)()
            self.counts[kind] += 1
            if (index + 1) % 10 == 0:
                print(f"{index + 1:4} faults: " + ", ".join(f"{value} {name}" for name, value in sorted(self.counts.items())), flush=True)

    def begin(self, kind, nodes=None, loses=False):
        """Records a fault. `nodes`: those whose requests it breaks; nil for all."""
        fault = Fault(kind, nodes, loses and self.is_lossy)
        self.past.append(fault)
        return fault

    def end(self, fault):
        fault.end = time.monotonic()

    def any_node(self):
        return self.random.choice(self.cluster.nodes)

    def numbers(self, *nodes):
        return {node.number for node in nodes}

    async def kill_node(self):
        node = self.any_node()
        fault = self.begin("kill_node", self.numbers(node))
        node.kill()
        await asyncio.sleep(self.random.choice([0, 0.2, 1.5 * self.lease + 0.5]))
        await node.start()
        self.end(fault)

    async def terminate_node(self):
        node = self.any_node()
        # The calls of a node that ends can't continue.
        fault = self.begin("terminate_node", self.numbers(node))
        await node.terminate()
        await node.start()
        self.end(fault)

    async def kill_redis(self):
        fault = self.begin("kill_redis", loses=True)
        self.cluster.redis[0].kill()
        await asyncio.sleep(self.random.uniform(0, 2.5))
        await self.cluster.redis[0].start()
        self.end(fault)

    async def kill_both(self):
        node = self.any_node()
        fault = self.begin("kill_both", loses=True)
        self.cluster.redis[0].kill()
        node.kill()
        await asyncio.sleep(self.random.uniform(0, 1.5))
        await self.cluster.redis[0].start()
        await node.start()
        self.end(fault)

    async def suspend_node(self):
        node = self.any_node()
        fault = self.begin("suspend_node", self.numbers(node))
        node.signal(signal.SIGSTOP)
        await asyncio.sleep(self.lease * self.random.uniform(1.2, 2.5))
        node.signal(signal.SIGCONT)
        self.end(fault)

    async def partition(self, name):
        """Blocks one direction or both of a proxy's connections for some time."""
        mode = self.random.choice(["hold", "drop"])
        directions = self.random.choice([{"up": mode}, {"down": mode}, {"up": mode, "down": mode}, {}])
        if directions:
            self.cluster.proxies.call(do="set", name=name, **directions)
            await asyncio.sleep(self.random.choice([0.3, self.lease, 2.5 * self.lease]))
            self.cluster.proxies.call(do="set", name=name)
        else:
            self.cluster.proxies.call(do="cut", name=name)

    async def cut_store(self):
        node = self.any_node()
        fault = self.begin("cut_store", self.numbers(node))
        await self.partition(f"redis-{node.number}")
        self.end(fault)

    async def cut_link(self):
        fault = self.begin("cut_link")
        await self.partition(f"link-{self.any_node().number}")
        self.end(fault)

    async def cut_clients(self):
        # Explains nothing: sessions survive lost connections.
        await self.partition(f"client-{self.any_node().number}")

    async def drop_connections(self):
        for node in self.cluster.nodes:
            self.cluster.proxies.call(do="cut", name=f"client-{node.number}")

    async def slow_store(self):
        node = self.any_node()
        self.cluster.proxies.call(do="set", name=f"redis-{node.number}", delay=self.random.uniform(0.01, 0.1))
        await asyncio.sleep(2)
        self.cluster.proxies.call(do="set", name=f"redis-{node.number}")

    async def flush_scripts(self):
        self.cluster.master().call("SCRIPT", "FLUSH")

    # MARK: Sentinel

    async def failed_over(self, before):
        """Waits until Sentinel names another master, and then until the other server follows it."""
        await self.until(lambda: self.cluster.sentinel.master() != before, "Sentinel doesn't fail over")

    async def followed(self):
        await self.until(self.cluster.is_replicated, "the old master doesn't follow")

    async def until(self, condition, message):
        begin = time.monotonic()
        while True:
            try:
                if condition():
                    return
            except (OSError, RedisError):
                pass
            if time.monotonic() - begin > 60:
                raise Violation(message)
            await asyncio.sleep(0.1)

    async def fail_over(self):
        fault = self.begin("fail_over", loses=True)
        before = self.cluster.sentinel.master()
        try:
            redis(self.cluster.sentinel.port, "SENTINEL", "FAILOVER", "main")
        except RedisError as error:
            # One is in progress, or there is no good replica yet.
            self.counts[f"failover refused: {error}"] += 1
            return self.end(fault)
        await self.failed_over(before)
        await self.followed()
        self.end(fault)

    async def kill_master(self):
        fault = self.begin("kill_master", loses=True)
        before = self.cluster.sentinel.master()
        server = self.cluster.announced[before]
        server.kill()
        await self.failed_over(before)
        await server.start()
        await self.followed()
        self.end(fault)

    async def isolate_master(self):
        """Cuts the master off, so that Sentinel promotes the replica; then the old master returns as one for a moment."""
        fault = self.begin("isolate_master", loses=True)
        before = self.cluster.sentinel.master()
        name = f"server-{self.cluster.redis.index(self.cluster.announced[before])}"
        mode = self.random.choice(["hold", "drop"])
        self.cluster.proxies.call(do="set", name=name, up=mode, down=mode)
        await self.failed_over(before)
        await asyncio.sleep(self.random.uniform(0, 1))
        self.cluster.proxies.call(do="set", name=name)
        await self.followed()
        self.end(fault)
