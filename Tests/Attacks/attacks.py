#!/usr/bin/env python3
"""Attacks a gateway on loopback, one attack after the other, and judges by an innocent client and by the gateway's memory.

For each attack a gateway is started on the first core. An innocent client talks to it alone, and then beside the attackers, who share the
other cores with it and give way to it. An attack is withstood when
- the innocent client's p99 at most doubles, a few milliseconds aside, and it meets no error;
- the attackers meet what they should;
- the resident memory that each of them costs at its highest is under what the configuration declares;
- afterwards their sockets and sessions are gone, most of the memory is back, the next client is served, and every line of the log is JSON.
One that fails is tried once more before it counts: this may be a machine with other work. run.sh starts this with what it needs.
"""
import argparse
import asyncio
import dataclasses
import json
import os
import pathlib
import re
import sys
import time

from gateway import GATEWAY_CORES, OTHER_CORES, Gateway
from innocent import Innocent, percentile
from suspend import TIMED

HERE = pathlib.Path(__file__).parent

# What a connection costs apart from what the configuration bounds: OpenSSL's state, largest in a handshake, the pipeline, a session.
CONNECTION = 64 * 1024
# What all attackers share, and what the allocator keeps between them.
SHARED = 4 << 20
# Under which a p99 isn't held against the gateway: what it promises with 10,000 sessions. It is also about a slice of the scheduler's,
# and a client on a core that it shares gets that core back after one.
FLOOR = 0.005


@dataclasses.dataclass
class Attack:
    name: str
    attackers: int
    # A pattern of what attackers meet. Being connected still when time is over, or cut while sending, is as good.
    meets: str
    # The configuration keys that bound what one attacker can make the gateway hold, beside CONNECTION.
    keys: tuple = ()
    flags: dict = dataclasses.field(default_factory=dict)
    # How many file descriptors the gateway may have.
    descriptors: int = None
    # The coroutine in attackers.py, where it isn't named like the attack.
    how: str = None

    @property
    def coroutine(self):
        return self.how or self.name.replace(" ", "_").replace("-", "_")


MESSAGE = ("websocket.max_message_bytes",)
HEAD = ("http.max_header_bytes",)
ATTACKS = [
    Attack("one-byte fragments", 20, "1009", MESSAGE),
    Attack("empty continuations", 20, "1009", MESSAGE),
    Attack("ping flood", 10, "cut after [1-9] s", ("delivery.socket_queue_bytes",)),
    Attack("huge lengths", 20, "1009"),
    Attack("negative lengths", 20, "1002"),
    Attack("whole bomb", 20, "1009", MESSAGE),
    Attack("bomb in fragments", 20, "1009", MESSAGE),
    Attack("bombs under the limit", 20, "4505", MESSAGE),
    Attack("empty frames of an ended stream", 20, "4505"),
    Attack("reserved bits", 20, "1002"),
    Attack("window bits", 20, "101", ("sessions.memory_budget",), {"websocket.compression": "dedicated"}),
    Attack("header lines", 20, "431", HEAD),
    Attack("long header", 20, "431", HEAD),
    Attack("slow handshake", 200, "end after [2-4] s", HEAD),
    Attack("slow head", 200, "end after [3-5] s", HEAD),
    Attack("slow body", 20, "open", MESSAGE),
    Attack("slow reader", 20, "cut after [2-9] s", ("sessions.memory_budget",)),
    Attack("greedy reader", 5, "open", ("sessions.memory_budget",)),
    Attack("renegotiation", 10, "end"),
    Attack("key updates", 10, "end"),
    Attack("half-open to the limit", 300, "end", flags={"connections.max_sockets": "200", "connections.max": "150"}, how="silent"),
    Attack(
        "half-open from one address", 100, "closed at once|end after [1-4] s", how="silent_from_one_address",
        flags={"connections.per_address": "10", "connections.handshakes_per_second": "20"}),
    Attack(
        "handshakes from one address", 20, "handshake|closed at once", how="handshakes_from_one_address",
        flags={"connections.handshakes_per_second": "20"}),
    Attack("churn", 20, "20 connections"),
    Attack("churn with half a hello", 20, "20 connections", how="churn_with_hello"),
    Attack("malformed hello", 20, "alert|handshake"),
    Attack("descriptors", 200, "end", descriptors=100, how="silent"),
    Attack("log injection", 10, "[1-4][0-9][0-9]", HEAD, {"logging.level": "trace", "http.allowed_origins": "https://app.example"}),
]


