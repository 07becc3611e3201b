# SPDX-License-Identifier: Apache-2.0
"""Events for the application. `kind` is the name under which `Parley.on` subscribes to an event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from .errors import ParleyError


class State(StrEnum):
    """The states of a client."""

    IDLE = "idle"
    CONNECTING = "connecting"
    OPEN = "open"
    WAITING = "waiting"
    """Between two attempts."""
    OFFLINE = "offline"
    """The application said that there is no network (`Parley.set_online`)."""
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Event:
    """An event."""

    kind: ClassVar[str] = ""


@dataclass(frozen=True, slots=True)
class StateChanged(Event):
    """A change of state. `retry_in`: seconds until the next attempt. `error`: the reason for `waiting` and `closed`."""

    kind: ClassVar[str] = "state"
    state: State
    retry_in: float | None = None
    error: ParleyError | None = None


@dataclass(frozen=True, slots=True)
class SessionStarted(Event):
    """A session was started or resumed."""

    kind: ClassVar[str] = "session"
    session_id: str
    resumed: bool
    limits: Mapping[str, Any]
    message: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Lost(Event):
    """Messages of the gateway, or the whole session, are gone. `ids`: the replies that end with the error `lost`."""

    kind: ClassVar[str] = "lost"
    ids: tuple[str, ...]
    resume_error: str | None
    is_new_session: bool


@dataclass(frozen=True, slots=True)
class Message(Event):
    """A message of the gateway as received, repeated ones excluded."""

    kind: ClassVar[str] = "message"
    message: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Accepted(Event):
    """The gateway acknowledged a request."""

    kind: ClassVar[str] = "ack"
    id: str


@dataclass(frozen=True, slots=True)
class Delta(Event):
    """A piece of a response."""

    kind: ClassVar[str] = "delta"
    id: str
    text: str
    final: bool


@dataclass(frozen=True, slots=True)
class Transcript(Event):
    """What the user said."""

    kind: ClassVar[str] = "transcript"
    id: str
    text: str
    final: bool
    message: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Audio(Event):
    """A piece of a spoken response. `data` is empty where a stream begins or ends; `id` is None for pushed audio."""

    kind: ClassVar[str] = "audio"
    id: str | None
    format: Mapping[str, Any]
    data: bytes
    final: bool


@dataclass(frozen=True, slots=True)
class Status(Event):
    """Progress of a request, or the state of a quota."""

    kind: ClassVar[str] = "status"
    id: str | None
    state: str
    message: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Report(Event):
    """The session report that was asked for."""

    kind: ClassVar[str] = "report"
    id: str | None
    message: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Push(Event):
    """A message that a back office or an operator sent."""

    kind: ClassVar[str] = "push"
    id: str
    message: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Done(Event):
    """The end of a reply: complete, failed (`error`), or cancelled."""

    kind: ClassVar[str] = "done"
    id: str
    error: ParleyError | None = None
    is_cancelled: bool = False
    message: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class ErrorReceived(Event):
    """An error that belongs to no reply."""

    kind: ClassVar[str] = "error"
    error: ParleyError


@dataclass(frozen=True, slots=True)
class Advice(Event):
    """A text for people, with its key in `WORDS`; an empty key withdraws the former advice."""

    kind: ClassVar[str] = "advice"
    key: str
    text: str


@dataclass(frozen=True, slots=True)
class GoAway(Event):
    """The gateway will close the connection."""

    kind: ClassVar[str] = "goaway"
    reason: str
    deadline: float
    """Seconds until then."""


@dataclass(frozen=True, slots=True)
class Statistics(Event):
    """Counters of a client."""

    kind: ClassVar[str] = "stats"
    messages_sent: int = 0
    messages_received: int = 0
    messages_resent: int = 0
    duplicates_dropped: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    reconnects: int = 0
    resumes: int = 0
    lost_pongs: int = 0
    rtt_ms: float | None = None
    jitter_ms: float = 0.0
    queued: int = 0
    events_dropped: int = 0
