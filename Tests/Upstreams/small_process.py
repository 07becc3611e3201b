#!/usr/bin/env python3
"""An upstream program as people write it first: the text in upper case, a line each.

    small_process.py [--banner] [--once] [--late-banner]

--banner: it prints what isn't JSON before it serves; --once: it exits behind each answer; --late-banner: it prints a line behind its first answer.
A text `leave` has it start a `sleep` that holds its output, and exit without an answer; with `leave-behind` the answer comes first.
"""
import json
import subprocess
import sys

if "--banner" in sys.argv:
    print('Loading model "tiny"…\x1b[32m done\x1b[0m', flush=True)
    print("", flush=True)
    print("x" * 500, flush=True)
for line in sys.stdin:
    request = json.loads(line)
    text = request["text"]
    if text != "leave":
        print(json.dumps({"type": "text", "request": request["request"], "text": text.upper(), "final": True, "done": True}), flush=True)
    if text.startswith("leave"):
        subprocess.Popen(["sleep", "1000"])
        sys.exit(0)
    if "--once" in sys.argv:
        sys.exit(0)
    if "--late-banner" in sys.argv:
        print("served 1 request", flush=True)
