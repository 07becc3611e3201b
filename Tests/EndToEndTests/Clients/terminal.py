# SPDX-License-Identifier: Apache-2.0

"""Drives `parley talk` on a pseudo-terminal: types keys and checks the screen.

usage: terminal.py PARLEY URL SCENE [DIRECTORY]

Prints PASS and exits 0, or prints the failed expectation and exits 1.
"""

import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
import unicodedata

TIMEOUT = 40


class Screen:
    """A minimal terminal emulator: rows of cells, including those that have scrolled out. A wrapped row continues in the next one."""

    def __init__(self, columns):
        self.columns = columns
        self.rows, self.wrapped = [{}], set()
        self.row = self.column = 0

    def feed(self, text):
        for match in re.finditer(r"\x1b\[([0-9;?]*)([A-Za-z])|(.)", text, re.S):
            if match[2]:
                self.control(match[2], int(match[1]) if match[1].isdigit() else 0)
            else:
                self.put(match[3])

    def control(self, final, number):
        if final == "K":
            self.rows[self.row] = {column: cell for column, cell in self.rows[self.row].items() if column < self.column}
        elif final == "A":
            self.row = max(0, self.row - max(1, number))
        elif final == "G":
            self.column = max(0, number - 1)

    def put(self, character):
        if character == "\r":
            self.column = 0
        elif character == "\n":
            self.down()
        elif unicodedata.combining(character) or character in "\ufe0f\u200d" or "\U0001f3fb" <= character <= "\U0001f3ff":
            self.rows[self.row][self.column - self.width] += character
        else:
            self.width = 2 if unicodedata.east_asian_width(character) in "WF" else 1
            if self.column + self.width > self.columns:
                self.wrapped.add(self.row)
                self.down()
                self.column = 0
            self.rows[self.row][self.column] = character
            self.column += self.width

    def down(self):
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append({})

    def text(self):
        lines = ""
        for number, row in enumerate(self.rows):
            lines += "".join(row[column] for column in sorted(row)) + ("" if number in self.wrapped else "\n")
        return lines


