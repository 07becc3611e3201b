# SPDX-License-Identifier: Apache-2.0
"""Three gateways that share one Redis, for the tests of clusters: the processes, the proxies between them"""
import argparse
import asyncio
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request

from processes import Node, Redis, RedisError, Sentinel, Violation, free_port, redis
from rawclient import TLS, RawClient

__all__ = ["TLS", "Cluster", "RawClient", "RedisError", "Violation", "arguments", "finish", "percentile", "redis", "wait"]

HERE = pathlib.Path(__file__).parent
SECRET = "the-secret-of-the-cluster-in-tests"
UNLIMITED = (
    "connections.max", "connections.per_address", "connections.handshakes_per_second", "connections.max_sockets", "sessions.max",
    "sessions.max_detached", "limits.text_per_minute", "limits.audio_per_minute", "limits.control_per_minute", "limits.bytes_per_second",
    "connections.per_user",
)


def arguments(description, **defaults):
    """Returns the parser of the arguments that all tests have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executable", required=True)
    parser.add_argument("--lease", default=defaults.get("lease", "1s"), help="cluster.lease")
    parser.add_argument("--acknowledge", choices=["memory", "disk", "replicas"], default=defaults.get("acknowledge", "memory"))
    parser.add_argument("--sentinel", action="store_true", help="a replica and a Sentinel")
    parser.add_argument("--keep", action="store_true", help="keep the directory with the log files")
    return parser


class Helper:
    """proxy.py or upstream.py, which end with their standard input."""

    def __init__(self, program):
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def call(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


class Cluster:
    """The processes of a test."""

    def __init__(self, options, *, nodes=3, proxied=False, flags=None, rewrite=(), fsync=None, redis_options=()):
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
        self.directory = tempfile.mkdtemp(prefix="parley-cluster-")
        self.options = options
        fsync = fsync or ("everysec" if options.acknowledge == "memory" else "always")
        self.proxies = Helper("proxy.py") if proxied else None
        upstream = Helper("upstream.py")
        self.upstream = upstream
        self.upstream_port = json.loads(upstream.process.stdout.readline())["port"]
        self.redis = [Redis(self.directory, "redis-0", fsync, redis_options)]
        self.sentinel = None
        store = [self.redis[0].port] * nodes
        if options.sentinel:
            store, scheme = self.open_sentinel(fsync, redis_options, nodes), "redis+sentinel"
        else:
            scheme = "redis"
            if proxied:
                store = [self.proxy(f"redis-{number}", self.redis[0].port, rewrite) for number in range(nodes)]
        self.nodes = []
        for number in range(nodes):
            link = free_port()
            suffix = "/main" if options.sentinel else ""
            node = Node(number, os.path.abspath(options.executable), self.directory, {
                "listen.address": f"127.0.0.1:{free_port()}", "operations.address": f"127.0.0.1:{free_port()}", "listen.loops": 2,
                "logging.format": "json", "logging.level": "info", "store.kind": "redis",
                "store.urls": f"{scheme}://127.0.0.1:{store[number]}{suffix}", "store.acknowledge": options.acknowledge,
                "cluster.node": f"node-{number}", "cluster.listen": f"127.0.0.1:{link}", "cluster.secret": SECRET,
                "cluster.lease": options.lease, "sessions.resume_window": "10m", "upstreams.echo.kind": "loopback",
                "upstreams.slow.kind": "http", "upstreams.slow.urls": f"http://127.0.0.1:{self.upstream_port}",
                "upstreams.slow.max_connections": 5000, "upstreams.slow.max_waiting": 5000,
                "routes.default.upstreams": "echo", "routes.slow.upstreams": "slow", "routes.slow.meta": "speed=slow",
            } | {key: 0 for key in UNLIMITED} | ({"cluster.advertise": f"127.0.0.1:{self.proxy(f'link-{number}', link)}"} if proxied else {})
              | (flags or {}))
            if proxied:
                node.port = self.proxy(f"client-{number}", node.listen)
            self.nodes.append(node)

    def proxy(self, name, target, rewrite=(), port=0):
        return self.proxies.call(do="open", name=name, target=target, rewrite=list(rewrite), port=port)["port"]

    def open_sentinel(self, fsync, redis_options, nodes):
        """Prepares a master and a replica, each behind a proxy by which Sentinel knows it."""
        self.redis.append(Redis(self.directory, "redis-1", fsync, redis_options))
        self.announced = {}
        for number, server in enumerate(self.redis):
            port = self.proxy(f"server-{number}", server.port) if self.proxies else server.port
            server.command += ["--replica-announce-ip", "127.0.0.1", "--replica-announce-port", str(port)]
            self.announced[port] = server
        self.sentinel = Sentinel(self.directory, next(iter(self.announced)))
        return [self.sentinel.port] * nodes

    def master(self):
        """Returns the current master."""
        return self.announced[self.sentinel.master()] if self.sentinel else self.redis[0]

    def is_replicated(self):
        """Returns whether Sentinel's master is one, and the other server follows it."""
        master = self.master()
        other = next(server for server in self.redis if server is not master)
        return (master.call("ROLE")[0] == b"master" and b"master_link_status:up" in other.call("INFO", "replication")
                and self.sentinel.replicas() == 1)

    async def start(self):
        for server in self.redis:
            if not server.is_running:
                await server.start()
        if self.sentinel:
            self.redis[1].call("REPLICAOF", "127.0.0.1", next(iter(self.announced)))
            await wait(lambda: b"master_link_status:up" in self.redis[1].call("INFO", "replication"), 15, "the replica doesn't follow")
            await self.sentinel.start()
            # Seconds instead of ten until Sentinel knows the state of a server.
            redis(self.sentinel.port, "SENTINEL", "DEBUG", "INFO-PERIOD", "500", "PUBLISH-PERIOD", "500")
            await wait(self.is_replicated, 30, "Sentinel doesn't find the replica")
        for node in self.nodes:
            await node.start()

    def starts(self):
        """Returns how often the upstream was called, by text."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.upstream_port}/starts", timeout=10) as response:
            return json.loads(response.read())

    def crashes(self):
        """Returns the log lines of the nodes that aren't JSON, which are those of a crash."""
        return [f"{node.name}: {line['msg']}" for node in self.nodes for line in node.lines() if line["level"] == "crash"]

    def close(self, failed=False):
        for process in [*self.nodes, self.sentinel, *self.redis]:
            if process:
                process.kill()
        for helper in (self.proxies, self.upstream):
            if helper:
                helper.process.kill()
        if failed or self.options.keep:
            print(f"log files: {self.directory}")
        else:
            subprocess.run(["rm", "-rf", self.directory], check=False)


async def wait(condition, timeout, message):
    """Waits until a condition holds. Returns the time that took, in seconds."""
    begin = time.monotonic()
    while True:
        try:
            if condition():
                return time.monotonic() - begin
        except (OSError, RedisError):
            pass
        if time.monotonic() - begin > timeout:
            raise Violation(message)
        await asyncio.sleep(0.02)


def percentile(values, share):
    """Returns a percentile of values, by the nearest rank."""
    values = sorted(values)
    return values[min(len(values) - 1, max(0, -(-len(values) * share // 100) - 1))]


def finish(cluster, problems):
    """Ends the processes and exits with the outcome."""
    problems = problems + cluster.crashes()[:20]
    cluster.close(failed=bool(problems))
    for problem in problems[:30]:
        print("VIOLATION:", problem)
    print("FAIL" if problems else "PASS", flush=True)
    os._exit(1 if problems else 0)
