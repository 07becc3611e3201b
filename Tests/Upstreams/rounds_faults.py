# SPDX-License-Identifier: Apache-2.0

"""The faults that rounds.py requests for each kind of upstream, and the expected error codes."""
import re

KINDS = ["websocket", "vosk", "chat", "transcription", "speech", "http_json", "http_sse", "process"]
AUDIO = {"vosk", "transcription"}
BODIES = {"http_json", "transcription"}
HTTP = {"chat", "transcription", "speech", "http_json", "http_sse"}
SOCKETS = {"websocket", "vosk"}
DOUBLES = {
    "websocket": "websocket", "vosk": "vosk", "chat": "openai", "transcription": "openai", "speech": "openai", "http_json": "http",
    "http_sse": "http",
}
PATHS = {"chat": "/v1", "transcription": "/v1", "speech": "/v1"}
FAULTS = [
    "refuse", "tls", "hang", "stall", "die", "close", "close-fin", "rubbish", "rubbish-json", "rubbish-field", "garbage-status", "endless",
    "endless-rude", "trickle", "trickle-body 300", "huge", "huge 3000000", "twice", "twice-body", "other", "anonymous", "error 503", "error 500",
    "error 429", "error 400", "redirect", "slow 300", "status",
]
# Actions of the client during a response.
ENDS = ["cancel", "disconnect", "bye"]
HANDSHAKES = ["hang", "die", "close", "rubbish", "garbage-status", "error 503", "redirect", "trickle", "slow 200"]
# Faults that end with a timeout and are requested by many sessions at once.
LONG = {"hang", "stall", "trickle", "trickle-body 300", "slow 300", "handshake hang", "handshake trickle", "handshake slow 200"}
OF_HTTP = {"close-fin", "garbage-status", "trickle-body 300", "twice-body", "redirect", "error 429", "error 400"}
STREAMED = {"websocket", "vosk", "chat", "speech", "http_sse", "process"}
UNTIL_MINE = {"refuse", "tls"}

UNAVAILABLE, TIMEOUT, ERROR = "upstream_unavailable", "upstream_timeout", "upstream_error"
# A code with ! isn't retryable.
EXPECTED = {
    "refuse": {UNAVAILABLE}, "tls": {UNAVAILABLE}, "hang": {TIMEOUT}, "stall": {TIMEOUT}, "die": {ERROR}, "close": {ERROR}, "close-fin": {ERROR},
    "rubbish": {ERROR}, "rubbish-json": {ERROR}, "rubbish-field": {ERROR}, "garbage-status": {ERROR}, "endless": {ERROR + "!"},
    "endless-rude": {ERROR + "!"}, "trickle": {TIMEOUT}, "trickle-body 300": {TIMEOUT}, "huge": {ERROR + "!"}, "huge 3000000": {ERROR + "!"},
    "twice": {"ok"}, "twice-body": {"ok"}, "other": {TIMEOUT}, "anonymous": {ERROR}, "error 503": {UNAVAILABLE}, "error 500": {ERROR},
    "error 429": {UNAVAILABLE}, "error 400": {ERROR + "!"}, "redirect": {ERROR + "!"}, "slow 300": {"ok"}, "status": {"ok"},
    "handshake hang": {TIMEOUT}, "handshake die": {UNAVAILABLE}, "handshake close": {UNAVAILABLE}, "handshake rubbish": {UNAVAILABLE},
    "handshake garbage-status": {UNAVAILABLE}, "handshake error 503": {UNAVAILABLE}, "handshake redirect": {ERROR + "!"},
    "handshake trickle": {TIMEOUT}, "handshake slow 200": {"ok"},
}
PARTICULAR = {
    ("websocket", "error 503"): {ERROR}, ("process", "error 503"): {ERROR}, ("vosk", "error 503"): {ERROR},
    # These protocols don't number requests: an unsolicited response can't be distinguished from the right one.
    ("chat", "other"): {"ok"}, ("transcription", "other"): {"ok"}, ("speech", "other"): {"ok"}, ("http_json", "other"): {"ok"},
    ("http_sse", "other"): {"ok"}, ("process", "other"): {ERROR},
    # Requests that share the connection with a too long message fail as well.
    ("websocket", "huge"): {ERROR + "!", ERROR}, ("websocket", "huge 3000000"): {ERROR + "!", ERROR},
    # The length declared by a WAV file is ignored.
    ("speech", "rubbish-json"): {ERROR},
}
BREAKER = "The upstream is unavailable; its circuit breakers are open"


def faults_of(kind, wanted):
    names = []
    for fault in FAULTS:
        if fault in OF_HTTP and kind not in HTTP:
            continue
        if fault == "close-fin" and kind in BODIES or fault == "twice-body" and kind not in BODIES:
            continue
        if fault == "anonymous" and kind in HTTP or fault == "tls" and kind == "process":
            continue
        # This protocol has no request numbers, and no messages but results.
        if kind == "vosk" and fault in ("other", "anonymous", "status"):
            continue
        if fault in ("error 500",) and kind not in HTTP:
            continue
        names.append(fault)
    if kind in SOCKETS:
        names += ["handshake " + fault for fault in HANDSHAKES]
    names += ENDS
    return [name for name in names if not wanted or name.split()[0] in wanted or name in wanted]


def expected(kind, fault):
    return PARTICULAR.get((kind, fault)) or EXPECTED[fault]


def is_long(kind, fault):
    return fault in LONG or TIMEOUT in expected(kind, fault)


def handshake_upstream(kind, fault):
    """Returns the name of the upstream with that handshake fault."""
    return f"h_{kind}_{re.sub('[ -]', '_', fault)}"


def lane_of(kind, fault):
    """Returns the lane, with a double and sessions of its own: `c` for requests that clients end, `l` for crowds, `f` for the rest."""
    return "c" if fault in ENDS else "l" if is_long(kind, fault) else "f"


def route_of(kind, fault):
    """Returns the upstreams for the fault and for the good message after it."""
    if fault == "refuse":
        return f"r_{kind}", f"n_{kind}" if kind == "process" else f"r_{kind}"
    if fault == "tls":
        return f"t_{kind}", f"n_{kind}"
    if fault.startswith("handshake "):
        return handshake_upstream(kind, fault.removeprefix("handshake ")), f"n_{kind}"
    letter = "e" if fault.startswith("endless") else lane_of(kind, fault)
    return f"{letter}_{kind}", f"{letter}_{kind}"
