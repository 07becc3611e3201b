"""Time that goes wrong: a gateway that is stopped and wakes, and one that gets next to nothing of its core."""
import asyncio
import os
import signal
import subprocess
import sys

from gateway import GATEWAY_CORES, Gateway
from innocent import Innocent

CLIENTS = 50
HEARTBEAT = {"heartbeat.interval": "2s", "heartbeat.timeout": "1s", "heartbeat.stale_after": "8s"}
# Short enough that a gateway which counted the lost time would throw everybody out.
LIFETIME = {"sessions.idle": "20s", "sessions.ttl": "70s"}


async def answered(clients):
    """Everybody's exchange and report. Returns what was wrong, and the longest round trip that the gateway believes in, in ms."""
    wrong, slowest = [], 0
    for client in clients:
        try:
            await client.exchange()
            await client.exchange()
            trip = (await client.report())["session"]["rtt_ms"]
        except Exception as error:  # all of them behave
            wrong.append(f"a client met {error!r}")
            continue
        if trip is None or not 0 < trip < 60_000:
            wrong.append(f"a client is said to have a round trip of {trip} ms")
        else:
            slowest = max(slowest, trip)
    return wrong, slowest


async def trial(options, flags, trouble):
    gateway = Gateway(options.executable, flags)
    wrong, told = [], ""
    try:
        clients = [await Innocent(gateway).connect() for _ in range(CLIENTS)]
        # Until the first pongs have come.
        await asyncio.sleep(5)
        closes, errors = gateway.status()["closes"], gateway.status()["errors"]
        told = await trouble(gateway, clients)
        wrong, slowest = await answered(clients)
        told += f"; {CLIENTS - len(wrong)} of {CLIENTS} clients answered, longest round trip {slowest:.1f} ms"
        status = gateway.status()
        if status["closes"] != closes or status["errors"] != errors or status["connections"]["open"] != CLIENTS:
            wrong.append(f"{status['connections']['open']} of {CLIENTS} connections, closes {status['closes']}, errors {status['errors']}")
        for client in clients:
            await client.leave()
    except Exception as error:
        wrong.append(repr(error))
    wrong += gateway.stop(keeps_log=bool(wrong))
    return told, wrong[:5]


async def suspended(options):
    async def trouble(gateway, clients):
        gateway.process.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(options.suspend)
        finally:
            gateway.process.send_signal(signal.SIGCONT)
        # Time for every deadline that lies in the past by the wall clock to act, and for the heartbeat to go on.
        await asyncio.sleep(6)
        return f"stopped for {options.suspend:.0f} s"

    return await trial(options, HEARTBEAT | LIFETIME, trouble)


async def starved(options):
    async def trouble(gateway, clients):
        def prepare():
            os.sched_setaffinity(0, GATEWAY_CORES)

        spinners = [subprocess.Popen([sys.executable, "-c", "while True: pass"], preexec_fn=prepare) for _ in range(4)]
        used = gateway.processor()
        try:
            # Everybody talks, so that the gateway wants more of the core than it gets.
            await asyncio.gather(*(client.talk(20) for client in clients))
            used = gateway.processor() - used
        finally:
            for spinner in spinners:
                spinner.kill()
                spinner.wait()
        return f"20 s beside 4 busy loops, {used:.1f} s of processor"

    return await trial(options, HEARTBEAT, trouble)


TIMED = {"suspended": suspended, "starved": starved}
