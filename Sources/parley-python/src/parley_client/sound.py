# SPDX-License-Identifier: Apache-2.0
"""Microphone and playback, for `pip install parley-client[audio]`."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self

from .errors import ReplyCancelled
from .formats import AudioFormat
from .reply import Reply

CHUNK_SECONDS = 0.02
QUEUE_CHUNKS = 1500
BYTES_PER_SAMPLE = 2


def _sounddevice() -> Any:
    try:
        import sounddevice  # noqa: PLC0415  (optional)
    except ImportError as error:
        raise ImportError("microphone and playback need sounddevice: pip install 'parley-client[audio]'") from error
    return sounddevice


class Microphone:
    """Yields chunks of 20 ms of pcm16 until `stop` is called: `parley.listen(microphone, microphone.format, live=True)`."""

    def __init__(self, rate: int = 16_000, device: int | str | None = None) -> None:
        self.format = AudioFormat("pcm16", rate, 1)
        self._device = device
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(QUEUE_CHUNKS)

    def stop(self) -> None:
        """Ends the utterance."""
        self._put(None)

    def _put(self, chunk: bytes | None) -> None:
        if self._queue.full():
            self._queue.get_nowait()
        self._queue.put_nowait(chunk)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()

        def captured(data: Any, frames: int, time: Any, status: Any) -> None:
            # Called on a thread of the audio system.
            loop.call_soon_threadsafe(self._put, bytes(data))

        rate = self.format.rate
        with _sounddevice().RawInputStream(
            samplerate=rate, blocksize=int(rate * CHUNK_SECONDS), channels=1, dtype="int16", device=self._device, callback=captured
        ):
            while (chunk := await self._queue.get()) is not None:
                yield chunk


class Player:
    """Plays the spoken response of a reply, and knows how much of it was played.

    async with Player() as player:
        await player.play(reply)
    """

    def __init__(self, device: int | str | None = None) -> None:
        self._device = device
        self._stream: Any = None
        self._lock = threading.Lock()
        self._chunks: deque[bytes] = deque()
        self._played_bytes = 0
        self._rate = 16_000
        self._channels = 1

    @property
    def played_ms(self) -> float:
        """How much was played of the current reply, for `reply.cancel(played_ms=…)`."""
        latency = self._stream.latency if self._stream else 0
        seconds = self._played_bytes / (BYTES_PER_SAMPLE * self._rate * self._channels)
        return max(0.0, seconds - latency) * 1000

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    async def play(self, reply: Reply) -> None:
        """Plays a reply to its end, or until it is cancelled. Supports pcm16; other formats raise ValueError."""
        self.stop()
        self._played_bytes = 0
        try:
            async for chunk in reply.audio():
                if self._stream is None:
                    self._start(reply)
                with self._lock:
                    self._chunks.append(chunk)
        except ReplyCancelled:
            self.stop()
        # Polls, because the audio system's thread must not wait for a lock of the event loop.
        while self._chunks:  # noqa: ASYNC110
            await asyncio.sleep(CHUNK_SECONDS)

    def stop(self) -> None:
        """Stops at once."""
        with self._lock:
            self._chunks.clear()
        if self._stream is not None:
            self._stream.abort()
            self._stream.close()
            self._stream = None

    def interrupt(self, reply: Reply) -> None:
        """Stops at once, and tells the gateway how much was played."""
        played = self.played_ms
        self.stop()
        reply.cancel(played_ms=played, reason="interrupted")

    def _start(self, reply: Reply) -> None:
        format = reply.audio_format or {}
        if format.get("codec") != "pcm16":
            raise ValueError(f"can't play {format.get('codec')}; ask for pcm16 in `output`")
        self._rate, self._channels = int(format["rate"]), int(format.get("channels", 1))
        self._stream = _sounddevice().RawOutputStream(
            samplerate=self._rate, channels=self._channels, dtype="int16", device=self._device, callback=self._fill
        )
        self._stream.start()

    def _fill(self, data: Any, frames: int, time: Any, status: Any) -> None:
        """Called on a thread of the audio system: fills a block, with silence if too little has arrived."""
        wanted, block = len(data), bytearray()
        with self._lock:
            while self._chunks and len(block) < wanted:
                chunk = self._chunks.popleft()
                rest = chunk[wanted - len(block) :]
                block += chunk[: wanted - len(block)]
                if rest:
                    self._chunks.appendleft(rest)
            self._played_bytes += len(block)
        data[:] = bytes(block).ljust(wanted, b"\0")
