# SPDX-License-Identifier: Apache-2.0

"""Checks the manifests of deploy/kubernetes or deploy/cluster/kubernetes, and copies the gateway's configuration out of them for "parley
config check".

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
    """Whether a label selector selects the pods of a template."""
    labels = dict(labels_of(template))
    expressions = selector.get("matchExpressions", [])
    if not all(expression["operator"] == "In" and labels.get(expression["key"]) in expression["values"] for expression in expressions):
        return False
    return bool(selector) and selector.get("matchLabels", {}).items() <= labels.items()


def selector_of(kind, resource):
    """Returns the label selector of a resource that has one, else None."""
    match kind:
        case "Service":
            return {"matchLabels": resource["spec"]["selector"]}
        case "PodDisruptionBudget" | "Deployment" | "StatefulSet":
            return resource["spec"]["selector"]
        case "NetworkPolicy":
            return resource["spec"]["podSelector"]
    return None


def check_selectors(resources, templates):
    for (kind, name), resource in resources.items():
        selector = selector_of(kind, resource)
        if selector is not None:
            check(any(selects(selector, template) for template in templates.values()), f"{kind} {name} selects no pods")
    for name, template in templates.items():
        for constraint in template["spec"]["topologySpreadConstraints"]:
            check(selects(constraint["labelSelector"], template), f"{name}: a topology spread constraint doesn't select the pods")
        budgets = [resource for (kind, _), resource in resources.items() if kind == "PodDisruptionBudget"]
        check(any(selects(budget["spec"]["selector"], template) for budget in budgets), f"{name} has no PodDisruptionBudget")


def check_ports(resources, templates, container, configuration):
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    addresses = {"clients": configuration["listen"]["address"], "operations": configuration["operations"]["address"]}
    if "cluster" in configuration:
        addresses["nodes"] = configuration["cluster"]["listen"]
    check(set(addresses) == set(ports), f"the container's ports are {set(ports)}, those of the configuration {set(addresses)}")
    for name, address in addresses.items():
        host, _, port = address.rpartition(":")
        check(int(port) == ports[name], f"{address} and the container's port {name} differ")
        check(host == "0.0.0.0", f"{address} isn't reachable from outside the pod")
    for (kind, name), resource in resources.items():
        if kind not in ["Service", "NetworkPolicy"]:
            continue
        selector = selector_of(kind, resource)
        pods = [template["spec"] for template in templates.values() if selects(selector, template)]
        named = {port["name"]: port["containerPort"] for pod in pods for own in pod["containers"] for port in own["ports"]}
        if kind == "Service":
            for port in resource["spec"]["ports"]:
                check(port["targetPort"] in named, f"Service {name}: no port {port['targetPort']}")
        if kind == "NetworkPolicy":
            for rule in resource["spec"]["ingress"]:
                for port in rule["ports"]:
                    check(port["port"] in {*named, *named.values()}, f"NetworkPolicy {name}: no port {port['port']}")
    # Every upstream of the configuration can be reached.
    allowed = egress_ports(resources)
    for upstream in configuration["upstreams"].values():
        for url in upstream["urls"]:
            check(port_of(url) in allowed, f"NetworkPolicy: egress to {url} isn't allowed")


def egress_ports(resources):
    return {port["port"] for rule in resources["NetworkPolicy", "parley"]["spec"]["egress"] for port in rule["ports"]}


def port_of(url):
    return int(re.search(r":(\d+)", url.split("//")[1]).group(1))


def check_cluster(directory, resources, workload, container, configuration):
    """The gateways find each other and the store, and nobody else reaches them."""
    variables = {entry["name"]: entry for entry in container["env"]}
    node = variables["PARLEY_CLUSTER_NODE"]["valueFrom"]["fieldRef"]["fieldPath"]
    check(node == "metadata.name", f"cluster.node is {node}")
    address, _, port = variables["PARLEY_CLUSTER_ADVERTISE"]["value"].rpartition(":")
    check(port == configuration["cluster"]["listen"].rpartition(":")[2], "cluster.advertise has another port than cluster.listen")
    check(address == "$(POD_IP)" and variables["POD_IP"]["valueFrom"]["fieldRef"]["fieldPath"] == "status.podIP", "cluster.advertise")
    names = [entry["name"] for entry in container["env"]]
    check(names.index("POD_IP") < names.index("PARLEY_CLUSTER_ADVERTISE"), "POD_IP is set after its use")
    check("PARLEY_CLUSTER_SECRET_FILE" in variables, "no cluster.secret")
    check(workload["spec"]["replicas"] >= 2, "one gateway is no cluster")
    for (kind, name), resource in resources.items():
        if kind != "StatefulSet":
            continue
        service = resources.get(("Service", resource["spec"]["serviceName"]), {"spec": {}})["spec"]
        is_headless = service.get("clusterIP") == "None" and service.get("publishNotReadyAddresses")
        check(is_headless, f"StatefulSet {name} has no headless Service with the names of its pods")
    rules = resources["NetworkPolicy", "parley"]["spec"]["ingress"]
    rule = next(rule for rule in rules if any(port["port"] == "nodes" for port in rule["ports"]))
    template = workload["spec"]["template"]
    peers = rule.get("from", [])
    check([set(peer) for peer in peers] == [{"podSelector"}], "the rule of the link has no peers, or other ones than pods")
    check(all(selects(peer.get("podSelector", {}), template) for peer in peers), "others reach the link between nodes")
    check(len(rule["ports"]) == 1, "the rule of the link has other ports")
    allowed = egress_ports(resources)
    check(int(port) in allowed, "NetworkPolicy: egress to other nodes isn't allowed")
    for url in configuration["store"]["urls"]:
        host = re.search(r"//([^:/]+)", url).group(1)
        service = resources.get(("Service", host))
        if check(service, f"{url}: no Service {host}"):
            check(port_of(url) in [entry["port"] for entry in service["spec"]["ports"]], f"{url}: the Service has another port")
        check(port_of(url) in allowed, f"NetworkPolicy: egress to {url} isn't allowed")
    if "+sentinel" in configuration["store"]["urls"][0]:
        check(6379 in allowed, "NetworkPolicy: egress to the masters isn't allowed")
        check(resources["StatefulSet", "parley-sentinel"]["spec"]["replicas"] >= 3, "fewer than three Sentinels")
    check(resources["StatefulSet", "parley-redis"]["spec"]["replicas"] > configuration["store"]["replicas"], "too few replicas of Redis")
    for name, text in resources["ConfigMap", "parley-redis"]["data"].items():
        check(text == (directory.parent / name).read_text(encoding="utf-8"), f"the ConfigMap parley-redis has another {name}")


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
    workloads = {name: resource for (kind, name), resource in resources.items() if kind in ["Deployment", "StatefulSet"]}
    templates = {name: workload["spec"]["template"] for name, workload in workloads.items()}
    pod = templates["parley"]["spec"]
    (container,) = pod["containers"]
    files = resources["ConfigMap", "parley"]["data"]
    configuration = yaml.safe_load(files["gateway.yaml"])
    store = configuration["store"]
    variables = {entry["name"]: entry.get("value") for entry in container["env"]}

    check_selectors(resources, templates)
    check_ports(resources, templates, container, configuration)
    check_probes(container)
    check_end(pod, container, configuration)
    for template in templates.values():
        check_security(template["spec"], *template["spec"]["containers"])
    check(size(container["resources"]["limits"]["memory"]) >= keys.memory(configuration), "the memory limit is too low")
    pairs = [pair.split(":") for pair in configuration["tls"]["certificates"]]
    secrets = [value for name, value in variables.items() if name.endswith("_FILE")]
    check_volumes(resources, pod, container, [*sum(pairs, []), *secrets, store["password_file" if store["kind"] == "redis" else "path"]])
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    check(variables["PARLEY_CONFIG"] in mounts, "PARLEY_CONFIG isn't a volume")
    if store["kind"] == "redis":
        check_cluster(directory, resources, workloads["parley"], container, configuration)

    for name in variables:
        check(keys.has_variable(name) or not name.startswith("PARLEY_"), f"{name} is no variable of the gateway")

    output.mkdir(parents=True)
    for name, text in files.items():
        (output / name).write_text(text, encoding="utf-8")
    gateway.finish()


if __name__ == "__main__":
    main()
