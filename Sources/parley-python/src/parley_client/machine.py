# SPDX-License-Identifier: Apache-2.0
"""The state machine of a client: inputs with their time, effects in return. It has no clock, no sockets and no tasks."""

from __future__ import annotations

import json
import math
import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .backoff import Backoff, BackoffPolicy
from .codes import Strategy, lookup
from .effects import Connect, Drop, Effect, Emit, Failure, FetchToken, Send
from .errors import ParleyError
from .events import (
    Advice,
    Audio,
    Delta,
    ErrorReceived,
    Event,
    GoAway,
    Lost,
    Message,
    Push,
    Report,
    SessionStarted,
    State,
    StateChanged,
    Statistics,
    Status,
    Transcript,
)
from .formats import AudioFormat
from .health import Check, Health
from .inbox import Inbox
from .requests import Requests
from .saved import SavedRequest, SavedState
from .words import Words

PUSH_IDS = 1000
STALL = 1.0
"""Seconds by which a timer may be late before deadlines of pongs are extended."""
STALE_SECONDS = 60.0
"""How long an attempt that was given up may still reach the gateway."""
ADVICE_SECONDS = 1.0
"""The shortest wait that is worth a text."""
GOAWAY_SHARE = 0.8
"""The part of a `goaway` deadline over which reconnects are spread."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the state machine."""

    words: Words = field(default_factory=Words)
    backoff: BackoffPolicy = field(default_factory=BackoffPolicy)
    queue_messages: int = 100
    queue_bytes: int = 1_000_000
    connect_timeout: float = 15.0
    heartbeat: float | None = None
    """Seconds between pings; the gateway's `heartbeat_ms` if None."""
    can_refresh: bool = False
    """Whether another token may differ from the one before."""


