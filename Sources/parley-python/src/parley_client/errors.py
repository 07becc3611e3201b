# SPDX-License-Identifier: Apache-2.0
"""The error that ends a reply or a connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .codes import lookup
from .words import Words


class ParleyError(Exception):
    """An error with its code, class, recovery and text for people."""

    def __init__(
        self,
        code: str | int,
        text: str,
        *,
        message: str = "",
        retryable: bool = False,
        retry_after_ms: float | None = None,
        correlation_id: str | None = None,
        param: str | None = None,
    ) -> None:
        entry = lookup(code)
        self.code = str(code)
        """An error code, a close code, an HTTP status, or a code of the client: a key of `CODES`, as a string."""
        self.error_class = entry.error_class
        self.strategy = entry.strategy
        self.words = entry.words
        """The key of `text` in `WORDS`."""
        self.text = text
        """For people."""
        self.message = message
        """For developers."""
        self.retryable = retryable
        """Whether the same message can succeed later."""
        self.retry_after_ms = retry_after_ms
        self.correlation_id = correlation_id
        """The id under which the gateway logged the error."""
        self.param = param
        """JSON Pointer of the invalid field."""
        super().__init__(f"{self.code}: {message or text}")

    @classmethod
    def local(cls, code: str | int, words: Words, message: str = "", *, retryable: bool = False) -> ParleyError:
        """Returns an error that the client itself detected."""
        return cls(code, words.code(code), message=message, retryable=retryable)

    @classmethod
    def received(cls, error: Mapping[str, Any], words: Words) -> ParleyError:
        """Returns the error of an `error` message."""
        code = str(error.get("code", "internal"))
        wait = error.get("retry_after_ms")
        correlation, param = error.get("correlation_id"), error.get("param")
        return cls(
            code,
            words.code(code),
            message=str(error.get("message", "")),
            retryable=error.get("retryable") is True,
            retry_after_ms=wait if isinstance(wait, int | float) else None,
            correlation_id=correlation if isinstance(correlation, str) else None,
            param=param if isinstance(param, str) else None,
        )


class ReplyCancelled(ParleyError):
    """Raised by `await reply` if the reply was cancelled."""
