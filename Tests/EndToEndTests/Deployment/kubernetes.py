# SPDX-License-Identifier: Apache-2.0

"""Checks the manifests of deploy/kubernetes, and copies the gateway's configuration out of them for "parley config check".

usage: kubernetes.py DIRECTORY OUTPUT KEYS

DIRECTORY has the manifests, OUTPUT receives the files of the ConfigMap, and KEYS is the output of "parley config keys". A line is printed for
each problem; the exit status is 1 if there is any.
"""

import pathlib
import re
import sys

import gateway
import kubernetes_validate
import yaml
from gateway import check, seconds, size

# The oldest release that knows every field (lifecycle.preStop.sleep), and the newest that the package has schemas for.
VERSIONS = ["1.30.0", "1.37.0"]


def read(directory):
    """Returns the resources by kind and name, validated against the schemas of both releases."""
    resources = {}
    for path in sorted(directory.rglob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            for version in VERSIONS:
                try:
                    kubernetes_validate.validate(document, version, strict=True)
                except kubernetes_validate.ValidationError as error:
                    check(False, f"{path.name}: {version}: {'.'.join(map(str, error.path))}: {error.message}")
            resources[document["kind"], document["metadata"]["name"]] = document
    return resources


def labels_of(template):
    return template["metadata"]["labels"].items()


def selects(selector, template):
    return bool(selector) and selector.items() <= labels_of(template)


def check_selectors(resources, template):
    for (kind, name), resource in resources.items():
        match kind:
            case "Service":
                selector = resource["spec"]["selector"]
            case "PodDisruptionBudget" | "Deployment":
                selector = resource["spec"]["selector"]["matchLabels"]
            case "NetworkPolicy":
                selector = resource["spec"]["podSelector"]["matchLabels"]
            case _:
                continue
        check(selects(selector, template), f"{kind} {name} doesn't select the pods")
    for constraint in template["spec"]["topologySpreadConstraints"]:
        check(selects(constraint["labelSelector"]["matchLabels"], template), "a topology spread constraint doesn't select the pods")


def check_ports(resources, container, configuration):
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    for name, key in [("clients", "listen"), ("operations", "operations")]:
        host, _, port = configuration[key]["address"].rpartition(":")
        check(int(port) == ports[name], f"{key}.address and the container's port {name} differ")
        check(host == "0.0.0.0", f"{key}.address isn't reachable from outside the pod")
    for (kind, name), resource in resources.items():
        if kind == "Service":
            for port in resource["spec"]["ports"]:
                check(port["targetPort"] in ports, f"Service {name}: no port {port['targetPort']}")
        if kind == "NetworkPolicy":
            for rule in resource["spec"]["ingress"]:
                for port in rule["ports"]:
                    check(port["port"] in ports, f"NetworkPolicy {name}: no port {port['port']}")
            # Every upstream of the configuration can be reached.
            allowed = {port["port"] for rule in resource["spec"]["egress"] for port in rule["ports"]}
            for upstream in configuration["upstreams"].values():
                for url in upstream["urls"]:
                    port = int(re.search(r":(\d+)", url.split("//")[1]).group(1))
                    check(port in allowed, f"NetworkPolicy {name}: egress to {url} isn't allowed")


def check_probes(container):
    for kind, path in [("startupProbe", "/readyz"), ("readinessProbe", "/readyz"), ("livenessProbe", "/livez")]:
        probe = container[kind]["httpGet"]
        check(probe == {"path": path, "port": "operations"}, f"{kind}: {probe}")


def check_end(pod, container, configuration):
    hook = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain = seconds(configuration["shutdown"]["drain"])
    check(pod["terminationGracePeriodSeconds"] >= hook + drain + 5, "terminationGracePeriodSeconds is too short for preStop and shutdown.drain")


def check_security(pod, container):
    """The restricted Pod Security Standard, and a root file system that can't be written."""
    context, own = pod["securityContext"], container["securityContext"]
    check(context["runAsNonRoot"] and context["runAsUser"] > 0, "the gateway runs as root")
    check(context["seccompProfile"]["type"] == "RuntimeDefault", "no seccomp profile")
    check(own["allowPrivilegeEscalation"] is False, "privilege escalation is allowed")
    check(own["readOnlyRootFilesystem"] is True, "the root file system is writable")
    check(own["capabilities"] == {"drop": ["ALL"]}, "capabilities aren't dropped")
    check(pod["automountServiceAccountToken"] is False, "the pod has an API token")
    # Variables of Services such as PARLEY_PORT would be unknown keys, and the gateway would exit with 78.
    check(pod["enableServiceLinks"] is False, "enableServiceLinks isn't false")


def check_volumes(resources, pod, container, paths):
    """Every path that the gateway reads is a file of a mounted volume, and what it writes is in a writable one."""
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    for path in paths:
        directory, _, name = path.rpartition("/")
        if not check(directory in mounts, f"{path} isn't in a volume"):
            continue
        volume = volumes[mounts[directory]["name"]]
        if "secret" in volume:
            secret = resources["Secret", volume["secret"]["secretName"]]
            check(name in secret["stringData"], f"{path}: the Secret {secret['metadata']['name']} has no {name}")
            check(mounts[directory].get("readOnly"), f"{directory} is writable")
        else:
            check("emptyDir" in volume or "persistentVolumeClaim" in volume, f"{path} isn't writable")
    check(set(volumes) == {mount["name"] for mount in mounts.values()}, "volumes and mounts differ")


def main():
    directory, output = map(pathlib.Path, sys.argv[1:3])
    keys = gateway.Keys(pathlib.Path(sys.argv[3]))
    resources = read(directory)
    template = resources["Deployment", "parley"]["spec"]["template"]
    pod = template["spec"]
    (container,) = pod["containers"]
    files = resources["ConfigMap", "parley"]["data"]
    configuration = yaml.safe_load(files["gateway.yaml"])
    variables = {entry["name"]: entry["value"] for entry in container["env"]}

    check_selectors(resources, template)
    check_ports(resources, container, configuration)
    check_probes(container)
    check_end(pod, container, configuration)
    check_security(pod, container)
    check(size(container["resources"]["limits"]["memory"]) >= keys.memory(configuration), "the memory limit is too low")
    pairs = [pair.split(":") for pair in configuration["tls"]["certificates"]]
    secrets = [value for name, value in variables.items() if name.endswith("_FILE")]
    check_volumes(resources, pod, container, [*sum(pairs, []), *secrets, configuration["store"]["path"]])
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    check(variables["PARLEY_CONFIG"] in mounts, "PARLEY_CONFIG isn't a volume")

    for name in variables:
        check(keys.has_variable(name), f"{name} is no variable of the gateway")

    output.mkdir(parents=True)
    for name, text in files.items():
        (output / name).write_text(text, encoding="utf-8")
    gateway.finish()


if __name__ == "__main__":
    main()
