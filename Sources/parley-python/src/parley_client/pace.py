# SPDX-License-Identifier: Apache-2.0
"""The pace of texts after rejections: each further rejection would count toward the gateway's limit, at which it ends the session."""

from __future__ import annotations

IN_FLIGHT = 50
"""The most texts without an acknowledgement on a connection: what the gateway may have to reject at once."""
PROBE_AFTER = 5
"""After so many accepted texts, the interval between texts is halved, to find out whether it must be as long."""
SHORTEST = 0.01


class Pace:
    """Decides how many texts may be sent, and when.

    After a rejection, one text is sent at a time. If the rate was too high, the distance that the gateway asked for is kept between texts.
    """

    def __init__(self) -> None:
        self._window = IN_FLIGHT
        self._interval = 0.0
        self._gate = 0.0
        self._sent_at = 0.0
        self._passed_at: float | None = None
        self._in_a_row = 0

    def room(self, unacknowledged: int) -> int:
        """Returns how many more texts may be sent if so many aren't acknowledged."""
        return max(0, self._window - unacknowledged)

    def wait(self, now: float) -> float | None:
        """Returns when the next text may be sent, or None for now."""
        return self._gate if now < self._gate else None

    def sent(self, now: float) -> None:
        self._sent_at = now
        if self._interval:
            self._gate = now + self._interval

    def drained(self) -> None:
        """Records that no text waits to be sent."""
        self._interval, self._passed_at = 0.0, None

    def accepted(self) -> None:
        self._passed_at = self._sent_at
        if not self._interval:
            self._window = min(IN_FLIGHT, self._window * 2)
            return
        self._in_a_row += 1
        if self._in_a_row >= PROBE_AFTER:
            self._in_a_row = 0
            self._interval = self._interval / 2 if self._interval > SHORTEST else 0.0

    def rejected(self, wait: float, now: float, *, spacing: float | None) -> None:
        """Pauses. `spacing`: after how many seconds the text would pass, if it came too early after the one before."""
        is_alone = self._window == 1
        self._window, self._in_a_row = 1, 0
        self._gate = max(self._gate, now + wait)
        if spacing is not None:
            measured = now + spacing - self._passed_at if is_alone and self._passed_at is not None else spacing
            self._interval = max(spacing, measured)
