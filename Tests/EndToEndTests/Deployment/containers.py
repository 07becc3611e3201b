# SPDX-License-Identifier: Apache-2.0

"""Checks deploy/compose.yaml and deploy/container/Containerfile beyond what docker-compose and hadolint check.

usage: containers.py REPOSITORY COMPOSE KEYS

COMPOSE is the output of "docker-compose config --format json", and KEYS that of "parley config keys". A line is printed for each problem; the
exit status is 1 if there is any.
"""

import json
import pathlib
import re
import sys

import gateway
import yaml
from gateway import check, seconds, size


def instructions(path):
    """Returns the instructions of a Containerfile, with continued lines joined and comments removed."""
    lines = [line for line in path.read_text(encoding="utf-8").split("\n") if not line.lstrip().startswith("#")]
    text = "\n".join(lines).replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in text.split("\n") if line.strip()]


def check_image(repository, path, keys):
    stages, last = {}, []
    for instruction, rest in instructions(path):
        if instruction == "FROM":
            image, *alias = rest.split(" AS ")
            check(image in stages or ":" in image and not image.endswith(":latest"), f"{image} has no tag")
            last = stages[alias[0] if alias else "final"] = []
        last.append((instruction, rest))
    build, final = stages["build"], stages["final"]
    check(not any(instruction == "ADD" for stage in stages.values() for instruction, _ in stage), "ADD instead of COPY")
    for instruction, rest in build:
        if instruction == "COPY":
            for source in rest.split()[:-1]:
                check((repository / source).exists(), f"COPY: {source} doesn't exist")
    found = dict(final)
    for name in ["USER", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD", "WORKDIR"]:
        check(name in found, f"no {name}")
    user, group = found["USER"].split(":")
    check(user.isdigit() and int(user) > 0 and group.isdigit(), "the user isn't a number, or is root")
    # No shell is needed to start or to check the gateway.
    for name in ["ENTRYPOINT", "CMD"]:
        check(isinstance(json.loads(found[name]), list), f"{name} runs in a shell")
    check(json.loads(found["HEALTHCHECK"].split("CMD", 1)[1]) == ["parley", "health"], "HEALTHCHECK isn't parley health")
    check("rm -rf /var/lib/apt/lists" in found["RUN"], "the package lists stay in the image")
    for library in ["libssl3", "zlib1g", "libsqlite3-0", "ca-certificates"]:
        check(library in found["RUN"], f"{library} isn't installed")
    variables = dict(re.findall(r"(PARLEY_\w+)=(\S+)", found["ENV"]))
    for name in variables:
        check(keys.has_variable(name), f"{name} is no variable of the gateway")
    check(variables["PARLEY_STORE_PATH"].startswith(found["WORKDIR"]), "the store isn't in the working directory")
    check("8443" in found["EXPOSE"].split() and variables["PARLEY_LISTEN_ADDRESS"].endswith(":8443"), "ports differ")
    return int(user)


def check_compose(repository, compose, configuration, user, keys):
    services = compose["services"]
    parley = services["parley"]
    for name, service in services.items():
        check(service.get("read_only"), f"{name}: the root file system is writable")
        check(service["cap_drop"] == ["ALL"], f"{name}: capabilities aren't dropped")
        check("no-new-privileges:true" in service["security_opt"], f"{name}: new privileges are allowed")
        check(service["user"] != "0" if "user" in service else name == "parley" and user > 0, f"{name} runs as root")
        check("mem_limit" in service and "pids_limit" in service, f"{name}: no limits")
    check(size(parley["mem_limit"]) >= keys.memory(configuration), "the memory limit is too low")
    check(parley["init"], "nothing reaps orphaned processes")
    check(seconds(parley["stop_grace_period"]) >= seconds(configuration["shutdown"]["drain"]) + 5, "stop_grace_period is too short")
    check(parley["healthcheck"]["test"] == ["CMD", "parley", "health"], "the health check isn't parley health")
    check({port["target"] for port in parley["ports"]} == {8443}, "other ports than the clients' are published")
    secrets = {f"/run/secrets/{secret['source']}" for secret in parley["secrets"]}
    used = {path for pair in configuration["tls"]["certificates"] for path in pair.split(":")}
    for name, value in parley["environment"].items():
        check(keys.has_variable(name), f"{name} is no variable of the gateway")
        used |= {value} if name.endswith("_FILE") else set()
    check(secrets == used, f"secrets that are mounted and used differ: {secrets ^ used}")
    for config in compose["configs"].values():
        check(pathlib.Path(config["file"]).is_file(), f"{config['file']} doesn't exist")
    build = parley["build"]
    check((pathlib.Path(build["context"]) / build["dockerfile"]).is_file() and pathlib.Path(build["context"]) == repository, "the build's paths")
    # The upstreams are services in a network without a route to the outside, and listen on the port that the configuration has.
    for upstream in configuration["upstreams"].values():
        for url in upstream["urls"]:
            host, port = re.fullmatch(r"http://([a-z]+):(\d+)/.*", url).groups()
            check(host in services and port in services[host]["command"], f"no service for {url}")
            check(all(compose["networks"][network]["internal"] for network in services[host]["networks"]), f"{host} reaches the internet")
    for service in services.values():
        for volume in service.get("volumes", []):
            check(volume["type"] != "bind" or pathlib.Path(volume["source"]).exists(), f"{volume['source']} doesn't exist")


def main():
    repository, compose = map(pathlib.Path, sys.argv[1:3])
    keys = gateway.Keys(pathlib.Path(sys.argv[3]))
    configuration = yaml.safe_load((repository / "deploy/container/gateway.yaml").read_text(encoding="utf-8"))
    user = check_image(repository, repository / "deploy/container/Containerfile", keys)
    check_compose(repository, json.loads(compose.read_text(encoding="utf-8")), configuration, user, keys)
    gateway.finish()


if __name__ == "__main__":
    main()
