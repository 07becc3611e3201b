#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Attacks a gateway on loopback, one attack after the other, and measures a well-behaved client and the gateway's memory.

Each attack has a new gateway on the first core. A well-behaved client uses it alone, and then during the attack. The attackers share the
other cores with the client, at a lower priority. An attack passes when
- the client's p99 latency at most doubles or stays below 5 ms, and the client gets no error;
- the attackers get the expected outcomes;
- the peak of the resident memory per attacker is below the bound that the configuration sets;
- afterwards the attackers' sockets and sessions are closed, most of the memory is freed, the next client is served, and every log line is
  JSON.
A failed attack is repeated once before it counts, since the machine may be busy. Use run.sh, which provides what this script requires.
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

from client import SECRET, Client, percentile
from gateway import GATEWAY_CORES, OTHER_CORES, Gateway
from suspend import TRIALS

HERE = pathlib.Path(__file__).parent

# Bytes of a connection beyond those that the configuration bounds: OpenSSL's state, largest in a handshake, the pipeline, a session.
CONNECTION = 64 * 1024
# Bytes that all attackers share, and allocator overhead.
SHARED = 4 << 20
# A p99 in seconds below which an attack doesn't fail: the performance target with 10,000 sessions. It is also about one time slice of the
# scheduler, which a client may have to wait for a shared core.
FLOOR = 0.005


@dataclasses.dataclass
class Attack:
    name: str
    attackers: int
    # A pattern of the expected outcomes. "open" (still connected at the end), "reset" and "end" are always allowed.
    expected: str
    # The configuration keys that bound the gateway's memory per attacker, in addition to CONNECTION.
    keys: tuple = ()
    flags: dict = dataclasses.field(default_factory=dict)
    # The gateway's limit on file descriptors.
    descriptors: int = None
    # The coroutine in attackers.py, if its name differs from the attack's.
    coroutine_name: str = None
    # Whether the well-behaved client's connects are measured, instead of its messages.
    measures_connects: bool = False

    @property
    def coroutine(self):
        return self.coroutine_name or self.name.replace(" ", "_").replace("-", "_")


MESSAGE = ("websocket.max_message_bytes",)
HEAD = ("http.max_header_bytes",)
TOKENS = {"auth.mode": "jwt", "auth.secret": SECRET, "connections.per_user": "0"}
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
    Attack(
        "half-open to the limit", 300, "end", coroutine_name="silent",
        flags={"connections.max_sockets": "200", "connections.max": "150"}),
    Attack(
        "half-open from one address", 100, "closed at once|end after [1-4] s", coroutine_name="silent_from_one_address",
        flags={"connections.per_address": "10", "connections.handshakes_per_second": "20"}),
    Attack(
        "handshakes from one address", 20, "handshake|closed at once", coroutine_name="handshakes_from_one_address",
        flags={"connections.handshakes_per_second": "20"}),
    Attack(
        "bad tokens", 20, "401|429|closed at once|handshake", HEAD, TOKENS | {"connections.handshakes_per_second": "20"},
        measures_connects=True),
    Attack(
        "bad tokens, any handshakes", 20, "401|429", HEAD, TOKENS, coroutine_name="bad_tokens", measures_connects=True),
    Attack("churn", 20, "20 connections"),
    Attack("churn with half a hello", 20, "20 connections", coroutine_name="churn_with_hello"),
    Attack("malformed hello", 20, "alert|handshake"),
    Attack("descriptors", 200, "end", descriptors=100, coroutine_name="silent"),
    Attack("log injection", 10, "[1-4][0-9][0-9]", HEAD, {"logging.level": "trace", "http.allowed_origins": "https://app.example"}),
]


async def start(*arguments):
    def prepare():
        os.sched_setaffinity(0, OTHER_CORES)
        # A lower priority than the client's, which should wait for the gateway and not for attackers on its own core.
        os.nice(19)

    return await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE, preexec_fn=prepare)


