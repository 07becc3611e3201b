#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows that checker.py finds errors: changes correct transcripts in every place, and fails (exit 1) if a change isn't found."""
import collections
import copy
import sys

from checker import Checker, NoFaults
from cluster import Violation

WORDS = ["one ", "two ", "three"]


def transcript():
    """Returns the messages of a correct session with two interleaved responses and a resume."""
    session = {"type": "session", "session_id": "s", "resume_token": "A" * 43, "resumed": False, "lost": False, "last_seq": 0}
    first = [{"type": "ack", "id": id} for id in ("t0", "t1")]
    texts = [
        {"type": "text", "reply_to": id, "text": f"{id} " + word if index == 0 else word, "done": index == 2}
        for index, word in enumerate(WORDS) for id in ("t0", "t1")]
    for seq, message in enumerate(texts, 1):
        message["seq"] = seq
    resumed = session | {"resume_token": "B" * 43, "resumed": True, "last_seq": 3}
    return [session, *first, *texts[:3], resumed, *texts[3:]]


def check(messages):
    checker = Checker(NoFaults(), collections.Counter())
    for index, message in enumerate(messages):
        if message["type"] == "session":
            checker.began(message, 0)
            if index == 0:
                for id in ("t0", "t1"):
                    checker.sends(id, f"{id} " + "".join(WORDS))
        else:
            checker.receive(message)
    if not checker.is_complete():
        raise Violation("incomplete")


def mutations():
    """Yields the changes: each message lost, doubled and exchanged with the next, with sequence numbers that hide it and without."""
    def numbered(messages):
        seq = 0
        for message in messages:
            if "seq" in message:
                seq += 1
                message["seq"] = seq
        return messages

    messages = transcript()
    places = [index for index, message in enumerate(messages) if message["type"] == "text"]
    for hide in (lambda messages: messages, numbered):
        for place in places:
            yield f"lost {place}", hide([copy.copy(m) for m in messages[:place] + messages[place + 1:]])
            yield f"doubled {place}", hide([copy.copy(m) for m in messages[:place + 1] + messages[place:]])
            # The next message of the same response.
            for other in [index for index in places if index > place and messages[index]["reply_to"] == messages[place]["reply_to"]][:1]:
                changed = [copy.copy(m) for m in messages]
                changed[place]["text"], changed[other]["text"] = changed[other]["text"], changed[place]["text"]
                yield f"reordered {place}", hide(changed)
    resume = next(index for index, message in enumerate(messages) if message.get("resumed"))
    for name, fields in {
            "lost": {"lost": True}, "other session": {"session_id": "x"}, "rolled back": {"last_seq": 2},
            "not resumed": {"resumed": False, "lost": True, "session_id": "x"}}.items():
        yield name, messages[:resume] + [messages[resume] | fields] + messages[resume + 1:]
    yield "ack twice", messages[:3] + [messages[2]] + messages[3:]
    yield "ack of another text", messages[:3] + [{"type": "ack", "id": "t9"}] + messages[3:]
    error = {"code": "upstream_error", "retryable": True, "reply_to": "t0"}
    yield "failed without a fault", messages[:6] + [{"type": "error", "seq": 4, "done": True, "error": error}]


check(transcript())
missed, count = [], 0
for name, messages in mutations():
    count += 1
    try:
        check(messages)
        missed.append(name)
    except Violation:
        pass
print(f"{count} changes, missed: {missed or 'none'}")
sys.exit(1 if missed else 0)
