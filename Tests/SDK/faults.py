#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that the Python client loses no message and shows none twice, whatever the network does.

Clients talk through proxies that cut, stall, delay, half-close, drop everything for a while, or answer 502; the gateway is killed and
restarted, clients are replaced by others with their saved state, and resume from an older number, so that the gateway repeats messages.

Fails (exit 1) when a reply doesn't end, ends twice, has another text than the request, or ends with an error that no fault explains; when the
gateway calls `lost`; or when an exception isn't handled. --mutate breaks the client: then the test must fail.
"""
import argparse
import asyncio
import collections
import logging
import os
import pathlib
import random
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "python"))

from gateway import Gateway  # noqa: E402
from parley_client import AudioFormat, BackoffPolicy, Parley  # noqa: E402
from parley_client.inbox import Inbox  # noqa: E402
from parley_client.requests import Requests  # noqa: E402
from proxy import Proxy  # noqa: E402

CHUNK = 640
# The most that may be open at once, so that a killed gateway doesn't have to repeat everything.
OPEN_REPLIES = 12


class Client:
    """Sends requests, and verifies what the application is shown."""

    def __init__(self, number, gateway, seed, counts, problems):
        self.number, self.gateway, self.counts, self.problems = number, gateway, counts, problems
        self.random = random.Random(f"{seed}/{number}")
        self.proxy = Proxy(gateway.port)
        self.expected = {}  # id: (text or None for audio, time)
        self.shown = collections.defaultdict(str)
        self.accepted = set()
        self.ended = {}  # id: number of ends
        self.next = 0
        self.is_stopping = self.is_stale = self.is_restarting = False
        self.parley = None

    async def start(self):
        await self.proxy.start()
        self.open(None)

    def open(self, state):
        self.parley = parley = Parley(
            f"ws://127.0.0.1:{self.proxy.port}/v1/ws", resume_state=state, heartbeat=1, connect_timeout=4, queue_messages=50,
            backoff=BackoffPolicy(base=0.05, cap=1, attempts=None), websocket_options={"proxy": None})
        machine = parley._machine
        machine.resume_point = lambda: machine.inbox.acknowledged if self.is_stale else machine.inbox.last
        self.off = [
            parley.on("delta", self.delta), parley.on("done", self.done), parley.on("ack", lambda event: self.accepted.add(event.id)),
            parley.on("lost", lambda event: self.problem(f"lost: {event}")), parley.on("error", self.error),
            parley.on("audio", self.audio),
        ]
        parley.start()

    def problem(self, text):
        self.problems.append(f"client {self.number}: {text}")

    async def run(self):
        while not (self.is_stopping and len(self.ended) == len(self.expected)):
            await asyncio.sleep(self.random.uniform(0, 0.1))
            if self.is_stopping or self.is_restarting or len(self.expected) - len(self.ended) >= OPEN_REPLIES:
                continue
            dice = self.random.random()
            if dice < 0.85:
                self.say()
            elif not any(text is None and id not in self.ended for id, (text, _) in self.expected.items()):
                self.listen()

    def say(self):
        self.next += 1
        pause, words = self.random.choice([(None, 1), (None, 30), (None, 60), (20, 20), (60, 20)])
        text = " ".join(f"{self.number}.{self.next}.{word}" for word in range(words))
        if pause is not None:
            text = f"{pause} {text}"
        reply = self.parley.say(text, meta=None if pause is None else {"speed": "slow"})
        self.begins(reply, text)

    def listen(self):
        chunks = self.random.choice([5, 60, 150])
        reply = self.parley.listen(self.source(chunks), AudioFormat("pcm16", 16_000, 1), meta={"echo": "audio"})
        self.begins(reply, None)
        self.shown[reply.id] = b""
        self.expected_audio = {**getattr(self, "expected_audio", {}), reply.id: b"".join(map(chunk_of, range(chunks)))}

    @staticmethod
    async def source(chunks):
        for index in range(chunks):
            yield chunk_of(index)
            await asyncio.sleep(0.01)

    def begins(self, reply, text):
        if reply.error:
            if reply.error.code == "queue_full":
                self.counts["texts rejected as queue_full"] += 1
            else:
                self.problem(f"rejected: {reply.error!r}")
            return
        self.expected[reply.id] = (text, time.monotonic())

    # MARK: Events

    def delta(self, event):
        text = self.expected[event.id][0]
        if event.id in self.ended:
            self.problem(f"{event.id} was shown something after its end")
        if text is None:
            self.problem(f"{event.id} has audio, but was shown a text")
            return
        self.shown[event.id] += event.text
        if not text.startswith(self.shown[event.id]):
            self.problem(f"{event.id} was shown {self.shown[event.id]!r}; the text is {text!r}")

    def audio(self, event):
        if event.data and event.id in self.expected:
            self.shown[event.id] += event.data
            if not self.expected_audio[event.id].startswith(self.shown[event.id]):
                self.problem(f"{event.id}: other audio than sent, at byte {len(self.shown[event.id])}")

    def done(self, event):
        id = event.id
        if id not in self.expected:
            return  # Rejected in `say`.
        self.ended[id] = self.ended.get(id, 0) + 1
        if self.ended[id] > 1:
            self.problem(f"{id} ended {self.ended[id]} times")
        text, begin = self.expected[id]
        if event.error:
            # A response that had begun can't go on after a kill; nothing else may fail.
            is_explained = any(kill >= begin for kill in self.gateway.kills)
            if event.error.code not in ("upstream_error", "upstream_unavailable") or not is_explained or not event.error.retryable:
                self.problem(f"{id} failed: {event.error!r}")
            self.counts["replies that a kill ended"] += 1
            return
        expected = self.expected_audio[id] if text is None else text
        if self.shown[id] != expected:
            self.problem(f"{id} is complete with {len(self.shown[id])} of {len(expected)}: {self.shown[id][-80:]!r}")
        if id not in self.accepted:
            self.problem(f"{id} is complete, but was never accepted")
        self.counts["recordings" if text is None else "replies"] += 1

    def error(self, event):
        self.problem(f"an error without a request: {event.error!r}")

    # MARK: Faults of the client itself

    async def restart(self):
        """Replaces the client by one with its saved state, as a process does that is restarted."""
        if any(text is None and id not in self.ended for id, (text, _) in self.expected.items()):
            return False  # Streams of audio aren't saved.
        for off in self.off:
            off()
        old = self.parley.replies
        if self.parley.session_id is None:
            return False
        self.is_restarting = True
        unfinished = {id: reply.text for id, reply in old.items()}
        stats = self.parley.stats()
        self.add(stats)
        state = await self.parley.suspend()
        self.open(state)
        self.is_restarting = False
        for id, text in unfinished.items():
            if self.parley.replies[id].text != text:
                self.problem(f"{id} has another text after the restart")
        return True

    def add(self, stats):
        for name in ("reconnects", "resumes", "messages_resent", "duplicates_dropped", "lost_pongs"):
            self.counts[name.replace("_", " ")] += getattr(stats, name)

    async def finish(self):
        self.add(self.parley.stats())
        await self.parley.close()


def chunk_of(index):
    return struct.pack("<h", index + 1) * (CHUNK // 2)


KINDS = ["cut", "stall", "slow", "half_close", "drop", "bad_gateway", "kill", "restart", "stale"]


async def inject(kind, client, gateway, generator, seconds):
    """Injects one fault; returns whether it took place."""
    match kind:
        case "kill":
            gateway.kill()
            await asyncio.sleep(generator.uniform(0, 0.5))
            await gateway.start()
        case "restart":
            return await client.restart()
        case "stale":
            client.is_stale = True
            await client.proxy.cut(generator)
            await asyncio.sleep(0.5)
            client.is_stale = False
        case "drop":
            await client.proxy.drop(seconds)
        case _:
            await getattr(client.proxy, kind)(generator)
    return True


async def faults(options, clients, gateway, counts):
    generator = random.Random(options.seed)
    done = 0
    running = {}
    while done < options.faults:
        await asyncio.sleep(generator.uniform(0.1, 0.8))
        client = generator.choice(clients)
        kind = generator.choice(["stale", "cut"] if options.mutate == "dedupe" else KINDS)
        seconds = options.drop_seconds * generator.uniform(0.3, 1)
        if client in running and not running[client].done():
            continue
        if kind == "kill":
            # The others continue their faults meanwhile.
            happened = await inject(kind, client, gateway, generator, seconds)
        else:
            task = running[client] = asyncio.create_task(inject(kind, client, gateway, generator, seconds))
            happened = await task if kind == "restart" else True
        if happened:
            done += 1
            counts[f"faults: {kind}"] += 1
            if done % 25 == 0:
                print(f"{done:4} faults, {counts['replies']} replies, {counts['recordings']} recordings", flush=True)
    for task in running.values():
        await task


def mutate(name):
    """Breaks the client."""
    if name == "dedupe":
        original = Inbox._is_new
        Inbox._is_new = lambda self, now: original(self, now) or True
    elif name == "resend":
        original = Requests.connected

        def connected(self, open_audio):
            numbers = {request.id: request.sent_on for request in self}
            original(self, open_audio)
            for request in self:
                request.sent_on = numbers[request.id]
        Requests.connected = connected


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executable", type=pathlib.Path, required=True)
    parser.add_argument("--faults", type=int, default=25)
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    parser.add_argument("--drop-seconds", type=float, default=6, help="the longest time for which everything is dropped")
    parser.add_argument("--mutate", choices=["dedupe", "resend"])
    options = parser.parse_args()
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    print(f"seed {options.seed}", flush=True)
    if options.mutate:
        mutate(options.mutate)
    counts, problems = collections.Counter(), []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: problems.append(f"unhandled: {context.get('message')}: {context.get('exception')!r}"))
    logging.getLogger("parley_client").addHandler(_Problems(problems))
    gateway = Gateway(str(options.executable.resolve()))
    await gateway.start()
    clients = [Client(number, gateway, options.seed, counts, problems) for number in range(options.clients)]
    for client in clients:
        await client.start()
    tasks = [asyncio.create_task(client.run()) for client in clients]
    driver = asyncio.create_task(faults(options, clients, gateway, counts))
    await asyncio.wait([driver, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in [driver, *tasks]:
        if task.done() and task.exception():
            problems.append(f"the test: {task.exception()!r}")
    for client in clients:
        client.is_stopping = True
    if not driver.done():
        driver.cancel()
    await asyncio.wait(tasks, timeout=40)
    for client in clients:
        open_ids = [id for id in client.expected if id not in client.ended]
        if open_ids:
            problems.append(f"client {client.number}, {client.parley.state}: no end of {open_ids[:5]}")
    for task in tasks:
        task.cancel()
    for client in clients:
        await client.finish()
    left = [task for task in asyncio.all_tasks() if task.get_coro().__qualname__.startswith(("Parley.", "Connection."))]
    if left:
        problems.append(f"tasks after close: {left[:3]}")
    gateway.close(keeps_log=bool(problems))
    print(", ".join(f"{value} {name}" for name, value in sorted(counts.items())))
    for problem in problems[:20]:
        print("VIOLATION:", problem)
    print(f"FAIL; the gateway's log is {gateway.log.name}" if problems else "PASS: no message was lost or shown twice", flush=True)
    os._exit(1 if problems else 0)


class _Problems(logging.Handler):
    """Collects what the client logs: failures of the application's handlers."""

    def __init__(self, problems):
        super().__init__()
        self.problems = problems

    def emit(self, record):
        self.problems.append(f"logged: {record.getMessage()}")


asyncio.run(main())
