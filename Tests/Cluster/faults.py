#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Redis fails in all ways that have a line of their own in the log, under a gateway with a connected client.

For each fault, this program checks the log line, the status of /readyz, what the client gets, and that everything works again afterwards
without a restart. The faults at startup are checked by their exit codes. Fails (exit 1) if anything differs.
"""
import asyncio
import os
import shutil
import signal
import time

import cluster as c

FAILING = "commits to the store fail; retrying"
RECOVERED = "commits to the store succeed again"


class Test:
    """One gateway with one Redis behind a proxy, and one client."""

    def __init__(self, cluster):
        self.cluster, self.node, self.server = cluster, cluster.nodes[0], cluster.redis[0]
        self.client = None
        self.next = 0
        self.problems = []

    def expect(self, condition, text):
        if not condition:
            self.problems.append(f"{self.name}: {text}")
        print(f"    {'ok    ' if condition else 'FAILED'} {text}", flush=True)

    # MARK: The client

    async def connect(self, token=None):
        self.client = await c.RawClient(self.node.port).open()
        session = await self.client.begin(token, self.client.seq)
        self.client.send(type="ack", seq=0)
        return session

    async def text(self, timeout=10):
        """Sends a text. Returns `ok`, the code of an error, or `closed` with the code, and the time until the ack, in seconds."""
        self.next += 1
        id, begin, acknowledged = f"t{self.next}", time.monotonic(), None
        self.client.send(type="text", id=id, text="hello")
        try:
            async with asyncio.timeout(timeout):
                while True:
                    message = await self.client.receive()
                    if message["type"] == "ack" and message["id"] == id:
                        acknowledged = time.monotonic() - begin
                    elif message["type"] == "error":
                        return message["error"]["code"], acknowledged
                    elif message["type"] == "close":
                        return f"closed {message['code']}", acknowledged
                    elif message.get("done") and message["reply_to"] == id:
                        self.client.send(type="ack", seq=self.client.seq)
                        return ("ok" if acknowledged is not None else "no ack"), acknowledged
        except TimeoutError:
            return "silence", acknowledged
        except (OSError, EOFError):
            return "disconnected", acknowledged

    async def new_connection(self):
        """Returns what another client gets instead of a session: `session`, or the code of the refusal."""
        client = await c.RawClient(self.node.port).open()
        try:
            await client.begin(timeout=10)
            client.send(type="bye")
            return "session"
        except ConnectionError as error:
            return str(error)
        except (OSError, EOFError, TimeoutError) as error:
            return repr(error)
        finally:
            client.close()

    # MARK: The log

    def has_line(self, message, **fields):
        return any(line.get("msg") == message and all(line.get(name) == value for name, value in fields.items())
                   for line in self.node.lines(self.offset))

    async def line(self, message, timeout=10, **fields):
        try:
            await c.wait(lambda: self.has_line(message, **fields), timeout, "")
            found = True
        except c.Violation:
            found = False
        self.expect(found, f"log line `{message}` {fields or ''}")

    def quiet(self):
        lines = [line["msg"] for line in self.node.lines(self.offset) if line["level"] in ("error", "critical", "crash")]
        self.expect(not lines, f"no error in the log {lines or ''}")

    async def readiness(self, status, timeout=10):
        try:
            await c.wait(lambda: self.node.readiness()[0] == status, timeout, "")
        except c.Violation:
            pass
        actual, body = self.node.readiness()
        self.expect(actual == status, f"/readyz is {actual} {body[:160] if actual != 200 else ''}")

    # MARK: Faults while the gateway runs

    async def fault(self, name, scenario):
        # Each one with a new process, because similar log lines are throttled.
        await self.node.terminate()
        await self.node.start()
        await self.connect()
        self.name, self.offset = name, self.node.log_size()
        print(f"{name}:", flush=True)
        pid = self.node.process.pid
        try:
            await scenario()
            await self.readiness(200, 15)
            result = "silence"
            for _ in range(20):
                result, _ = await self.text()
                if result == "ok":
                    break
                if "closed" in result or result == "disconnected":
                    await self.connect()
                await asyncio.sleep(0.2)
            self.expect(result == "ok", f"a text afterwards: {result}")
        except (c.Violation, OSError, EOFError, TimeoutError, c.RedisError) as error:
            self.expect(False, f"{error!r}")
            await self.connect()
        self.expect(self.node.is_running and self.node.process.pid == pid, "no restart was required")

    async def outage(self, cause, begin, end):
        """A fault in which new work is rejected and the connection stays."""
        begin()
        session = self.client.session["session_id"]
        result, _ = await self.text()
        self.expect(result == "overloaded", f"a text gets overloaded: {result}")
        await self.line(FAILING, cause=cause)
        await self.readiness(503)
        refusal = await self.new_connection()
        self.expect("503" in refusal or "overloaded" in refusal, f"a new connection is rejected: {refusal[:120]}")
        end()
        await self.line(RECOVERED)
        result, _ = await self.text()
        self.expect(result == "ok", f"a text on the same connection afterwards: {result}")
        self.expect(self.client.session["session_id"] == session, "the session is the same")

    async def run(self):
        server, proxies = self.server, self.cluster.proxies

        async def slow():
            proxies.call(do="set", name="redis-0", delay=0.05)
            results = [await self.text() for _ in range(5)]
            self.expect(all(result == "ok" and 0.1 <= delay < 1 for result, delay in results),
                        f"texts are acknowledged later: {[f'{result} {delay or -1:.3f} s' for result, delay in results]}")
            self.expect(await self.new_connection() == "session", "a new connection is accepted")
            await self.readiness(200)
            proxies.call(do="set", name="redis-0")
            self.quiet()

        async def no_scripts():
            for _ in range(5):
                server.call("SCRIPT", "FLUSH")
                result, _ = await self.text()
                self.expect(result == "ok", f"a text: {result}")
            self.quiet()

        async def out_of_memory():
            await self.outage("memory", lambda: server.call("CONFIG", "SET", "maxmemory", "1"),
                              lambda: server.call("CONFIG", "SET", "maxmemory", "0"))

        async def read_only():
            await self.outage("read_only", lambda: server.call("REPLICAOF", "127.0.0.1", "1"), lambda: server.call("REPLICAOF", "NO", "ONE"))

        async def wrong_password():
            def begin():
                server.call("CONFIG", "SET", "requirepass", "another")
                server.password = "another"
                server.call("CLIENT", "KILL", "TYPE", "normal")

            def end():
                server.call("CONFIG", "SET", "requirepass", "")
                server.password = None

            await self.outage("authentication", begin, end)

        async def suspended():
            await self.outage("connection", lambda: server.signal(signal.SIGSTOP), lambda: server.signal(signal.SIGCONT))

        async def killed():
            await self.outage("connection", server.kill, server.launch)

        async def unwritable_disk():
            # As after a failed BGSAVE with stop-writes-on-bgsave-error.
            def begin():
                server.call("CONFIG", "SET", "save", "3600 1")
                server.call("CONFIG", "SET", "dbfilename", "missing.rdb")
                os.makedirs(server.directory + "/missing.rdb")
                server.call("BGSAVE")
                begin = time.monotonic()
                while b"rdb_last_bgsave_status:err" not in server.call("INFO", "persistence") and time.monotonic() - begin < 10:
                    time.sleep(0.05)

            await self.outage("disk", begin, lambda: server.call("CONFIG", "SET", "save", ""))

        async def foreign_key():
            id = self.client.session["session_id"]
            server.call("DEL", f"parley:{{s:{id}}}")
            server.call("SET", f"parley:{{s:{id}}}", "foreign")
            result, _ = await self.text()
            await self.line("a key of the store has another type; its changes are dropped")
            self.expect(result.startswith("closed") or result in ("overloaded", "disconnected"), f"no text is acknowledged into it: {result}")
            self.expect(await self.new_connection() == "session", "other sessions go on")
            server.call("DEL", f"parley:{{s:{id}}}")

        async def removed_session():
            id, token = self.client.session["session_id"], self.client.session["resume_token"]
            server.call("DEL", f"parley:{{s:{id}}}")
            result, _ = await self.text()
            await self.line("session dropped: the store lost it")
            self.expect(result == "closed 1012", f"the connection closes with 1012: {result}")
            session = await self.connect(token)
            self.expect(not session["resumed"] and session["lost"], "a resume says lost")

        async def emptied():
            token, epoch = self.client.session["resume_token"], server.call("GET", "parley:{epoch}") or server.call("GET", "parley:epoch")
            self.expect(epoch is not None, f"the store has an epoch: {epoch}")
            server.kill()
            shutil.rmtree(server.directory + "/appendonlydir")
            await server.start()
            await self.line("the store lost its contents: checking all sessions")
            await self.line("session dropped: the store lost it")
            result, _ = await self.text()
            self.expect(result == "closed 1012", f"the connection closes with 1012: {result}")
            session = await self.connect(token)
            fields = {name: session.get(name) for name in ("resumed", "lost", "resume_error")}
            self.expect(fields == {"resumed": False, "lost": True, "resume_error": "unknown"}, f"a resume says lost: {fields}")

        await self.fault("slow (100 ms)", slow)
        await self.fault("NOSCRIPT", no_scripts)
        await self.fault("out of memory", out_of_memory)
        await self.fault("read-only replica", read_only)
        await self.fault("wrong password", wrong_password)
        await self.fault("suspended", suspended)
        await self.fault("killed and restarted", killed)
        await self.fault("disk not writable", unwritable_disk)
        await self.fault("key of another type", foreign_key)
        await self.fault("session removed", removed_session)
        await self.fault("restarted empty", emptied)

    # MARK: Faults at startup

    async def startup(self, name, code, text, **flags):
        """Starts a gateway that must end with an exit code and a line that contains a text."""
        self.name, self.node, self.offset = name, self.cluster.nodes[1], self.cluster.nodes[1].log_size()
        print(f"{name}, at startup:", flush=True)
        command = list(self.node.command)
        for key, value in flags.items():
            self.node.command[self.node.command.index("--" + key.replace("__", ".")) + 1] = value
        self.node.launch()
        begin = time.monotonic()
        while self.node.is_running and time.monotonic() - begin < 20:
            await asyncio.sleep(0.05)
        self.expect(self.node.process.returncode == code, f"exit code {self.node.process.returncode}")
        lines = [f"{line.get('msg')}: {line.get('error', '')}" for line in self.node.lines(self.offset) if line["level"] in ("critical", "crash")]
        self.expect(any(text in line for line in lines), f"reason: {lines}")
        self.node.kill()
        self.node.command = command

    async def run_startups(self):
        server = self.server
        old = self.cluster.proxy("old", server.port, [(version(server), "5" + version(server)[1:])])
        await self.startup("wrong version", 78, "5", store__urls=f"redis://127.0.0.1:{old}")
        server.call("CONFIG", "SET", "requirepass", "another")
        server.password = "another"
        await self.startup("no password", 78, "password")
        await self.startup("wrong password", 78, "password", store__urls=f"redis://:wrong@127.0.0.1:{server.port}")
        server.call("CONFIG", "SET", "requirepass", "")
        server.password = None
        await self.startup("appendfsync everysec", 78, "appendfsync", store__acknowledge="disk")
        await self.startup("no replica", 75, "replica", store__acknowledge="replicas")
        server.call("REPLICAOF", "127.0.0.1", "1")
        await self.startup("read-only replica", 75, "replica")
        server.call("REPLICAOF", "NO", "ONE")
        server.kill()
        await self.startup("unreachable", 75, "")


def version(server):
    text = server.call("INFO", "server").decode()
    return next(line.partition(":")[2] for line in text.splitlines() if line.startswith("redis_version:"))


async def main():
    options = c.arguments(__doc__, lease="5s").parse_args()
    cluster = c.Cluster(options, nodes=2, proxied=True, redis_options=["--enable-protected-configs", "yes"])
    test = Test(cluster)
    try:
        await test.server.start()
        await test.node.start()
        await test.run()
        await test.run_startups()
    except (c.Violation, OSError, EOFError) as error:
        test.problems.append(repr(error))
    c.finish(cluster, test.problems)


asyncio.run(main())
