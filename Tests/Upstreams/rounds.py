#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rounds of faults: checks the errors that clients get, the effect on other sessions, and that the gateway leaks nothing.

    rounds.py --executable PARLEY [--rounds 1000] [--minutes 8] [--kinds websocket,process] [--faults die,huge] [--cancels 10000]
              [--crowd 500]

Starts a gateway in a directory of its own, and the doubles (faulty.py, quick_process.py) behind it. For each kind and fault, parallel sessions
request the fault repeatedly; each time the error code has to be correct, and the session's next good message has to get its own response. Faults
that end with a timeout are requested by a whole crowd at once. With `--minutes 0` each fault gets all of its rounds.
Meanwhile a neighbor, in a process of its own, measures the latency of pings and of messages to a healthy upstream of the same kind.
Then requests are cancelled in flight, and the gateway is killed while processes are busy. Ends with a Markdown table of all requests, and fails
(exit 1) when a check fails; `remark` lines are informational. Needs the PyPI package websockets; rounds.sh installs that.
"""
import argparse
import asyncio
import collections
import contextlib
import itertools
import math
import os
import pathlib
import re
import signal
import sys
import time
import traceback

from rounds_client import Client, Neighbor, alike
from rounds_faults import DOUBLES, ENDS, KINDS, STREAMED, TIMEOUT, UNTIL_MINE, expected, faults_of, is_long, lane_of, route_of
from rounds_stage import LANES, MAX_CONNECTIONS, MAX_PROCESSES, PROCESSES_TOGETHER, REPORT, TOGETHER, Gateway, Stage, percentile

# Maximum number of concurrent good messages: a whole crowd at once would measure the doubles' latency.
GOOD_AT_ONCE = 64
# Requests of a crowd per second: no more than the doubles can begin in time on two cores.
CROWD_A_SECOND, PROCESSES_A_SECOND = 250, 12


class Tally:
    """Results of all rounds of one fault at one kind."""

    def __init__(self, kind, fault):
        self.kind, self.fault = kind, fault
        self.begun = time.monotonic()
        self.codes = collections.Counter()
        self.messages = collections.Counter()
        self.retry_after = []
        self.breaker_after = []
        self.elapsed = []
        self.after = collections.Counter()
        self.good = self.rejected = 0
        self.opened = self.bursts = 0
        self.texts = collections.Counter()

    def add(self, outcome):
        if outcome.is_breaker:
            self.codes["(breaker)"] += 1
            self.breaker_after.append(outcome.retry_after)
            return
        self.codes[outcome.key] += 1
        if outcome.code != "ok":
            self.messages[f"{outcome.message}" + (f" [{outcome.details}]" if outcome.details else "")] += 1
        elif self.fault == "other":
            self.texts["".join(part for _, part, _ in outcome.text)[:30] or f"{outcome.audio} B"] += 1
        self.elapsed.append(outcome.elapsed)
        if outcome.retry_after is not None:
            self.retry_after.append(outcome.retry_after)

    @property
    def rounds(self):
        """Rounds that reached the fault, without those rejected by the breaker."""
        return sum(self.codes.values()) - self.codes["(breaker)"]

    @property
    def codes_text(self):
        return ", ".join(f"{code} {count}" for code, count in self.codes.most_common() if count)

    def line(self):
        after = f"{min(self.retry_after)}..{max(self.retry_after)}" if self.retry_after else "-"
        breaker = f"{self.opened}/{self.bursts}" if self.bursts else "-"
        took = f"{percentile(self.elapsed, 0.5) * 1000:.0f}/{max(self.elapsed, default=0) * 1000:.0f}"
        return (
            f"{self.kind:14} {self.fault:25} {self.rounds:6}  {self.codes_text:52} {after:12} {breaker:6} {took:12} "
            f"{self.good} good, {self.rejected} rejected, {time.monotonic() - self.begun:.1f} s"
        )

    def report(self):
        name = f"{self.kind}, {self.fault}"
        wanted = expected(self.kind, self.fault)
        others = {code: count for code, count in self.codes.items() if code not in wanted and code != "(breaker)"}
        REPORT.check(
            f"{name}: the right code", not others and self.rounds > 0, f"{others} instead of {sorted(wanted)}; messages: {dict(self.messages)}")
        REPORT.check(f"{name}: the next good message gets its response", not self.after, f"{dict(self.after.most_common(4))} of {self.good}")
        if len(self.messages) > 1:
            REPORT.remark(f"{name}: {dict(self.messages)}")
        if self.texts:
            REPORT.remark(f"{name}: response {dict(self.texts.most_common(3))}")
        bad = [wait for wait in self.breaker_after if wait is None or not 1 <= wait <= 1000]
        REPORT.check(f"{name}: the breaker sets retry_after_ms", not bad, f"retry_after_ms {bad[:5]}")
        # Vosk's protocol has no error with a retry time.
        if self.fault.startswith("error 503") and self.kind != "vosk":
            REPORT.check(f"{name}: Retry-After is passed on", self.retry_after and set(self.retry_after) == {2000}, f"{set(self.retry_after)}")
        # A trickle that counts as progress ends with total_timeout. A process has to start before its first byte.
        longest = {("process", "trickle"): 5.7, ("process", "stall"): 2.8}.get((self.kind, self.fault), 1.8)
        longest = 5.7 if self.fault == "trickle-body 300" else longest
        if wanted == {TIMEOUT} and self.elapsed:
            REPORT.check(f"{name}: the deadline is kept", max(self.elapsed) <= longest, f"{max(self.elapsed):.2f} s at most")


async def run_fault(stage, kind, fault, sessions, seconds):
    """Runs one fault at one kind with several parallel sessions. Returns the number of rounds and the codes."""
    rounds = stage.arguments.rounds
    tally = Tally(kind, fault)
    text = f"{fault} one two three four"
    to, good_to = route_of(kind, fault)
    relay = stage.relays.get(kind) if fault == "refuse" else None
    if fault in UNTIL_MINE or fault.startswith("handshake "):
        text = "good one two"
    is_crowd = is_long(kind, fault)
    pace = math.inf if not is_crowd else PROCESSES_A_SECOND if kind == "process" else CROWD_A_SECOND
    gate = asyncio.Semaphore(PROCESSES_TOGETHER if kind == "process" else GOOD_AT_ONCE)
    deadline = time.monotonic() + seconds
    batch = 0
    # Limits the batches in case the breaker rejects everything.
    most = 10 + 4 * rounds / len(sessions)
    while tally.rounds < rounds and (time.monotonic() < deadline or batch < 1) and batch < most:
        clients = sessions[:rounds - tally.rounds]
        # Occasionally a burst that opens the breaker; then all wait until it closes.
        each = 3 if batch % 200 == 8 and not is_crowd else 1

        async def fail(place, client):
            await asyncio.sleep(place / pace)
            outcomes = [await client.send(kind, to, text) for _ in range(each)]
            for outcome in outcomes:
                tally.add(await client.wait(outcome))

        await asyncio.gather(*(fail(place, client) for place, client in enumerate(clients)))
        if each > 1:
            tally.bursts += 1
            state = (await stage.gateway.upstreams())[to]["endpoints"][0]["breaker"]
            tally.opened += state != "closed"
        if relay:
            await relay.open()

        async def recover(client):
            async with gate:
                wrong, rejected = await client.good(kind, good_to)
            tally.good += 1
            tally.rejected += rejected
            if wrong:
                tally.after[alike(wrong)] += 1

        await asyncio.gather(*(recover(client) for client in clients))
        if relay:
            await relay.shut()
            await asyncio.sleep(0.05)
        batch += 1
    lost = [client.closed for client in sessions if client.closed]
    REPORT.check(f"{kind}, {fault}: sessions stay open", not lost, f"{lost[:3]}")
    for place, client in enumerate(sessions):
        if client.closed:
            sessions[place] = await Client(stage.gateway.url).open()
    print(tally.line(), flush=True)
    tally.report()
    if math.isinf(seconds):
        REPORT.check(f"{kind}, {fault}: all rounds", tally.rounds >= rounds, f"{tally.rounds}")
    return tally.rounds, tally.codes_text


async def run_end(stage, kind, how, seconds):
    """Runs requests that their client ends during the response. Returns their number and what went wrong."""
    rounds = stage.arguments.rounds
    ledger = stage.ledger(kind, "c")
    count = PROCESSES_TOGETHER if kind == "process" else TOGETHER // 2
    # Two kinds of responses: a stalled one and an endless one.
    faults = itertools.cycle(["stall", "endless 4000"] if kind in STREAMED else ["trickle-body 100"])
    wrong = collections.Counter()
    total = 0
    took = []
    begun = time.monotonic()
    deadline = begun + seconds

    async def once(client, fault):
        outcome = await client.send(kind, f"c_{kind}", f"{fault} one two three four five six")
        if kind in STREAMED:
            await asyncio.wait_for(outcome.first.wait(), 8)
        else:
            await asyncio.sleep(0.15)
        if outcome.done.done():
            wrong[alike(f"ended before, {fault}: {outcome.key} {outcome.message} [{outcome.details}]")] += 1
            if how != "cancel":
                await client.bye()
            return
        if how == "cancel":
            await client.cancel(outcome)
            await client.wait(outcome)
            if not fault.startswith("endless"):
                took.append(time.monotonic() - outcome.cancel_sent)
            if not outcome.cancelled:
                wrong[alike(f"no status cancelled, {fault}: {outcome.key} {outcome.message}")] += 1
            what, _ = await client.good(kind, f"c_{kind}")
            if what:
                wrong[alike("good: " + what)] += 1
        elif how == "bye":
            closed = await client.bye()
            if not closed or closed[0] != 1000:
                wrong[alike(f"{fault}, closed {closed}")] += 1
        else:
            client.disconnect()

    clients = []
    while total < rounds and (time.monotonic() < deadline or total < 2 * count):
        clients = [client for client in clients if not client.closed]
        clients += await asyncio.gather(*(Client(stage.gateway.url).open() for _ in range(count - len(clients))))
        # Requests of vanished clients time out later, so the breaker may be open.
        await clients[0].good(kind, f"c_{kind}")
        fault = next(faults)
        results = await asyncio.gather(*(once(client, fault) for client in clients), return_exceptions=True)
        for result in results:
            if result:
                wrong[alike(repr(result))] += 1
        total += count
        if how != "cancel":
            clients = []
    await asyncio.gather(*(client.bye() for client in clients))
    median = f", ended after {percentile(took, 0.5) * 1000:.1f}/{max(took) * 1000:.1f} ms" if took else ""
    spent = f"{time.monotonic() - begun:.1f} s"
    print(f"{kind:14} {how:25} {total:6}  wrong: {dict(wrong) or 'nothing'}{median}, {spent}", flush=True)
    REPORT.check(f"{kind}, {how} during the response", not wrong, f"{dict(wrong)} of {total}")
    begun = time.monotonic()
    # After a lost connection the gateway waits for resume_window.
    if kind in DOUBLES:
        await ledger.until(lambda: ledger.open == 0, 1 + 2)
        REPORT.check(f"{kind}, {how}: the double has no open request", ledger.open == 0, f"{ledger.open} open 3 s later")
    else:
        left = {}
        while time.monotonic() < begun + 3:
            left = await stage.gateway.quiet(0, {f"c_{kind}"})
            if not left:
                break
            await asyncio.sleep(0.1)
    spent = time.monotonic() - begun
    if how != "disconnect" and spent > 0.5:
        REPORT.remark(f"{kind}, {how}: the double was still busy {spent:.1f} s after the last request")
    return total, f"wrong: {dict(wrong)}" if wrong else "all ended"


def compare(name, kind, quiet, during):
    for what in ("pings", "responses"):
        before, now = quiet[what], during[what]
        if not now:
            REPORT.check(f"{name}: the neighbor's {what}", False, "none at all")
            continue
        label = "ping" if what == "pings" else "response"
        p50, p99 = percentile(now, 0.5), percentile(now, 0.99)
        old50, old99 = percentile(before, 0.5), percentile(before, 0.99)
        flag = "  <-- more than twice as long" if p99 > 2 * old99 and p99 > 5 else ""
        print(
            f"    neighbor's {label:8} p50 {old50:.2f} -> {p50:.2f} ms, p99 {old99:.2f} -> {p99:.2f} ms, longest {max(now):.1f} ms "
            f"of {len(now)}{flag}", flush=True)
        if flag:
            REPORT.check(f"{name}: the neighbor's {label}", False, f"p99 {old99:.2f} -> {p99:.2f} ms")
    REPORT.check(f"{name}: the neighbor gets its responses", not during["count"], f"{during['count']}: {during['wrong'][:3]}")


async def check_baseline(stage, kind, base, name):
    """Checks that all resources return to their baseline."""
    gateway = stage.gateway
    left = await gateway.quiet(6)
    # The neighbor may have a request in flight.
    left = [line for line in left if not line.startswith("n_")]
    REPORT.check(f"{name}: nothing is active, waiting or outstanding", not left, f"{left}")
    if kind in DOUBLES:
        for ledger in [stage.ledger(kind, lane) for lane in LANES]:
            await ledger.until(lambda: ledger.open == 0, 3)
            REPORT.check(f"{name}: the double has no open request", ledger.open == 0, f"{ledger.open}")
            REPORT.check(f"{name}: the gateway keeps to the protocol", not ledger.wrong, f"{len(ledger.wrong)}: {ledger.wrong[:3]}")
            ledger.wrong.clear()
    deadline = time.monotonic() + 8
    while time.monotonic() < deadline:
        descriptors, children = gateway.descriptors(), gateway.children()
        if descriptors <= base["descriptors"] and len(children) <= base["children"]:
            break
        await asyncio.sleep(0.2)
    REPORT.check(
        f"{name}: descriptors", descriptors <= base["descriptors"] + 2, f"{base['descriptors']} -> {descriptors}: {kinds_of_descriptors(gateway)}")
    zombies = [pid for pid, state in children.items() if state == "Z"]
    REPORT.check(f"{name}: no child is left", len(children) <= base["children"] and not zombies, f"{children}, at first {base['children']}")
    resident = gateway.resident()
    grown = (resident - base["resident"]) / 1e6
    found = f"descriptors {base['descriptors']} -> {descriptors}, children {base['children']} -> {len(children)}, RSS {grown:+.1f} MB"
    print(f"    afterwards: {found} to {resident / 1e6:.1f} MB", flush=True)
    REPORT.check(f"{name}: memory", grown <= 10, f"RSS has grown by {grown:.1f} MB to {resident / 1e6:.1f} MB")
    ups = await gateway.upstreams()
    connections = {n: u["connections"] for n, u in ups.items() if u["connections"] and n[:2] != "n_"}
    REPORT.check(f"{name}: connections are counted down to 0", not connections, f"{connections}")
    return found


def kinds_of_descriptors(gateway):
    kinds = collections.Counter()
    for name in os.listdir(f"/proc/{gateway.pid}/fd"):
        with contextlib.suppress(OSError):
            kinds[os.readlink(f"/proc/{gateway.pid}/fd/{name}").split(":")[0]] += 1
    return dict(kinds)


async def warm_up(stage, kind, clients, crowd):
    """Makes everything that is made once, before measuring."""
    for to in [f"{letter}_{kind}" for letter in "fnelc"]:
        for client in clients:
            wrong, _ = await client.good(kind, to)
            REPORT.check(f"{kind}: warm-up of {to}", not wrong, wrong)
    if kind in DOUBLES:
        await asyncio.gather(*(client.ask(kind, f"t_{kind}", "good") for client in clients))
        await asyncio.gather(*(client.ask(kind, f"l_{kind}", "stall one two") for client in crowd))
    await asyncio.gather(*(client.ask(kind, f"f_{kind}", "error 503") for client in clients))
    await asyncio.sleep(0.3)
    for letter in "fl":
        await clients[0].good(kind, f"{letter}_{kind}")


async def sessions_for(stage, count):
    sessions = []
    while len(sessions) < count:
        sessions += await asyncio.gather(*(Client(stage.gateway.url).open() for _ in range(min(16, count - len(sessions)))))
    return sessions


async def measure_baseline(stage):
    gateway = stage.gateway
    await asyncio.sleep(3.2)
    return {"descriptors": gateway.descriptors(), "children": len(gateway.children()), "resident": gateway.resident()}


async def trial(stage, kind, seconds):
    """Runs all faults of a kind in parallel lanes, because most of them mainly wait."""
    arguments = stage.arguments
    print(f"\n== {kind}", flush=True)
    begun = time.monotonic()
    few, most = (PROCESSES_TOGETHER, MAX_PROCESSES // 5 * 4) if kind == "process" else (TOGETHER, MAX_CONNECTIONS // 6 * 5)
    sessions = {"f": await sessions_for(stage, few), "l": await sessions_for(stage, min(most, arguments.crowd, arguments.rounds))}
    await warm_up(stage, kind, sessions["f"], sessions["l"])
    neighbor = await Neighbor(stage.gateway.url, kind).start()
    base = await measure_baseline(stage)
    await neighbor.measurements()
    await asyncio.sleep(3)
    quiet = await neighbor.measurements()
    print(
        f"{'kind':14} {'fault':25} rounds  {'codes (! not retryable)':52} retry_after  breaker took p50/max", flush=True)
    faults = faults_of(kind, arguments.faults)
    all_during = {"pings": [], "responses": [], "wrong": [], "count": 0}
    running, found = [], {}

    async def run(lane, fault):
        running.append(fault)
        if fault in ENDS:
            rounds, codes_text = await run_end(stage, kind, fault, seconds)
        else:
            rounds, codes_text = await run_fault(stage, kind, fault, sessions[lane], seconds)
        during = await neighbor.measurements()
        for what in all_during:
            all_during[what] += during[what]
        p99 = percentile(during["responses"], 0.99)
        ping99 = percentile(during["pings"], 0.99)
        if max(p99, ping99) > 20 or during["count"]:
            REPORT.remark(
                f"{kind}, {', '.join(running)}: neighbor's p99 ping {ping99:.1f} ms, response {p99:.1f} ms (longest "
                f"{max(during['pings'] or [0]):.0f}, {max(during['responses'] or [0]):.0f}), wrong: {during['wrong'][:2]}")
        running.remove(fault)
        left = await stage.gateway.quiet(3, {f"c_{kind}" if fault in ENDS else route_of(kind, fault)[0]})
        if kind in DOUBLES:
            ledger = stage.ledger(kind, lane)
            await ledger.until(lambda: ledger.open == 0, 3)
            left += [f"{ledger.open} open at the double"] if ledger.open else []
        REPORT.check(f"{kind}, {fault}: nothing is left in flight", not left, f"{left}")
        found[fault] = rounds, codes_text, "; ".join(left) or "none"

    async def run_lanes(letters):
        for lane in letters:
            for fault in faults:
                if lane_of(kind, fault) == lane:
                    await run(lane, fault)

    async with asyncio.TaskGroup() as group:
        # Starting processes already uses all cores.
        for letters in ["fc", "l"] if kind == "process" else LANES:
            group.create_task(run_lanes(letters))
    for fault in faults:
        REPORT.row(kind, fault, *found[fault])
    compare(kind, kind, quiet, all_during)
    REPORT.row(kind, "all of them", "", f"{time.monotonic() - begun:.0f} s", await check_baseline(stage, kind, base, kind))
    await neighbor.stop()
    await asyncio.gather(*(client.bye() for client in [*sessions["f"], *sessions["l"]]))


async def run_cancels(stage, kind, total):
    """Cancels hanging requests in flight."""
    ledger = stage.ledger(kind, "c")
    sessions = 8 if kind == "process" else 50
    size = 8 if kind == "process" else 500
    total = min(total, 200) if kind == "process" else total
    base = await measure_baseline(stage)
    clients = await asyncio.gather(*(Client(stage.gateway.url).open() for _ in range(sessions)))
    # Begins when the breaker is closed.
    for client in clients[:2]:
        await client.good(kind, f"c_{kind}")
    wrong = collections.Counter()
    ended_after, seen_after = [], []
    done = 0

    async def cancelled(client, outcome):
        await client.cancel(outcome)
        await client.wait(outcome, 10)
        ended_after.append(time.monotonic() - outcome.cancel_sent)
        if not outcome.cancelled:
            wrong[f"{outcome.key}: {outcome.message}"] += 1

    async def batch(count):
        outcomes = []
        before = ledger.counts["request"]
        ended = len(ledger.ends)
        for index in range(count):
            client = clients[index % sessions]
            outcomes.append((client, await client.send(kind, f"c_{kind}", "hang")))
        if not await ledger.until(lambda: ledger.counts["request"] >= before + count, 5):
            wrong[f"only {ledger.counts['request'] - before} of {count} reached the double"] += 1
        early = [outcome for _, outcome in outcomes if outcome.done.done()]
        if early:
            wrong[f"ended before: {early[0].key} {early[0].message}"] += len(early)
        if kind == "process":
            await deaths(outcomes)
            return
        await asyncio.gather(*(cancelled(client, outcome) for client, outcome in outcomes))
        if not await ledger.until(lambda: len(ledger.ends) >= ended + count, 5):
            wrong[f"the double saw {len(ledger.ends) - ended} of {count} cancels"] += 1
        sent = {outcome.name: outcome.cancel_sent for _, outcome in outcomes}
        ends = ledger.ends[ended:]
        if all(name in sent for _, name, _ in ends):
            seen_after.extend(moment - sent[name] for moment, name, _ in ends)
        else:
            # Without ids at the double, matched in order.
            seen_after.extend(moment - begun for (moment, _, _), begun in zip(ends, sorted(sent.values())))

    async def deaths(outcomes):
        """Measures the deaths of cancelled processes: a process is cancelled by killing it."""
        workers = [pid for pid, state in stage.gateway.children().items() if state != "Z" and pid in ledger.pids]
        loop = asyncio.get_running_loop()
        handles, exited = {}, {}
        for pid in workers:
            with contextlib.suppress(OSError):
                handles[pid] = os.pidfd_open(pid)

        def note(pid):
            exited[pid] = time.monotonic()
            loop.remove_reader(handles[pid])

        for pid, handle in handles.items():
            loop.add_reader(handle, note, pid)
        await asyncio.gather(*(cancelled(client, outcome) for client, outcome in outcomes))
        await asyncio.sleep(0.1)
        first = min(outcome.cancel_sent for _, outcome in outcomes)
        seen_after.extend(moment - first for moment in exited.values())
        if len(exited) < len(outcomes):
            await asyncio.sleep(1)
            wrong[f"{len(exited)} of {len(outcomes)} processes exited within 100 ms"] += 1
        for pid, handle in handles.items():
            loop.remove_reader(handle)
            os.close(handle)

    begun = time.monotonic()
    while done < total:
        await batch(min(size, total - done))
        done += min(size, total - done)
    took = time.monotonic() - begun
    crowd = list(seen_after)
    seen_after.clear()
    for _ in range(20 if kind == "process" else 200):
        await batch(1)
    for label, values in (("all at once", crowd), ("one at a time", seen_after)):
        print(
            f"    {label}: the double saw the cancel after p50 {percentile(values, 0.5) * 1000:.1f}, p99 {percentile(values, 0.99) * 1000:.1f}, "
            f"at most {max(values, default=0) * 1000:.1f} ms; {sum(value > 0.05 for value in values)} of {len(values)} after 50 ms", flush=True)
    print(
        f"    {done} cancelled in {took:.1f} s, ended after p50 {percentile(ended_after, 0.5) * 1000:.1f}, at most {max(ended_after) * 1000:.1f} ms",
        flush=True)
    REPORT.check(f"{kind}: each of {done} cancels is acknowledged and seen", not wrong, f"{dict(wrong)}")
    p99 = percentile(seen_after, 0.99)
    REPORT.check(f"{kind}: the double sees a cancel within 50 ms", p99 <= 0.05, f"p99 {p99 * 1000:.1f} ms, one at a time")
    REPORT.check(f"{kind}: sessions stay", not any(client.closed for client in clients))
    for client in clients[:3]:
        what, _ = await client.good(kind, f"c_{kind}")
        REPORT.check(f"{kind}: responses after cancels", not what, what)
    await asyncio.gather(*(client.bye() for client in clients))
    await check_baseline(stage, kind, base, f"{kind}, after cancels")


def is_alive(pid):
    with contextlib.suppress(OSError):
        return open(f"/proc/{pid}/stat", encoding="utf-8").read().rsplit(")", 1)[1].split()[0] != "Z"
    return False


async def run_kill(arguments):
    """Kills the gateway with SIGKILL while processes are busy."""
    print("\n== the gateway is killed while processes are busy", flush=True)
    for with_cancel in (True, False):
        stage = Stage(argparse.Namespace(**{**vars(arguments), "kinds": ["process"]}))
        await stage.start()
        ledger = stage.gateway.ledger
        clients = await asyncio.gather(*(Client(stage.gateway.url).open() for _ in range(4)))
        outcomes = [await client.send("process", "c_process", text) for client, text in zip(clients, ["hang", "stall", "fork", "stubborn"])]
        await ledger.until(lambda: ledger.counts["request"] >= 4 and ledger.forked, 10)
        workers, forked = list(ledger.pids), list(ledger.forked)
        if with_cancel:
            # First the regular case: all processes end with their requests.
            begun = time.monotonic()
            for client, outcome in zip(clients, outcomes):
                await client.cancel(outcome)
            while any(map(is_alive, workers + forked)) and time.monotonic() < begun + 3:
                await asyncio.sleep(0.005)
            spent = time.monotonic() - begun
            left = [pid for pid in workers + forked if is_alive(pid)]
            print(f"    cancelled: workers and grandchild exited after {spent * 1000:.0f} ms, left: {left}", flush=True)
            REPORT.check("process: a cancel kills the grandchild", not left, f"alive: {left}, grandchild {forked}")
            await asyncio.sleep(0.3)
            zombies = [pid for pid, state in stage.gateway.children().items() if state == "Z"]
            REPORT.check("process: no zombies after a cancel", not zombies, f"{zombies}")
            await asyncio.gather(*(client.bye() for client in clients))
            await stage.stop()
            continue
        begun = time.monotonic()
        stage.gateway.process.kill()
        # Not wait(), which would also wait for all holders of standard error.
        while any(map(is_alive, [stage.gateway.pid, *workers])) and time.monotonic() < begun + 2:
            await asyncio.sleep(0.005)
        spent = time.monotonic() - begun
        left = [pid for pid in workers if is_alive(pid)]
        await asyncio.sleep(0.5)
        orphans = [pid for pid in forked if is_alive(pid)]
        print(f"    SIGKILL: {len(workers)} workers exited after {spent * 1000:.0f} ms, left {left}; grandchildren alive: {orphans}", flush=True)
        REPORT.check("process: workers die with the gateway within a second", not left and spent < 1, f"left {left} after {spent:.2f} s")
        if orphans:
            REPORT.remark(f"the grandchild {orphans} outlives a killed gateway (the next one sweeps control groups, where there are any)")
            stage_again = Gateway(arguments.executable, stage.configuration())
            await stage_again.start()
            await asyncio.sleep(1)
            print(f"    another gateway was started: grandchildren alive: {[pid for pid in orphans if is_alive(pid)]}", flush=True)
            stage_again.process.terminate()
            await stage_again.process.wait()
            for pid in orphans:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
        await stage.gateway.process.wait()
        await stage.stop()


async def main(arguments):
    begun = time.monotonic()
    stage = Stage(arguments)
    await stage.start()
    print(f"gateway {stage.gateway.pid} in {stage.gateway.directory}", flush=True)
    count = sum(len(faults_of(kind, arguments.faults)) for kind in arguments.kinds)
    seconds = arguments.minutes * 60 / max(1, count) if arguments.minutes else math.inf
    try:
        for kind in arguments.kinds:
            await trial(stage, kind, seconds)
        if arguments.cancels:
            for kind in arguments.kinds:
                print(f"\n== cancelled in flight: {kind}", flush=True)
                await run_cancels(stage, kind, arguments.cancels)
        log = pathlib.Path(f"{stage.gateway.directory}/log").read_text(errors="replace")
        levels = collections.Counter(re.findall(r'"level":"(\w+)"', log))
        print(f"\nthe gateway's log: {dict(levels)}", flush=True)
        serious = [line[:300] for line in log.splitlines() if '"level":"error"' in line or '"level":"critical"' in line]
        REPORT.check("the log has no errors", not serious, f"{len(serious)}: {serious[:3]}")
        REPORT.check("the gateway is still running", stage.gateway.process.returncode is None)
    except Exception as error:
        # Results up to this point are still reported.
        traceback.print_exc()
        REPORT.check("the run completes", False, f"{error!r}; the gateway's status is {stage.gateway.process.returncode}")
    finally:
        await stage.stop()
    if "process" in arguments.kinds:
        await run_kill(arguments)
    print(f"\n{time.monotonic() - begun:.0f} s; failures:" if REPORT.failed else f"\n{time.monotonic() - begun:.0f} s")
    for line in REPORT.failed:
        print("  " + line)
    print(f"\n{REPORT.table()}\n")
    print("leaks: requests in flight at the gateway or the double 3 s later; for all faults together, the gateway's resources before and after\n")
    print(f"{REPORT.passed} passed, {len(REPORT.failed)} failed", flush=True)
    return 1 if REPORT.failed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executable", default=os.environ.get("PARLEY_EXECUTABLE", ".build/release/parley"))
    parser.add_argument("--rounds", type=int, default=1000, help="rounds of each fault at each kind, within the time")
    parser.add_argument("--minutes", type=float, default=8, help="time for all faults together; 0: unlimited")
    parser.add_argument("--crowd", type=int, default=500, help="parallel sessions for faults that end with a timeout")
    parser.add_argument("--kinds", type=lambda text: text.split(","), default=KINDS)
    parser.add_argument("--faults", type=lambda text: text.split(","), default=[])
    parser.add_argument("--cancels", type=int, default=10000)
    sys.exit(asyncio.run(main(parser.parse_args())))
