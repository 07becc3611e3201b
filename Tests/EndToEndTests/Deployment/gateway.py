# SPDX-License-Identifier: Apache-2.0

"""The gateway's configuration, for the checks of the deployment files: keys, durations, sizes, and the memory that it requires."""

import re
import sys

MIB = 1024**2
SIZES = {"MiB": MIB, "GiB": 1024 * MIB, "m": MIB, "g": 1024 * MIB, "Mi": MIB, "Gi": 1024 * MIB}
problems = []


def check(condition, problem):
    """Records a problem unless the condition holds; returns the condition."""
    if not condition:
        problems.append(problem)
    return condition


def finish():
    """Prints the problems and exits with 1 if there is any."""
    print("\n".join(problems))
    sys.exit(1 if problems else 0)


def seconds(text):
    """Returns a duration such as 500ms, 45s or 1m30s in seconds."""
    return sum(float(number) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[unit] for number, unit in re.findall(r"([0-9.]+)(ms|s|m|h)", text))


def size(text):
    """Returns a size in bytes: a number of bytes, or a number and a unit."""
    number, unit = re.fullmatch(r"(\d+)([A-Za-z]*)", str(text)).groups()
    return int(number) * (SIZES[unit] if unit else 1)


class Keys:
    """The output of "parley config keys"."""

    def __init__(self, path):
        self.defaults, name = {}, None
        for line in path.read_text(encoding="utf-8").split("\n"):
            if line and not line.startswith(" "):
                name = line.split()[0]
                self.defaults[name] = ""
            elif line.startswith("    Default: "):
                self.defaults[name] = line.removeprefix("    Default: ").rstrip(".")

    def has_variable(self, name):
        """Whether the gateway knows an environment variable, such as PARLEY_OPERATIONS_TOKEN_FILE."""
        known = {"PARLEY_" + key.upper().replace(".", "_") for key in self.defaults} | {"PARLEY_ENVIRONMENT", "PARLEY_CONFIG"}
        return name.removesuffix("_FILE") in known

    def memory(self, configuration):
        """Returns the bytes that the gateway requires, as the section "System requirements" of the page Operating says."""
        budget = size(configuration["sessions"]["total_memory_budget"])
        sockets = configuration.get("connections", {}).get("max_sockets", int(self.defaults["connections.max_sockets"].split()[0]))
        return budget * 5 // 4 + sockets * MIB // 4 + 112 * MIB
