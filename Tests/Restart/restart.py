#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Restarts a socket-activated gateway under load. Clients send numbered texts over TLS and reconnect when they get `goaway`.

This program stands for the service manager: it keeps the listening sockets, waits for READY=1, stops the gateway with SIGTERM, and starts
the next one as soon as the first has exited.

Fails (exit 1) when a connection was refused or rejected, a session wasn't resumed, an acknowledged text got no complete response, or the
reconnects weren't spread: the worst second must have less than twice the mean of the time in which clients reconnect.
"""
import argparse
import asyncio
import json
import os
import pathlib
import resource
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

TLS = ssl.create_default_context()
TLS.check_hostname = False
TLS.verify_mode = ssl.CERT_NONE
ACTIVATE = pathlib.Path(__file__).with_name("activate.py")
LIMITS = ("connections.max", "connections.per_address", "connections.handshakes_per_second", "connections.max_sockets", "sessions.max",
          "sessions.max_detached", "limits.text_per_minute", "limits.control_per_minute", "limits.bytes_per_second")


class Supervisor:
    """Keeps the sockets, and starts one gateway after the other."""

    def __init__(self, executable, drain):
        self.executable = executable
        self.directory = tempfile.mkdtemp(prefix="parley-restart-")
        self.sockets = []
        for _ in range(2):
            listener = socket.socket()
            listener.bind(("127.0.0.1", 0))
            listener.listen(4096)
            self.sockets.append(listener)
        self.port, self.operations = (listener.getsockname()[1] for listener in self.sockets)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(self.directory + "/notify")
        self.notify.setblocking(False)
        self.notifications = []
        self.flags = {
            "listen.address": f"127.0.0.1:{self.port}", "operations.address": f"127.0.0.1:{self.operations}", "listen.loops": "2",
            "logging.format": "json", "logging.level": "info", "store.kind": "sqlite", "store.path": "restart.sqlite",
            "shutdown.drain": drain, "sessions.resume_window": "10m",
        } | {key: "0" for key in LIMITS}
        self.log = open(self.directory + "/log", "ab")

    async def start(self):
        """Starts a gateway and waits until it is ready. Returns the time that took, in seconds."""
        begin = time.monotonic()
        descriptors = [listener.fileno() for listener in self.sockets]
        arguments = [part for key, value in self.flags.items() for part in ("--" + key, value)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
        environment |= {"NOTIFY_SOCKET": self.directory + "/notify", "WATCHDOG_USEC": "10000000"}
        self.process = subprocess.Popen(
            [sys.executable, str(ACTIVATE), "--inherit", ",".join(map(str, descriptors)), "--names", "parley:operations", "--",
             self.executable, "serve"] + arguments,
            cwd=self.directory, env=environment, stdout=self.log, stderr=subprocess.STDOUT, pass_fds=descriptors)
        ready = self.count("READY=1")
        while self.count("READY=1") == ready:
            if self.process.poll() is not None or time.monotonic() - begin > 60:
                sys.exit(f"the gateway didn't become ready; see {self.directory}/log")
            await asyncio.sleep(0.01)
            self.receive()
        return time.monotonic() - begin

    def receive(self):
        while True:
            try:
                self.notifications += self.notify.recv(4096).decode().split("\n")
            except BlockingIOError:
                return

    def count(self, line):
        return self.notifications.count(line)

    async def stop(self):
        """Stops the gateway. Returns the time until it has exited, in seconds."""
        begin = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        while self.process.poll() is None:
            await asyncio.sleep(0.005)
            self.receive()
        if self.process.returncode != 0:
            raise Violation(f"the gateway exited with {self.process.returncode}")
        return time.monotonic() - begin


class Violation(Exception):
    """A violated guarantee."""


class Client:
    """A client with one session, which sends texts and counts responses."""

    def __init__(self, number, port, counts):
        self.number, self.port, self.counts = number, port, counts
        self.token = None
        self.last = self.next = 0
        self.texts, self.acknowledged, self.done = {}, set(), set()
        self.attempts, self.resumed, self.goaways = [], [], []
        self.is_stopping = False
        self.is_open = asyncio.Event()

    async def run(self):
        while not (self.is_stopping and self.is_complete()):
            try:
                await self.connection()
            except ConnectionRefusedError:
                self.counts["refused"] += 1
            except (InvalidHandshake, InvalidMessage) as error:
                self.counts["rejected"] += 1
                print(f"client {self.number}: {error!r}", file=sys.stderr)
            except asyncio.TimeoutError:
                self.counts["timed out"] += 1
            except (ConnectionClosed, OSError, EOFError):
                self.counts["lost"] += 1

    async def connection(self):
        self.attempts.append(time.monotonic())
        headers = {"Parley-Resume": self.token} if self.token else {}
        async with connect(
                f"wss://127.0.0.1:{self.port}/v1/ws?last_seq={self.last}", ssl=TLS, additional_headers=headers, compression=None,
                open_timeout=120, ping_interval=None, close_timeout=5) as link:
            session = json.loads(await link.recv())
            if session["type"] != "session":
                raise Violation(f"{session['type']} arrived before session")
            if self.token and (not session["resumed"] or session["lost"]):
                raise Violation(f"the session wasn't resumed: {session}")
            if self.token:
                self.resumed.append(time.monotonic())
            self.token = session["resume_token"]
            self.is_open.set()
            for id, text in self.texts.items():
                if id not in self.acknowledged:
                    await self.send(link, id, text)
            sender = asyncio.create_task(self.sending(link))
            try:
                while not (self.is_stopping and self.is_complete()):
                    try:
                        raw = await asyncio.wait_for(link.recv(), 0.5)
                    except asyncio.TimeoutError:
                        continue
                    if self.receive(json.loads(raw)):
                        break
            finally:
                sender.cancel()

    async def sending(self, link):
        while True:
            # Not in step with the other clients.
            await asyncio.sleep(0.5 + (self.number * 37 % 100) / 100)
            if not self.is_stopping:
                id = f"t{self.next}"
                self.next += 1
                self.texts[id] = f"{self.number}.{id}"
                await self.send(link, id, self.texts[id])

    @staticmethod
    async def send(link, id, text):
        await link.send(json.dumps({"type": "text", "id": id, "text": text}))

    def receive(self, message):
        """Handles a message. Returns whether the gateway is about to close the connection."""
        if "seq" in message:
            if message["seq"] != self.last + 1:
                raise Violation(f"sequence number {message['seq']} follows {self.last}")
            self.last = message["seq"]
        if message["type"] == "ack":
            self.acknowledged.add(message["id"])
        elif message["type"] == "text":
            if message["text"] != self.texts[message["reply_to"]]:
                raise Violation(f"wrong response: {message}")
            if message.get("done"):
                self.done.add(message["reply_to"])
        elif message["type"] == "goaway":
            self.goaways.append((time.monotonic(), message["deadline_ms"]))
            return True
        elif message["type"] == "error":
            raise Violation(f"error: {message}")
        return False

    def is_complete(self):
        """Returns whether all texts are acknowledged and have complete responses."""
        return set(self.texts) == self.acknowledged == self.done


def spread(times):
    """Returns the length of the time in which `times` are, the mean per second, and the largest number within any second."""
    times = sorted(times)
    span = max(times[-1] - times[0], 1)
    worst = max(sum(1 for other in times[index:] if other < begin + 1) for index, begin in enumerate(times))
    return {"seconds": round(span, 2), "mean": round(len(times) / span, 1), "worst": worst}


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executable", required=True)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--drain", default="30s")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    supervisor = Supervisor(os.path.abspath(options.executable), options.drain)
    counts = {"refused": 0, "rejected": 0, "timed out": 0, "lost": 0}
    started = await supervisor.start()
    clients = [Client(number, supervisor.port, counts) for number in range(options.clients)]
    tasks = []
    for begin in range(0, len(clients), 50):
        tasks += [asyncio.create_task(client.run()) for client in clients[begin:begin + 50]]
        await asyncio.gather(*(client.is_open.wait() for client in clients[begin:begin + 50]))
    await asyncio.sleep(1)
    stop = time.monotonic()
    stopped = await supervisor.stop()
    restarted = await supervisor.start()
    while not all(client.resumed for client in clients) and not any(task.done() for task in tasks):
        await asyncio.sleep(0.05)
    await asyncio.sleep(2)
    for client in clients:
        client.is_stopping = True
    done, pending = await asyncio.wait(tasks, timeout=60)
    for task in done:
        if task.exception():
            raise task.exception()
    unanswered = sum(len(client.acknowledged - client.done) for client in clients)
    attempts = [time for client in clients for time in client.attempts[1:]]
    report = {
        "clients": len(clients), "start_s": round(started, 2), "drain_s": round(stopped, 2), "restart_s": round(restarted, 2),
        "texts": sum(len(client.texts) for client in clients), "acknowledged": sum(len(client.acknowledged) for client in clients),
        "acknowledged_without_response": unanswered, **counts, "reconnects": spread(attempts),
        "goaways": spread([time for client in clients for time, _ in client.goaways[:1]]),
        "sessions_resumed": spread([client.resumed[0] for client in clients]),
        "longest_interruption_s": round(max(client.resumed[0] - client.attempts[1] for client in clients), 2),
        "first_reconnect_s": round(min(attempts) - stop, 2), "notifications": {
            line: supervisor.count(line) for line in ("READY=1", "STOPPING=1", "WATCHDOG=1")},
    }
    print(json.dumps(report, indent=2))
    supervisor.process.kill()
    problems = [name for name in ("refused", "rejected", "timed out", "acknowledged_without_response") if report[name]]
    if pending:
        problems.append("clients didn't complete")
    if report["reconnects"]["worst"] >= 2 * report["reconnects"]["mean"]:
        problems.append("reconnects in one wave")
    if supervisor.count("READY=1") != 2 or supervisor.count("STOPPING=1") != 1:
        problems.append("notifications")
    if problems:
        sys.exit("FAIL: " + ", ".join(problems))
    print("PASS")


if __name__ == "__main__":
    asyncio.run(main())
