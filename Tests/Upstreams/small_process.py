#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A minimal upstream program, as a beginner would write it: responds to each line with the text in upper case.

    small_process.py [--banner] [--once] [--late-banner]

--banner: prints lines that aren't JSON first; --once: exits after each response; --late-banner: prints a line after the first response.
The text `leave` starts a `sleep` that keeps the output open, and exits without a response; `leave-behind` responds first.
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
