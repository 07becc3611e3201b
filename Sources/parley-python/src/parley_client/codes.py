# SPDX-License-Identifier: Apache-2.0
"""The table of error codes, close codes and HTTP statuses: the class of each, the recovery, and the key of a text for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class ErrorClass(StrEnum):
    """Where an error comes from."""

    NETWORK = "network"
    AUTH = "auth"
    SERVER = "server"
    PROTOCOL = "protocol"
    POLICY = "policy"


class Strategy(StrEnum):
    """The recovery from an error."""

    NONE = "none"
    """The error ends one message; the session goes on."""
    RESEND = "resend"
    """The message is sent again under the same id after `retry_after_ms`."""
    RECONNECT = "reconnect"
    """The client reconnects at once and resumes."""
    BACKOFF = "backoff"
    """The client reconnects with back-off and resumes."""
    REFRESH = "refresh"
    """The client requests a new token and reconnects."""
    NEW_SESSION = "new_session"
    """The client reconnects and starts a new session."""
    STOP = "stop"
    """The client doesn't reconnect by itself."""


@dataclass(frozen=True, slots=True)
class Code:
    """An entry of the table. A closed connection follows the strategy; a rejected message follows `resend`, and fails with any other."""

    error_class: ErrorClass
    strategy: Strategy
    words: str
    """A key of `WORDS`."""


# As in the client for browsers, one line for each class, strategy and text.
_TABLE = """
protocol none bug: invalid_json invalid_message unsupported_type duplicate_id
protocol none not_found: not_found
protocol none recording: invalid_audio
protocol stop bug: invalid_upgrade header_too_large 400 405 426 431
protocol stop address: 404
protocol backoff bug: 1002 1003 1007 protocol_error
policy none too_long: message_too_large audio_too_large
policy none quota: quota_exceeded
policy none cancelled: cancelled
policy none queue_full: queue_full
policy none recording: source_failed
policy resend slow_down: rate_limited too_fast
policy stop too_long: 1009
policy stop violations: too_many_violations 4505
policy stop not_allowed: origin_denied
policy stop elsewhere: 4503 4504
policy stop ended: 4506 4507
policy stop closed: closed
auth refresh sign_in: unauthorized token_expired 401 4500 4501
auth stop not_allowed: forbidden 403
server none failed: upstream_unavailable upstream_timeout upstream_error internal
server none lost: lost
server resend busy: memory_limit overloaded
server backoff busy: connection_limit session_limit 429 503 1013
server backoff network: 500 1000 1011
server backoff restart: draining
server reconnect network: 1001 4003
server reconnect restart: 1012
server new_session expired: session_expired 4502
network none dropped: audio_dropped
network backoff network: 1006
network backoff unreachable: 408 connect_failed connect_timeout
network backoff certificate: tls_failed
network backoff sign_in: token_failed
network backoff proxy: 200 302 407 502 504
network backoff offline: offline
network reconnect network: heartbeat_timeout 4001 pong_timeout
network reconnect slow: slow_consumer 4002
network stop gave_up: gave_up
"""


def _parsed(table: str) -> dict[str | int, Code]:
    codes: dict[str | int, Code] = {}
    for row in table.strip().splitlines():
        kind, _, names = row.partition(": ")
        error_class, strategy, words = kind.split()
        for name in names.split():
            codes[int(name) if name.isdigit() else name] = Code(ErrorClass(error_class), Strategy(strategy), words)
    return codes


CODES: Mapping[str | int, Code] = _parsed(_TABLE)
"""Error codes of the gateway, close codes, HTTP statuses of failed upgrades, and the client's own codes."""


def lookup(key: str | int) -> Code:
    """Returns the entry for a code; for unknown codes, the entry of their kind."""
    code = CODES.get(key)
    if code is not None:
        return code
    if isinstance(key, str):
        return CODES["internal"]
    if key < 400:
        return CODES[302]
    if key < 500:
        return CODES[400]
    if key < 600:
        return CODES[500]
    return CODES[1006]
