# SPDX-License-Identifier: Apache-2.0
"""Runs the examples of the pages for client developers as they stand there, and compares their tables with the clients.

The examples use the default ports, so no other gateway may run. PARLEY_EXECUTABLE is the gateway.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import unittest
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from chromium import Chromium
from page_run import PAGES, ROOT, Block, Run, Site, blocks, pattern
from parley_client import CODES, WORDS

CLIENT = ROOT / "Sources/ParleyJS/parley.js"
SWIFT_EXAMPLE = ROOT / "Tests/ParleyClientExample"
SWIFT_TABLE = ROOT / "Sources/ParleyClient/Errors"


def integrity(data: bytes) -> str:
    return "sha384-" + base64.b64encode(hashlib.sha384(data).digest()).decode()


class Examples(unittest.TestCase):
    def test_commands(self) -> None:
        """Each command and Python program succeeds, and prints what the page shows."""
        for name in ("FirstClient.md", "BrowserClients.md"):
            run = Run()
            self.addCleanup(run.close)
            output = ""
            for block in blocks(name):
                if block.directive.startswith("skip"):
                    continue
                if block.directive == "background":
                    run.serve(block.code)
                elif block.directive == "output":
                    self.assertRegex(output, re.compile(rf"\A{pattern(block.code).pattern}\Z"), block.place)
                elif block.language in ("sh", "python"):
                    output = run.run(block)
                    output += "" if output.endswith("\n") else "\n"
            run.close()

    def test_swift(self) -> None:
        """The Swift package of the page responds."""
        if not SWIFT_EXAMPLE.exists() or not shutil.which("swift"):
            self.skipTest("there is no Swift example or no Swift")
        run = Run()
        self.addCleanup(run.close)
        run.serve()
        (source,) = [block for block in blocks("FirstClient.md") if block.language == "swift"]
        program = (SWIFT_EXAMPLE / "Sources/example/main.swift").read_text()
        self.assertTrue(program.endswith(source.code), source.place)
        command = ["swift", "run", "--package-path", str(SWIFT_EXAMPLE), "--scratch-path", str(ROOT / ".build/nested-ParleyClientExample")]
        command += ["example", "wss://localhost:8443/v1/ws", "var/development-cert.pem"]
        done = subprocess.run(command, cwd=run.directory, capture_output=True, text=True, timeout=1800)
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        self.assertEqual(done.stdout, "Hello from Swift\n")


class Browser(unittest.TestCase):
    run_: Run
    browser: Chromium
    site: Site

    @classmethod
    def setUpClass(cls) -> None:
        with contextlib.ExitStack() as stack:
            cls.run_ = Run()
            stack.callback(cls.run_.close)
            cls.site = Site()
            stack.callback(cls.site.close)
            cls.browser = Chromium()
            stack.callback(cls.browser.close)
            cls.run_.serve()
            cls.addClassCleanup(stack.pop_all().close)

    def setUp(self) -> None:
        self.site.headers.clear()

    def open(self, text: str) -> None:
        self.site.files["/"] = text
        self.browser.open("http://localhost:8000/")

    def page(self) -> str:
        return next(block.code for block in blocks("FirstClient.md") if block.language == "html")

    def reply(self, expected: str = "hello", seconds: float = 15) -> str:
        return str(self.browser.wait("document.getElementById('reply')?.textContent", expected, seconds))

    def test_hash(self) -> None:
        """The hash on the page is that of the client, also as the gateway serves it."""
        expected = integrity(CLIENT.read_bytes())
        self.assertIn(f'integrity="{expected}"', self.page())
        context = ssl._create_unverified_context()
        with urllib.request.urlopen("https://localhost:8443/v1/client.js", context=context, timeout=10) as response:
            self.assertEqual(integrity(response.read()), expected)

    def test_page(self) -> None:
        """The page shows the response."""
        self.open(self.page())
        self.assertEqual(self.reply(), "hello", self.browser.console)

    def test_wrong_hash(self) -> None:
        """With another hash, the client isn't run."""
        self.open(re.sub(r'sha384-[^"]+', integrity(b"another client"), self.page()))
        self.assertEqual(self.reply(seconds=3), "")
        self.assertIn("integrity", "".join(self.browser.console))

    def harness(self, block: Block, setup: str = "") -> None:
        """Opens a page that runs a block, with the elements that it uses, and a client if the block has none."""
        elements = ["banner", "output", "light", "button", "transcript", "reply"]
        script = ['import { Parley } from "https://localhost:8443/v1/client.js";', "window.Parley = Parley;", "const played = [];"]
        script += [f'const {name} = document.getElementById("{name}");' for name in elements]
        if "new Parley(" not in block.code:
            script.append('const parley = new Parley("wss://localhost:8443/v1/ws");')
        script += [setup, block.code, "window.parley = parley;"]
        self.site.files["/block.js"] = "\n".join(script)
        # The policy of the page about browsers: scripts of the origin and the gateway, and connections to both.
        self.site.headers["Content-Security-Policy"] = (
            "default-src 'none'; script-src 'self' https://localhost:8443; connect-src 'self' wss://localhost:8443; style-src 'self'; "
            "require-trusted-types-for 'script'; trusted-types 'none'"
        )
        tags = "".join(f'<p id="{name}"></p>' for name in elements if name != "button")
        self.open(f'<!doctype html>{tags}<button id="button"></button><script type="module" src="/block.js"></script>')

    def scripts(self, name: str) -> list[Block]:
        return [block for block in blocks(name) if block.language == "js"]

    def text(self, element: str, expected: str, seconds: float = 15) -> None:
        found = self.browser.wait(f"document.getElementById('{element}')?.textContent", expected, seconds)
        self.assertEqual(found, expected, self.browser.console)

    def test_advice(self) -> None:
        """The lines of ClientCodes.md show responses, and errors in words."""
        (block,) = self.scripts("ClientCodes.md")
        self.harness(block)
        self.text("output", "What is the weather like?")
        self.harness(block, 'parley.addEventListener("state", () => queueMicrotask(() => parley.close()), { once: true });')
        self.text("output", WORDS["closed"])
        self.text("banner", WORDS["closed"])

    def test_states(self) -> None:
        """The lines of ClientStates.md show the state, and the button connects again."""
        (block,) = self.scripts("ClientStates.md")
        self.harness(block)
        state = "document.getElementById('light')?.className"
        self.assertEqual(self.browser.wait(state, "open"), "open", self.browser.console)
        self.browser.evaluate("window.parley.close()")
        self.assertEqual(self.browser.wait(state, "closed"), "closed")
        self.browser.evaluate("document.getElementById('button').click()")
        self.assertEqual(self.browser.wait(state, "open"), "open", self.browser.console)

    def test_microphone(self) -> None:
        """The lines for the microphone show the transcript; here, the microphone is a source of samples."""
        block = next(block for block in self.scripts("FirstClient.md") if "listen" in block.code)
        source = """
            const listen = parley.listen.bind(parley);
            async function* source() { for (let n = 0; n < 10; n++) yield new Int16Array(1600).fill(n % 2 ? 3000 : -3000); }
            parley.listen = (options) => listen({ ...options, source: source() });
        """
        self.harness(block, source)
        found = self.browser.wait("document.getElementById('transcript')?.textContent.slice(0, 26)", "1.0 s of pcm16 at 16000 Hz")
        self.assertEqual(found, "1.0 s of pcm16 at 16000 Hz", self.browser.console)

    def test_playback(self) -> None:
        """Under the policy of BrowserClients.md, the AudioWorklet is loaded from the gateway, and plays a response."""
        setup = """
            async function* source() { for (let n = 0; n < 10; n++) yield new Int16Array(1600).fill(n % 2 ? 3000 : -3000); }
            parley.addEventListener("played", ({ detail }) => (banner.textContent = Math.round(detail.playedMs)));
            parley.addEventListener("error", ({ detail }) => (banner.textContent = detail.error.cause));
            parley.listen({ source: source(), meta: { echo: "audio" } });
        """
        self.harness(Block("js", "", "", ""), setup)
        self.text("banner", "1000")

    def test_token(self) -> None:
        """The lines of BrowserClients.md fetch a token from the back end; without it, the client asks to sign in."""
        (block,) = self.scripts("BrowserClients.md")
        self.run_.serve(next(block.code for block in blocks("BrowserClients.md") if block.directive == "background"))
        self.addCleanup(self.run_.serve)
        self.harness(block)
        self.text("output", "hello")
        self.harness(next(iter(self.scripts("ClientCodes.md"))))
        self.text("banner", WORDS["sign_in"])


