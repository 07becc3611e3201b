# SPDX-License-Identifier: Apache-2.0

"""Parley's own protocol over HTTP: a message is posted; the response is a JSON body or SSE."""
import base64
import binascii

from responses import MessageResponse, pieces_of
from events import Malformed
from http_faults import Rejected, ParsedRequest


class HTTPMessageResponse(MessageResponse):
    """Messages without a request number."""

    def other_response(self):
        return HTTPMessageResponse(self.kind, ["ANOTHER ", "REQUEST'S"], empty_end=self.empty_end)


def parse(request):
    if request.method != "POST":
        raise Rejected(405, "only POST")
    message = request.json()
    streamed = message.get("stream") is True
    match message.get("type"):
        case "text":
            text = message.get("text")
            if not isinstance(text, str):
                raise Malformed("the text isn't a string")
            return ParsedRequest(message.get("id"), text, HTTPMessageResponse("text", pieces_of(text), empty_end=True), streamed)
        case "audio":
            try:
                data = base64.b64decode(message.get("data"), validate=True)
            except (TypeError, binascii.Error):
                raise Malformed("the data isn't Base64") from None
            response = HTTPMessageResponse("transcript", [f"{len(data)} bytes"])
            return ParsedRequest(message.get("id"), (message.get("meta") or {}).get("fault"), response, streamed)
    raise Malformed("the type is neither text nor audio")
