#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A WebSocket upstream that reads nothing after the handshake.

    deaf.py [--ping] [--fragments]

It listens on 127.0.0.1 and prints {"ready":true,"port":N}. --ping: sends pings as fast as the socket accepts them; --fragments: sends an endless
text message, one fragment of one byte every 100 ms.
"""
import base64
import hashlib
import json
import socket
import sys
import threading
import time

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def serve(connection):
    head = b""
    while b"\r\n\r\n" not in head:
        part = connection.recv(4096)
        if not part:
            return
        head += part
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])}
    accept = base64.b64encode(hashlib.sha1(fields[b"sec-websocket-key"] + GUID).digest())
    connection.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n")
    try:
        if "--fragments" in sys.argv:
            connection.sendall(b"\x01\x01{")
            while True:
                time.sleep(0.1)
                connection.sendall(b"\x00\x01 ")
        while "--ping" in sys.argv:
            connection.sendall(b"\x89\x7d" + b"p" * 125)
        time.sleep(3600)
    except OSError:
        pass


listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
listener.bind(("127.0.0.1", 0))
listener.listen(64)
print(json.dumps({"ready": True, "port": listener.getsockname()[1]}), flush=True)
while True:
    accepted, _ = listener.accept()
    threading.Thread(target=serve, args=(accepted,), daemon=True).start()
