# SPDX-License-Identifier: Apache-2.0
"""Checks the files of deploy/logging against lines that a gateway wrote.

usage: logging_files.py DIRECTORY LINES
Vector, Promtail and Fluent Bit aren't packages of Debian, so their files are checked for what goes wrong in practice: a component that
doesn't exist, a field that no line has, a label with many values, and a format that doesn't parse the time.
"""

import configparser
import datetime
import json
import re
import sys

import yaml

LABELS = {"service", "host", "level", "logger"}


def expect(condition, text):
    if not condition:
        sys.exit(text)


def keys_of_journald(path):
    """The settings in the file, and those that systemd-journald knows."""
    parser = configparser.ConfigParser(strict=True, interpolation=None)
    parser.optionxform = str
    parser.read(path)
    with open("/lib/systemd/systemd-journald", "rb") as file:
        program = file.read()
    expect(parser.sections() == ["Journal"], f"{path}: {parser.sections()}")
    for key in parser["Journal"]:
        expect(b"Journal." + key.encode() + b"\0" in program, f"{path}: systemd-journald has no setting {key}")


def check_vector(path, fields):
    with open(path, encoding="utf-8") as file:
        config = yaml.safe_load(file)
    expect(set(config) <= {"sources", "transforms", "sinks", "data_dir", "api"}, f"{path}: {set(config)}")
    names = set(config["sources"]) | set(config["transforms"])
    used = set()
    for name, part in {**config["transforms"], **config["sinks"]}.items():
        expect(set(part["inputs"]) <= names, f"{path}: {name} has unknown inputs {part['inputs']}")
        used |= set(part["inputs"])
    expect(used == names, f"{path}: nothing reads {names - used}")
    labels = config["sinks"]["loki"]["labels"]
    expect(set(labels) <= LABELS, f"{path}: labels {set(labels)}")
    for value in labels.values():
        for field in re.findall(r"{{ (\w+) }}", value):
            expect(field == "host" or field in fields, f"{path}: no line has {field}")
    script = config["transforms"]["parley"]["source"]
    expect(script.count("{") == script.count("}"), f"{path}: braces of the script")
    for field in re.findall(r"(?<![\w\"])\.(\w+)", script):
        expect(field in fields | {"host", "message", "timestamp"}, f"{path}: no line has {field}")


def check_promtail(path, lines, fields):
    with open(path, encoding="utf-8") as file:
        config = yaml.safe_load(file)
    expect(set(config) <= {"server", "positions", "clients", "scrape_configs", "limits_config"}, f"{path}: {set(config)}")
    extracted, stages = set(), []
    for stage in config["scrape_configs"][0]["pipeline_stages"]:
        ((name, value),) = stage.items()
        stages.append(name)
        if name == "json":
            extracted |= set(value["expressions"])
            for field in value["expressions"].values():
                expect(field in fields, f"{path}: no line has {field}")
        elif name == "timestamp":
            expect(value["source"] in extracted and value["format"] == "RFC3339Nano", f"{path}: {value}")
            for line in lines:
                datetime.datetime.fromisoformat(line[value["source"]])
        elif name in ("labels", "structured_metadata"):
            expect(set(value) <= extracted, f"{path}: {name} {set(value)}")
            expect(name != "labels" or set(value) <= LABELS, f"{path}: labels {set(value)}")
    expect(stages[0] == "json" and "timestamp" in stages, f"{path}: {stages}")


def sections(path):
    """The sections of a file in Fluent Bit's classic format."""
    result = []
    with open(path, encoding="utf-8") as file:
        for line in file.read().splitlines():
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            if match := re.fullmatch(r"\[([A-Z]+)\]", line):
                result.append((match[1], {}))
                continue
            match = re.fullmatch(r"    ([\w.]+) +(\S.*)", line)
            expect(match, f"{path}: {line}")
            expect(match[1] not in result[-1][1], f"{path}: {match[1]} twice")
            result[-1][1][match[1]] = match[2]
    return result


def check_fluent_bit(directory, lines, fields):
    path = f"{directory}/fluent-bit.conf"
    parts = sections(path)
    kinds = [kind for kind, _ in parts]
    expect(kinds == ["SERVICE", "INPUT", "FILTER", "OUTPUT"], f"{path}: {kinds}")
    service, source, filter, output = (values for _, values in parts)
    parsers = {values["Name"]: values for kind, values in sections(f"{directory}/{service['Parsers_File']}") if kind == "PARSER"}
    expect(filter["Parser"] in parsers, f"{path}: no parser {filter['Parser']}")
    expect({filter["Match"], output["Match"]} == {source["Tag"]}, f"{path}: tags")
    expect({key[1:] for key in output["Label_Keys"].split(",")} <= LABELS & fields, f"{path}: labels")
    parser = parsers[filter["Parser"]]
    expect(parser["Format"] == "json" and parser["Time_Key"] in fields, f"{path}: {parser}")
    # %L is a part of a second here, which Python calls %f.
    for line in lines:
        datetime.datetime.strptime(line[parser["Time_Key"]], parser["Time_Format"].replace("%L", "%f"))


def main():
    directory, path = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    expect(lines, "no lines")
    # These are of lines about sessions and errors, which the page Logs lists.
    fields = {"session_id", "correlation_id"}.union(*lines)
    keys_of_journald(f"{directory}/journald@parley.conf")
    check_vector(f"{directory}/vector.yaml", fields)
    check_promtail(f"{directory}/promtail.yaml", lines, fields)
    check_fluent_bit(directory, lines, fields)


main()
