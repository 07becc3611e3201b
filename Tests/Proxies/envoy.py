#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks an Envoy configuration against Envoy's own API: each key must be a field of the message in which it stands, with a value of its
type. The messages come from the package envoy-data-plane, which is generated from Envoy's protocol buffers.

usage: envoy.py FILE; prints the number of typed messages, exits 1 at the first error.
"""

import importlib
import sys

import yaml

PREFIX = "type.googleapis.com/"


def message(name):
    """The class of a message, such as envoy.config.bootstrap.v3.Bootstrap."""
    package, _, kind = name.rpartition(".")
    return getattr(importlib.import_module("envoy_data_plane." + package), kind)


def without_typed(node, found):
    """A copy of the node without its typed messages (google.protobuf.Any), which are added to `found`."""
    if isinstance(node, list):
        return [without_typed(item, found) for item in node]
    if not isinstance(node, dict):
        return node
    plain = {}
    for key, value in node.items():
        if isinstance(value, dict) and "@type" in value:
            if key != "typed_config":
                raise ValueError(f"{key} can't be a typed message")
            found.append(value)
        else:
            plain[key] = without_typed(value, found)
    return plain


def check(name, fields):
    """Checks a message and the typed messages inside. Returns their number."""
    found = []
    try:
        message(name).from_dict(without_typed(fields, found))
    except Exception as error:
        raise ValueError(f"{name}: {error}") from error
    count = 1
    for typed in found:
        kind = typed["@type"]
        if not kind.startswith(PREFIX):
            raise ValueError(f"unknown type {kind}")
        count += check(kind.removeprefix(PREFIX), {key: value for key, value in typed.items() if key != "@type"})
    return count


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        document = yaml.safe_load(file)
    try:
        print(check("envoy.config.bootstrap.v3.Bootstrap", document))
    except ValueError as error:
        sys.exit(f"{sys.argv[1]}: {error}")


if __name__ == "__main__":
    main()
