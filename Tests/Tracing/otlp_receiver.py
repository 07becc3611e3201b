# SPDX-License-Identifier: Apache-2.0

"""An OTLP/HTTP receiver that checks each request with OpenTelemetry's own protocol, and an upstream that shows its traceparent.

Prints one JSON object per line: {"ready": true, "port": n}, then a span, {"rejected": reason} or {"traceparent": text} each.
usage: otlp_receiver.py [--unavailable N]   answers the first N requests with 503
"""
import argparse
import base64
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

lock = threading.Lock()


def tell(line):
    with lock:
        print(json.dumps(line), flush=True)


def checked(digits, size):
    if len(digits) != 2 * size or digits != digits.lower() or int(digits, 16) == 0:
        raise ValueError(f"not an id of {size} bytes: {digits}")
    return base64.b64encode(bytes.fromhex(digits)).decode()


def parse(body):
    """OTLP's JSON encoding is protobuf's, but ids are hexadecimal."""
    document = json.loads(body)
    for resource in document["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                for item in [span] + span.get("links", []):
                    item["traceId"] = checked(item["traceId"], 16)
                    item["spanId"] = checked(item["spanId"], 8)
                if "parentSpanId" in span:
                    span["parentSpanId"] = checked(span["parentSpanId"], 8)
    return json_format.ParseDict(document, ExportTraceServiceRequest(), ignore_unknown_fields=False)


def value(any_value):
    return getattr(any_value, any_value.WhichOneof("value"))


def spans(request):
    for resource in request.resource_spans:
        service = {pair.key: value(pair.value) for pair in resource.resource.attributes}
        for scope in resource.scope_spans:
            for span in scope.spans:
                if span.end_time_unix_nano < span.start_time_unix_nano:
                    raise ValueError("a span ends before it begins")
                yield {
                    "name": span.name, "kind": span.kind, "trace": span.trace_id.hex(), "span": span.span_id.hex(),
                    "parent": span.parent_span_id.hex(), "failed": span.status.code == 2, "message": span.status.message,
                    "milliseconds": (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6,
                    "attributes": {pair.key: value(pair.value) for pair in span.attributes},
                    "links": [link.trace_id.hex() + "-" + link.span_id.hex() for link in span.links], "service": service,
                }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    unavailable = 0

    def log_message(self, *arguments):
        pass

    def answer(self, status, body=b"{}"):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path in ("/answer", "/slow"):
            time.sleep(1.2 if self.path == "/slow" else 0)
            tell({"traceparent": self.headers["traceparent"]})
            return self.answer(200, b'{"type":"text","text":"answer","final":true,"done":true}')
        if self.path == "/fail":
            return self.answer(500)
        if Handler.unavailable > 0:
            Handler.unavailable -= 1
            tell({"unavailable": True})
            return self.answer(503)
        if self.path != "/v1/traces" or self.headers["Content-Type"] != "application/json":
            tell({"rejected": f"{self.path} {self.headers['Content-Type']}"})
            return self.answer(400)
        try:
            for span in spans(parse(body)):
                tell(span)
        except (ValueError, KeyError, json_format.ParseError) as error:
            tell({"rejected": str(error)})
            return self.answer(400)
        self.answer(200)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--unavailable", type=int, default=0)
    Handler.unavailable = parser.parse_args().unavailable
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    tell({"ready": True, "port": server.server_address[1]})
    server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
