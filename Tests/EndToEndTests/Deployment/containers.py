# SPDX-License-Identifier: Apache-2.0

"""Checks a compose file and deploy/container/Containerfile beyond what docker-compose and hadolint check.

usage: containers.py REPOSITORY CONFIGURATION COMPOSE KEYS

CONFIGURATION is the gateway's configuration in the repository, COMPOSE the output of "docker-compose config --format json", and KEYS that of
"parley config keys". A line is printed for each problem; the
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
    gateways = {name: service for name, service in services.items() if service["image"].startswith("parley:")}
    check(any("build" in gateway for gateway in gateways.values()), "no service builds the image")
    for name, service in services.items():
        check(service.get("read_only"), f"{name}: the root file system is writable")
        check(service["cap_drop"] == ["ALL"], f"{name}: capabilities aren't dropped")
        check("no-new-privileges:true" in service["security_opt"], f"{name}: new privileges are allowed")
        check(not service["user"].startswith("0") if "user" in service else name in gateways and user > 0, f"{name} runs as root")
        check("mem_limit" in service and "pids_limit" in service, f"{name}: no limits")
        for volume in service.get("volumes", []):
            check(volume["type"] != "bind" or pathlib.Path(volume["source"]).exists(), f"{volume['source']} doesn't exist")
        if "build" in service:
            build = service["build"]
            context = pathlib.Path(build["context"])
            check((context / build["dockerfile"]).is_file() and context == repository, f"{name}: the build's paths")
    for name, service in gateways.items():
        check_gateway(name, service, configuration, keys)
    for config in compose["configs"].values():
        check(pathlib.Path(config["file"]).is_file(), f"{config['file']} doesn't exist")
    # The upstreams are services in a network without a route to the outside, and listen on the port that the configuration has.
    for upstream in configuration["upstreams"].values():
        for url in upstream["urls"]:
            host, port = re.fullmatch(r"http://([a-z]+):(\d+)/.*", url).groups()
            check(host in services and port in services[host]["command"], f"no service for {url}")
            check(all(compose["networks"][network]["internal"] for network in services[host]["networks"]), f"{host} reaches the internet")
    if "cluster" in configuration:
        check_cluster(compose, gateways, configuration)
    else:
        check({port["target"] for port in services["parley"]["ports"]} == {8443}, "other ports than the clients' are published")


def check_gateway(name, service, configuration, keys):
    check(size(service["mem_limit"]) >= keys.memory(configuration), f"{name}: the memory limit is too low")
    check(service["init"], f"{name}: nothing reaps orphaned processes")
    check(seconds(service["stop_grace_period"]) >= seconds(configuration["shutdown"]["drain"]) + 5, f"{name}: stop_grace_period is too short")
    check(service["healthcheck"]["test"] == ["CMD", "parley", "health"], f"{name}: the health check isn't parley health")
    secrets = {f"/run/secrets/{secret['source']}" for secret in service["secrets"]}
    used = {path for pair in configuration["tls"]["certificates"] for path in pair.split(":")}
    used |= {path for path in [configuration.get("store", {}).get("password_file")] if path}
    for variable, value in service["environment"].items():
        check(keys.has_variable(variable), f"{variable} is no variable of the gateway")
        used |= {value} if variable.endswith("_FILE") else set()
    check(secrets == used, f"{name}: secrets that are mounted and used differ: {secrets ^ used}")


def check_cluster(compose, gateways, configuration):
    """The gateways differ in name and address only; HAProxy reaches all of them, and clients reach nothing but HAProxy."""
    services, port = compose["services"], configuration["cluster"]["listen"].rpartition(":")[2]
    for name, service in gateways.items():
        environment = service["environment"]
        check(environment["PARLEY_CLUSTER_NODE"] == name, f"{name}: cluster.node is {environment['PARLEY_CLUSTER_NODE']}")
        check(environment["PARLEY_CLUSTER_ADVERTISE"] == f"{name}:{port}", f"{name}: cluster.advertise")
        check(environment["PARLEY_CLUSTER_SECRET_FILE"], f"{name}: no cluster.secret")
    published = {name for name, service in services.items() if service.get("ports")}
    check(published == {"haproxy"}, f"ports of {published} are published")
    proxy = pathlib.Path(compose["configs"]["haproxy"]["file"]).read_text(encoding="utf-8")
    servers = dict(re.findall(r"^ +server (\S+) (\S+)$", proxy, re.MULTILINE))
    check(servers == {name: f"{name}:8443" for name in gateways}, f"HAProxy has the servers {servers}")
    (subnet,) = [entry["subnet"] for entry in compose["networks"]["clients"]["ipam"]["config"]]
    check([subnet] == configuration["connections"]["trusted_proxies"], "HAProxy isn't a trusted proxy, or others are")
    check(set(services["haproxy"]["networks"]) == {"clients"}, "HAProxy reaches the store")
    (password,) = [pathlib.PurePath(configuration["store"]["password_file"]).name]
    hosts = {re.fullmatch(r"redis\+sentinel://([a-z0-9]+):26379/parley", url).group(1) for url in configuration["store"]["urls"]}
    check(hosts == {name for name in services if name.startswith("sentinel")} and len(hosts) >= 3, f"the Sentinels are {hosts}")
    servers = {name for name in services if name.startswith("redis")}
    check(len(servers) > configuration["store"]["replicas"], "too few replicas of Redis")
    for name in servers | hosts:
        service = services[name]
        kind = "server" if name in servers else "sentinel"
        check(service["command"][2:] == [kind, name, "redis1"], f"{name}: {service['command']}")
        check(set(service["networks"]) == {"nodes"} and compose["networks"]["nodes"]["internal"], f"{name} is in another network")
        check([secret["source"] for secret in service["secrets"]] == [password], f"{name}: its secrets")
        targets = {entry["target"] for entry in service["configs"]}
        check({"/etc/redis/redis.conf", "/etc/redis/sentinel.conf", service["command"][1]} == targets, f"{name}: its files")
        check([volume["target"] for volume in service["volumes"]] == ["/data"], f"{name} keeps nothing")
    sources = [volume["source"] for name in servers | hosts for volume in services[name]["volumes"]]
    check(len(sources) == len(set(sources)), "two services share a volume")


def main():
    repository, file, compose = map(pathlib.Path, sys.argv[1:4])
    keys = gateway.Keys(pathlib.Path(sys.argv[4]))
    configuration = yaml.safe_load((repository / file).read_text(encoding="utf-8"))
    user = check_image(repository, repository / "deploy/container/Containerfile", keys)
    check_compose(repository, json.loads(compose.read_text(encoding="utf-8")), configuration, user, keys)
    gateway.finish()


if __name__ == "__main__":
    main()
