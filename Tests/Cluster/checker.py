# SPDX-License-Identifier: Apache-2.0
"""Verifies what one client of a cluster receives. Knows nothing of sockets, so that transcripts with errors can be checked, too.

Guarantees: sequence numbers have no repetitions, and gaps only after the rejection of texts whose responses had numbers; each acknowledged text gets exactly one complete response, whose deltas add up to
the text; no text is accepted twice. Exceptions need a fault that explains them: an error in place of the rest of a response, `lost: true`, and
a session that is gone.
"""
import base64
import collections
import hashlib
import time

from cluster import Violation


class NoFaults:
    """The faults of a test without faults."""

    def may_break(self, since, nodes):
        return False

    def may_lose(self, since):
        return False


class Checker:
    def __init__(self, faults, counts, clock=time.monotonic):
        self.faults, self.counts, self.clock = faults, counts, clock
        self.session = None
        self.token = None
        self.last = 0
        self.texts = {}  # id: text
        self.sent = {}  # id: time of the first sending
        self.nodes = {}  # id: the nodes on which the client was since
        self.acknowledged, self.done, self.excused = set(), set(), set()
        self.responses = collections.defaultdict(str)
        self.latest = clock()  # when the client last knew that its session exists
        self.jumps_until = 0  # until when numbers may be skipped
        self.node = None

    def is_complete(self):
        """Returns whether all texts are acknowledged and have complete responses."""
        return set(self.texts) == self.acknowledged | self.excused == self.done | self.excused

    def attempts(self, node):
        """Records that the session may move to a node, even if the client never learns that it did."""
        for id in self.texts:
            if id not in self.done:
                self.nodes[id].add(node)

    def began(self, message, node):
        """Verifies the `session` message."""
        self.node = node
        self.attempts(node)
        if self.session is not None and (not message["resumed"] or message["session_id"] != self.session):
            fields = {name: message.get(name) for name in ("resumed", "lost", "resume_error", "session_id")}
            if not message["lost"]:
                raise Violation(f"a new session without lost: {fields}")
            if not self.faults.may_lose(self.latest):
                raise Violation(
                    f"the session {self.session} wasn't resumed: {fields}, last_seq of the client {self.last}, "
                    f"token {hashlib.sha256(base64.urlsafe_b64decode(self.token + '=')).hexdigest()}")
            self.counts["sessions lost with reason"] += 1
            self.forget()
        elif self.session is not None:
            self.counts["resumes"] += 1
            if message["lost"]:
                if not self.faults.may_lose(self.latest):
                    raise Violation("lost was reported without reason")
                self.expect_jumps()
                self.counts["losses with reason"] += 1
            elif message["last_seq"] < self.last:
                raise Violation(f"last_seq decreased from {self.last} to {message['last_seq']}")
            if self.unacknowledged():
                # The message that rejects them may have been lost with the connection.
                self.expect_jumps()
        self.session, self.token, self.latest = message["session_id"], message["resume_token"], self.clock()

    def expect_jumps(self):
        """Allows gaps for as long as messages may wait that were numbered before the rejection. A lost message still leaves its response
        incomplete."""
        self.jumps_until = self.clock() + 15

    def forget(self):
        """Begins a new session: the loss excuses what is incomplete."""
        self.excused |= set(self.texts) - self.done
        self.last = 0

    def sends(self, id, text):
        if id not in self.texts:
            self.texts[id], self.sent[id], self.nodes[id] = text, self.clock(), {self.node}

    def unacknowledged(self):
        return [id for id in self.texts if id not in self.acknowledged and id not in self.excused]

    def receive(self, message):
        """Verifies a message."""
        self.latest = self.clock()
        if "seq" in message:
            if message["seq"] != self.last + 1 and (message["seq"] <= self.last or self.clock() > self.jumps_until):
                raise Violation(f"sequence number {message['seq']} follows {self.last}: {str(message)[:200]}")
            self.last = message["seq"]
        match message["type"]:
            case "ack":
                self.receive_ack(message)
            case "text":
                self.receive_text(message["reply_to"], message["text"], message.get("done"))
            case "error":
                self.receive_error(message)
            case "goaway" | "pong":
                pass
            case kind:
                raise Violation(f"unexpected message type {kind}")

    def receive_ack(self, message):
        id = message["id"]
        if id in self.excused:
            return
        if id not in self.texts:
            raise Violation(f"ack of {id}, which wasn't sent")
        if not message.get("duplicate") and id in self.acknowledged:
            raise Violation(f"{id} was accepted twice")
        self.acknowledged.add(id)

    def receive_text(self, id, text, is_done):
        if id in self.excused:
            return
        if id not in self.texts:
            raise Violation(f"response to {id}, which wasn't sent")
        if id in self.done:
            raise Violation(f"{id} got two responses")
        self.responses[id] += text
        if not self.texts[id].startswith(self.responses[id]):
            raise Violation(f"{id}: response {self.responses[id]!r}, expected {self.texts[id]!r}")
        if is_done:
            if self.responses[id] != self.texts[id]:
                raise Violation(f"{id}: complete response {self.responses[id]!r}, expected {self.texts[id]!r}")
            self.finish(id)

    def receive_error(self, message):
        error = message["error"]
        id = error.get("reply_to")
        if error["code"] == "overloaded" and not message.get("done") and error["retryable"]:
            if id in self.acknowledged:
                raise Violation(f"{id} was acknowledged and then rejected")
            self.counts["texts rejected as overloaded"] += 1
            self.expect_jumps()
            return
        if error["code"] not in ("upstream_error", "upstream_unavailable") or not message.get("done") or not error["retryable"]:
            raise Violation(f"unexpected error: {message}")
        if id in self.excused:
            return
        if id in self.done:
            raise Violation(f"{id} got two responses")
        if not self.faults.may_break(self.sent[id], self.nodes[id]):
            raise Violation(f"{id} failed without a fault: {message}")
        self.counts["responses that a fault ended"] += 1
        self.finish(id)

    def finish(self, id):
        # A response implies acceptance.
        self.acknowledged.add(id)
        self.done.add(id)
        self.counts["responses"] += 1
