# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium with one page, controlled through its DevTools protocol."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from websockets.sync.client import connect


class Chromium:
    def __init__(self) -> None:
        self.profile = tempfile.mkdtemp(prefix="parley-chromium-")
        self.process = subprocess.Popen(
            [
                "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--ignore-certificate-errors",
                "--autoplay-policy=no-user-gesture-required", "--remote-debugging-port=0", f"--user-data-dir={self.profile}",
                "--no-first-run", "about:blank",
            ],
            env={**os.environ, "HOME": self.profile}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 30
        file = Path(self.profile, "DevToolsActivePort")
        while not (file.exists() and "\n" in file.read_text()):
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError("Chromium didn't start")
            time.sleep(0.05)
        port = file.read_text().split("\n")[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=10) as response:
            target = next(target for target in json.load(response) if target["type"] == "page")
        self.connection = contextlib.ExitStack()
        self.socket = self.connection.enter_context(connect(target["webSocketDebuggerUrl"], max_size=None))
        self.count = 0
        self.console: list[str] = []
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        self.count += 1
        self.socket.send(json.dumps({"id": self.count, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.recv(timeout=30))
            if message.get("id") == self.count:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                result: dict[str, Any] = message["result"]
                return result
            if message.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
                self.console.append(json.dumps(message["params"])[:600])

    def evaluate(self, expression: str) -> Any:
        result = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(str(result["exceptionDetails"]))
        return result["result"].get("value")

    def open(self, url: str) -> None:
        self.console.clear()
        self.call("Page.navigate", url=url)

    def wait(self, expression: str, value: Any, seconds: float = 15) -> Any:
        """Returns the value of an expression once it is the expected one, or the last value after the time."""
        deadline = time.monotonic() + seconds
        while (found := self.evaluate(expression)) != value and time.monotonic() < deadline:
            time.sleep(0.05)
        return found

    def close(self) -> None:
        self.connection.close()
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self.profile, ignore_errors=True)
