# SPDX-License-Identifier: Apache-2.0

"""Checks the files of deploy/cluster with HAProxy and Redis.

usage: cluster.py DIRECTORY STATE

Redis and Sentinel are started by redis-node.sh as in a container, with the paths of the container replaced by directories below STATE. A line
is printed for each problem; the exit status is 1 if there is any.
"""

import os
import pathlib
import re
import socket
import subprocess
import sys
import time

import gateway
from gateway import check

directory, state = map(pathlib.Path, sys.argv[1:3])


def check_haproxy(path):
    """Checks a configuration of HAProxy. Names of containers aren't known here, which their settings permit."""
    environment = {**os.environ, "CLUSTER_ADDRESS": "127.0.0.1", "PATH": "/usr/sbin:/usr/bin:/bin"}
    result = subprocess.run(["haproxy", "-c", "-C", state, "-f", path], capture_output=True, text=True, env=environment, check=False)
    check(result.returncode == 0, f"{path}: {result.stdout}{result.stderr}")


def settings(path):
    """Returns the lines of a configuration of HAProxy that the files have in common."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8").split("\n")]
    shared = r"timeout |balance |option |http-check |retries |default-server (check|observe) "
    return [line for line in lines if re.match(shared, line)]


def free_ports(count):
    """Returns ports of 127.0.0.1 that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [entry.getsockname()[1] for entry in sockets]
    for entry in sockets:
        entry.close()
    return ports


class Container:
    """A server or a Sentinel of redis-node.sh."""

    def __init__(self, kind, name, ports):
        self.data, self.port = state / name, ports[name]
        self.data.mkdir()
        script = (directory / "redis-node.sh").read_text(encoding="utf-8")
        for path, local in [("/data", self.data), ("/etc/redis", directory), ("/run/secrets", state)]:
            check(path in script, f"redis-node.sh doesn't use {path}")
            script = script.replace(path, str(local))
        # All share one address, so they differ in their ports.
        script = script.replace("port 6379", f"port {self.port}").replace("port 26379", f"port {self.port}\\nsentinel announce-port {self.port}")
        script = script.replace(" 6379", f" {ports['redis1']}")
        path = state / f"{name}.sh"
        path.write_text(script, encoding="utf-8")
        self.log = (state / f"{name}.log").open("w", encoding="utf-8")
        host = "localhost" if name == "redis1" else "127.0.0.1"
        self.process = subprocess.Popen(["sh", path, kind, host, "localhost"], stdout=self.log, stderr=self.log)

    def ask(self, *command):
        environment = {**os.environ, "REDISCLI_AUTH": "secret" if "sentinel" not in command else ""}
        arguments = ["redis-cli", "-h", "127.0.0.1", "-p", str(self.port), *command]
        return subprocess.run(arguments, capture_output=True, text=True, env=environment, check=False).stdout

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()


def wait(condition, problem):
    deadline = time.monotonic() + 20
    while not condition():
        if not check(time.monotonic() < deadline, problem):
            return
        time.sleep(0.1)


def main():
    for path in [directory / "haproxy.cfg", directory / "container/haproxy.cfg"]:
        check_haproxy(path)
    check(settings(directory / "haproxy.cfg") == settings(directory / "container/haproxy.cfg"), "the files of HAProxy differ")

    (state / "redis-password").write_text("secret\n", encoding="utf-8")
    names = ["redis1", "redis2", "sentinel1"]
    ports = dict(zip(names, free_ports(3)))
    containers = {}
    try:
        for name in names:
            containers[name] = Container("sentinel" if name.startswith("sentinel") else "server", name, ports)
            if name == "redis1":
                wait(lambda: "PONG" in containers["redis1"].ask("ping"), "redis1 doesn't start")
        wait(lambda: "state=online" in containers["redis1"].ask("info", "replication"), "redis2 doesn't follow redis1")
        wait(lambda: str(ports["redis1"]) in containers["sentinel1"].ask("sentinel", "get-master-addr-by-name", "parley"), "no master")
        for name, value in [("appendonly", "yes"), ("appendfsync", "always"), ("maxmemory-policy", "noeviction")]:
            check(containers["redis1"].ask("config", "get", name).split() == [name, value], f"{name} isn't {value}")
        # Started again, they keep what they wrote into their files.
        before = (state / "sentinel1/sentinel.conf").read_text(encoding="utf-8")
        check("sentinel myid" in before, "the Sentinel doesn't write its file")
    finally:
        for container in containers.values():
            container.stop()
    gateway.finish()


if __name__ == "__main__":
    main()
