# SPDX-License-Identifier: Apache-2.0

"""Correct responses as lists of units (a dict is JSON, bytes are audio), which faults then corrupt. Base class and Parley's own messages."""
import re

from faults import MARK


def pieces_of(text):
    """Words with their trailing space; joined they are the text in upper case."""
    return re.findall(r"\s*\S+\s*", text.upper()) or [text]


class Response:
    """A response: an opening, pieces and a closing. Protocols override what differs."""

    mime = "text/event-stream"

    def __init__(self, pieces):
        self.pieces = pieces

    def opening(self):
        return []

    def piece(self, piece):
        raise NotImplementedError

    def closing(self):
        return []

    def units(self, pieces):
        yield from self.opening()
        for piece in pieces:
            yield self.piece(piece)
        yield from self.closing()

    def cut(self, pieces):
        """Some pieces, without the closing."""
        yield from self.opening()
        for piece in pieces:
            yield self.piece(piece)

    def more(self, size):
        """One piece of an endless response."""
        return self.piece(("more " * size)[:size])

    def numbered(self, count):
        return [f"w{index} " for index in range(count)]

    def marked(self):
        """A unit with MARK in place of the text."""
        return self.piece(MARK)

    def status(self):
        return None

    def whole(self, pieces):
        """The response as one unit, if it isn't streamed."""
        raise NotImplementedError


class MessageResponse(Response):
    """`text` or `transcript` messages. The last piece is in the last message, or with `empty_end` before it."""

    def __init__(self, kind, pieces, request=None, empty_end=False):
        super().__init__(pieces)
        self.kind = kind
        self.request = request
        self.empty_end = empty_end

    def message(self, kind, **fields):
        return {"type": kind} | ({} if self.request is None else {"request": self.request}) | fields

    def piece(self, piece):
        return self.message(self.kind, text=piece, final=False)

    def closing(self):
        return [self.message(self.kind, text="", final=True, done=True)]

    def units(self, pieces):
        if self.empty_end or not pieces:
            yield from super().units(pieces)
            return
        for piece in pieces[:-1]:
            yield self.piece(piece)
        yield self.message(self.kind, text=pieces[-1], final=True, done=True)

    def status(self):
        return self.message("status", state="thinking", progress=0.3)

    def error(self):
        return self.message("error", message="no", retryable=True, retry_after_ms=2000)

    def whole(self, pieces):
        final = {"final": True} if self.kind == "transcript" else {}
        return self.message(self.kind, text="".join(pieces), **final)


class EchoResponse(MessageResponse):
    """Echoes the received audio."""

    def __init__(self, chunks, request, format):
        super().__init__("audio", chunks or [b"\0\0"], request)
        self.format = format

    def opening(self):
        return [self.message("audio", format=self.format)]

    def piece(self, piece):
        return piece

    def closing(self):
        return [self.message("audio", final=True, done=True)]

    def units(self, pieces):
        return Response.units(self, pieces)

    def more(self, size):
        return bytes(3200)

    def numbered(self, count):
        return [bytes(3200)] * count

    def marked(self):
        return MARK.encode()


class VoskResponse(Response):
    """vosk-server's partial results and result, in the format of vosk-api's Recognizer (src/recognizer.cc)."""

    def __init__(self, pieces, max_alternatives=0):
        super().__init__(pieces)
        self.max_alternatives = max_alternatives

    def piece(self, piece):
        return {"partial": piece}

    def units(self, pieces):
        for piece in pieces[:-1]:
            yield self.piece(piece)
        yield self.result("".join(pieces))

    def result(self, text):
        words = [
            {"conf": 0.9, "end": place / 2 + 0.5, "start": place / 2, "word": word} for place, word in enumerate(text.split())
        ]
        if not self.max_alternatives:
            # MbrResult, or StoreEmptyReturn without words.
            return {"result": words, "text": text} if words else {"text": ""}
        if not words:
            return {"alternatives": [{"text": "", "confidence": 1.0}]}
        # NbestResult: the likelihood as confidence, and no confidence of words.
        for word in words:
            del word["conf"]
        ways = range(self.max_alternatives)
        return {
            "alternatives": [
                {"confidence": 213.5 - way, "result": words, "text": f"{text} instead" * bool(way) or text} for way in ways
            ]
        }

    def marked(self):
        return {"result": [], "text": MARK}