async def start(*arguments):
    def prepare():
        os.sched_setaffinity(0, OTHER_CORES)
        # The innocent client shall wait for the gateway, not for attackers on its own core.
        os.nice(19)

    return await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE, preexec_fn=prepare)


async def alone_at_the_gateway(innocent, seconds):
    """What to compare with: the attackers' core is as busy as it will be, but not with attacking."""
    spinner = await start("-c", "while True: pass")
    try:
        await innocent.talk(min(1, seconds))
        return await innocent.talk(seconds)
    finally:
        spinner.kill()
        await spinner.wait()


async def rage(attack, gateway, count, seconds, seed):
    """Returns what the attackers met, and how often."""
    process = await start(str(HERE / "attackers.py"), attack.coroutine, str(gateway.port), str(count), str(seconds), str(seed))
    try:
        return json.loads((await asyncio.wait_for(process.communicate(), seconds + 30))[0])
    except (asyncio.TimeoutError, ValueError):
        sys.exit("the attackers never told what they met: other programs leave them no processor, or they broke")
    finally:
        if process.returncode is None:
            process.kill()


async def wage(attack, options):
    """One attack on a gateway of its own. Returns the row of the table and what was wrong."""
    gateway = Gateway(options.executable, attack.flags, attack.descriptors)
    wrong = []
    row = None
    try:
        innocent = await Innocent(gateway).connect()
        # Rehearsed by two, so that what only has to be made once is there.
        await rage(attack, gateway, 2, 1, options.seed)
        await asyncio.sleep(0.5)
        alone = await alone_at_the_gateway(innocent, options.seconds / 2)
        before, descriptors = gateway.resident(), gateway.descriptors()
        gateway.forget_peak()
        used, begin = gateway.processor(), time.monotonic()
        attackers = asyncio.ensure_future(rage(attack, gateway, attack.attackers, options.seconds, options.seed))
        # The attackers' interpreter has to start before they can.
        await innocent.talk(0.5)
        beside = await innocent.talk(options.seconds - 0.5)
        used = (gateway.processor() - used) / (time.monotonic() - begin)
        met = await attackers
        peak = gateway.resident("VmHWM")
        bound = CONNECTION + sum(gateway.bytes(key) for key in attack.keys)
        row = Row(attack, alone, beside, max(0, peak - before), bound, used, met)
        wrong += row.faults()
        wrong += await aftermath(gateway, innocent, before, peak, descriptors)
    except Exception as error:  # whatever happens to a client that behaves is the gateway's fault
        wrong.append(f"the innocent client met {error!r}")
    wrong += gateway.stop(keeps_log=bool(wrong))
    return row, wrong


async def aftermath(gateway, innocent, before, peak, descriptors):
    """What is left of an attack when all of its deadlines have passed."""
    wrong = []

    def is_alone():
        status = gateway.status()
        if not status or gateway.descriptors() > descriptors + 1:
            return False
        return status["connections"]["open"] == status["sessions"]["attached"] == 1

    if not await gateway.until(is_alone, 8):
        status = gateway.status() or {"connections": {"open": "?"}, "sessions": {"attached": "?"}}
        wrong.append(
            f"{status['connections']['open']} WebSockets, {status['sessions']['attached']} sessions and {gateway.descriptors()} "
            f"descriptors are left, not 1, 1 and {descriptors}")
    if not await gateway.until(lambda: gateway.resident() <= before + SHARED + (peak - before) / 4, 5):
        wrong.append(f"{(gateway.resident() - before) / 2**20:.1f} MiB of {(peak - before) / 2**20:.1f} MiB didn't come back")
    await innocent.exchange()
    await innocent.leave()
    newcomer = await Innocent(gateway).connect()
    await newcomer.exchange()
    await newcomer.leave()
    for line in gateway.log().splitlines():
        try:
            clean = isinstance(json.loads(line), dict) and not re.search(rb"[\x00-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xa8-\xae]", line)
        except ValueError:
            clean = False
        if not clean:
            wrong.append(f"a line of the log isn't clean: {line[:200]!r}")
            break
    return wrong


