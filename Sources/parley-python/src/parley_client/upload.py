# SPDX-License-Identifier: Apache-2.0
"""A stream of audio to the gateway: its chunks are kept until they are acknowledged."""

from __future__ import annotations

from collections import deque
from enum import Enum, auto
from typing import Any

from .formats import AudioFormat

KEPT_SECONDS = 30.0
BURST_SECONDS = 4.0
PAUSE_MINIMUM = 0.25


class _Phase(Enum):
    UNOPENED = auto()
    REOPENED = auto()
    """The opening was repeated; its acknowledgement tells what the gateway has."""
    OPEN = auto()
    ENDED = auto()


class Upload:
    """Numbers the chunks of a stream, and decides what to send when."""

    def __init__(self, opening: dict[str, Any], format: AudioFormat) -> None:
        self.opening = opening
        self.format = format
        self.is_finished = False
        """Whether the application has ended the stream."""
        self.accepted = 0
        self.buffered = 0.0
        """Seconds of audio that aren't acknowledged."""
        self._chunks: deque[bytes] = deque()
        self._next = 1
        self._phase = _Phase.UNOPENED
        self._was_sent = self._is_acknowledged = self._needs_from = False
        self._not_before = 0.0
        self._level, self._level_at = 0.0, 0.0

    @property
    def id(self) -> str:
        return str(self.opening["id"])

    @property
    def has_ended(self) -> bool:
        """Whether the gateway needs nothing more for this stream, as far as the client knows."""
        return self._phase is _Phase.ENDED

    @property
    def is_full(self) -> bool:
        return self.buffered >= KEPT_SECONDS

    @property
    def _total(self) -> int:
        return self.accepted + len(self._chunks)

    # MARK: The application's side

    def add(self, chunk: bytes) -> None:
        if self._phase is not _Phase.ENDED and not self.is_finished:
            self._chunks.append(chunk)
            self.buffered += self.format.seconds(chunk)

    def finish(self) -> None:
        self.is_finished = True

    # MARK: The gateway's side

    def connected(self, open_chunks: int | None) -> None:
        """Prepares for a new connection. `open_chunks`: what the gateway has of the stream if it is open there."""
        self._not_before = 0.0
        self._needs_from = False
        if open_chunks is not None:
            self._is_acknowledged = True
            self._continue(open_chunks)
        elif self._is_acknowledged:
            # The gateway has the end already, or has ended the request; its last message follows.
            self._end()
        else:
            self._phase = _Phase.UNOPENED
            self._set_next(self.accepted + 1)

    def acknowledged(self, chunks: int | None, *, is_duplicate: bool) -> None:
        self._is_acknowledged = True
        if self._phase is _Phase.REOPENED:
            if is_duplicate and chunks is None:
                self._end()
            else:
                self._continue(chunks or 0)
                self._needs_from = is_duplicate
        elif chunks is not None:
            self._drop(chunks)

    def opening_rejected(self, wait: float, now: float) -> None:
        self._phase = _Phase.UNOPENED
        self._set_next(self.accepted + 1)
        self._not_before = now + max(wait, PAUSE_MINIMUM)

    def chunk_rejected(self, chunk: int, wait: float, now: float) -> None:
        """Pauses; then the stream continues with the rejected chunk."""
        if self._phase is _Phase.ENDED and self.is_finished:
            return  # The gateway fails the request, because the end was sent already.
        self._drop(chunk - 1)
        self._set_next(max(chunk, self.accepted + 1))
        self._needs_from = True
        self._not_before = now + max(wait, PAUSE_MINIMUM)

    def _continue(self, chunks: int) -> None:
        self._drop(chunks)
        self._set_next(self.accepted + 1)
        self._needs_from = True
        self._phase = _Phase.OPEN

    def _set_next(self, number: int) -> None:
        # Chunks that are sent again weren't charged.
        again = sum(self.format.seconds(self._chunks[index]) for index in range(number - self.accepted - 1, self._next - self.accepted - 1))
        self._level = max(0.0, self._level - again)
        self._next = number

    def _drop(self, chunks: int) -> None:
        """Releases accepted chunks."""
        for _ in range(min(chunks, self._next - 1) - self.accepted):
            self.buffered = max(0.0, self.buffered - self.format.seconds(self._chunks.popleft()))
            self.accepted += 1

    def _end(self) -> None:
        self._phase = _Phase.ENDED
        self._chunks.clear()
        self.buffered = 0.0
        self._next = self.accepted + 1

    # MARK: Sending

    def take(self, now: float, factor: float | None) -> tuple[list[dict[str, Any] | bytes], float | None]:
        """Returns what to send now, and when to ask again at the latest. `factor`: the permitted multiple of real time."""
        result: list[dict[str, Any] | bytes] = []
        while True:
            if now < self._not_before:
                return result, self._not_before
            match self._phase:
                case _Phase.UNOPENED:
                    result.append(self.opening)
                    self._phase = _Phase.REOPENED if self._was_sent else _Phase.OPEN
                    self._was_sent = True
                case _Phase.REOPENED | _Phase.ENDED:
                    return result, None
                case _Phase.OPEN:
                    if self._needs_from:
                        self._needs_from = False
                        result.append({"type": "audio", "id": self.id, "from": self._next})
                    elif self._next <= self._total:
                        chunk = self._chunks[self._next - self.accepted - 1]
                        wait = self._charge(self.format.seconds(chunk), now, factor)
                        if wait:
                            return result, now + wait
                        result.append(chunk)
                        self._next += 1
                    elif self.is_finished:
                        self._phase = _Phase.ENDED
                        result.append({"type": "audio", "id": self.id, "final": True})
                    else:
                        return result, None

    def _charge(self, seconds: float, now: float, factor: float | None) -> float:
        """Returns how long to wait before sending, to stay below the gateway's limit; 0 if the chunk was charged."""
        if not factor:
            return 0
        # Slightly slower than permitted, since the network changes the distances between chunks.
        rate = factor * 0.95
        self._level = max(0.0, self._level - (now - self._level_at) * rate)
        self._level_at = now
        if self._level and self._level + seconds > BURST_SECONDS:
            return (self._level + seconds - BURST_SECONDS) / rate + 0.001
        self._level += seconds
        return 0