async def measure(attack, client, seconds):
    """Returns the latencies of the client's messages or connects. At most 0.1 % of the connects may fail."""
    if not attack.measures_connects:
        return await client.exchange_for(seconds)
    times, errors = await client.connect_for(seconds)
    if len(errors) > len(times) / 1000:
        raise RuntimeError(f"{len(errors)} of {len(times) + len(errors)} connects failed: {errors[0]}")
    return times


async def measure_baseline(attack, client, seconds):
    """Returns the client's latencies without an attack, while another process keeps the attackers' core as busy."""
    spinner = await start("-c", "while True: pass")
    try:
        await measure(attack, client, min(1, seconds))
        return await measure(attack, client, seconds)
    finally:
        spinner.kill()
        await spinner.wait()


async def run_attackers(attack, gateway, count, seconds, seed):
    """Returns the attackers' outcomes with their counts."""
    process = await start(str(HERE / "attackers.py"), attack.coroutine, str(gateway.port), str(count), str(seconds), str(seed))
    try:
        return json.loads((await asyncio.wait_for(process.communicate(), seconds + 30))[0])
    except (asyncio.TimeoutError, ValueError):
        sys.exit("the attackers reported no outcomes: they crashed, or other programs use all of the processor")
    finally:
        if process.returncode is None:
            process.kill()


async def run_attack(attack, options):
    """Runs one attack on a gateway of its own. Returns the row of the table and the problems."""
    gateway = Gateway(options.executable, attack.flags, attack.descriptors)
    problems = []
    row = None
    try:
        client = await Client(gateway).connect()
        # A rehearsal by two attackers, so that one-time allocations are made.
        await run_attackers(attack, gateway, 2, 1, options.seed)
        await asyncio.sleep(0.5)
        alone = await measure_baseline(attack, client, options.seconds / 2)
        before, descriptors = gateway.resident(), gateway.descriptors()
        gateway.reset_peak()
        used, begin = gateway.processor(), time.monotonic()
        attackers = asyncio.ensure_future(run_attackers(attack, gateway, attack.attackers, options.seconds, options.seed))
        # The attackers' interpreter has to start first.
        await measure(attack, client, 0.5)
        during = await measure(attack, client, options.seconds - 0.5)
        used = (gateway.processor() - used) / (time.monotonic() - begin)
        outcomes = await attackers
        peak = gateway.resident("VmHWM")
        bound = CONNECTION + sum(gateway.bytes(key) for key in attack.keys)
        row = Row(attack, alone, during, max(0, peak - before), bound, used, outcomes)
        problems += row.problems()
        problems += await check_recovery(gateway, client, before, peak, descriptors)
    except Exception as error:  # any error of a well-behaved client is the gateway's fault
        problems.append(f"the well-behaved client failed: {error!r}")
    problems += gateway.stop(keeps_log=bool(problems))
    return row, problems


async def check_recovery(gateway, client, before, peak, descriptors):
    """Returns the problems that remain when all deadlines of an attack have passed."""
    problems = []

    def is_alone():
        status = gateway.status()
        if not status or gateway.descriptors() > descriptors + 1:
            return False
        return status["connections"]["open"] == status["sessions"]["attached"] == 1

    if not await gateway.until(is_alone, 8):
        status = gateway.status() or {"connections": {"open": "?"}, "sessions": {"attached": "?"}}
        problems.append(
            f"{status['connections']['open']} WebSockets, {status['sessions']['attached']} sessions and {gateway.descriptors()} "
            f"descriptors are open, instead of 1, 1 and {descriptors}")
    if not await gateway.until(lambda: gateway.resident() <= before + SHARED + (peak - before) / 4, 5):
        problems.append(f"{(gateway.resident() - before) / 2**20:.1f} MiB of {(peak - before) / 2**20:.1f} MiB weren't freed")
    await client.exchange()
    await client.close()
    next_client = await Client(gateway).connect()
    await next_client.exchange()
    await next_client.close()
    for line in gateway.log().splitlines():
        try:
            clean = isinstance(json.loads(line), dict) and not re.search(rb"[\x00-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xa8-\xae]", line)
        except ValueError:
            clean = False
        if not clean:
            problems.append(f"invalid log line: {line[:200]!r}")
            break
    return problems


