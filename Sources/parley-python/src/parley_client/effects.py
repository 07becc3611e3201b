# SPDX-License-Identifier: Apache-2.0
"""What the state machine asks its surroundings to do, and what ended a connection."""

from __future__ import annotations

from dataclasses import dataclass

from .events import Event


@dataclass(frozen=True, slots=True)
class Connect:
    """Opens connection `connection`, with a token of the application's and, to resume, the session's."""

    connection: int
    resume_token: str | None
    last_seq: int


@dataclass(frozen=True, slots=True)
class Send:
    """Sends a message on the current connection."""

    data: str | bytes


@dataclass(frozen=True, slots=True)
class Drop:
    """Closes a connection: after what was sent (`is_graceful`), or at once."""

    connection: int
    is_graceful: bool = False


@dataclass(frozen=True, slots=True)
class FetchToken:
    """Requests a new token, for `Machine.token`."""


@dataclass(frozen=True, slots=True)
class Emit:
    """Passes an event to the application."""

    event: Event


Effect = Connect | Send | Drop | FetchToken | Emit


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a connection ended or couldn't be opened. `key`: a key of `CODES`."""

    key: str | int
    message: str = ""
    retry_after: float = 0.0
    """Seconds before the next attempt, at least."""
    correlation_id: str | None = None
    is_refusal: bool = False
    """Whether the gateway, or something before it, answered the upgrade with an HTTP response."""
    status: int | None = None
