#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0

"""Writes the manual pages of Parley: parley(1), one page for each subcommand, and parley.yaml(5).

Run:        deploy/package/manuals.py --executable .build/release/parley --output DIRECTORY [--date 2026-11-29]
Needs:      Python 3.11 or later, nothing else.

The subcommands and options come from the executable (--experimental-dump-help), the keys from "parley config keys", and the
exit codes from the page Operating. Only the text about files, variables and examples is written here.
"""

import argparse
import datetime
import json
import os
import pathlib
import re
import subprocess
import textwrap

import roff

ROOT = pathlib.Path(__file__).resolve().parents[2]
OPERATING = ROOT / "Sources/GatewayServer/Documentation.docc/Operating.md"

FILES = [
    ("config/gateway.yaml", "The configuration of all environments; the directory is chosen with --config."),
    ("config/<environment>.yaml", "The settings of one environment, which override gateway.yaml."),
    ("var/parley.sqlite", "The store, with store.kind: sqlite; store.path is another path."),
    ("var/development-cert.pem", "The self-signed certificate of the development environment; its key is beside it."),
]
ENVIRONMENT = [
    ("PARLEY_ENVIRONMENT", "The environment: development (the default), staging or production."),
    ("PARLEY_CONFIG", "The directory of the configuration files."),
    ("PARLEY_<KEY>", "A configuration key in upper case, with _ for each dot: PARLEY_CONNECTIONS_MAX is connections.max. It overrides the files."),
    (
        "PARLEY_<KEY>_FILE",
        "For a key that is a secret: the file that contains the value, such as PARLEY_OPERATIONS_TOKEN_FILE. A variable with the "
        "prefix PARLEY_ that is no key is an error.",
    ),
]
EXAMPLES = [
    (
        "Check a configuration, then run the gateway with it:",
        "parley config check --environment staging --config /etc/parley\nparley serve --environment staging --config /etc/parley",
    ),
    ("Send a text to a gateway in development:", 'parley talk wss://localhost:8443/v1/ws --insecure --text "hello"'),
]
LAYERS = (
    "The gateway reads gateway.yaml and then <environment>.yaml in the directory that --config names (default: config). Environment "
    "variables override the files, and flags override both. The key connections.max is the line max in the block connections, the "
    "variable PARLEY_CONNECTIONS_MAX, and the flag --connections.max. A key that doesn't exist is an error."
)
RELOADING = (
    "A key marked reloadable takes effect when the files change, on SIGHUP, and on POST /v1/gateway/reload. Other keys require a restart."
)
SAMPLE = """\
listen:
  address: 0.0.0.0:8443
tls:
  certificates: [/etc/parley/cert.pem:/etc/parley/key.pem]
upstreams:
  chat:
    kind: openai
    urls: [http://127.0.0.1:8000/v1]
    model: qwen3
routes:
  talk:
    upstreams: [chat]
"""


class Tool:
    """The executable: what it says about itself."""

    def __init__(self, executable):
        self.executable = executable
        self.version = self.run("--version").split()[1]
        self.command = json.loads(self.run("--experimental-dump-help"))["command"]

    def run(self, *arguments):
        # The gateway rejects unknown variables with its prefix.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
        return subprocess.run(
            [self.executable, *arguments], env=environment, check=True, text=True, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
        ).stdout

    def keys(self):
        """Returns the configuration keys by block: (name, whether it is reloadable, meaning, allowed, default)."""
        blocks = {}
        for text in self.run("config", "keys").strip().split("\n\n"):
            name, meaning, allowed, default = [line.strip() for line in text.split("\n")]
            name, _, star = name.partition(" ")
            group = name.partition(".")[0]
            blocks.setdefault(group, []).append(
                (name, star == "*", meaning, allowed.removeprefix("Allowed: "), default.removeprefix("Default: "))
            )
        return blocks


def exit_codes():
    """Returns the rows (code, meaning) of the tables of the page Operating by subcommand."""
    section = OPERATING.read_text(encoding="utf-8").split("\n## Exit codes\n")[1].split("\n## ")[0]
    tables, name = {}, None
    for line in section.split("\n"):
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if not cells:
            name = None
        elif found := re.fullmatch(r"`parley (\w+)`", cells[0]):
            name = found[1]
            tables[name] = []
        elif name and cells[0].isdigit():
            tables[name].append((cells[0], cells[1].replace("`", "")))
    if not tables.get("serve"):
        raise SystemExit(f"{OPERATING}: no table of exit codes")
    return {name: sorted(rows, key=lambda row: int(row[0])) for name, rows in tables.items()}


def option_label(argument):
    """Returns the label of an option: -o, --output <file>."""
    names = sorted(argument.get("names", []), key=lambda name: name["kind"] != "short")
    label = ", ".join(("-" if name["kind"] == "short" else "--") + name["name"] for name in names)
    if argument["kind"] == "option":
        label += f" <{argument.get('valueName', 'value')}>"
    return label if names else f"<{argument.get('valueName', 'argument')}>"


def option_text(argument):
    text = argument.get("abstract", "")
    # Some of the command's own texts already name their default.
    if "defaultValue" in argument and "default:" not in text:
        text += f" (default: {argument['defaultValue']})"
    return text.strip()