@dataclasses.dataclass
class Row:
    attack: Attack
    alone: list
    during: list
    growth: float
    bound: float
    processor: float
    outcomes: dict

    HEADINGS = f"{'attack':28}{'n':>4}{'p50 ms':>14}{'p99 ms':>16}{'ratio':>7}{'KiB each':>10}{'bound':>7}{'core':>6}  outcomes"

    @property
    def ratio(self):
        return percentile(self.during, 0.99) / percentile(self.alone, 0.99)

    def problems(self):
        if self.ratio > 2 and percentile(self.during, 0.99) > FLOOR:
            yield f"the well-behaved client's p99 grew {self.ratio:.1f}-fold"
        if self.growth > self.bound * self.attack.attackers + SHARED:
            yield f"memory grew by {self.growth / 2**20:.0f} MiB for {self.attack.attackers} attackers"
        expected = re.compile(self.attack.expected)
        if not any(expected.fullmatch(word) for word in self.outcomes):
            yield f"no attacker had the outcome {self.attack.expected}"
        unexpected = [word for word in self.outcomes if not expected.fullmatch(word) and word not in ("open", "reset", "end")]
        if unexpected:
            yield f"unexpected outcome: {unexpected[0]}"

    def __str__(self):
        def times(part):
            return f"{percentile(self.alone, part) * 1000:.2f} → {percentile(self.during, part) * 1000:.2f}"

        each = self.growth / self.attack.attackers / 1024
        outcomes = ", ".join(f"{word} ×{count}" for word, count in list(self.outcomes.items())[:3])
        return (
            f"{self.attack.name:28}{self.attack.attackers:>4}{times(0.5):>14}{times(0.99):>16}{self.ratio:>7.1f}{each:>10.0f}"
            f"{self.bound / 1024:>7.0f}{self.processor:>6.0%}  {outcomes}")


async def main():
    names = [attack.name for attack in ATTACKS] + list(TRIALS)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executable", type=pathlib.Path, required=True)
    parser.add_argument("--only", nargs="+", metavar="NAME", default=names, help="run only these attacks (names as printed by --list)")
    parser.add_argument("--seconds", type=float, default=10, help="duration of each attack; ten seconds suffice for every deadline")
    parser.add_argument("--suspend", type=float, default=90, metavar="SECONDS", help="how long the gateway process is suspended")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--list", action="store_true", help="print the names of the attacks")
    options = parser.parse_args()
    if options.list:
        return print("\n".join(names))
    if unknown := set(options.only) - set(names):
        parser.error(f"unknown attacks: {', '.join(sorted(unknown))}")
    options.executable = str(options.executable.resolve())
    os.sched_setaffinity(0, OTHER_CORES)
    try:
        # If permitted, the well-behaved client has real-time priority on the shared core; its child processes don't inherit that.
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except PermissionError:
        pass
    if OTHER_CORES == GATEWAY_CORES:
        print("only one core: latencies are not meaningful")
    print(Row.HEADINGS, flush=True)
    failed = []
    for attack in ATTACKS:
        if attack.name not in options.only:
            continue
        for attempt in (1, 2):
            row, problems = await run_attack(attack, options)
            print(f"{row or attack.name}  {'failed' if problems else 'passed'}", flush=True)
            for problem in problems:
                print("    " + problem, flush=True)
            if not problems:
                break
        else:
            failed.append(attack.name)
    for name, trial in TRIALS.items():
        if name not in options.only:
            continue
        summary, problems = await trial(options)
        print(f"{name}: {summary}  {'failed' if problems else 'passed'}", flush=True)
        for problem in problems:
            print("    " + problem, flush=True)
        if problems:
            failed.append(name)
    print("failed: " + ", ".join(failed) if failed else "all attacks passed")
    sys.exit(1 if failed else 0)


asyncio.run(main())
