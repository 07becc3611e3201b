#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Attributes the allocations that counter.so has counted to modules.

usage: report.py COUNTS PID MESSAGES [--stacks N] [--limit X] [--name NAME]

COUNTS is the mapped file, PID the process, which must still be running, and MESSAGES the number of messages that were counted.
The owner of an allocation is the innermost frame outside the C library, the Swift runtime and standard library, and NIOCore's containers
(ByteBuffer and CircularBuffer, whose allocations are attributed to the caller).
With --limit, the exit status is 1 when the gateway's own allocations exceed X per message.
"""

import argparse
import bisect
import re
import struct
import subprocess
import sys
from collections import Counter, defaultdict

# Timers and growing tables allocate now and then, independently of messages.
TOLERANCE = 0.01
MAGIC = 0x31434F4C4C41
OURS = {"GatewayAudio", "GatewayCore", "GatewayServer", "GatewayTLS", "GatewayWebSocket", "ParleyClient", "parley"}
CONTAINER = re.compile(r"^\$s7NIOCore(10ByteBuffer|19ByteBufferAllocator|14CircularBuffer|20MarkedCircularBuffer)")
# Swift's standard library (`s`, or `S` and a letter for common types) and its runtime.
RUNTIME = re.compile(r"^(_?swift_|_swift|_ZNS?t?\d*swift|\$s(s|S[a-zA-Z])|\$s12_Concurrency|\$s15Synchronization|_Znwm|_Znam)")
EXTENSION = re.compile(r"(\d+)(GatewayAudio|GatewayCore|GatewayServer|GatewayTLS|GatewayWebSocket|ParleyClient|parley)E")


def read_counts(path):
    with open(path, "rb") as file:
        data = file.read()
    magic, _, calls, size, frees, lost, slots, depth = struct.unpack_from("<8Q", data, 0)
    if magic != MAGIC:
        sys.exit(f"{path} has no counts: is counter.so loaded?")
    stacks, at, width = [], 64, 32 + 8 * depth
    for _ in range(slots):
        hash_, count, amount, frames = struct.unpack_from("<4Q", data, at)
        if hash_ and count:
            stacks.append((count, amount, struct.unpack_from(f"<{frames}Q", data, at + 32)))
        at += width
    return calls, size, frees, lost, stacks


class Symbols:
    """The symbols of a process's addresses, from its memory map and the symbol tables of the mapped files."""

    def __init__(self, pid):
        self.regions, self.tables = [], {}
        bases = {}
        for line in open(f"/proc/{pid}/maps"):
            fields = line.split(None, 5)
            if len(fields) < 6 or not fields[5].startswith("/"):
                continue
            start, end = (int(part, 16) for part in fields[0].split("-"))
            path = fields[5].strip()
            bases.setdefault(path, start - int(fields[2], 16))
            self.regions.append((start, end, path))
        self.bases = bases
        self.executable = next((path for _, _, path in self.regions), None)

    def table(self, path):
        if path not in self.tables:
            addresses, names = [], []
            for options in (["-n"], ["-nD"]):
                text = subprocess.run(["nm", *options, "--defined-only", path], capture_output=True, text=True).stdout
                for line in text.splitlines():
                    fields = line.split(" ", 2)
                    if len(fields) == 3 and fields[1] in "tTwWiV":
                        addresses.append(int(fields[0], 16))
                        names.append(fields[2].split("@")[0])
                if addresses:
                    break
            self.tables[path] = (addresses, names)
        return self.tables[path]

    def name(self, address):
        """Returns the file and the symbol of a return address, which points behind its call instruction."""
        for start, end, path in self.regions:
            if start <= address < end:
                addresses, names = self.table(path)
                at = bisect.bisect_right(addresses, address - 1 - self.bases[path]) - 1
                return path.rsplit("/", 1)[-1], names[at] if at >= 0 else "?"
        return "?", "?"


def module(symbol):
    if extended := EXTENSION.search(symbol):
        return extended[2]
    if mangled := re.match(r"^\$s(\d+)(\w+)", symbol):
        return mangled[2][: int(mangled[1])]
    return None


def owner(frames, executable):
    for file, symbol in frames:
        if file.startswith(("libc.so", "libc-", "ld-linux", "libstdc++", "libgcc", "counter.so")):
            continue
        if file.startswith(("libssl", "libcrypto")):
            # OpenSSL's internal functions have no symbols; its exported function, which the caller called, does.
            inside = [name for library, name in frames if library.startswith(("libssl", "libcrypto"))]
            return "OpenSSL", inside[-1]
        if file.startswith("libz."):
            return "zlib", symbol
        if EXTENSION.search(symbol):
            return "ours", symbol
        if RUNTIME.match(symbol) or CONTAINER.match(symbol):
            continue
        name = module(symbol)
        if name in OURS:
            return "ours", symbol
        if name and (name.startswith("NIO") or name.startswith("_NIO")):
            return "NIO", symbol
        return name or ("C" if file == executable else file), symbol
    return "unknown", frames[-1][1] if frames else "?"


def demangle(symbols):
    command = ["swift", "demangle", "--simplified", "--compact"]
    try:
        text = subprocess.run(command, input="\n".join(symbols), capture_output=True, text=True).stdout
    except OSError:
        return {symbol: symbol for symbol in symbols}
    return dict(zip(symbols, text.splitlines()))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("counts")
    parser.add_argument("pid", type=int)
    parser.add_argument("messages", type=int)
    parser.add_argument("--stacks", type=int, default=0)
    parser.add_argument("--limit", type=float)
    parser.add_argument("--name", default="messages")
    options = parser.parse_args()

    calls, size, frees, lost, stacks = read_counts(options.counts)
    symbols = Symbols(options.pid)
    names = {}
    owners, sites, examples = Counter(), Counter(), defaultdict(lambda: (0, 0, []))
    for count, amount, frames in stacks:
        named = []
        for address in frames:
            if address not in names:
                names[address] = symbols.name(address)
            named.append(names[address])
        category, symbol = owner(named, symbols.executable.rsplit("/", 1)[-1])
        owners[category] += count
        sites[category, symbol] += count
        if count > examples[category, symbol][0]:
            examples[category, symbol] = (count, amount // count, named)

    each = 1 / options.messages
    ours = owners["ours"] * each
    exceeded = options.limit is not None and ours > options.limit + TOLERANCE
    verdict = "" if options.limit is None else f", at most {options.limit:g}: {'missed' if exceeded else 'met'}"
    others = "  ".join(f"{category} {count * each:.3f}" for category, count in owners.most_common() if category != "ours" and count * each >= 0.001)
    print(f"{options.name:<8} ours {ours:.3f}{verdict}   others: {others or 'none'}   ({size * each:.0f} bytes)")
    if lost:
        print(f"  {lost} allocations aren't attributed: the table of stacks is full")

    if options.stacks:
        top = [site for site in sites.most_common() if site[1] * each >= 0.002][: options.stacks]
        wanted = sorted({s for (category, s), _ in top} | {s for site, _ in top for _, s in examples[site][2]})
        readable = demangle(wanted)
        for (category, symbol), count in top:
            _, average, frames = examples[category, symbol]
            print(f"  {count * each:7.3f}  {category}: {readable.get(symbol, symbol)[:150]}   ({average} bytes)")
            for file, name in frames[:14]:
                print(f"             {file[:16]:<16} {readable.get(name, name)[:130]}")
    if exceeded:
        sys.exit(1)


main()