def synopsis(command, path):
    shown = [argument for argument in command.get("arguments", []) if argument.get("shouldDisplay", True)]
    words = [" ".join(path)]
    if command.get("subcommands") and not shown_options(command):
        words.append("<subcommand>")
    for argument in shown:
        if "help" in [name["name"] for name in argument.get("names", [])]:
            continue
        label = option_label(argument).split(", ")[-1]
        label += " ..." if argument["isRepeating"] else ""
        words.append(f"[{label}]" if argument["isOptional"] else label)
    if any(argument["parsingStrategy"] == "allRemainingInput" for argument in command.get("arguments", [])):
        words += ["[--environment <name>]", "[--config <directory>]", "[--<key> <value> ...]"]
    # An option and its value stay on one line.
    text = " ".join(word.replace(" ", "\0") for word in words)
    return textwrap.fill(text, 68, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False).replace("\0", " ")


def shown_options(command):
    """Returns the options of a command, without --help, which every command has."""
    return [
        argument
        for argument in command.get("arguments", [])
        if argument.get("shouldDisplay", True) and "help" not in [name["name"] for name in argument.get("names", [])]
    ]


def visible(command):
    return [entry for entry in command.get("subcommands", []) if entry.get("shouldDisplay", True) and entry["commandName"] != "help"]


def describe(page, command, with_codes=True):
    """Writes the discussion of a command. A list of exit codes in it is omitted if the page has a section of its own."""
    text = command.get("discussion", "")
    if not with_codes:
        text = text.split("Exit codes:")[0]
    page.text(text)


def command_page(command, codes, heading):
    """Returns the page of a subcommand, with its own subcommands as sections."""
    name = command["commandName"]
    page = roff.Page(f"parley-{name}", 1, heading, command.get("abstract", "").rstrip("."))
    page.section("SYNOPSIS")
    entries = visible(command)
    for entry in entries or [command]:
        page.code(synopsis(entry, ["parley", name] + ([entry["commandName"]] if entries else [])))
    page.section("DESCRIPTION")
    page.paragraph(command.get("abstract", ""))
    describe(page, command, with_codes=name not in codes)
    for entry in entries:
        page.section(f"parley {name} {entry['commandName']}".upper())
        page.paragraph(entry.get("abstract", ""))
        if entry.get("aliases"):
            page.paragraph("Other names: " + ", ".join(entry["aliases"]) + ".")
        describe(page, entry)
        page.list([(option_label(argument), option_text(argument)) for argument in shown_options(entry)])
    if shown_options(command):
        page.section("OPTIONS")
        page.list([(option_label(argument), option_text(argument)) for argument in shown_options(command)])
    if name in codes:
        page.section("EXIT STATUS")
        page.list(codes[name])
    page.section("SEE ALSO")
    page.references(["parley(1)", "parley.yaml(5)"])
    return page


def main_page(root, codes, heading):
    page = roff.Page("parley", 1, heading, root["abstract"].rstrip("."))
    page.section("SYNOPSIS")
    page.code("parley [<subcommand>] [options]")
    page.code("parley --version")
    page.code("parley --generate-completion-script bash|zsh|fish")
    page.section("DESCRIPTION")
    page.paragraph(root["abstract"])
    describe(page, root)
    page.section("SUBCOMMANDS")
    page.list([(f"parley-{entry['commandName']}(1)", entry.get("abstract", "")) for entry in visible(root)])
    page.section("ENVIRONMENT")
    page.list(ENVIRONMENT)
    page.section("FILES")
    page.list(FILES)
    page.section("EXIT STATUS")
    page.paragraph("The exit codes of serve, which is the default; the pages of the other subcommands list theirs.")
    page.list(codes["serve"])
    page.section("EXAMPLES")
    for text, code in EXAMPLES:
        page.paragraph(text)
        page.code(code)
    page.section("SEE ALSO")
    page.references([f"parley-{entry['commandName']}(1)" for entry in visible(root)] + ["parley.yaml(5)"])
    return page


def keys_page(blocks, heading):
    page = roff.Page("parley.yaml", 5, heading, "configuration files of parley")
    page.section("SYNOPSIS")
    page.code("config/gateway.yaml\nconfig/<environment>.yaml")
    page.section("DESCRIPTION")
    page.paragraph(LAYERS)
    page.paragraph(RELOADING)
    for group, keys in blocks.items():
        page.section(group.upper())
        for name, is_reloadable, meaning, allowed, default in keys:
            page.entry(name, [meaning, f"Allowed: {allowed}", f"Default: {default}" + (" Reloadable." if is_reloadable else "")])
    page.section("EXAMPLES")
    page.code(SAMPLE)
    page.section("SEE ALSO")
    page.references(["parley(1)", "parley-config(1)", "parley-serve(1)"])
    return page


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--executable", required=True)
    parser.add_argument("--output", required=True, type=pathlib.Path)
    parser.add_argument("--date", type=datetime.date.fromisoformat, default=datetime.date.today())
    options = parser.parse_args()

    tool = Tool(options.executable)
    heading = roff.Heading(options.date, f"parley {tool.version}", "Parley")
    codes = exit_codes()
    pages = [main_page(tool.command, codes, heading), keys_page(tool.keys(), heading)]
    pages += [command_page(command, codes, heading) for command in visible(tool.command)]
    for page in pages:
        directory = options.output / f"man{page.number}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"{page.name}.{page.number}").write_text(page.source(), encoding="utf-8")


if __name__ == "__main__":
    main()
