# SPDX-License-Identifier: Apache-2.0

"""Tests a gateway process that is suspended and resumed, and one that gets little processor time."""
import asyncio
import os
import signal
import subprocess
import sys

from client import Client
from gateway import GATEWAY_CORES, Gateway

CLIENTS = 50
HEARTBEAT = {"heartbeat.interval": "2s", "heartbeat.timeout": "1s", "heartbeat.stale_after": "8s"}
# So short that a gateway which counted the time of its suspension would disconnect all clients.
LIFETIME = {"sessions.idle": "20s", "sessions.ttl": "70s"}


async def check_clients(clients):
    """Runs exchanges of all clients. Returns the problems, and the longest round trip that the gateway reports, in ms."""
    problems, slowest = [], 0
    for client in clients:
        try:
            await client.exchange()
            await client.exchange()
            trip = (await client.report())["session"]["rtt_ms"]
        except Exception as error:  # all clients are well-behaved
            problems.append(f"a client failed: {error!r}")
            continue
        if trip is None or not 0 < trip < 60_000:
            problems.append(f"the gateway reports a round trip of {trip} ms")
        else:
            slowest = max(slowest, trip)
    return problems, slowest


async def trial(options, flags, disturb):
    gateway = Gateway(options.executable, flags)
    problems, summary = [], ""
    try:
        clients = [await Client(gateway).connect() for _ in range(CLIENTS)]
        # Waits for the first pongs.
        await asyncio.sleep(5)
        closes, errors = gateway.status()["closes"], gateway.status()["errors"]
        summary = await disturb(gateway, clients)
        problems, slowest = await check_clients(clients)
        summary += f"; {CLIENTS - len(problems)} of {CLIENTS} clients served, longest round trip {slowest:.1f} ms"
        status = gateway.status()
        if status["closes"] != closes or status["errors"] != errors or status["connections"]["open"] != CLIENTS:
            problems.append(
                f"{status['connections']['open']} of {CLIENTS} connections, closes {status['closes']}, errors {status['errors']}")
        for client in clients:
            await client.close()
    except Exception as error:
        problems.append(repr(error))
    problems += gateway.stop(keeps_log=bool(problems))
    return summary, problems[:5]


async def suspended(options):
    async def disturb(gateway, clients):
        gateway.process.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(options.suspend)
        finally:
            gateway.process.send_signal(signal.SIGCONT)
        # Time for all overdue deadlines to expire, and for the heartbeat to resume.
        await asyncio.sleep(6)
        return f"suspended for {options.suspend:.0f} s"

    return await trial(options, HEARTBEAT | LIFETIME, disturb)


async def starved(options):
    async def disturb(gateway, clients):
        def prepare():
            os.sched_setaffinity(0, GATEWAY_CORES)

        spinners = [subprocess.Popen([sys.executable, "-c", "while True: pass"], preexec_fn=prepare) for _ in range(4)]
        used = gateway.processor()
        try:
            # All clients send messages, so that the gateway needs more of the core than it gets.
            await asyncio.gather(*(client.exchange_for(20) for client in clients))
            used = gateway.processor() - used
        finally:
            for spinner in spinners:
                spinner.kill()
                spinner.wait()
        return f"20 s with 4 busy processes on its core, {used:.1f} s of processor time"

    return await trial(options, HEARTBEAT, disturb)


TRIALS = {"suspended": suspended, "starved": starved}
