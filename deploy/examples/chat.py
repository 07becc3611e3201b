# SPDX-License-Identifier: Apache-2.0

"""A small chat server that follows rules instead of running a model, with OpenAI's chat completions API.

Run:        python3 deploy/examples/chat.py --port 8101 [--delay-ms 50] [--style emoji]
Protocol:   POST /v1/chat/completions, with or without "stream": true; GET /health.
Needs:      Python 3.11 or later, nothing else.

It greets, gives the time and its name, calculates ("what is two plus three"), recalls the previous message ("what did
I say", from the messages in the request) and repeats everything else. The same messages get the same response, except
for the time. A stream ends when its client disconnects. --style selects a style of writing that models use: an emoji at
the end, Markdown, or Hindi.

    curl -N http://127.0.0.1:8101/v1/chat/completions -H 'Content-Type: application/json' \
        -d '{"model":"rules","stream":true,"messages":[{"role":"user","content":"what is two plus three"}]}'
"""

import argparse
import json
import re
import sys
import time
import uuid

import service
from service import Rejection

UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split()
UNITS += "seventeen eighteen nineteen".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
NUMBERS = {word: number for number, word in enumerate(UNITS)}
NUMBERS |= {word: 10 * tens for tens, word in enumerate(TENS, start=2)}
NUMBERS |= {f"{ten} {unit}": NUMBERS[ten] + NUMBERS[unit] for ten in TENS for unit in UNITS[1:10]}
# Words that an STT service may return for "two" and "four".
NUMBERS |= {"to": 2, "too": 2, "for": 4}

OPERATORS = {"plus": "plus", "+": "plus", "minus": "minus", "-": "minus", "times": "times", "*": "times", "x": "times"}
NUMBER = "|".join([*sorted(NUMBERS, key=len, reverse=True), r"\d{1,4}"])
OPERATOR = "|".join(re.escape(operator) for operator in OPERATORS)
CALCULATION = re.compile(rf"(?<![\w.])({NUMBER})\s*({OPERATOR})\s*({NUMBER})(?!\w|\.\d)")


def number(words):
    return NUMBERS[words] if words in NUMBERS else int(words)


def calculate(text):
    """Returns the result of the first calculation in the text, or None."""
    found = CALCULATION.search(text)
    if found is None:
        return None
    left, operator, right = number(found[1]), OPERATORS[found[2]], number(found[3])
    result = {"plus": left + right, "minus": left - right, "times": left * right}[operator]
    return f"{left} {operator} {right} is {result}."


def response_to(said):
    """Returns the response to the last of the user's texts."""
    last = said[-1].strip()
    # "Twenty-one" is one number, "7-9" is two.
    text = re.sub(r"(?<=[a-z])-(?=[a-z])", " ", " ".join(last.lower().split()))
    if "what did i say" in text:
        return f'Before that you said: "{said[-2]}"' if len(said) > 1 else "You have said nothing before that."
    if "what time is it" in text or "what is the time" in text:
        return time.strftime("It is %H:%M.")
    if "your name" in text:
        return "My name is Parrot, and I follow a few simple rules."
    if result := calculate(text):
        return result
    if re.match(r"(hello|hi|hey|good (morning|afternoon|evening))\b", text):
        return "Hello! What can I do for you?"
    return f"You said: {last}"


# Templates of responses.
STYLES = {
    "plain": "{}",
    "emoji": "{} 😀",
    "markdown": "## Answer\n\n**{}**\n\n| Part | Spoken |\n|------|:------:|\n| text | yes |\n\n"
    "- See [the page](https://example.com/answers?id=1) for *more*\n\n```python\nprint('this is only seen')\n```\n",
    "hindi": "नमस्ते, मैं एक तोता हूँ। आपका प्रश्न मैंने सुन लिया है। उत्तर यह है: {}",
}


def text_of(message):
    """Returns a message's text; its content is a string or a list of parts."""
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, list):
        texts = (part.get("text") for part in content if isinstance(part, dict))
        content = " ".join(text for text in texts if isinstance(text, str))
    if not isinstance(content, str):
        raise Rejection(400, "invalid_messages", "Each message must have a content.")
    return content


class Chat(service.Handler):
    delay, style = 0.0, STYLES["plain"]

    def complete(self, body):
        request = service.json_object(body)
        messages = request.get("messages")
        if not isinstance(messages, list) or not messages:
            raise Rejection(400, "invalid_messages", "messages must be a list of at least one message.")
        texts = [text_of(message) for message in messages]
        said = [text for text, message in zip(texts, messages) if message.get("role") == "user"]
        if not said:
            raise Rejection(400, "invalid_messages", "messages must include one with the role user.")
        # Each piece includes the white space after it, so that the pieces add up to the response.
        words = re.findall(r"\s*\S+\s*", self.style.format(response_to(said)))
        asked = sum(len(text.split()) for text in texts)
        usage = {"prompt_tokens": asked, "completion_tokens": len(words), "total_tokens": asked + len(words)}
        model = request.get("model")
        head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time())}
        head["model"] = model if isinstance(model, str) else "rules"
        if request.get("stream") is True:
            options = request.get("stream_options")
            wants_usage = isinstance(options, dict) and options.get("include_usage") is True
            self.stream(head | {"object": "chat.completion.chunk"}, words, usage if wants_usage else None)
            return
        time.sleep(self.delay * len(words))
        message = {"role": "assistant", "content": "".join(words)}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        self.send_whole(200, head | {"object": "chat.completion", "choices": [choice], "usage": usage})

    routes = {"/v1/chat/completions": complete}

    def stream(self, head, words, usage):
        # If the last chunk has a usage, each chunk before it has a null one.
        shared = head | ({"usage": None} if usage else {})

        def send(delta, finish_reason=None):
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
            self.send_event(shared | {"choices": [choice]})

        sent = 0
        try:
            self.begin_stream("text/event-stream")
            send({"role": "assistant", "content": ""})
            for word in words:
                time.sleep(self.delay)
                if self.is_abandoned():
                    raise ConnectionAbortedError("the client has disconnected")
                send({"content": word})
                sent += 1
            send({}, finish_reason="stop")
            if usage:
                self.send_event(head | {"choices": [], "usage": usage})
            self.send_piece(b"data: [DONE]\n\n")
            self.end_stream()
        except (ConnectionError, TimeoutError):
            print(f"chat: the client disconnected after {sent} of {len(words)} words", file=sys.stderr, flush=True)
            raise

    def send_event(self, value):
        self.send_piece(f"data: {json.dumps(value)}\n\n".encode())


def main():
    parser = argparse.ArgumentParser(description="A chat server that follows rules instead of running a model.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8101, help="0 selects a free port (default: %(default)s)")
    parser.add_argument("--delay-ms", type=float, default=0, help="the pause before each word (default: %(default)s)")
    parser.add_argument("--style", choices=STYLES, default="plain", help="how responses are written (default: %(default)s)")
    options = parser.parse_args()
    Chat.delay, Chat.style = options.delay_ms / 1000, STYLES[options.style]
    service.run(Chat, options.host, options.port)


if __name__ == "__main__":
    main()
