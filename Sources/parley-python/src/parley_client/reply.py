# SPDX-License-Identifier: Apache-2.0
"""The response to one request, as it arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Mapping
from typing import Any, TypeVar

from .errors import ParleyError, ReplyCancelled
from .events import Accepted, Audio, Delta, Done, Event, Status, Transcript
from .words import WORDS

Piece = TypeVar("Piece")


class Reply:
    """A response that streams.

    `async for delta in reply` yields pieces of text, from the first one on, and raises `ParleyError` if the response fails.
    `await reply` returns the reply itself when it is complete. A reply ends exactly once: complete, failed or cancelled.
    """

    def __init__(self, id: str, cancel: Callable[[str, float | None, str | None], None]) -> None:
        self.id = id
        self.error: ParleyError | None = None
        self.is_accepted = False
        """Whether the gateway has accepted the request: it won't be lost by anything that its store survives."""
        self.is_done = False
        self.is_cancelled = False
        self.transcript = ""
        """What the user said, for requests with audio."""
        self.partial_transcript = ""
        """The latest hypothesis, until it is final."""
        self.state: str | None = None
        """The progress that the upstream reported last, such as `thinking`."""
        self.usage: Mapping[str, Any] = {}
        self.timing: Mapping[str, Any] = {}
        self.finish: str | None = None
        self.audio_format: Mapping[str, Any] | None = None
        self._deltas: list[str] = []
        self._chunks: list[bytes] = []
        self._cancel = cancel
        self._changed = asyncio.Event()

    @property
    def text(self) -> str:
        """The text that has arrived so far; the complete text if `is_done` without an error."""
        return "".join(self._deltas)

    def cancel(self, *, played_ms: float | None = None, reason: str | None = None) -> None:
        """Stops the response. The reply ends at once, as cancelled."""
        if not self.is_done:
            self._cancel(self.id, played_ms, reason)

    def __await__(self) -> Generator[Any, None, Reply]:
        return self.wait().__await__()

    async def wait(self) -> Reply:
        """Returns when the response is complete; raises `ParleyError`, or `ReplyCancelled`."""
        while not self.is_done:
            await self._changed.wait()
        if self.error:
            raise self.error
        return self

    async def accepted(self) -> None:
        """Returns when the gateway has accepted the request; raises if it didn't."""
        while not self.is_accepted and not self.is_done:
            await self._changed.wait()
        if self.error and not self.is_accepted:
            raise self.error

    def __aiter__(self) -> AsyncIterator[str]:
        return self._iterate(self._deltas)

    def audio(self) -> AsyncIterator[bytes]:
        """Iterates over the chunks of a spoken response. `audio_format` is set when the first one arrives."""
        return self._iterate(self._chunks)

    async def _iterate(self, pieces: list[Piece]) -> AsyncIterator[Piece]:
        index = 0
        while True:
            while index < len(pieces):
                index += 1
                yield pieces[index - 1]
            if self.is_done:
                break
            await self._changed.wait()
        if self.error:
            raise self.error

    def changed(self) -> Coroutine[Any, Any, bool]:
        """Returns what to await for the next change after this call."""
        return self._changed.wait()

    def restore(self, text: str) -> None:
        """Sets the text that an earlier process received."""
        if text:
            self._deltas.append(text)

    def handle(self, event: Event) -> None:
        """Records an event of this reply."""
        match event:
            case Accepted():
                self.is_accepted = True
            case Delta():
                if event.text:
                    self._deltas.append(event.text)
            case Transcript():
                if event.final:
                    self.transcript = f"{self.transcript} {event.text}".strip()
                self.partial_transcript = "" if event.final else event.text
            case Audio():
                if event.format:
                    self.audio_format = event.format
                if event.data:
                    self._chunks.append(event.data)
            case Status():
                self.state = event.state
            case Done():
                self._end(event)
        self._notify()

    def fail(self, error: ParleyError) -> None:
        """Ends the reply of a request that was never sent."""
        self.is_done, self.error = True, error
        self._notify()

    def _end(self, event: Done) -> None:
        self.is_done = True
        self.is_cancelled = event.is_cancelled
        self.error = event.error
        if event.is_cancelled:
            self.error = ReplyCancelled("cancelled", WORDS["cancelled"])
        self.usage, self.timing = event.message.get("usage") or {}, event.message.get("timing") or {}
        self.finish = event.message.get("finish")

    def _notify(self) -> None:
        # Wakes all that wait now; a new event serves those that come later.
        self._changed.set()
        self._changed = asyncio.Event()


