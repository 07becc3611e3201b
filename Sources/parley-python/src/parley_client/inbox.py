# SPDX-License-Identifier: Apache-2.0
"""Sequence numbers of received messages, and the schedule of acknowledgements."""

from __future__ import annotations

ACK_MESSAGES = 64
ACK_SECONDS = 1.0


class Inbox:
    """Recognizes repeated messages, and decides when to acknowledge.

    JSON messages carry their number and may skip numbers, because the gateway drops messages of cancelled requests and expired pushes.
    Binary messages count on from the message before.
    """

    def __init__(self, last: int = 0) -> None:
        self.last = last
        """The highest number delivered to the application."""
        self.acknowledged = last
        self.due: float | None = None
        """When to acknowledge at the latest."""
        self._cursor = last

    def begin(self, last: int) -> None:
        """Starts to receive on a new connection, on which the gateway continues after `last`."""
        self._cursor = last
        self.due = None

    def forget(self) -> None:
        """Starts a new session, which has its own numbers."""
        self.last = self.acknowledged = self._cursor = 0
        self.due = None

    def sequenced(self, number: int, now: float) -> bool:
        """Records a JSON message; returns false if it was delivered before."""
        self._cursor = number
        return self._is_new(now)

    def binary(self, now: float) -> bool:
        """Records a binary message; returns false if it was delivered before."""
        self._cursor += 1
        return self._is_new(now)

    def _is_new(self, now: float) -> bool:
        if self.due is None:
            # Repeated messages are acknowledged as well, so that the gateway stops repeating them.
            self.due = now + ACK_SECONDS
        if self._cursor <= self.last:
            return False
        self.last = self._cursor
        if self.last - self.acknowledged >= ACK_MESSAGES:
            self.due = now
        return True

    def acknowledge(self) -> int:
        """Returns the number to acknowledge now."""
        self.acknowledged, self.due = self.last, None
        return self.last
