# SPDX-License-Identifier: Apache-2.0
"""Texts for people, by key; applications can pass their own."""

from __future__ import annotations

from collections.abc import Mapping

from .codes import lookup

WORDS: Mapping[str, str] = {
    "reconnecting": "The connection was lost. Trying again in {seconds} s.",
    "resumed": "Connected again. Nothing was lost.",
    "restarted": "Connected again, but the conversation couldn't be continued.",
    "offline": "You are offline.",
    "offline_queued": "You are offline. Your message will be sent when you are back.",
    "queued": "Your message will be sent when you are connected.",
    "network": "The connection was lost. Reconnecting.",
    "slow": "The connection is slow. Responses may be late.",
    "unreachable": "The service can't be reached at the moment.",
    "gave_up": "The service can't be reached. Check your connection and try again.",
    "certificate": "The connection isn't secure: the certificate of the service can't be verified.",
    "proxy": "The network's proxy doesn't let the connection through.",
    "busy": "The service is busy. Trying again.",
    "restart": "The service is restarting. Reconnecting.",
    "failed": "The response failed. Please try again.",
    "lost": "The response was lost. Please send your message again.",
    "cancelled": "The response was cancelled.",
    "sign_in": "Your sign-in isn't valid. Please sign in again.",
    "not_allowed": "You aren't allowed to do this.",
    "address": "The address of the service is wrong.",
    "not_found": "There is nothing to do this with.",
    "slow_down": "You are sending too fast. Your message will be sent in a moment.",
    "violations": "The service rejected too many messages of the application.",
    "quota": "Your quota is used up. Please come back later.",
    "too_long": "The message is too long. Please shorten it.",
    "queue_full": "Too many messages are waiting. Try again when you are connected.",
    "elsewhere": "The conversation continues elsewhere. It stopped here.",
    "ended": "The service ended the conversation.",
    "expired": "The conversation has expired. A new one was started.",
    "closed": "The conversation is closed.",
    "recording": "The recording can't be used. Please record it again.",
    "dropped": "The connection was away for too long. Please record it again.",
    "bug": "The application and the service don't understand each other.",
}
"""English texts. `{seconds}` is a placeholder."""


class Words:
    """The table of texts, with the application's in place of the built-in ones."""

    def __init__(self, own: Mapping[str, str] | None = None) -> None:
        self._own = dict(own or {})

    def text(self, key: str, **values: object) -> str:
        """Returns the text for a key, with its placeholders replaced."""
        text = self._own.get(key) or WORDS[key]
        for name, value in values.items():
            # Unlike str.format, this can't fail on the application's text.
            text = text.replace("{" + name + "}", str(value))
        return text

    def code(self, code: str | int) -> str:
        """Returns the text for an error code, close code or HTTP status."""
        return self.text(lookup(code).words)
