# SPDX-License-Identifier: Apache-2.0
"""Requests in flight: what has to be sent, sent again or cancelled, and how each ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .codes import Strategy, lookup
from .errors import ParleyError
from .events import Accepted, Done, Event
from .formats import AudioFormat
from .pace import Pace
from .upload import Upload
from .words import Words

LONGEST_WAIT = 60.0
"""Seconds; a message that the gateway rejects for longer fails instead of waiting."""
DEFAULT_WAIT = 1.0
REPEATED_WAIT, REPEATED_WAIT_CAP = 0.25, 5.0
"""Seconds; the least wait after the first and after many rejections of a message."""


@dataclass(slots=True)
class Request:
    """A `text` or a stream of audio that has no complete response."""

    message: dict[str, Any]
    size: int
    upload: Upload | None = None
    was_sent: bool = False
    sent_on: int | None = None
    """The connection on which the message was sent; None if it must be sent."""
    is_acknowledged: bool = False
    is_doubtful: bool = False
    """Whether part of the response would be lost if the gateway had accepted the message before."""
    rejections: int = 0
    first_rejection: float = 0.0

    @property
    def id(self) -> str:
        return str(self.message["id"])


class Requests:
    """The requests in flight, in the order in which they were made."""

    def __init__(self, words: Words, queue_messages: int, queue_bytes: int) -> None:
        self._words = words
        self._queue_messages, self._queue_bytes = queue_messages, queue_bytes
        self._requests: dict[str, Request] = {}
        self._cancelled: dict[str, dict[str, Any]] = {}
        self._cancels_sent_on: dict[str, int] = {}
        self._pace = Pace()
        self.resent = 0
        self.events: list[Event] = []
        """Events that the caller collects."""

    # MARK: State

    def __contains__(self, id: str) -> bool:
        return id in self._requests

    def __bool__(self) -> bool:
        return bool(self._requests)

    def __iter__(self) -> Iterator[Request]:
        return iter(self._requests.values())

    @property
    def queued(self) -> int:
        """The number of messages that aren't acknowledged."""
        return sum(not request.is_acknowledged for request in self)

    def has_room(self, size: int) -> bool:
        """Whether one more message may wait for a connection."""
        waiting = [request.size for request in self if not request.is_acknowledged]
        return len(waiting) < self._queue_messages and sum(waiting) + size <= self._queue_bytes

    # MARK: The application's side

    def add(self, message: dict[str, Any], size: int, format: AudioFormat | None = None) -> None:
        upload = Upload(message, format) if format else None
        self._requests[str(message["id"])] = Request(message, size, upload)

    def restore(self, message: dict[str, Any], *, was_sent: bool, is_acknowledged: bool) -> None:
        """Adds the request of an earlier process."""
        self._requests[str(message["id"])] = Request(message, len(str(message)), None, was_sent, None, is_acknowledged)

    def upload(self, id: str) -> Upload | None:
        request = self._requests.get(id)
        return request.upload if request else None

    def cancel(self, id: str, fields: dict[str, Any]) -> None:
        """Ends a request for the application at once; the gateway is told as soon as there is a connection."""
        request = self._requests.pop(id, None)
        if request is None:
            return
        if request.was_sent:
            self._cancelled[id] = {"type": "cancel", "id": id, **fields}
        self.events.append(Done(id, is_cancelled=True))

    def cancel_unknown(self, id: str, reason: str) -> None:
        """Tells the gateway to stop a request that has ended here."""
        self._cancelled[id] = {"type": "cancel", "id": id, "reason": reason}

    def fail(self, id: str, error: ParleyError, message: Mapping[str, Any] | None = None) -> None:
        if self._requests.pop(id, None) is not None:
            self.events.append(Done(id, error, message=message or {}))

    def fail_all(self, error: ParleyError) -> None:
        for id in list(self._requests):
            self.fail(id, error)
        self._cancelled.clear()

    # MARK: Connections

    def connected(self, open_audio: Mapping[str, Any] | None) -> None:
        """Prepares for sending on a new connection."""
        for request in self:
            if request.upload:
                is_open = open_audio is not None and open_audio.get("id") == request.id
                request.upload.connected(int(open_audio["chunks"]) if is_open and open_audio else None)
            request.sent_on = None
        if open_audio is not None and str(open_audio.get("id")) not in {*self._requests, *self._cancelled}:
            # A stream of an earlier process, or one that failed here: nobody will continue it.
            self.cancel_unknown(str(open_audio.get("id")), "not continued")
        self._cancels_sent_on.clear()

    def lose(self, error: ParleyError, *, is_new_session: bool) -> tuple[str, ...]:
        """Fails the requests whose responses are gone, and returns their ids.

        Unacknowledged requests are sent again. If the session continues, the gateway may have accepted one of them before; its response is
        incomplete then.
        """
        lost = [request.id for request in self if request.is_acknowledged]
        for id in lost:
            self.fail(id, error)
        for request in self:
            request.is_doubtful = not is_new_session and request.was_sent
        if is_new_session:
            self._cancelled.clear()
        return tuple(lost)

    def take(self, connection: int, now: float, factor: float | None) -> tuple[list[dict[str, Any] | bytes], float | None]:
        """Returns what to send now, and when to ask again."""
        result: list[dict[str, Any] | bytes] = []
        for id, message in self._cancelled.items():
            if id not in self._cancels_sent_on:
                self._cancels_sent_on[id] = connection
                result.append(message)
        times = [self._take_texts(result, connection, now), self._take_audio(result, connection, now, factor)]
        return result, min((time for time in times if time is not None), default=None)

    def _take_texts(self, result: list[dict[str, Any] | bytes], connection: int, now: float) -> float | None:
        texts = [request for request in self if not request.upload and not request.is_acknowledged]
        waiting = [request for request in texts if request.sent_on is None]
        if not texts:
            self._pace.drained()
        for request in waiting[: self._pace.room(len(texts) - len(waiting))]:
            if due := self._pace.wait(now):
                return due
            self._pace.sent(now)
            self._count(request, connection)
            result.append(request.message)
        return None

    def _take_audio(
        self, result: list[dict[str, Any] | bytes], connection: int, now: float, factor: float | None
    ) -> float | None:
        for request in self:
            if request.upload and not request.upload.has_ended:
                messages, due = request.upload.take(now, factor)
                if messages:
                    self._count(request, connection)
                result += messages
                # One stream may be open at a time.
                if not request.upload.has_ended:
                    return due
        return None

    def _count(self, request: Request, connection: int) -> None:
        if request.was_sent and request.sent_on is None:
            self.resent += 1
        request.was_sent, request.sent_on = True, connection

    # MARK: The gateway's side

    def acknowledged(self, message: Mapping[str, Any], doubt: ParleyError) -> None:
        """Handles an `ack`."""
        request = self._requests.get(str(message.get("id")))
        if request is None:
            return
        is_duplicate = message.get("duplicate") is True
        if is_duplicate and request.is_doubtful and not (request.upload and "chunks" in message):
            self.fail(request.id, doubt)
            return
        chunks = message.get("chunks")
        if request.upload:
            request.upload.acknowledged(chunks if isinstance(chunks, int) else None, is_duplicate=is_duplicate)
        self.confirm(request.id)

    def confirm(self, id: str) -> None:
        """Records that the gateway accepted a request: it acknowledged it, or responded to it."""
        request = self._requests.get(id)
        if request and not request.is_acknowledged:
            request.is_acknowledged = True
            if not request.upload:
                self._pace.accepted()
            self.events.append(Accepted(id))

    def finish(self, message: Mapping[str, Any]) -> None:
        """Handles the last message of a response."""
        id = str(message.get("reply_to") or message.get("error", {}).get("reply_to"))
        self._cancelled.pop(id, None)
        is_cancelled = message["type"] == "status" and message.get("state") == "cancelled"
        if is_cancelled:
            self._cancels_sent_on.pop(id, None)
        if id not in self:
            return
        if message["type"] == "error":
            self.fail(id, ParleyError.received(message["error"], self._words), message)
        else:
            del self._requests[id]
            self.events.append(Done(id, is_cancelled=is_cancelled, message=message))

    def rejected(self, error: Mapping[str, Any], now: float) -> bool:
        """Handles an `error` that rejects a message; returns false if it belongs to no request."""
        id = str(error.get("reply_to"))
        if self._cancels_sent_on.pop(id, None) is not None:
            # The request had ended before the gateway received the `cancel`.
            self._cancelled.pop(id, None)
            return True
        request = self._requests.get(id)
        if request is None:
            return False
        code, wait = str(error.get("code")), error.get("retry_after_ms")
        seconds = wait / 1000 if isinstance(wait, int | float) else DEFAULT_WAIT
        chunk = error.get("chunk")
        may_retry = lookup(code).strategy is Strategy.RESEND and error.get("retryable") is True and seconds <= LONGEST_WAIT
        if request.rejections == 0:
            request.first_rejection = now
        if request.upload and isinstance(chunk, int):
            if may_retry:
                request.upload.chunk_rejected(chunk, seconds, now)
                return True
            self.cancel_unknown(id, code)
        elif request.is_acknowledged and not request.upload:
            return False  # The rejection of a repeated message; its first copy was accepted.
        elif may_retry and now + seconds - request.first_rejection <= LONGEST_WAIT:
            spacing = seconds if code == "rate_limited" else None
            seconds = max(seconds, min(REPEATED_WAIT_CAP, REPEATED_WAIT * 2.0**request.rejections))
            request.rejections += 1
            request.sent_on = None
            if request.upload:
                request.upload.opening_rejected(seconds, now)
            else:
                self._pace.rejected(seconds if spacing is None else spacing, now, spacing=spacing)
            return True
        self.fail(id, ParleyError.received(error, self._words))
        return True
