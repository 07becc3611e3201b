# SPDX-License-Identifier: Apache-2.0
"""The client: runs the state machine on asyncio."""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
import ssl as _ssl
import time
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from . import events as e
from .backoff import BackoffPolicy
from .effects import Connect, Drop, Effect, Emit, Failure, FetchToken, Send
from .errors import ParleyError
from .formats import AudioFormat
from .machine import Machine, Options
from .reply import Reply
from .saved import SavedState
from .transport import Connection, Endpoint, OnWire, failure
from .words import Words

Token = str | Callable[[], str | Awaitable[str]]
Handler = Callable[[Any], Any]

logger = logging.getLogger("parley_client")

EVENT_QUEUE = 10_000
WATCH_SECONDS = 5.0
TOKEN_SECONDS = 15.0
END_SECONDS = 3.0


class Parley:
    """A session with a gateway, over any number of connections.

    Use it as an asynchronous context manager. It connects in the background, reconnects and resumes by itself, and delivers each message
    exactly once. All methods belong to one event loop.
    """

    def __init__(
        self,
        url: str | Callable[[], str],
        *,
        token: Token | None = None,
        ssl: _ssl.SSLContext | None = None,
        resume_state: str | None = None,
        words: Mapping[str, str] | None = None,
        backoff: BackoffPolicy | None = None,
        queue_messages: int = 100,
        queue_bytes: int = 1_000_000,
        connect_timeout: float = 15.0,
        heartbeat: float | None = None,
        on_wire: OnWire | None = None,
        websocket_options: Mapping[str, Any] | None = None,
        generator: random.Random | None = None,
    ) -> None:
        """Prepares a client.

        `url`: `wss://…/v1/ws`, or a function that returns the URL for the next attempt. `token`: a bearer token, or a function,
        asynchronous or not, that returns a fresh one. `resume_state`: of an earlier process. `words`: sentences for people in place of
        the built-in ones. `on_wire`: is called with `sent` or `received` and each message, before it is sent or handled; it must not
        raise. `websocket_options`: further arguments for `websockets.asyncio.client.connect`.
        Raises ValueError for an invalid URL or resume state.
        """
        saved = SavedState.decoded(resume_state) if resume_state else None
        self._url = url
        self._endpoint = Endpoint(url if isinstance(url, str) else url(), ssl, websocket_options or {})
        self._token_source = token
        self._words = Words(words)
        options = Options(
            words=self._words,
            backoff=backoff or BackoffPolicy(),
            queue_messages=queue_messages,
            queue_bytes=queue_bytes,
            connect_timeout=connect_timeout,
            heartbeat=heartbeat,
            can_refresh=callable(token),
        )
        self._machine = Machine(options, generator or random.SystemRandom(), saved)
        self._on_wire = on_wire
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._handlers: dict[str, list[Handler]] = {}
        self._subscribers: list[_Subscriber] = []
        self._events_dropped = 0
        self._state_changed = asyncio.Event()
        self._reports: dict[str, asyncio.Future[Mapping[str, Any]]] = {}
        self._sleep_offset = _sleep_offset()
        self.replies: dict[str, Reply] = {}
        """The replies that haven't ended, by id; after a start from `resume_state`, those of the earlier process."""
        for request in saved.requests if saved else ():
            reply = self._new_reply(str(request.message["id"]))
            reply.restore(request.text)

    # MARK: Life

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    def start(self) -> None:
        """Connects in the background."""
        self._apply(self._machine.start(self._now()))

    async def connected(self) -> None:
        """Returns when a session is open; raises `ParleyError` if the client is closed."""
        self.start()
        while self._machine.state is not e.State.OPEN:
            if self._machine.closed_with:
                raise self._machine.closed_with
            await self._state_changed.wait()

    def reconnect(self) -> None:
        """Connects again at once, also after the client gave up."""
        self._apply(self._machine.reconnect(self._now()))

    def set_online(self, is_online: bool) -> None:
        """Tells the client whether there is a network, if the application knows; the client then waits for it instead of trying."""
        self._apply(self._machine.set_online(is_online, self._now()))

    async def close(self) -> None:
        """Ends the session and everything that belongs to it. Replies that aren't complete fail with `closed`."""
        self._apply(self._machine.close(self._now()))
        await self._end_tasks()

    async def suspend(self) -> str | None:
        """Closes the connection but not the session, and returns the state with which another process resumes it."""
        state = self.resume_state
        self._apply(self._machine.suspend(self._now()))
        await self._end_tasks()
        return state

    async def _end_tasks(self) -> None:
        if self._timer:
            self._timer.cancel()
        for subscriber in self._subscribers:
            subscriber.end()
        current = asyncio.current_task()
        if tasks := [task for task in self._tasks if task is not current]:
            _, late = await asyncio.wait(tasks, timeout=END_SECONDS)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=END_SECONDS)

    # MARK: State

    @property
    def state(self) -> e.State:
        return self._machine.state

    @property
    def session_id(self) -> str | None:
        return self._machine.session_id

    @property
    def limits(self) -> Mapping[str, Any]:
        """The limits that apply to the session, by configuration key of the gateway."""
        return self._machine.limits

    @property
    def resume_state(self) -> str | None:
        """An opaque string for `Parley(resume_state=…)` in another process; None without a session. It contains a credential.

        What arrives after it was read can be lost for the other process; use `suspend` to stop in order.
        """
        saved = self._machine.saved()
        return saved.encoded({id: reply.text for id, reply in self.replies.items()}) if saved else None

    def stats(self) -> e.Statistics:
        """Returns the counters."""
        stats = self._machine.stats()
        return replace(stats, events_dropped=self._events_dropped)

    # MARK: Requests

    def say(
        self,
        text: str,
        *,
        output: Mapping[str, Any] | None = None,
        meta: Mapping[str, str] | None = None,
        lang: str | None = None,
        stream: bool = True,
    ) -> Reply:
        """Sends a text and returns its reply.

        Without a connection, the text waits; if too many texts wait, the reply fails with `queue_full`. Raises ValueError for a text that
        can't be sent: an empty one, or one with unpaired surrogates.
        """
        if not text:
            raise ValueError("the text is empty")
        text.encode()
        id = self._machine.next_id()
        message: dict[str, Any] = {"type": "text", "id": id, "text": text, **_given(output=output, meta=meta, lang=lang)}
        if not stream:
            message["stream"] = False
        reply = self._new_reply(id)
        if error := self._machine.send_text(message):
            self._reject(reply, error)
        self._apply(self._machine.flush(self._now()))
        return reply

    def listen(
        self,
        source: AsyncIterable[bytes],
        format: AudioFormat | Mapping[str, Any] | None = None,
        *,
        output: Mapping[str, Any] | None = None,
        meta: Mapping[str, str] | None = None,
        lang: str | None = None,
        live: bool = False,
    ) -> Reply:
        """Sends audio, and returns the reply; `format` is 16 kHz pcm16 mono by default.

        The chunks of `source` are sent as they come, and kept until the gateway has acknowledged them. If more than 30 s wait, the source
        has to wait; a live source can't, so its request fails with `audio_dropped`. The end of the source is the end of the utterance.
        """
        audio_format = format if isinstance(format, AudioFormat) else AudioFormat(**(format or {}))
        id = self._machine.next_id()
        fields = _given(output=output, meta=meta, lang=lang)
        message: dict[str, Any] = {"type": "audio", "id": id, "format": audio_format.fields(), **fields}
        reply = self._new_reply(id)
        if error := self._machine.open_stream(message, audio_format):
            self._reject(reply, error)
            return reply
        self._apply(self._machine.flush(self._now()))
        self._spawn(self._pump(id, source, live))
        return reply

    async def _pump(self, id: str, source: AsyncIterable[bytes], live: bool) -> None:
        error = None
        iterator = aiter(source)
        try:
            while upload := self._machine.requests.upload(id):
                if not live and upload.is_full:
                    await asyncio.sleep(0.05)
                    continue
                chunk = await self._unless_ended(id, anext(iterator))
                if chunk is None:
                    break
                if chunk:
                    self._apply(self._machine.add_chunk(id, chunk, is_live=live, now=self._now()))
        except StopAsyncIteration:
            pass
        except Exception as problem:
            error = ParleyError.local("source_failed", self._words, f"{type(problem).__name__}: {problem}")
        finally:
            close = getattr(iterator, "aclose", None)
            if close is not None:
                await _quietly(close())
        self._apply(self._machine.end_stream(id, self._now(), error))

    async def _unless_ended(self, id: str, chunk: Awaitable[bytes]) -> bytes | None:
        """Returns the next chunk; None if the reply ends first."""
        task = asyncio.ensure_future(chunk)
        reply = self.replies.get(id)
        try:
            while reply and not reply.is_done and not task.done():
                change = asyncio.ensure_future(reply.changed())
                await asyncio.wait([task, change], return_when=asyncio.FIRST_COMPLETED)
                change.cancel()
            return task.result() if task.done() else None
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait([task])

    def interrupt(self, *, played_ms: float | None = None) -> None:
        """Cancels all replies that haven't ended, as when the user speaks. `played_ms`: how much of the spoken response was played."""
        for reply in list(self.replies.values()):
            reply.cancel(played_ms=played_ms, reason="interrupted")

    def status(self, state: str, *, reply_to: str | None = None, played_ms: float | None = None) -> None:
        """Reports what the user does: `typing`, `idle`, `recording`, `muted` or `playing`. Dropped while there is no connection."""
        fields = _given(reply_to=reply_to, played_ms=played_ms)
        self._apply(self._machine.send_now({"type": "status", "state": state, **fields}))

    async def report(self) -> Mapping[str, Any]:
        """Returns the gateway's report of the session; raises `ParleyError` if the connection ends first."""
        await self.connected()
        id = self._machine.next_id()
        future: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self._reports[id] = future
        try:
            self._apply(self._machine.send_now({"type": "status", "id": id}))
            return await future
        finally:
            del self._reports[id]

    # MARK: Events

    def on(self, kind: str, handler: Handler) -> Callable[[], None]:
        """Calls a function, asynchronous or not, for each event of a kind (`state`, `delta`, …, or `*`); returns how to end this."""
        self._handlers.setdefault(kind, []).append(handler)

        def off() -> None:
            if handler in self._handlers[kind]:
                self._handlers[kind].remove(handler)

        return off

    def events(self) -> AsyncIterator[e.Event]:
        """Iterates over all events from now on. If more than 10,000 wait, the oldest are dropped and counted."""
        subscriber = _Subscriber()
        self._subscribers.append(subscriber)
        return self._iterate(subscriber)

    async def _iterate(self, subscriber: _Subscriber) -> AsyncIterator[e.Event]:
        try:
            while (event := await subscriber.next()) is not None:
                yield event
        finally:
            self._subscribers.remove(subscriber)

    def _dispatch(self, event: e.Event) -> None:
        id = getattr(event, "id", None)
        reply = self.replies.get(id) if isinstance(id, str) and not isinstance(event, e.Push) else None
        if reply:
            if isinstance(event, e.Done):
                del self.replies[reply.id]
            reply.handle(event)
        if isinstance(event, e.Report) and (future := self._reports.get(str(event.id))) and not future.done():
            future.set_result(event.message)
        if isinstance(event, e.StateChanged):
            self._state_was_changed(event)
        for handler in [*self._handlers.get(event.kind, ()), *self._handlers.get("*", ())]:
            self._call(handler, event)
        for subscriber in self._subscribers:
            self._events_dropped += subscriber.add(event)

    def _state_was_changed(self, event: e.StateChanged) -> None:
        self._state_changed.set()
        self._state_changed = asyncio.Event()
        if event.error:
            for future in self._reports.values():
                if not future.done():
                    future.set_exception(event.error)

    def _call(self, handler: Handler, event: e.Event) -> None:
        # A failing handler of the application must not end the connection.
        try:
            result = handler(event)
        except Exception:
            logger.exception("a handler of %s events failed", event.kind)
            return
        if inspect.isawaitable(result):
            self._spawn(_logged(result, event.kind))

    # MARK: Effects

    def _apply(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send():
                    if self._connection:
                        self._connection.send(effect.data)
                case Emit():
                    self._dispatch(effect.event)
                case Connect():
                    self._connecting = self._spawn(self._run(effect))
                case Drop():
                    self._drop(effect)
                case FetchToken():
                    self._spawn(self._renew())
        self._schedule()

    def _schedule(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._machine.state is e.State.CLOSED:
            return
        deadline = self._machine.deadline
        loop = asyncio.get_running_loop()
        # Wakes regularly, to notice that the machine slept.
        latest = loop.time() + WATCH_SECONDS
        self._timer = loop.call_at(min(latest, deadline) if deadline is not None else latest, self._tick)

    def _tick(self) -> None:
        self._timer = None
        offset = _sleep_offset()
        if offset - self._sleep_offset > 1:
            self._apply(self._machine.probe(self._now()))
        self._sleep_offset = offset
        self._apply(self._machine.tick(self._now()))

    def _drop(self, effect: Drop) -> None:
        connection, connecting = self._connection, self._connecting
        self._connection = self._connecting = None
        if connection and connection.number == effect.connection:
            if effect.is_graceful:
                self._spawn(connection.end())
            else:
                connection.abort()
        elif connecting:
            connecting.cancel()

    async def _run(self, effect: Connect) -> None:
        """Opens a connection and reads from it until it ends."""
        number = effect.connection
        try:
            token = await self._token()
            if callable(self._url):
                self._endpoint = replace(self._endpoint, url=self._url())
        except Exception as error:
            self._disconnected(number, Failure("token_failed", f"{type(error).__name__}: {error}"))
            return
        connection = writer = None
        try:
            connection = await Connection.open(effect, self._endpoint, token, self._on_wire)
            self._connection = connection
            writer = asyncio.create_task(connection.write())
            while True:
                data = await connection.receive()
                if self._connection is not connection:
                    continue  # The client has left the connection; the gateway repeats the message on the next one.
                if self._on_wire:
                    self._on_wire("received", data)
                self._apply(self._machine.received(number, data, self._now()))
        except Exception as error:
            self._disconnected(number, failure(error))
        finally:
            if writer:
                writer.cancel()
                await asyncio.wait([writer])
            if connection:
                connection.socket.transport.abort()

    def _disconnected(self, number: int, reason: Failure) -> None:
        if self._connection and self._connection.number == number:
            self._connection = None
        self._apply(self._machine.disconnected(number, reason, self._now()))

    async def _token(self) -> str | None:
        source = self._token_source
        if source is None or isinstance(source, str):
            return source
        result = source()
        if isinstance(result, str):
            return result
        async with asyncio.timeout(TOKEN_SECONDS):
            return await result

    async def _renew(self) -> None:
        """Renews the token of the open connection. If that fails, the gateway closes it later, and the client requests another token."""
        try:
            token = await self._token()
        except Exception as error:
            reason = ParleyError.local("token_failed", self._words, f"{type(error).__name__}: {error}", retryable=True)
            self._dispatch(e.ErrorReceived(reason))
            return
        if token:
            self._apply(self._machine.token(token))

    # MARK: Helpers

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _new_reply(self, id: str) -> Reply:
        reply = self.replies[id] = Reply(id, self._cancel)
        return reply

    def _cancel(self, id: str, played_ms: float | None, reason: str | None) -> None:
        self._apply(self._machine.cancel(id, _given(played_ms=played_ms, reason=reason), self._now()))

    def _reject(self, reply: Reply, error: ParleyError) -> None:
        self.replies.pop(reply.id, None)
        reply.fail(error)


class _Subscriber:
    """The events that an iterator hasn't consumed."""

    def __init__(self) -> None:
        self._events: deque[e.Event] = deque()
        self._wake = asyncio.Event()
        self._has_ended = False

    def add(self, event: e.Event) -> int:
        """Adds an event; returns the number of events dropped for it."""
        self._events.append(event)
        self._wake.set()
        if len(self._events) <= EVENT_QUEUE:
            return 0
        self._events.popleft()
        return 1

    def end(self) -> None:
        self._has_ended = True
        self._wake.set()

    async def next(self) -> e.Event | None:
        while not self._events:
            if self._has_ended:
                return None
            self._wake.clear()
            await self._wake.wait()
        return self._events.popleft()


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _sleep_offset() -> float:
    """Returns how long the machine has slept since it started, where the system tells."""
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return 0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)


async def _quietly(work: Awaitable[Any]) -> None:
    try:
        await work
    except Exception:
        logger.exception("the source of audio couldn't be closed")


async def _logged(work: Awaitable[Any], kind: str) -> None:
    try:
        await work
    except Exception:
        logger.exception("a handler of %s events failed", kind)
