# SPDX-License-Identifier: Apache-2.0
"""Pings, round-trip time, jitter, and the detection of dead connections."""

from __future__ import annotations

from enum import Enum, auto

PING_MINIMUM, PING_MAXIMUM = 1.0, 60.0
PONG_TIMEOUT = 5.0
BUSY_INTERVAL = 5.0
"""The longest interval while a response is awaited, so that a dead connection is noticed sooner."""
SHORT_TIMEOUT = 3.0
DEAD_AFTER = 2
SLOW_MS, UNSTEADY_MS = 1500.0, 500.0


class Check(Enum):
    """The result of a look at the clock."""

    NOTHING = auto()
    PING = auto()
    DEAD = auto()


class Health:
    """Decides when to ping. Two pongs missing in a row mean that the connection is dead."""

    def __init__(self) -> None:
        self.rtt_ms: float | None = None
        self.jitter_ms = 0.0
        self.lost_pongs = 0
        self._interval = 30.0
        self._missing = 0
        self._number = 0
        self._next: float | None = None
        self._pending: tuple[str, float, float] | None = None  # id, time sent, deadline

    @property
    def is_slow(self) -> bool:
        return self.rtt_ms is not None and (self.rtt_ms > SLOW_MS or self.jitter_ms > UNSTEADY_MS)

    @property
    def due(self) -> float | None:
        """When `check` must be called next."""
        return self._pending[2] if self._pending else self._next

    def begin(self, interval: float, now: float) -> None:
        """Starts on a new connection."""
        self._interval = min(max(interval, PING_MINIMUM), PING_MAXIMUM)
        # The first ping measures the round trip early.
        self._missing, self._pending, self._next = 0, None, now + min(1.0, self._interval)

    def end(self) -> None:
        """Stops: the connection is closed."""
        self._next, self._pending = None, None

    def check(self, now: float) -> Check:
        if self._pending is not None:
            if now < self._pending[2]:
                return Check.NOTHING
            self.lost_pongs += 1
            self._missing += 1
            self._pending = None
            if self._missing >= DEAD_AFTER:
                return Check.DEAD
            return Check.PING
        return Check.PING if self._next is not None and now >= self._next else Check.NOTHING

    def ping(self, now: float, timeout: float | None = None, *, is_busy: bool = False) -> str:
        """Records a ping and returns its id."""
        self._number += 1
        id = f"p{self._number}"
        self._pending = (id, now, now + (timeout or min(PONG_TIMEOUT, self._interval)))
        self._next = now + (min(self._interval, BUSY_INTERVAL) if is_busy else self._interval)
        return id

    def probe(self, now: float) -> str | None:
        """Records a ping with a short deadline, after which the connection is dead; None if the connection isn't open."""
        if self._next is None:
            return None
        self._missing = DEAD_AFTER - 1
        return self.ping(now, SHORT_TIMEOUT)

    def extend(self, now: float) -> None:
        """Postpones the deadline, because the event loop was blocked and the pong may be waiting to be read."""
        if self._pending is not None:
            id, sent, deadline = self._pending
            self._pending = (id, sent, max(deadline, now + SHORT_TIMEOUT))

    def answered(self, id: str) -> bool:
        """Records that a ping was answered, if only by an error; returns false if the id is of no pending ping."""
        if self._pending is None or self._pending[0] != id:
            return False
        self._pending, self._missing = None, 0
        return True

    def pong(self, id: str, now: float) -> bool:
        """Records a pong; returns whether it belongs to the pending ping."""
        if self._pending is None or self._pending[0] != id:
            return False
        rtt = (now - self._pending[1]) * 1000
        if self.rtt_ms is not None:
            # RFC 3550 §6.4.1, with round trips in place of transit times.
            self.jitter_ms += (abs(rtt - self.rtt_ms) - self.jitter_ms) / 16
        self.rtt_ms = rtt
        return self.answered(id)
