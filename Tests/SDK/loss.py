# SPDX-License-Identifier: Apache-2.0
"""Measures how long lost packets delay audio on a WebSocket, for the page about the transport of voice.

usage: sudo loss.py --executable PATH [--round-trip 50] [--loss 0.01] [--seconds 300] [--seed 1]
A client sends a chunk every 20 ms, which the loopback returns. Client and gateway have a network namespace each; between them, this program
delays packets, and drops those with data on the way to the client at random. A stall is a run of chunks that come more than 15 ms late.
Needs root, /dev/net/tun, and the programs ip, unshare and nsenter.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import heapq
import json
import os
import random
import select
import ssl
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

GATEWAY, CLIENT = "10.9.0.1", "10.9.0.2"
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000


def tun(name: str) -> int:
    file = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(file, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    os.set_blocking(file, False)
    return file


def namespace(device: str, address: str, peer: str) -> tuple[subprocess.Popen[bytes], list[str]]:
    """Returns a process that holds a new network namespace with a device, and the command that enters the namespace."""
    holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
    own = os.readlink("/proc/self/ns/net")
    while os.readlink(f"/proc/{holder.pid}/ns/net") == own:
        time.sleep(0.01)
    enter = ["nsenter", "--net", "--target", str(holder.pid)]
    subprocess.run(["ip", "link", "set", device, "netns", str(holder.pid)], check=True)
    for command in (["link", "set", "lo", "up"], ["addr", "add", address, "peer", peer, "dev", device], ["link", "set", device, "up"]):
        subprocess.run([*enter, "ip", *command], check=True)
    return holder, enter


class Relay(threading.Thread):
    def __init__(self, down: int, up: int, delay: float, loss: float, seed: int) -> None:
        super().__init__(daemon=True)
        self.down, self.up, self.delay, self.loss = down, up, delay, loss
        self.random = random.Random(seed)
        self.packets = self.dropped = 0

    def run(self) -> None:
        waiting: list[tuple[float, int, int, bytes]] = []
        count = 0
        while True:
            timeout = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
            for file in select.select([self.down, self.up], [], [], timeout)[0]:
                while True:
                    try:
                        packet = os.read(file, 65536)
                    except BlockingIOError:
                        break
                    # Acknowledgements without data have at most 80 bytes.
                    if file == self.down and len(packet) > 120:
                        self.packets += 1
                        if self.random.random() < self.loss:
                            self.dropped += 1
                            continue
                    count += 1
                    heapq.heappush(waiting, (time.monotonic() + self.delay, count, self.up if file == self.down else self.down, packet))
            while waiting and waiting[0][0] <= time.monotonic():
                _, _, file, packet = heapq.heappop(waiting)
                os.write(file, packet)


async def measure(seconds: float) -> None:
    """The client: prints the stalls as JSON."""
    from websockets.asyncio.client import connect

    tls = ssl._create_unverified_context()
    sent: dict[int, float] = {}
    delays: list[float] = []
    async with connect(f"wss://{GATEWAY}:8443/v1/ws", ssl=tls, compression=None) as socket:
        await socket.recv()
        await socket.send('{"type":"ack","seq":0}')
        opening = {"type": "audio", "id": "u1", "format": {"codec": "pcm16", "rate": 16000, "channels": 1}, "meta": {"echo": "audio"}}
        await socket.send(json.dumps(opening))
        count = int(seconds * 50)

        async def send() -> None:
            begun = time.monotonic()
            for number in range(count):
                await asyncio.sleep(max(0, begun + number * 0.02 - time.monotonic()))
                sent[number] = time.monotonic()
                await socket.send(struct.pack("<I", number) + bytes(156))

        sending = asyncio.create_task(send())
        seq = 0
        acknowledged = time.monotonic()
        while len(delays) < count:
            data = await asyncio.wait_for(socket.recv(), 30)
            if isinstance(data, str):
                seq = json.loads(data).get("seq", seq)
                continue
            seq += 1
            delays.append(time.monotonic() - sent[struct.unpack("<I", data[:4])[0]])
            if time.monotonic() - acknowledged > 0.5:
                acknowledged = time.monotonic()
                await socket.send(json.dumps({"type": "ack", "seq": seq}))
        await sending
    usual = sorted(delays)[len(delays) // 20]
    stalls: list[float] = []
    current = 0.0
    for delay in [*delays, usual]:
        late = (delay - usual) * 1000
        if late > 15:
            current = max(current, late)
        elif current:
            stalls.append(round(current, 1))
            current = 0
    print(json.dumps({"usual_ms": round(usual * 1000, 1), "stalls": sorted(stalls)}))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--executable", default=".build/release/parley")
    parser.add_argument("--round-trip", type=float, default=50)
    parser.add_argument("--loss", type=float, default=0.01)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--client", action="store_true")
    options = parser.parse_args()
    if options.client:
        return asyncio.run(measure(options.seconds))
    names = [f"parley{os.getpid() % 10000}{side}" for side in "gc"]
    files = [tun(name) for name in names]
    processes: list[subprocess.Popen[bytes]] = []
    try:
        (first, gateway), (second, client) = namespace(names[0], GATEWAY, CLIENT), namespace(names[1], CLIENT, GATEWAY)
        processes += [first, second]
        relay = Relay(files[0], files[1], options.round_trip / 2000, options.loss, options.seed)
        relay.start()
        with tempfile.TemporaryDirectory() as directory:
            flags = {"listen.address": f"{GATEWAY}:8443", "operations.address": "127.0.0.1:0", "logging.level": "error"}
            command = [*gateway, os.path.abspath(options.executable), "serve", *(f"--{key}={value}" for key, value in flags.items())]
            environment = {key: value for key, value in os.environ.items() if not key.startswith("PARLEY_")}
            processes.append(subprocess.Popen(command, cwd=directory, env=environment))
            time.sleep(3)
            output = subprocess.check_output([*client, sys.executable, __file__, "--client", "--seconds", str(options.seconds)])
            processes[-1].terminate()
            processes.pop().wait()
        result = json.loads(output)
        stalls, minutes = result["stalls"], options.seconds / 60
        with open("/proc/sys/net/ipv4/tcp_congestion_control") as control:
            print(f"round trip {options.round_trip:g} ms, congestion control {control.read().strip()}, usual delay {result['usual_ms']} ms")
        print(f"{relay.dropped} of {relay.packets} packets lost, {len(stalls) / minutes:.1f} stalls a minute")
        if stalls:
            most = stalls[int(len(stalls) * 0.95)]
            print(f"median {statistics.median(stalls):.0f} ms, 95 % below {most:.0f} ms, longest {stalls[-1]:.0f} ms")
        for limit in (100, 150, 200, 300, 400):
            print(f"longer than {limit} ms: {sum(stall > limit for stall in stalls) / minutes:.2f} a minute")
    finally:
        for process in processes:
            process.terminate()


if __name__ == "__main__":
    main()
