# SPDX-License-Identifier: Apache-2.0
"""One WebSocket connection."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlencode, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus, WebSocketException

from .effects import Connect, Failure

OnWire = Callable[[Literal["sent", "received"], str | bytes], None]
CLOSE_SECONDS = 2.0
LONGEST_RETRY_AFTER = 86_400


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and how to connect."""

    url: str
    ssl: ssl.SSLContext | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments for `websockets.asyncio.client.connect`."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("ws", "wss") or not parts.hostname or parts.fragment:
            raise ValueError(f"not the URL of a WebSocket: {self.url!r}")

    def target(self, last_seq: int | None) -> str:
        if last_seq is None:
            return self.url
        parts = urlsplit(self.url)
        query = f"{parts.query}&" if parts.query else ""
        return urlunsplit(parts._replace(query=query + urlencode({"last_seq": last_seq})))


class _Opening(connect):
    """Doesn't follow redirects: they would get the resume token."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class Connection:
    """Sends messages in order from a queue, and passes received ones on."""

    def __init__(self, number: int, socket: ClientConnection, on_wire: OnWire | None) -> None:
        self.number = number
        self.socket = socket
        self._on_wire = on_wire
        self._queue: deque[str | bytes] = deque()
        self._wake = asyncio.Event()
        self._is_ending = False

    @classmethod
    async def open(cls, effect: Connect, endpoint: Endpoint, token: str | None, on_wire: OnWire | None) -> Connection:
        """Opens a connection; raises the exceptions that `failure` explains."""
        headers = {}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if effect.resume_token:
            headers["Parley-Resume"] = effect.resume_token
        arguments: dict[str, Any] = {"open_timeout": None, "close_timeout": 1, "max_size": None, "ping_interval": None, **endpoint.options}
        if endpoint.url.startswith("wss:"):
            arguments["ssl"] = endpoint.ssl or ssl.create_default_context()
        url = endpoint.target(effect.last_seq if effect.resume_token else None)
        socket = await _Opening(url, additional_headers=headers, **arguments)
        return cls(effect.connection, socket, on_wire)

    def send(self, data: str | bytes) -> None:
        self._queue.append(data)
        self._wake.set()

    def abort(self) -> None:
        self._is_ending = True
        self._queue.clear()
        self._wake.set()
        self.socket.transport.abort()

    async def end(self) -> None:
        """Sends what is queued, closes, and gives up after some time."""
        self._is_ending = True
        self._wake.set()
        with contextlib.suppress(TimeoutError, ConnectionClosed, OSError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._drain()
                # After `bye` the gateway closes. Otherwise its messages are of no use, because it repeats them after the resume.
                await self.socket.close(1001)
        self.socket.transport.abort()

    async def write(self) -> None:
        """Sends from the queue until the connection ends."""
        with contextlib.suppress(ConnectionClosed, OSError):
            while not self._is_ending:
                await self._drain()
                await self._wake.wait()
                self._wake.clear()

    async def _drain(self) -> None:
        while self._queue:
            data = self._queue.popleft()
            if self._on_wire:
                self._on_wire("sent", data)
            await self.socket.send(data)

    async def receive(self) -> str | bytes:
        return await self.socket.recv()


def failure(error: Exception) -> Failure:
    """Returns why a connection couldn't be opened, or ended."""
    text = f"{type(error).__name__}: {error}"
    match error:
        case ConnectionClosed():
            # A close frame of the client's own, for instance because the gateway's frame was invalid, is no reason of the gateway's.
            return Failure(error.rcvd.code, error.rcvd.reason) if error.rcvd else Failure(1006, text)
        case InvalidStatus():
            return _refusal(error)
        case ssl.SSLCertVerificationError():
            return Failure("tls_failed", text)
        case InvalidMessage() | OSError() | EOFError():
            return Failure("connect_failed", text)
        case InvalidHandshake() | WebSocketException():
            return Failure("protocol_error", text)
        case _:
            return Failure("connect_failed", text)


def _refusal(error: InvalidStatus) -> Failure:
    status, headers = error.response.status_code, error.response.headers
    key: str | int = status
    message, correlation = f"HTTP {status}", None
    if headers.get("Content-Type", "").startswith("application/problem+json"):
        with contextlib.suppress(ValueError):
            problem = json.loads(error.response.body or b"")
            if isinstance(problem, dict) and isinstance(problem.get("code"), str):
                key, message = problem["code"], f"HTTP {status}: {problem.get('detail', '')}"
                correlation = problem.get("correlation_id")
    retry_after = headers.get("Retry-After", "")
    # A date would have to be compared with the local clock, which may be wrong.
    wait = min(int(retry_after), LONGEST_RETRY_AFTER) if retry_after.isascii() and retry_after.isdigit() else 0
    return Failure(key, message, wait, correlation if isinstance(correlation, str) else None, is_refusal=True, status=status)
