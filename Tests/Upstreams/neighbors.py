#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures the effect of a faulty upstream on other sessions ("neighbors"): latency of pings, and of messages to a healthy upstream of that kind.

    neighbors.py --executable PARLEY [--seconds 4] [--sessions 3] [--kinds websocket,process] [--faults endless,huge] [--most 2]

For each kind and fault: the p99 of an undisturbed neighbor, and again while several sessions request the fault in a loop. To measure only the
gateway's latency, the gateway has a core of its own, and on the other core the neighbor and its upstream have priority over the faulty doubles and
their clients. Fails (exit 1) when a p99 is more than --most times the undisturbed value and more than 1 ms. Needs two cores, root for the priorities,
and the PyPI package websockets; neighbors.sh installs that.
"""
import argparse
import asyncio
import os
import statistics
import subprocess
import sys

from rounds_client import Client, Neighbor
from rounds_faults import KINDS, UNTIL_MINE, faults_of
from rounds_stage import Stage, percentile

# Faults without load: the gateway only waits for its own deadlines.
QUIET = {"cancel", "disconnect", "bye"}


def place(pid, core, is_first=False):
    """Pins all threads to a core. With `is_first` they preempt others; the fair scheduler would let those finish slices of milliseconds."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(thread), {core})
        if is_first:
            os.sched_setscheduler(int(thread), os.SCHED_FIFO, os.sched_param(1))
        else:
            os.setpriority(os.PRIO_PROCESS, int(thread), 10)


async def measure(neighbor, seconds):
    await neighbor.measurements()
    await asyncio.sleep(seconds)
    measurements = await neighbor.measurements()
    return percentile(measurements["pings"], 0.99), percentile(measurements["responses"], 0.99), measurements["wrong"], len(measurements["pings"])


async def request_fault(url, kind, fault, count):
    """Runs sessions that request the fault until the process is killed."""
    os.nice(10)

    async def ask():
        client = await Client(url).open()
        to = f"t_{kind}" if fault == "tls" else f"r_{kind}" if fault == "refuse" else f"l_{kind}"
        while True:
            if client.closed:
                client = await Client(url).open()
            await client.ask(kind, to, "good" if fault in UNTIL_MINE else f"{fault} one two three four")
            # Requests that are rejected immediately are frequent enough.
            await asyncio.sleep(0.002)

    await asyncio.gather(*(ask() for _ in range(int(count))))


async def trial(stage, kind, arguments):
    neighbor = await Neighbor(stage.gateway.url, kind, pause=0.005).start()
    place(neighbor.process.pid, 1, is_first=True)
    await measure(neighbor, 1)
    bad = 0
    for fault in faults_of(kind, arguments.faults):
        if fault in QUIET or fault.startswith("handshake "):
            continue
        before = await measure(neighbor, arguments.seconds / 2)
        others = await asyncio.create_subprocess_exec(
            sys.executable, __file__, "--request-fault", stage.gateway.url, kind, fault, str(arguments.sessions), stderr=subprocess.DEVNULL)
        await asyncio.sleep(0.5)
        during = await measure(neighbor, arguments.seconds)
        others.kill()
        await others.wait()
        await asyncio.sleep(0.5)
        after = await measure(neighbor, arguments.seconds / 2)
        baseline = [statistics.mean(pair) for pair in zip(before[:2], after[:2])]
        ratios = [now / then for now, then in zip(during[:2], baseline)]
        is_bad = any(ratio > arguments.most and value > 1 for ratio, value in zip(ratios, during[:2])) or bool(during[2])
        bad += is_bad
        print(
            f"| {kind} | {fault} | {baseline[0]:.2f} → {during[0]:.2f} ({ratios[0]:.1f}) | {baseline[1]:.2f} → {during[1]:.2f} ({ratios[1]:.1f}) "
            f"| {during[3]} |{' ✗' if is_bad else ''}{f' {during[2][:2]}' if during[2] else ''}", flush=True)
    await neighbor.stop()
    return bad


async def main(arguments):
    # Two event loops on one core would wait for the scheduler.
    stage = Stage(arguments, loops=1)
    await stage.start()
    os.sched_setaffinity(0, {1})
    for thread in os.listdir(f"/proc/{stage.gateway.pid}/task"):
        os.sched_setaffinity(int(thread), {0})
    for double in stage.healthy.values():
        place(double.process.pid, 1, is_first=True)
    for double in [*stage.faulty.values(), *stage.secure.values()]:
        place(double.process.pid, 1)
    print("| kind | fault | ping: p99 ms undisturbed → disturbed | message | measured |\n|---|---|---|---|---|", flush=True)
    bad = 0
    try:
        for kind in arguments.kinds:
            bad += await trial(stage, kind, arguments)
    finally:
        await stage.stop()
    print(f"{bad} too slow", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--request-fault"]:
        asyncio.run(request_fault(*sys.argv[2:6]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executable", default=os.environ.get("PARLEY_EXECUTABLE", ".build/release/parley"))
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--sessions", type=int, default=3)
    parser.add_argument("--kinds", type=lambda text: text.split(","), default=KINDS)
    parser.add_argument("--faults", type=lambda text: text.split(","), default=[])
    parser.add_argument("--most", type=float, default=2)
    sys.exit(asyncio.run(main(parser.parse_args())))
