# SPDX-License-Identifier: Apache-2.0

"""Validates responses of a running operations listener against its OpenAPI document, with openapi-core.

usage: openapi_check.py PORT SESSION

Prints PASS and exits 0, or prints the failures and exits 1. Needs an open listener, as in development without a token.
"""

import http.client
import json
import sys
from urllib.parse import parse_qsl, urlsplit

from openapi_core import Config, OpenAPI
from openapi_core.testing import MockRequest, MockResponse

PORT, SESSION = int(sys.argv[1]), sys.argv[2]
HOST = f"127.0.0.1:{PORT}"

GETS = [
    "/v1/openapi.json", "/v1/gateway", "/v1/gateway/configuration", "/v1/upstreams", "/v1/certificates", "/ws/stats",
    "/ws/stats/detailed?limit=1", "/ws/stats/rate-limit", "/v1/sessions?limit=1", "/v1/sessions?sort=memory&limit=1",
    f"/v1/sessions/{SESSION}", f"/v1/sessions/{SESSION}/report?format=json", "/v1/usage", "/livez", "/readyz", "/health", "/v1/logs",
    "/v1/sessions?sort=size", "/v1/sessions/00000000000000000000000000",
]
POSTS = [
    ("/ws/cleanup", None), ("/v1/gateway/log-level", {"level": "debug", "for": "1s"}), ("/v1/gateway/log-level", {"level": "loud"}),
    ("/v1/gateway/reload", None), ("/v1/upstreams/none/reset", None), ("/v1/tokens", {"user": "u1"}),
    ("/v1/users/u1/revoke", {"before": 1}), (f"/v1/sessions/{SESSION}/close", None),
]


def send(method, target, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=20)
    connection.request(method, target, body=body, headers={"Content-Type": "application/json"} if body else {})
    response = connection.getresponse()
    data = response.read()
    connection.close()
    return response.status, response.headers, data


def main():
    status, _, data = send("GET", "/v1/openapi.json")
    document = json.loads(data)
    document["servers"] = [{"url": f"http://{HOST}"}]
    # openapi-core would leave both types as bytes.
    deserializers = {
        "text/event-stream": lambda data, **_: data.decode(), "application/problem+json": lambda data, **_: json.loads(data),
    }
    config = Config(extra_media_type_deserializers=deserializers)
    openapi = OpenAPI.from_dict(document, config=config)
    failures, checked = [], set()
    for method, target, body in [("GET", target, None) for target in GETS] + [("POST", target, body) for target, body in POSTS]:
        parts = urlsplit(target)
        if parts.path.replace(SESSION, "{id}") not in document["paths"] and not parts.path.startswith(("/v1/sessions/", "/v1/u")):
            failures.append(f"{target}: not described")
            continue
        payload = json.dumps(body).encode() if body is not None else None
        status, headers, data = send(method, target, payload)
        request = MockRequest(f"http://{HOST}", method.lower(), parts.path, args=dict(parse_qsl(parts.query)), data=payload or b"")
        response = MockResponse(data, status_code=status, headers=dict(headers), content_type=headers["Content-Type"] or "")
        if status in (200, 202, 204, 400, 404, 422, 503):
            checked.add(status)
        else:
            failures.append(f"{method} {target}: status {status}")
        try:
            openapi.validate_response(request, response)
        except Exception as error:
            failures.append(f"{method} {target}: {status} {error!r} {error.__cause__!r} {data[:400]!r}")
    # The listener has no route that the document doesn't describe, and rejects other methods.
    for path in document["paths"]:
        status, headers, _ = send("PUT", path.replace("{id}", SESSION).replace("{name}", "x"))
        allowed = {name.strip().lower() for name in (headers["Allow"] or "").split(",")} - {"head"}
        described = {name for name in document["paths"][path] if name != "parameters"}
        if status != 405 or allowed != described:
            failures.append(f"PUT {path}: {status}, allowed {allowed}, described {described}")
    if not {200, 204, 400, 404} <= checked:
        failures.append(f"only the statuses {checked} were checked")
    print("\n".join(failures) if failures else "PASS")
    sys.exit(bool(failures))


main()