@dataclasses.dataclass
class Row:
    attack: Attack
    alone: list
    beside: list
    growth: float
    bound: float
    processor: float
    met: dict

    HEADINGS = f"{'attack':28}{'by':>4}{'p50 ms':>14}{'p99 ms':>16}{'ratio':>7}{'KiB each':>10}{'bound':>7}{'core':>6}  met"

    @property
    def ratio(self):
        return percentile(self.beside, 0.99) / percentile(self.alone, 0.99)

    def faults(self):
        if self.ratio > 2 and percentile(self.beside, 0.99) > FLOOR:
            yield f"the innocent client's p99 grew {self.ratio:.1f}-fold"
        if self.growth > self.bound * self.attack.attackers + SHARED:
            yield f"{self.growth / 2**20:.0f} MiB for {self.attack.attackers} attackers"
        due = re.compile(self.attack.meets)
        if not any(due.fullmatch(word) for word in self.met):
            yield f"nobody met {self.attack.meets}"
        strange = [word for word in self.met if not due.fullmatch(word) and word not in ("open", "reset", "end")]
        if strange:
            yield f"somebody met {strange[0]}"

    def __str__(self):
        def times(part):
            return f"{percentile(self.alone, part) * 1000:.2f} → {percentile(self.beside, part) * 1000:.2f}"

        each = self.growth / self.attack.attackers / 1024
        met = ", ".join(f"{word} ×{count}" for word, count in list(self.met.items())[:3])
        return (
            f"{self.attack.name:28}{self.attack.attackers:>4}{times(0.5):>14}{times(0.99):>16}{self.ratio:>7.1f}{each:>10.0f}"
            f"{self.bound / 1024:>7.0f}{self.processor:>6.0%}  {met}")


async def main():
    names = [attack.name for attack in ATTACKS] + list(TIMED)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executable", type=pathlib.Path, required=True)
    parser.add_argument("--only", nargs="+", metavar="NAME", default=names, help="some of the attacks, by the names of --list")
    parser.add_argument("--seconds", type=float, default=10, help="length of an attack; ten let every deadline act")
    parser.add_argument("--suspend", type=float, default=90, metavar="SECONDS", help="how long the gateway is stopped in its sleep")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list:
        return print("\n".join(names))
    if unknown := set(options.only) - set(names):
        parser.error(f"no attack is called {', '.join(sorted(unknown))}")
    options.executable = str(options.executable.resolve())
    os.sched_setaffinity(0, OTHER_CORES)
    try:
        # Where it is allowed, the innocent client takes the core that it shares at once; those that it starts don't inherit that.
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except PermissionError:
        pass
    if OTHER_CORES == GATEWAY_CORES:
        print("only one core: times say little")
    print(Row.HEADINGS, flush=True)
    missed = []
    for attack in ATTACKS:
        if attack.name not in options.only:
            continue
        for attempt in (1, 2):
            row, wrong = await wage(attack, options)
            print(f"{row or attack.name}  {'missed' if wrong else 'withstood'}", flush=True)
            for problem in wrong:
                print("    " + problem, flush=True)
            if not wrong:
                break
        else:
            missed.append(attack.name)
    for name, trial in TIMED.items():
        if name not in options.only:
            continue
        told, wrong = await trial(options)
        print(f"{name}: {told}  {'missed' if wrong else 'withstood'}", flush=True)
        for problem in wrong:
            print("    " + problem, flush=True)
        if wrong:
            missed.append(name)
    print("missed: " + ", ".join(missed) if missed else "all withstood")
    sys.exit(1 if missed else 0)


asyncio.run(main())