class Tables(unittest.TestCase):
    """The tables of ClientCodes.md, and those of the clients."""

    # The clients that have a row, if not all of them do, at the end of its meaning or key.
    names = re.compile(r" \(((?:browser|Python|Swift)(?:, (?:browser|Python|Swift))*)\)$")

    @classmethod
    def rows(cls, header: str, page: str = "ClientCodes.md") -> Iterator[list[str]]:
        lines = (PAGES / page).read_text().split("\n")
        for start in [number for number, line in enumerate(lines) if line == header]:
            for line in lines[start + 2 :]:
                if not line.startswith("|"):
                    break
                yield [cell.strip() for cell in line.strip("|").split("|")]

    def listed(self, client: str) -> dict[str, object]:
        result: dict[str, object] = {}
        for code, meaning, *rest in self.rows("| code | meaning | class | strategy | text |"):
            only = self.names.search(meaning)
            if only and client not in only[1].split(", "):
                continue
            self.assertNotIn(code.strip("`"), result)
            self.assertTrue(meaning)
            result[code.strip("`")] = tuple(cell.strip("`") for cell in rest)
        return result

    def words(self, client: str) -> dict[str, object]:
        result: dict[str, object] = {}
        for key, text in self.rows("| key | text |"):
            only = self.names.search(key)
            if not only or client in only[1].split(", "):
                result[self.names.sub("", key).strip("`")] = text
        return result

    def same(self, listed: dict[str, object], actual: dict[str, object]) -> None:
        keys = sorted(key for key in listed.keys() | actual.keys() if listed.get(key) != actual.get(key))
        self.assertEqual([f"{key}: page {listed.get(key)}, client {actual.get(key)}" for key in keys], [])

    def test_python(self) -> None:
        actual = {str(code): (entry.error_class.value, entry.strategy.value, entry.words) for code, entry in CODES.items()}
        self.same(self.listed("Python"), actual)
        self.same(self.words("Python"), dict(WORDS))

    def test_javascript(self) -> None:
        program = f"import {{ CODES, WORDS }} from {json.dumps(str(CLIENT))}; console.log(JSON.stringify({{ CODES, WORDS }}));"
        found = json.loads(subprocess.check_output(["node", "--input-type=module", "--eval", program], text=True))
        actual = {code: (entry["class"], entry["strategy"], entry["words"]) for code, entry in found["CODES"].items()}
        self.same(self.listed("browser"), actual)
        self.same(self.words("browser"), found["WORDS"])

    def test_swift(self) -> None:
        if not SWIFT_TABLE.exists():
            self.skipTest("there is no Swift client")

        def key(name: str) -> str:
            return re.sub(r"[A-Z]", lambda letter: "_" + letter[0].lower(), name.strip("`"))

        rows = re.findall(r'\(\.(\S+), \.(\S+), \.(\S+), "([^"]+)"\)', (SWIFT_TABLE / "ErrorTable.swift").read_text())
        actual = {code: (key(kind), key(recovery), key(text)) for kind, recovery, text, codes in rows for code in codes.split()}
        self.same(self.listed("Swift"), actual)
        texts = re.findall(r'case \.(\S+): "([^"]+)"', (SWIFT_TABLE / "Advice.swift").read_text())
        self.same(self.words("Swift"), {key(name): text for name, text in texts})

    def test_sentences(self) -> None:
        """The sentences of the page about problems are those that the browser client says."""
        sentences = [row[0] for row in self.rows("| the client says | cause | what to do |", "BrowserClients.md") if row[0]]
        self.assertGreater(len(sentences), 5)
        self.assertEqual([sentence for sentence in sentences if sentence not in self.words("browser").values()], [])

    def test_gateway(self) -> None:
        """The page has every error code and close code of the gateway, and the HTTP statuses of the protocol page."""
        listed = set(self.listed("browser"))
        failures = ROOT / "Sources/GatewayCore/Failure"
        source = (failures / "ErrorCode.swift").read_text()
        codes = {value or name.strip("`") for name, value in re.findall(r'^    case (\S+?)(?: = "(\w+)")?$', source, re.MULTILINE)}
        self.assertGreater(len(codes), 25)
        self.assertEqual(codes - listed, set())
        closes = set(re.findall(r"^    case \S+ = (\d{4})$", (failures / "CloseCode.swift").read_text(), re.MULTILINE))
        self.assertGreater(len(closes), 15)
        self.assertEqual(closes - listed, set())
        statuses = set(re.findall(r"^\| (\d{3}) \| `", (PAGES / "Protocol.md").read_text(), re.MULTILINE))
        self.assertGreater(len(statuses), 7)
        self.assertEqual(statuses - listed, set())


