# SPDX-License-Identifier: Apache-2.0
"""Drives the state machine of the client by hand: no sockets, no clock."""
import json
import random

from parley_client.backoff import BackoffPolicy
from parley_client.effects import Connect, Drop, Emit, FetchToken, Send
from parley_client.events import Advice, Delta, Done, Lost, StateChanged
from parley_client.machine import Machine, Options
from parley_client.words import Words

SESSION = {
    "type": "session", "session_id": "S1", "resume_token": "token-1", "resumed": False, "lost": False, "last_seq": 0, "expires_at": None,
    "heartbeat_ms": 30_000, "limits": {"messages.max_text_bytes": 1000}, "protocol": "parley.v1"}


class Driver:
    """A state machine, the time, and the effects since the last look."""

    def __init__(self, saved=None, **options):
        options.setdefault("words", Words())
        self.machine = Machine(Options(**options), random.Random(1), saved)
        self.now = 1000.0
        self.effects = []
        self.tokens = 0

    def do(self, effects):
        self.effects += effects
        return effects

    def start(self):
        self.do(self.machine.start(self.now))
        return self

    @property
    def connection(self):
        return self.machine._connection

    def receive(self, **message):
        return self.do(self.machine.received(self.connection, json.dumps(message), self.now))

    def binary(self, data):
        return self.do(self.machine.received(self.connection, data, self.now))

    def open(self, **fields):
        """Begins a session, or resumes one."""
        self.tokens += 1
        return self.receive(**(SESSION | {"resume_token": f"token-{self.tokens}"} | fields))

    def resume(self, **fields):
        return self.open(**({"resumed": True, "last_seq": self.machine.inbox.last} | fields))

    def say(self, text, id=None):
        id = id or self.machine.next_id()
        error = self.machine.send_text({"type": "text", "id": id, "text": text})
        self.do(self.machine.flush(self.now))
        return error or id

    def fail(self, failure):
        return self.do(self.machine.disconnected(self.connection, failure, self.now))

    def wait(self, seconds):
        """Lets time pass, and handles all timers on the way."""
        end = self.now + seconds
        while (deadline := self.machine.deadline) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.do(self.machine.tick(self.now))
        self.now = end

    def reconnect(self):
        """Waits until the next attempt begins."""
        before = self.connection
        for _ in range(100):
            if self.connection != before:
                return
            self.now = self.machine.deadline
            self.do(self.machine.tick(self.now))
        raise AssertionError("no attempt")

    # MARK: Effects

    def take(self):
        effects, self.effects = self.effects, []
        return effects

    def sent(self):
        """Returns what was sent since the last call, acknowledgements and pings excluded."""
        messages = [effect.data if isinstance(effect.data, bytes) else json.loads(effect.data) for effect in self.take() if isinstance(effect, Send)]
        return [message for message in messages if isinstance(message, bytes) or message["type"] not in ("ack", "ping")]

    def ends(self):
        """Returns the id and the error's code of each reply that ended since the last look."""
        return [(event.id, event.error.code if event.error else None) for event in self.of(Done)]

    def of(self, kind):
        """Returns the events or effects of a type since the last look."""
        events = [effect.event if isinstance(effect, Emit) else effect for effect in self.effects]
        return [event for event in events if isinstance(event, kind)]


__all__ = ["Advice", "BackoffPolicy", "Connect", "Delta", "Done", "Driver", "Drop", "FetchToken", "Lost", "Send", "StateChanged"]
