# SPDX-License-Identifier: Apache-2.0
"""Client of Parley, the session gateway for voice and chat.

    async with Parley("wss://gateway.example/v1/ws", token=fetch_token) as parley:
        async for delta in parley.say("Hello"):
            print(delta, end="")
"""

from .backoff import BackoffPolicy
from .client import Parley
from .codes import CODES, Code, ErrorClass, Strategy
from .errors import ParleyError, ReplyCancelled
from .events import (
    Accepted,
    Advice,
    Audio,
    Delta,
    Done,
    ErrorReceived,
    Event,
    GoAway,
    Lost,
    Message,
    Push,
    Report,
    SessionStarted,
    State,
    StateChanged,
    Statistics,
    Status,
    Transcript,
)
from .formats import AudioFormat
from .reply import Reply
from .words import WORDS

__all__ = [
    "CODES",
    "WORDS",
    "Accepted",
    "Advice",
    "Audio",
    "AudioFormat",
    "BackoffPolicy",
    "Code",
    "Delta",
    "Done",
    "ErrorClass",
    "ErrorReceived",
    "Event",
    "GoAway",
    "Lost",
    "Message",
    "Parley",
    "ParleyError",
    "Push",
    "Reply",
    "ReplyCancelled",
    "Report",
    "SessionStarted",
    "State",
    "StateChanged",
    "Statistics",
    "Status",
    "Strategy",
    "Transcript",
]
