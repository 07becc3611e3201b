# SPDX-License-Identifier: Apache-2.0

"""The part of OpenAI's API that gateways use: chat completions, transcriptions, speech."""
import email.message
import re
import struct
import time

from responses import Response, pieces_of
from events import Malformed
from faults import MARK
from http_faults import Rejected, ParsedRequest

RATE = 22050
# 0.2 s of 16-bit mono.
WORD = bytes(RATE // 5 * 2)


class ChatResponse(Response):
    """A chat completion, complete or in deltas."""

    def __init__(self, pieces, model, usage, prompt_tokens, conversation=None):
        super().__init__(pieces)
        self.conversation = conversation
        self.model = model
        self.usage = usage
        self.prompt_tokens = prompt_tokens
        self.created = int(time.time())
        self.id = f"chatcmpl-{self.created:x}{id(self):x}"

    def chunk(self, delta, finish=None):
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return self.chunk_of([choice]) | ({"usage": None} if self.usage else {})

    def chunk_of(self, choices):
        return {
            "id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model,
            "service_tier": "default", "system_fingerprint": "fp_parley", "choices": choices,
        }

    def counted(self):
        asked, said = self.prompt_tokens, len(self.pieces)
        return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}

    def opening(self):
        return [self.chunk({"role": "assistant", "content": "", "refusal": None})]

    def piece(self, piece):
        return self.chunk({"content": piece})

    def closing(self):
        usage = [self.chunk_of([]) | {"usage": self.counted()}] if self.usage else []
        return [self.chunk({}, "stop")] + usage + ["[DONE]"]

    def whole(self, pieces):
        message = {"role": "assistant", "content": "".join(pieces), "refusal": None, "annotations": []}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        return self.chunk_of([choice]) | {"object": "chat.completion", "usage": self.counted()}

    def other_response(self):
        return ChatResponse(["ANOTHER ", "REQUEST'S"], self.model, self.usage, 1)


class TranscriptionResponse(Response):
    """A transcript in the requested format."""

    def __init__(self, pieces, form):
        super().__init__(pieces)
        self.form = form

    def whole(self, pieces):
        text = "".join(pieces)
        match self.form:
            case "text":
                return text + "\n"
            case "verbose_json":
                spoken = {"id": 0, "seek": 0, "start": 0.0, "end": 0.5, "text": text, "avg_logprob": -0.1}
                about = {"task": "transcribe", "language": "english", "duration": 0.5}
                return about | {"text": text, "segments": [spoken]}
        return {"text": text}

    def other_response(self):
        return TranscriptionResponse(["ANOTHER ", "REQUEST'S"], self.form)


class SpeechResponse(Response):
    """A WAV file of silence, 0.2 s and one chunk of the body per word. With `pcm` without the header."""

    def __init__(self, count, form):
        super().__init__([WORD] * count)
        self.form = form
        self.mime = "audio/pcm" if form == "pcm" else "audio/wav"

    def header(self, size):
        if self.form == "pcm":
            return []
        form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, RATE * 2, 2, 16)
        riff = struct.pack("<4sI4s", b"RIFF", min(36 + size, 0xFFFFFFFF), b"WAVE")
        return [riff + form + struct.pack("<4sI", b"data", size)]

    def opening(self):
        """The header of a stream of unknown length."""
        return self.header(0xFFFFFFFF)

    def piece(self, piece):
        return piece

    def units(self, pieces):
        return self.header(sum(map(len, pieces))) + list(pieces)

    def cut(self, pieces):
        return self.header(sum(map(len, self.pieces))) + list(pieces)

    def more(self, size):
        return WORD

    def numbered(self, count):
        return [WORD] * count

    def marked(self):
        return MARK.encode()

    def other_response(self):
        return SpeechResponse(1, self.form)


def text_of(content):
    """Returns the text of a message's content, which is a string or a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(part["text"] for part in content if part.get("type") == "text")
    raise Malformed("the content is neither a text nor parts")


def chat(request):
    body = request.json()
    messages = body.get("messages")
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise Malformed("messages isn't a list of objects")
    if not isinstance(body.get("model"), str):
        raise Malformed("no model")
    texts = [text_of(message.get("content")) for message in messages if message.get("role") == "user"]
    if not texts:
        raise Malformed("no message of the user's")
    usage = (body.get("stream_options") or {}).get("include_usage") is True
    tokens = sum(len(text.split()) for text in texts)
    streamed = body.get("stream") is True
    conversation = [[message.get("role"), text_of(message.get("content"))] for message in messages]
    response = ChatResponse(pieces_of(texts[-1]), body["model"], usage, tokens, conversation)
    return ParsedRequest(None, texts[-1], response, streamed)


def parameters_of(value):
    message = email.message.Message()
    message["Content-Type"] = value
    return dict(message.get_params(failobj=[]))


def form_of(request):
    """The fields of a multipart form as {name: (file name, bytes)}, RFC 7578."""
    kind = request.headers.get("content-type", "")
    boundary = parameters_of(kind).get("boundary")
    if not kind.lower().startswith("multipart/form-data") or not boundary:
        raise Malformed("the body isn't a multipart form")
    parts = (b"\r\n" + request.body).split(b"\r\n--" + boundary.encode())
    if len(parts) < 3 or not parts[-1].startswith(b"--"):
        raise Malformed("the multipart form has no end")
    fields = {}
    for part in parts[1:-1]:
        head, separator, value = part.partition(b"\r\n\r\n")
        disposition = re.search(rb'(?i)\r\ncontent-disposition: *form-data;([^\r]*)', head)
        name = disposition and re.search(rb'[; ]name="([^"]*)"', b";" + disposition[1])
        if not separator or not name:
            raise Malformed("a part of the form has no name")
        file = re.search(rb'filename="([^"]*)"', disposition[1])
        fields[name[1].decode(errors="replace")] = (file and file[1].decode(errors="replace"), value)
    return fields


def transcription(request):
    fields = form_of(request)
    if "file" not in fields or not fields["file"][0]:
        raise Malformed("the form has no file, or a file without a name")
    if "model" not in fields:
        raise Malformed("the form has no model")
    prompt = fields.get("prompt", (None, b""))[1].decode(errors="replace")
    form = fields.get("response_format", (None, b"json"))[1].decode(errors="replace")
    heard = f"{len(fields['file'][1])} bytes"
    # `hear FORM TEXT` simulates servers that ignore the requested format.
    if prompt.startswith("hear "):
        _, form, heard = prompt.split(" ", 2)
    return ParsedRequest(None, prompt, TranscriptionResponse([heard], form), False)


def speech(request):
    body = request.json()
    if not all(isinstance(body.get(name), str) for name in ("model", "input", "voice")):
        raise Malformed("model, input and voice have to be texts")
    return ParsedRequest(None, body["input"], SpeechResponse(len(body["input"].split()), body.get("response_format")), True)


PATHS = {"/v1/chat/completions": chat, "/v1/audio/transcriptions": transcription, "/v1/audio/speech": speech}


def parse(request):
    if request.path not in PATHS:
        raise Rejected(404, f"no {request.path}")
    if request.method != "POST":
        raise Rejected(405, "only POST")
    return PATHS[request.path](request)
