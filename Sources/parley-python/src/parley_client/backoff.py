# SPDX-License-Identifier: Apache-2.0
"""Delays between attempts to connect."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BackoffPolicy:
    """The parameters of the back-off, in seconds."""

    base: float = 0.25
    factor: float = 2
    cap: float = 30
    attempts: int | None = 10
    """The number of attempts before the client gives up; None for no limit."""
    stable: float = 60
    """How long a connection must be open to clear the number of attempts; each tenth takes one off."""


class Backoff:
    """Counts attempts, and draws delays with full jitter."""

    def __init__(self, policy: BackoffPolicy, generator: random.Random) -> None:
        self.policy = policy
        self.count = 0
        self._random = generator

    def next(self, *, at_once: bool, minimum: float) -> float | None:
        """Returns the delay before the next attempt, or None if there have been too many.

        `at_once` draws from the first interval, whatever the number of attempts. `minimum` is the delay that the gateway asked for.
        """
        policy = self.policy
        if policy.attempts is not None and self.count >= policy.attempts:
            return None
        # The exponent is bounded because a float overflows after 1024 doublings.
        interval = policy.base if at_once else min(policy.cap, policy.base * policy.factor ** min(self.count, 64))
        self.count += 1
        return minimum + self._random.uniform(0, interval)

    def was_open(self, seconds: float) -> None:
        """Credits the time for which a connection was open."""
        self.count = max(0, self.count - int(seconds * 10 / self.policy.stable))

    def reset(self) -> None:
        self.count = 0
