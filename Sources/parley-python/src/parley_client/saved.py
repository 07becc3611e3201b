# SPDX-License-Identifier: Apache-2.0
"""The state with which another process resumes a session."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class SavedRequest:
    """A request without a complete response, and the text received so far."""

    message: dict[str, Any]
    was_sent: bool
    is_acknowledged: bool
    text: str = ""


@dataclass(frozen=True, slots=True)
class SavedState:
    """A session and its requests in flight."""

    token: str
    last_seq: int
    requests: tuple[SavedRequest, ...] = ()

    def encoded(self, texts: Mapping[str, str]) -> str:
        """Returns an opaque string. `texts`: the text received so far, by request."""
        requests = [[r.message, r.was_sent, r.is_acknowledged, texts.get(str(r.message["id"]), "")] for r in self.requests]
        value = {"v": 1, "token": self.token, "last": self.last_seq, "requests": requests}
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()

    @classmethod
    def decoded(cls, state: str) -> SavedState:
        """Parses the result of `encoded`; raises ValueError."""
        try:
            value = json.loads(base64.urlsafe_b64decode(state.encode()))
            requests = tuple(SavedRequest(dict(m), bool(sent), bool(acked), str(text)) for m, sent, acked, text in value["requests"])
            if value["v"] != 1:
                raise ValueError(f"version {value['v']}")
            return cls(str(value["token"]), int(value["last"]), requests)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError("not a resume state of parley_client") from error