class Machine:
    """A session over any number of connections.

    Inputs return their effects; `now` is in seconds of a monotonic clock. `deadline` is the time of the next `tick`. Inputs that name a
    connection are ignored if that connection isn't the current one.
    """

    def __init__(self, options: Options, generator: random.Random, saved: SavedState | None = None) -> None:
        self.options = options
        self.state = State.IDLE
        self.limits: Mapping[str, Any] = {}
        self.session_id: str | None = None
        self.inbox = Inbox(saved.last_seq if saved else 0)
        self.health = Health()
        self.requests = Requests(options.words, options.queue_messages, options.queue_bytes)
        self._random = generator
        self._prefix = "".join(generator.choices("abcdefghijkmnpqrstuvwxyz23456789", k=8))
        self._ids = 0
        self._effects: list[Effect] = []
        self._backoff = Backoff(options.backoff, generator)
        self._connection = 0
        self._token = saved.token if saved else None
        # The token before, until the gateway has confirmed its successor.
        self._previous: str | None = None
        self._presented = False
        self._resumed_from = 0
        self._stale_until = 0.0
        self._fatal: Mapping[str, Any] | None = None
        self._was_refused = False
        self._audio: tuple[str | None, Mapping[str, Any]] | None = None
        self._pushes: deque[str] = deque(maxlen=PUSH_IDS)
        self._has_connection = self._had_outage = self._is_final = False
        self._advice = ""
        self._closed_with: ParleyError | None = None
        # Timers.
        self._attempt_at: float | None = None
        self._connect_deadline: float | None = None
        self._opened_at = 0.0
        self._leave_at: float | None = None
        self._send_at: float | None = None
        self._sent = self._received = self._bytes_sent = self._bytes_received = 0
        self._duplicates = self._sessions = self._resumes = 0
        for request in saved.requests if saved else ():
            self.requests.restore(request.message, was_sent=request.was_sent, is_acknowledged=request.is_acknowledged)

    # MARK: State for the application

    @property
    def deadline(self) -> float | None:
        """The time of the next `tick`."""
        times = [self._attempt_at, self._connect_deadline, self._leave_at, self._send_at, self.inbox.due, self.health.due]
        return min((time for time in times if time is not None), default=None)

    @property
    def closed_with(self) -> ParleyError | None:
        """The error that requests get while the client is closed."""
        return self._closed_with

    def stats(self) -> Statistics:
        return Statistics(
            messages_sent=self._sent,
            messages_received=self._received,
            messages_resent=self.requests.resent,
            duplicates_dropped=self._duplicates,
            bytes_sent=self._bytes_sent,
            bytes_received=self._bytes_received,
            reconnects=max(0, self._sessions - 1),
            resumes=self._resumes,
            lost_pongs=self.health.lost_pongs,
            rtt_ms=self.health.rtt_ms,
            jitter_ms=self.health.jitter_ms,
            queued=self.requests.queued,
        )

    def saved(self) -> SavedState | None:
        """The state with which another process resumes; None without a session. Streams of audio aren't part of it."""
        if self._token is None:
            return None
        requests = tuple(SavedRequest(r.message, r.was_sent, r.is_acknowledged) for r in self.requests if not r.upload)
        return SavedState(self._token, self.inbox.last, requests)

    def next_id(self) -> str:
        """Returns an id that no other request of any client has."""
        self._ids += 1
        return f"{self._prefix}-{self._ids}"

    # MARK: Inputs of the application

    def start(self, now: float) -> list[Effect]:
        """Connects."""
        if self.state is State.IDLE:
            self._connect(now)
        return self._take()

    def reconnect(self, now: float) -> list[Effect]:
        """Connects again at once, also after the client gave up."""
        if self._is_final:
            return self._take()
        self._backoff.reset()
        self._was_refused = False
        self._abandon(now)
        self._connect(now)
        return self._take()

    def set_online(self, is_online: bool, now: float) -> list[Effect]:
        """Stops attempts while the application knows that there is no network."""
        if self.state is State.CLOSED:
            return self._take()
        if is_online and self.state is State.OFFLINE:
            self._backoff.reset()
            self._connect(now)
        elif not is_online and self.state is not State.OFFLINE:
            self._abandon(now)
            self._had_outage = True
            self._set_state(State.OFFLINE, error=self._error("offline"))
            self._advise("offline_queued" if self.requests.queued else "offline")
        return self._take()

    def send_text(self, message: dict[str, Any]) -> ParleyError | None:
        """Adds a request; returns the error with which it is rejected. The caller collects the effects with `flush`."""
        text = str(message["text"])
        size = len(text.encode())
        limit = self.limits.get("messages.max_text_bytes")
        if isinstance(limit, int) and size > limit:
            return self._error("message_too_large", f"{size} bytes of text; the limit is {limit}")
        return self._add(message, size, None)

    def open_stream(self, message: dict[str, Any], format: AudioFormat) -> ParleyError | None:
        """Adds a stream of audio; returns the error with which it is rejected."""
        return self._add(message, 0, format)

    def _add(self, message: dict[str, Any], size: int, format: AudioFormat | None) -> ParleyError | None:
        if self._closed_with:
            return self._closed_with
        if self.state is not State.OPEN and not self.requests.has_room(size):
            self._advise("queue_full")
            return self._error("queue_full", f"{self.requests.queued} messages are waiting for a connection", retryable=True)
        self.requests.add(message, size, format)
        if self.state in (State.OFFLINE, State.WAITING):
            self._advise("offline_queued" if self.state is State.OFFLINE else "queued")
        return None

    def add_chunk(self, id: str, chunk: bytes, *, is_live: bool, now: float) -> list[Effect]:
        """Adds a chunk to a stream. A live source can't wait: if its stream is full, the request fails."""
        upload = self.requests.upload(id)
        if upload and is_live and upload.is_full:
            self._fail_stream(id, self._error("audio_dropped", "30 s of audio aren't acknowledged", retryable=True))
        elif upload:
            upload.add(chunk)
        return self.flush(now)

    def end_stream(self, id: str, now: float, error: ParleyError | None = None) -> list[Effect]:
        """Ends a stream: complete, or failed because its source failed."""
        upload = self.requests.upload(id)
        if upload and error:
            self._fail_stream(id, error)
        elif upload:
            upload.finish()
        return self.flush(now)

    def _fail_stream(self, id: str, error: ParleyError) -> None:
        request = next(request for request in self.requests if request.id == id)
        was_sent = request.was_sent
        self.requests.fail(id, error)
        if was_sent:
            self.requests.cancel_unknown(id, error.code)

    def cancel(self, id: str, fields: dict[str, Any], now: float) -> list[Effect]:
        """Cancels a request; its reply ends at once."""
        self.requests.cancel(id, fields)
        return self.flush(now)

    def send_now(self, message: dict[str, Any]) -> list[Effect]:
        """Sends a message that is of no use later; it is dropped while there is no connection."""
        if self.state is State.OPEN:
            self._send(message)
        return self._take()

    def token(self, token: str) -> list[Effect]:
        """Renews the token of the open connection."""
        return self.send_now({"type": "auth", "token": token})

    def close(self, now: float) -> list[Effect]:
        """Ends the session."""
        if not self._is_final:
            if self.state is State.OPEN:
                self._send({"type": "bye"})
            self._is_final = True
            self._stop(self._error("closed"), now, is_graceful=True)
            self._token = self._previous = None
        return self._take()

    def suspend(self, now: float) -> list[Effect]:
        """Closes the connection, but leaves the session open for another process."""
        if not self._is_final:
            if self.state is State.OPEN:
                self._send({"type": "ack", "seq": self.inbox.acknowledge()})
            self._is_final = True
            self._stop(self._error("closed"), now, is_graceful=True)
        return self._take()

    def probe(self, now: float) -> list[Effect]:
        """Checks the connection with a short deadline, for instance after the machine slept."""
        if self.state is State.OPEN and (id := self.health.probe(now)):
            self._send({"type": "ping", "id": id})
        elif self.state is State.WAITING:
            self._attempt_at = now
        return self._take()

    def flush(self, now: float) -> list[Effect]:
        """Sends what is due."""
        if self.state is State.OPEN:
            factor = self.limits.get("limits.audio_realtime_factor")
            messages, self._send_at = self.requests.take(self._connection, now, factor if isinstance(factor, int | float) else None)
            for message in messages:
                self._send(message)
        return self._take()

    # MARK: Inputs of the connection

    def received(self, connection: int, data: str | bytes, now: float) -> list[Effect]:
        """Handles a message of the gateway."""
        if connection != self._connection or self.state not in (State.OPEN, State.CONNECTING):
            return self._take()
        self._received += 1
        self._bytes_received += len(data)
        try:
            if isinstance(data, bytes):
                self._binary(data, now)
            else:
                message = json.loads(data)
                if not isinstance(message, dict):
                    raise ValueError("not an object")
                self._message(message, now)
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            # Without the message itself, which may contain a token.
            self._abandon(now)
            self._failed(Failure("protocol_error", f"invalid message: {type(error).__name__}: {error}"), now)
        return self.flush(now)

    def disconnected(self, connection: int, failure: Failure, now: float) -> list[Effect]:
        """Handles the end of a connection, or of an attempt to connect."""
        if connection == self._connection and self.state in (State.OPEN, State.CONNECTING):
            self._abandon(now, is_closed=True)
            self._failed(failure, now)
        return self._take()

    def tick(self, now: float) -> list[Effect]:
        """Handles all timers that are due."""
        deadline = self.deadline
        if deadline is not None and now - deadline > STALL:
            self.health.extend(now)
        if self._connect_deadline is not None and now >= self._connect_deadline:
            self._abandon(now)
            self._failed(Failure("connect_timeout", f"no session within {self.options.connect_timeout:g} s"), now)
        if self._attempt_at is not None and now >= self._attempt_at:
            self._connect(now)
        if self.state is not State.OPEN:
            return self._take()
        match self.health.check(now):
            case Check.PING:
                self._send({"type": "ping", "id": self.health.ping(now, is_busy=bool(self.requests))})
            case Check.DEAD:
                self._abandon(now)
                self._failed(Failure("pong_timeout", "two pongs are missing"), now)
                return self._take()
            case Check.NOTHING:
                pass
        if self._leave_at is not None and now >= self._leave_at:
            self._abandon(now, is_graceful=True)
            self._failed(Failure(4003, "goaway"), now)
            return self._take()
        if self.inbox.due is not None and now >= self.inbox.due:
            self._send({"type": "ack", "seq": self.inbox.acknowledge()})
        return self.flush(now)

    # MARK: Connections

    def _connect(self, now: float) -> None:
        self._attempt_at = None
        self._closed_with = None
        self._connection += 1
        self._has_connection = True
        self._fatal = None
        self._presented = self._token is not None
        self._connect_deadline = now + self.options.connect_timeout
        self._set_state(State.CONNECTING)
        self._resumed_from = self.resume_point()
        self._effects.append(Connect(self._connection, self._token, self._resumed_from))

    def resume_point(self) -> int:
        """Returns the number of the message after which the gateway shall continue. Tests return less."""
        return self.inbox.last

    def _abandon(self, now: float, *, is_graceful: bool = False, is_closed: bool = False) -> None:
        """Leaves the current connection and stops all timers. `is_closed`: the connection has ended already."""
        if self._has_connection and not is_closed:
            self._effects.append(Drop(self._connection, is_graceful))
        if self._has_connection and self.state is State.OPEN:
            self._backoff.was_open(now - self._opened_at)
        elif self._has_connection:
            self._stale_until = now + STALE_SECONDS
        self._has_connection = False
        self.health.end()
        self.inbox.due = None
        self._connect_deadline = self._attempt_at = self._leave_at = self._send_at = None

    def _failed(self, failure: Failure, now: float) -> None:
        """Decides what follows the end of a connection."""
        fatal = self._fatal or {}
        wait = fatal.get("retry_after_ms")
        minimum = max(failure.retry_after, wait / 1000 if isinstance(wait, int | float) else 0.0)
        strategy = self._strategy(failure)
        error = ParleyError(
            failure.key,
            self.options.words.code(failure.key),
            message=str(fatal.get("message") or failure.message),
            retryable=strategy is not Strategy.STOP,
            correlation_id=failure.correlation_id or fatal.get("correlation_id"),
        )
        if failure.key == 4503 and now < self._stale_until:
            # The other connection is probably the client's own: an attempt that it gave up arrived late.
            self._stale_until = 0.0
            strategy = Strategy.RECONNECT
        if strategy is Strategy.REFRESH:
            if self._was_refused or not self.options.can_refresh:
                error.retryable = False
                return self._stop(error, now)
            self._was_refused = True
        if failure.key in (4506, 4507):
            self._token = self._previous = None
        if strategy is Strategy.STOP:
            return self._stop(error, now)
        if strategy is Strategy.NEW_SESSION:
            self._begin_new_session("expired")
            self._token = self._previous = None
        at_once = strategy in (Strategy.RECONNECT, Strategy.REFRESH, Strategy.NEW_SESSION)
        delay = self._backoff.next(at_once=at_once, minimum=minimum)
        if delay is None:
            message = f"gave up after {self._backoff.count} attempts; the last: {error}"
            text = self.options.words.code("gave_up")
            return self._stop(ParleyError("gave_up", text, message=message, retryable=True, correlation_id=error.correlation_id), now)
        self._attempt_at = now + delay
        self._set_state(State.WAITING, retry_in=delay, error=error)
        self._had_outage = True
        if error.words not in ("network", "unreachable"):
            self._advise(error.words)
        elif delay >= ADVICE_SECONDS:
            self._advise("reconnecting", seconds=math.ceil(delay))
        else:
            self._advise("queued" if self.requests.queued else error.words)
        return None

    @staticmethod
    def _strategy(failure: Failure) -> Strategy:
        strategy = lookup(failure.key).strategy
        if failure.is_refusal and strategy in (Strategy.NONE, Strategy.RESEND) and failure.status is not None:
            # The code says what to do with a message, the status what to do with a connection.
            return lookup(failure.status).strategy
        return strategy

    def _stop(self, error: ParleyError, now: float, *, is_graceful: bool = False) -> None:
        """Ends all requests and doesn't connect again by itself."""
        self._abandon(now, is_graceful=is_graceful)
        self._closed_with = error
        if self.state is State.CLOSED:
            return
        self.requests.fail_all(error)
        self._collect()
        self._set_state(State.CLOSED, error=error)
        if not self._is_final:
            self._advise(error.words)

    def _set_state(self, state: State, *, retry_in: float | None = None, error: ParleyError | None = None) -> None:
        self.state = state
        self._effects.append(Emit(StateChanged(state, retry_in, error)))

    # MARK: Messages

    def _message(self, message: dict[str, Any], now: float) -> None:
        kind = message["type"]
        if self.state is State.CONNECTING:
            if kind == "session":
                self._session(message, now)
            elif kind == "error":
                self._fatal = message["error"]
            else:
                raise ValueError("the first message isn't a session")
            return
        sequence = message.get("seq")
        if sequence is not None and not self.inbox.sequenced(int(sequence), now):
            self._duplicates += 1
            return
        push = message.get("push")
        if push is not None:
            if str(push["id"]) in self._pushes:
                self._duplicates += 1
                return
            self._pushes.append(str(push["id"]))
        self._emit(Message(message))
        match kind:
            case "ack":
                self.requests.acknowledged(message, self._error("lost", retryable=True))
            case "pong":
                self._pong(message, now)
            case "goaway":
                self._goaway(str(message["reason"]), message["deadline_ms"] / 1000, now)
            case "error":
                self._received_error(message, now)
            case "auth" | "session":
                pass
            case _ if push is not None:
                if kind == "audio":
                    self._audio_message(None, message)
                self._emit(Push(str(push["id"]), message))
            case _:
                self._response(kind, message)
        if message.get("done") is True:
            self.requests.finish(message)
        self._collect()

    def _session(self, message: dict[str, Any], now: float) -> None:
        token = str(message["resume_token"])
        is_resumed = message["resumed"] is True
        if is_resumed and (not self._presented or int(message["last_seq"]) < self.inbox.last):
            # Messages would be taken for repeated ones; a new session is the only way on.
            self._token = self._previous = None
            self._begin_new_session("bad_last_seq")
            raise ValueError(f"the session was resumed at {message['last_seq']}, after {self.inbox.last}")
        if is_resumed:
            self._resumes += 1
            if message["lost"] is True:
                self._lose(None, is_new_session=False)
        elif self._presented and self._previous is not None:
            # An attempt that was given up has arrived late, and had the token replaced. The one before is still valid.
            self._token, self._previous = self._previous, None
            self._send({"type": "bye"})
            self._abandon(now, is_graceful=True)
            return self._connect(now)
        elif self._presented:
            self._begin_new_session(str(message.get("resume_error")))
        else:
            self.inbox.forget()
            self._audio = None
        open_audio = message.get("open_audio")
        self._previous = self._token if is_resumed else None
        self._token, self.session_id = token, str(message["session_id"])
        self.limits = message.get("limits") or {}
        self._sessions += 1
        self._connect_deadline = None
        self._was_refused = False
        self._opened_at = now
        self.inbox.begin(self._resumed_from if is_resumed else 0)
        self.health.begin(self.options.heartbeat or message["heartbeat_ms"] / 1000, now)
        self.requests.connected(open_audio)
        self._set_state(State.OPEN)
        self._send({"type": "ack", "seq": self.inbox.acknowledge()})
        self._emit(SessionStarted(self.session_id, is_resumed, self.limits, message))
        if self._had_outage:
            self._had_outage = False
            self._advise("resumed" if is_resumed and message["lost"] is not True else "restarted")

    def _begin_new_session(self, reason: str) -> None:
        self._lose(reason, is_new_session=True)
        self.inbox.forget()
        self._audio = None

    def _lose(self, reason: str | None, *, is_new_session: bool) -> None:
        ids = self.requests.lose(self._error("lost", retryable=True), is_new_session=is_new_session)
        self._collect()
        self._emit(Lost(ids, reason, is_new_session))

    def _binary(self, data: bytes, now: float) -> None:
        if self.state is State.CONNECTING:
            raise ValueError("the first message isn't a session")
        if not self.inbox.binary(now):
            self._duplicates += 1
        elif self._audio is not None:
            id, format = self._audio
            if id is None or id in self.requests:
                self._emit(Audio(id, format, data, False))

    def _audio_message(self, id: str | None, message: Mapping[str, Any]) -> None:
        is_final = message.get("final") is True
        format = message.get("format") or {}
        self._audio = None if is_final else (id, format)
        if id is None or id in self.requests:
            self._emit(Audio(id, format, b"", is_final))

    def _response(self, kind: str, message: Mapping[str, Any]) -> None:
        id = message.get("reply_to")
        if kind == "audio":
            self._audio_message(str(id), message)
        elif kind == "status" and "session" in message:
            self._emit(Report(message.get("id"), message))
        elif kind == "status" and id is None:
            self._emit(Status(None, str(message.get("state")), message))
        id = str(id)
        if id not in self.requests:
            return  # Of a request that was cancelled or has failed here.
        self.requests.confirm(id)
        self._collect()
        match kind:
            case "text":
                self._emit(Delta(id, str(message["text"]), message.get("final") is True))
            case "transcript":
                self._emit(Transcript(id, str(message["text"]), message.get("final") is True, message))
            case "status":
                self._emit(Status(id, str(message.get("state")), message))

    def _received_error(self, message: Mapping[str, Any], now: float) -> None:
        error = message["error"]
        if error.get("fatal") is True:
            self._fatal = error
        if message.get("done") is True:
            return
        if self.health.answered(str(error.get("reply_to"))):
            return
        if error.get("fatal") is not True and self.requests.rejected(error, now):
            return
        self._emit(ErrorReceived(ParleyError.received(error, self.options.words)))

    def _pong(self, message: Mapping[str, Any], now: float) -> None:
        if not self.health.pong(str(message.get("id")), now):
            return
        # The ping was sent after the first `ack`, which confirms the token.
        self._previous = None
        self._advise("slow" if self.health.is_slow else "")
        self._emit(self.stats())

    def _goaway(self, reason: str, deadline: float, now: float) -> None:
        self._emit(GoAway(reason, deadline))
        if reason == "token_expiring":
            if self.options.can_refresh:
                self._effects.append(FetchToken())
        elif reason != "session_expires":
            self._leave_at = now + self._random.uniform(0, deadline * GOAWAY_SHARE)

    # MARK: Effects

    def _send(self, message: dict[str, Any] | bytes) -> None:
        data = message if isinstance(message, bytes) else json.dumps(message, ensure_ascii=False, separators=(",", ":"))
        self._sent += 1
        self._bytes_sent += len(data)
        self._effects.append(Send(data))

    def _emit(self, event: Event) -> None:
        self._effects.append(Emit(event))

    def _advise(self, key: str, **values: object) -> None:
        """Emits a text for people, unless it was the last one. An empty key withdraws the last one."""
        text = self.options.words.text(key, **values) if key else ""
        if text != self._advice:
            self._advice = text
            self._emit(Advice(key, text))

    def _error(self, code: str | int, message: str = "", *, retryable: bool = False) -> ParleyError:
        return ParleyError.local(code, self.options.words, message, retryable=retryable)

    def _collect(self) -> None:
        for event in self.requests.events:
            self._emit(event)
        self.requests.events.clear()

    def _take(self) -> list[Effect]:
        self._collect()
        effects, self._effects = self._effects, []
        return effects
