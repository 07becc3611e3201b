# SPDX-License-Identifier: Apache-2.0

"""Drives a headless Chromium by the DevTools protocol."""

import base64
import json
import re
import subprocess
import time

from websockets.sync.client import connect

# Milliseconds of patience for the page; the caller's time-out is shorter than several of these.
PATIENCE = 20


class Failure(Exception):
    pass


def expect(condition, what):
    if not condition:
        raise Failure(what)


class Page:
    """A browser with one page. Collects requests, exceptions and reports of the Content Security Policy."""

    def __init__(self, executable, directory):
        self.process = subprocess.Popen(
            [executable, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
             "--remote-debugging-port=0", f"--user-data-dir={directory}/profile", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={"HOME": directory, "PATH": "/usr/bin:/bin"})
        address = None
        for line in self.process.stderr:
            if match := re.search(r"DevTools listening on (ws://\S+)", line):
                address = match[1]
                break
        expect(address, "Chromium doesn't start")
        self.socket = connect(address, max_size=None, compression=None)
        self.number = 0
        self.session = None
        self.requests, self.problems = [], []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ["Page", "Runtime", "Log", "Network"]:
            self.call(domain + ".enable")

    def close(self):
        self.socket.close()
        self.process.terminate()
        self.process.wait(10)

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.socket.send(json.dumps(message))
        while True:
            answer = json.loads(self.socket.recv(timeout=PATIENCE))
            if answer.get("id") == self.number:
                expect("error" not in answer, f"{method}: {answer.get('error')}")
                return answer["result"]
            self.note(answer)

    def note(self, event):
        parameters = event.get("params", {})
        if event["method"] == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif event["method"] == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.problems.append(details.get("exception", {}).get("description") or details["text"])
        elif event["method"] == "Log.entryAdded":
            entry = parameters["entry"]
            # A rejected request is part of the tests of the login and of missing rights.
            if entry["level"] == "error" and entry["source"] != "network":
                self.problems.append(entry["text"])

    def resize(self, width, height=900, dark=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500)
        scheme = "dark" if dark else "light"
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, url):
        self.call("Page.navigate", url=url)

    def run(self, script):
        """Returns the value of an expression, awaited if it is a promise."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        expect("exceptionDetails" not in result, f"{script}: {result.get('exceptionDetails')}")
        return result["result"].get("value")

    def wait(self, condition, what=None):
        """Waits until an expression is true, and returns its value."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                if value := self.run(condition):
                    return value
            except Failure as failure:
                # The page may be between two documents.
                if "Cannot find" not in str(failure) and "null" not in str(failure):
                    raise
            time.sleep(0.05)
        text = self.run("document.body.innerText")
        raise Failure(f"{what or condition}; the page has: {text[:2000]}")

    def find(self, role, name):
        """Returns the center of the visible element with a role and an accessible name, as assistive technology finds it."""
        end = time.monotonic() + PATIENCE
        while True:
            root = self.call("DOM.getDocument", depth=0)["root"]["nodeId"]
            found = self.call("Accessibility.queryAXTree", nodeId=root, accessibleName=name, role=role)["nodes"]
            found = [node for node in found if not node.get("ignored")]
            if found:
                node = found[0]["backendDOMNodeId"]
                self.call("DOM.scrollIntoViewIfNeeded", backendNodeId=node)
                quad = self.call("DOM.getContentQuads", backendNodeId=node)["quads"][0]
                return sum(quad[0::2]) / 4, sum(quad[1::2]) / 4
            text = self.run("document.body.innerText")
            expect(time.monotonic() < end, f"there is no {role} {name!r}; the page has: {text[:2000]}")
            time.sleep(0.05)

    def click(self, role, name):
        x, y = self.find(role, name)
        for kind in ["mousePressed", "mouseReleased"]:
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def press(self, key, code=None):
        codes = {"Enter": 13, "Escape": 27, "Tab": 9}
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ["keyDown", "keyUp"]:
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=code or key, windowsVirtualKeyCode=codes[key], **text)

    def screenshot(self, path, height=None):
        """Writes a picture of the page, or of its first pixels up to a height."""
        clip = {}
        if height:
            width, whole = self.run("[innerWidth, document.documentElement.scrollHeight]")
            clip = {"clip": {"x": 0, "y": 0, "width": width, "height": min(height, whole), "scale": 1}}
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, **clip)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def unnamed(self):
        """Returns the controls without an accessible name."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        roles = {"button", "link", "textbox", "searchbox", "combobox", "checkbox", "dialog", "table", "navigation"}
        return [
            node["role"]["value"] for node in nodes
            if not node.get("ignored") and node.get("role", {}).get("value") in roles and not node.get("name", {}).get("value")
        ]

    def overflowing(self):
        """Returns the elements that are cut off at the right edge, other than inside a box that scrolls."""
        return self.run("""[...document.querySelectorAll('body *')].filter(element => {
          if (element.closest('svg, .scroll, .lines, .hidden, dialog, thead, .skip')) return false;
          const box = element.getBoundingClientRect();
          return box.width > 0 && (box.right > innerWidth + 1 || box.left < -1);
        }).map(element => element.tagName + '.' + element.className + ' ' + element.textContent.slice(0, 60))""")
