#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of microphone and playback, with a double of the audio system."""
import asyncio
import sys
import types
import unittest


class Stream:
    """An audio stream of the double; the test calls `callback` in place of the audio system."""

    latest = None
    latency = 0.01

    def __init__(self, **options):
        self.options, self.callback, self.is_running = options, options["callback"], False
        Stream.latest = self

    def start(self):
        self.is_running = True

    def abort(self):
        self.is_running = False

    def close(self):
        pass

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.abort()


sys.modules["sounddevice"] = types.SimpleNamespace(RawInputStream=Stream, RawOutputStream=Stream)

from parley_client.events import Audio, Done  # noqa: E402
from parley_client.reply import Reply  # noqa: E402
from parley_client.sound import Microphone, Player  # noqa: E402

FORMAT = {"codec": "pcm16", "rate": 16_000, "channels": 1}


class Sound(unittest.IsolatedAsyncioTestCase):
    async def test_the_microphone_yields_chunks_until_it_is_stopped(self):
        microphone = Microphone()
        chunks = []

        async def capture():
            async for chunk in microphone:
                chunks.append(chunk)

        task = asyncio.create_task(capture())
        await asyncio.sleep(0)
        self.assertEqual((Stream.latest.options["samplerate"], Stream.latest.options["blocksize"]), (16_000, 320))
        Stream.latest.callback(b"one", 320, None, None)
        await asyncio.sleep(0)
        microphone.stop()
        await task
        self.assertEqual(chunks, [b"one"])
        self.assertFalse(Stream.latest.is_running)

    async def test_playback_reports_what_was_played(self):
        cancelled = []
        reply = Reply("r", lambda id, played, reason: cancelled.append((id, played)))
        reply.handle(Audio("r", FORMAT, b"", False))
        reply.handle(Audio("r", FORMAT, b"\1\2" * 1600, False))
        player = Player()
        task = asyncio.create_task(player.play(reply))
        await asyncio.sleep(0.01)
        block = bytearray(1280)
        view = memoryview(block)
        Stream.latest.callback(view, 640, None, None)
        self.assertEqual(bytes(block[:4]), b"\1\2\1\2")
        # 40 ms were passed on; 10 of them are still in the audio system.
        self.assertAlmostEqual(player.played_ms, 30)
        player.interrupt(reply)
        self.assertEqual([(id, round(played)) for id, played in cancelled], [("r", 30)])
        reply.handle(Done("r", is_cancelled=True))
        await task
        self.assertFalse(Stream.latest.is_running)

    async def test_too_little_audio_is_filled_with_silence(self):
        reply = Reply("r", lambda *_: None)
        reply.handle(Audio("r", FORMAT, b"", False))
        reply.handle(Audio("r", FORMAT, b"\1\2" * 10, False))
        reply.handle(Done("r"))
        async with Player() as player:
            task = asyncio.create_task(player.play(reply))
            await asyncio.sleep(0.01)
            block = bytearray(b"\7" * 40)
            Stream.latest.callback(memoryview(block), 20, None, None)
            self.assertEqual(bytes(block), b"\1\2" * 10 + bytes(20))
            await task

    async def test_other_formats_raise(self):
        reply = Reply("r", lambda *_: None)
        reply.handle(Audio("r", {"codec": "opus", "rate": 48_000}, b"x", False))
        with self.assertRaises(ValueError):
            await Player().play(reply)


if __name__ == "__main__":
    unittest.main()