class ESP32(unittest.TestCase):
    """The client for microcontrollers, compiled for this machine with the checks of the sanitizers."""

    directory: Path

    @classmethod
    def setUpClass(cls) -> None:
        cls.directory = Path(tempfile.mkdtemp(prefix="parley-esp32-"))
        cls.addClassCleanup(shutil.rmtree, cls.directory, ignore_errors=True)
        options = ["-std=c++11", "-Wall", "-Wextra", "-Werror", "-g", "-fno-exceptions"]
        options += ["-fsanitize=address,undefined", "-fno-sanitize-recover"]
        for name in ("unit", "live", "sketch"):
            source = ROOT / f"Tests/SDK/esp32/{name}.cpp"
            command = ["g++", *options, f"-I{source.parent}/arduino", "-o", cls.directory / name, source, "-lssl", "-lcrypto"]
            subprocess.run(command, check=True)

    def test_unit(self) -> None:
        """Frames, JSON and decisions."""
        subprocess.run([self.directory / "unit"], check=True, timeout=60)

    def test_recoveries(self) -> None:
        """After each close code and HTTP status, the client does what the table says."""
        output = subprocess.check_output([self.directory / "unit", "recoveries"], text=True)
        actual = dict(line.split() for line in output.splitlines())
        for code, entry in CODES.items():
            if isinstance(code, int) and code in map(int, actual):
                expected = {"none": "backoff", "resend": "backoff"}.get(entry.strategy.value, entry.strategy.value)
                self.assertEqual(actual[str(code)], expected, code)

    def test_live(self) -> None:
        """Texts and recordings against a gateway, with connections that are cut; each response arrives once."""
        run = Run()
        self.addCleanup(run.close)
        run.serve()
        environment = {**os.environ, "PARLEY_TEST_PORT": "8443", "PARLEY_TEST_CA": str(run.directory / "var/development-cert.pem")}
        print(subprocess.check_output([self.directory / "live"], env=environment, text=True, timeout=120).strip(), file=sys.stderr)
        output = subprocess.check_output([self.directory / "sketch"], env=environment, text=True, input="hello\nworld\n", timeout=60)
        self.assertEqual(output, "hello\nworld\n")

    def test_tokens(self) -> None:
        """A token is presented; a rejected one is replaced once, and then the client stops."""
        run = Run()
        self.addCleanup(run.close)
        run.serve(next(block.code for block in blocks("BrowserClients.md") if block.directive == "background"))
        with urllib.request.urlopen("http://127.0.0.1:9464/v1/tokens", data=b'{"user":"ada"}', timeout=10) as response:
            token = json.load(response)["token"]
        certificate = str(run.directory / "var/development-cert.pem")
        environment = {**os.environ, "PARLEY_TEST_PORT": "8443", "PARLEY_TEST_CA": certificate}
        subprocess.run([self.directory / "live"], env={**environment, "PARLEY_TEST_TOKEN": token}, check=True, timeout=120)
        wrong = {**environment, "PARLEY_TEST_TOKEN": token[:-8] + "AAAAAAAA"}
        output = subprocess.check_output([self.directory / "live", "rejected"], env=wrong, text=True, timeout=30)
        self.assertEqual(output, "rejected\n")


def update_hash() -> None:
    """Writes the hash of the client into the page."""
    page = PAGES / "FirstClient.md"
    old = re.search(r'integrity="sha384-([^"]+)"', page.read_text())
    assert old
    page.write_text(page.read_text().replace(old[1], integrity(CLIENT.read_bytes()).removeprefix("sha384-")))


if __name__ == "__main__":
    if sys.argv[1:] == ["update-hash"]:
        sys.exit(update_hash())
    unittest.main(verbosity=2)
