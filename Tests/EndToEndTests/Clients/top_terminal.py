# SPDX-License-Identifier: Apache-2.0

"""Drives `parley top` on a pseudo-terminal: presses keys and checks the bytes that it writes.

usage: top_terminal.py PARLEY ADDRESS TITLE

Prints PASS and exits 0, or prints the failed expectation and exits 1.
"""

import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time

TIMEOUT = 40
ALLOWED = re.compile(rb"\x1b\[(\?1049[hl]|\?25[hl]|\?2004[hl]|H|K|J)")


class Terminal:
    def __init__(self, command):
        self.process, self.master = pty.fork()
        if self.process == 0:
            os.environ["TERM"] = "xterm"
            sys.stdin.readline()
            os.execv(command[0], command)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
        os.write(self.master, b"\n")
        self.bytes, self.seen = b"", 0

    def read(self, deadline):
        ready, _, _ = select.select([self.master], [], [], max(0, deadline - time.monotonic()))
        try:
            part = os.read(self.master, 65536) if ready else b""
        except OSError:
            part = b""
        self.bytes += part
        return bool(part)

    def expect(self, pattern):
        """Waits until the pattern matches what was written since the last match."""
        deadline = time.monotonic() + TIMEOUT
        while not (match := re.search(pattern.encode(), self.bytes[self.seen:])):
            if not self.read(deadline):
                sys.exit(f"{pattern!r} not found in {self.bytes[-3000:]!r}")
        self.seen += match.end()

    def press(self, key):
        os.write(self.master, key.encode())

    def exit(self):
        deadline = time.monotonic() + TIMEOUT
        while self.read(deadline):
            pass
        _, status = os.waitpid(self.process, 0)
        return os.waitstatus_to_exitcode(status)


terminal = Terminal([sys.argv[1], "top", "--address", sys.argv[2]])
terminal.expect(r"\x1b\[\?1049h")
terminal.expect(r"connections +1 +1 ")
terminal.expect(r"MEMORY\*")
terminal.expect("attached")
terminal.expect(re.escape(sys.argv[3]))
terminal.press("e")
terminal.expect(r"ERRORS\*")
terminal.press("?")
terminal.expect("sort by round-trip time")
terminal.press("x")
terminal.expect(r"ERRORS\*")
terminal.press("a")
terminal.expect(r"AGE\*")
terminal.press("q")
if (status := terminal.exit()) != 0:
    sys.exit(f"exit status {status}: {terminal.bytes[-500:]!r}")
if not terminal.bytes.rstrip().endswith((b"\x1b[?1049l", b"\x1b[?2004l")):
    sys.exit(f"the screen wasn't restored: {terminal.bytes[-200:]!r}")
rest = ALLOWED.sub(b"", terminal.bytes)
if b"\x1b" in rest or b"\x07" in rest or b"\xc2\x9b" in rest:
    sys.exit(f"unexpected control sequence in {rest!r}")
print("PASS")
