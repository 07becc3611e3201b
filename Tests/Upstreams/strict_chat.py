# SPDX-License-Identifier: Apache-2.0

"""A chat server with a template that requires alternating roles, and with a content filter, as users of small models meet them.

The template is that of Mistral's instruct models (chat_template in their tokenizer_config.json): it raises unless user and assistant alternate. vLLM
responds to an exception of the template with 400 (vllm/entrypoints/openai/serving_engine.py, create_error_response). The filter responds like Azure
OpenAI: 400, code `content_filter`, innererror `ResponsibleAIPolicyViolation`.

The first word of the last line of the last message selects the behaviour: hang, fail, half, null, refuse, length, tools, filtered, think; any other
text is returned in upper case. The messages and other fields of every request are printed as a line of JSON.
"""
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ROLES = "Conversation roles must alternate user/assistant/user/assistant/..."
lock = threading.Lock()


def emit(**event):
    with lock:
        print(json.dumps(event), flush=True)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def respond(self, status, body, kind="application/json"):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        if kind:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        messages = [m for m in body["messages"] if m["role"] != "system"]
        rest = {key: value for key, value in body.items() if key != "messages"}
        emit(event="request", path=self.path, messages=messages, body=rest, headers={k.lower(): v for k, v in self.headers.items()})
        for index, message in enumerate(messages):
            if message["role"] != ("user", "assistant")[index % 2]:
                return self.respond(400, {"object": "error", "message": ROLES, "type": "BadRequestError", "param": None, "code": 400})
        if any("forbidden" in m["content"] for m in messages):
            inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"hate": {"filtered": True, "severity": "high"}}}
            return self.respond(400, {"error": {"message": "The response was filtered", "type": None, "param": "prompt",
                                               "code": "content_filter", "status": 400, "innererror": inner}})
        last = messages[-1]["content"].split("\n")[-1]
        word = last.split(" ")[0]
        if word == "fail":
            return self.respond(500, {"error": {"message": "out of memory", "type": "server_error"}})
        if word == "hang":
            return threading.Event().wait(20)
        message, finish = {"role": "assistant", "content": last.upper()}, "stop"
        if word == "null":
            message["content"] = None
        elif word == "refuse":
            message |= {"content": None, "refusal": "I can't help with that."}
        elif word == "length":
            finish = "length"
        elif word == "tools":
            message |= {"content": None, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}
            finish = "tool_calls"
        elif word == "filtered":
            finish = "content_filter"
        if not body.get("stream"):
            return self.respond(200, {"object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": finish}]})
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True

        def event(delta, finish=None):
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            self.wfile.write(b"data: " + json.dumps({"object": "chat.completion.chunk", "choices": [choice]}).encode() + b"\n\n")
            self.wfile.flush()

        if word == "think":
            for _ in range(5):
                event({"reasoning_content": "hm " * 10})
        for piece in (message.pop("content") or "").split(" "):
            event({"content": piece + " "})
        if word == "half":
            return
        message.pop("role")
        event(message, finish)
        self.wfile.write(b"data: [DONE]\n\n")


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
emit(ready=True, port=server.server_address[1])
# Runs until the test that started it kills it.
threading.Event().wait()
