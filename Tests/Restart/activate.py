#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Executes a command with listening sockets from descriptor 3 on, as systemd does (sd_listen_fds(3)).

usage: activate.py [--inherit FD,FD] [--kinds listening,bound,datagram] [--names a:b] [--pid other] -- COMMAND …
"""
import argparse
import os
import socket
import sys

parser = argparse.ArgumentParser()
parser.add_argument("--inherit", default="", help="descriptors of existing sockets")
parser.add_argument("--kinds", default="", help="new sockets: listening, bound or datagram")
parser.add_argument("--names", help="LISTEN_FDNAMES")
parser.add_argument("--pid", default="", help="LISTEN_PID; default: this process")
parser.add_argument("command", nargs=argparse.REMAINDER)
options = parser.parse_args()

descriptors = [int(number) for number in options.inherit.split(",") if number]
for kind in options.kinds.split(",") if options.kinds else []:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind == "datagram" else socket.SOCK_STREAM)
    made.bind(("127.0.0.1", 0))
    if kind == "listening":
        made.listen(4096)
    descriptors.append(made.detach())
# First out of the way of the target numbers.
copies = [os.dup(number) for number in descriptors]
while any(number < 3 + len(copies) for number in copies):
    copies = [os.dup(number) for number in copies]
for target, number in enumerate(copies, 3):
    os.dup2(number, target, inheritable=True)
os.environ["LISTEN_FDS"] = str(len(copies))
os.environ["LISTEN_PID"] = options.pid or str(os.getpid())
if options.names is not None:
    os.environ["LISTEN_FDNAMES"] = options.names
command = options.command[1:] if options.command[:1] == ["--"] else options.command
if not command:
    sys.exit("activate.py: no command")
os.execv(command[0], command)