class Terminal:
    def __init__(self, command, columns=80):
        self.process, self.master = pty.fork()
        if self.process == 0:
            os.environ["TERM"] = "xterm"
            # Waits until the size of the terminal is set.
            sys.stdin.readline()
            os.execv(command[0], command)
        self.resize(columns)
        os.write(self.master, b"\n")
        self.bytes = b""
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.screen = Screen(columns)

    def resize(self, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def read(self, deadline):
        ready, _, _ = select.select([self.master], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            part = os.read(self.master, 65536)
        except OSError:
            part = b""
        self.bytes += part
        self.screen.feed(self.decoder.decode(part))
        return bool(part)

    def expect(self, pattern):
        """Waits until the pattern matches the text of the screen."""
        deadline = time.monotonic() + TIMEOUT
        while not re.search(pattern, self.screen.text(), re.M):
            if not self.read(deadline):
                sys.exit(f"{pattern[:100]!r} not found; the screen: {self.screen.text()[-2000:]!r}")

    def type(self, keys):
        data = keys.encode()
        while data:
            data = data[os.write(self.master, data[:1024]):]

    def exit(self):
        deadline = time.monotonic() + TIMEOUT
        while self.read(deadline):
            pass
        _, status = os.waitpid(self.process, 0)
        return os.waitstatus_to_exitcode(status)


def begin(*options, columns=80):
    terminal = Terminal([sys.argv[1], "talk", sys.argv[2], "--insecure", *options], columns)
    terminal.expect("each line is sent as a text")
    terminal.expect("^> ")
    return terminal


def check(condition, text):
    if not condition:
        sys.exit(text)


def editing():
    terminal = begin()
    terminal.type("hellp\x7fo\r")
    terminal.expect(r"^> hello\n← hello  \(ack .*\n> $")
    # Editing in the middle of the line with arrow keys and Home; Ctrl-Y inserts the erased text.
    terminal.type("world\x1b[D\x1b[D-\x1b[Hbig \r")
    terminal.expect(r"^← big wor-ld  \(ack")
    terminal.type("keep drop\x17lose\x15\x19\r")
    terminal.expect(r"^← keep lose  \(ack")
    # Characters of several bytes, two columns, or several scalars.
    terminal.type("日本語é👍🏽\x1b[D\x7f!\r")
    terminal.expect(r"^← 日本語!👍🏽  \(ack")
    check(terminal_is_raw(terminal), "the terminal isn't in raw mode")
    terminal.type("\x04")
    check(terminal.exit() == 0, "Ctrl-D exits with a status other than 0")
    # The pseudo-terminal is closed with its session leader, so only the mode's escape sequences can be checked.
    check(b"\x1b[?2004h" in terminal.bytes and b"\x1b[?2004l" in terminal.bytes, "bracketed paste isn't switched on and off")


def terminal_is_raw(terminal):
    return termios.tcgetattr(terminal.master)[3] & (termios.ICANON | termios.ECHO) == 0


def history():
    path = sys.argv[4] + "/history"
    terminal = begin("--history", path)
    terminal.type("first\r")
    terminal.expect(r"^← first  \(ack")
    terminal.type("second\r")
    terminal.expect(r"^← second  \(ack")
    terminal.type("\x1b[A\x1b[A\x1b[B\x1b[A again\r")
    terminal.expect(r"^← first again  \(ack")
    terminal.type("\x04")
    check(terminal.exit() == 0, "exit status other than 0")
    check(os.stat(path).st_mode & 0o777 == 0o600, "the mode of the history file isn't 0600")
    check(open(path).read() == "first\nsecond\nfirst again\n", open(path).read())
    terminal = begin("--history", path)
    terminal.type("\x1b[A\r")
    terminal.expect(r"^← first again  \(ack")
    terminal.type("\x04")
    check(terminal.exit() == 0, "exit status other than 0")


def long():
    terminal = begin()
    line = "".join(f"{number:05}" for number in range(4000))
    terminal.type(line + "\r")
    terminal.expect("^> " + line + "\n← " + line + "  \\(ack")
    # A paste of two lines is one text.
    terminal.type("\x1b[200~one\ntwo\x1b[201~\r")
    terminal.expect(r"^← one\ntwo  \(ack")
    terminal.type("\x04")
    check(terminal.exit() == 0, "exit status other than 0")


def keys():
    terminal = begin(columns=30)
    terminal.type("never sent\x03")
    terminal.expect(r"^> never sent\^C\n> $")
    # A line longer than the window shows its end, after an ellipsis.
    terminal.type("abcdefghijklmnopqrstuvwxyz0123456789")
    terminal.expect(r"^> …lmnopqrstuvwxyz0123456789$")
    terminal.screen.columns = 60
    terminal.resize(60)
    terminal.expect(r"^> abcdefghijklmnopqrstuvwxyz0123456789$")
    terminal.type("\x15sent\r")
    terminal.expect(r"^← sent  \(ack")
    check("← never sent" not in terminal.screen.text(), "a discarded line was sent")
    terminal.type("\x03")
    check(terminal.exit() == 0, "Ctrl-C on an empty line exits with a status other than 0")


def ended():
    """The terminal mode is restored after signals."""
    for end in [signal.SIGINT, signal.SIGTERM]:
        terminal = begin()
        raw = terminal_is_raw(terminal)
        os.kill(terminal.process, end)
        status = terminal.exit()
        check(raw and status == 0 and b"\x1b[?2004l" in terminal.bytes, f"after signal {end}: {status}")


def suspended():
    """Ctrl-Z restores the terminal mode for the shell; after fg the line is shown again."""
    terminal = Terminal(["/bin/bash", "--norc", "-i"])
    terminal.type("PS1='shell: '\r")
    terminal.expect("^shell: $")
    terminal.type(f"{sys.argv[1]} talk {sys.argv[2]} --insecure\r")
    terminal.expect("^> $")
    terminal.type("half")
    terminal.expect("^> half$")
    terminal.type("\x1a")
    terminal.expect("Stopped")
    terminal.type("echo $((40 + 2))\r")
    terminal.expect("^42$")
    terminal.type("fg\r")
    terminal.expect("^> half$")
    terminal.type(" a line\r")
    terminal.expect(r"^← half a line  \(ack")
    terminal.type("\x04")
    terminal.expect(r"> \n*shell: $|\(ack .*\n(> )?shell: $")
    terminal.type("exit\r")
    terminal.exit()


globals()[sys.argv[3]]()
print("PASS")
