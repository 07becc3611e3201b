#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks a Traefik configuration, static or dynamic: each key must be known, with a value of its kind. The keys are those of Traefik's
reference documentation (https://doc.traefik.io/traefik/, "Static Configuration: File" and "Dynamic Configuration: File") that the shipped
files use, and their neighbors.

usage: traefik.py FILE; exits 1 and names the first unknown key.
"""

import re
import sys

import yaml


class Named(dict):
    """A map whose keys are names that the user chooses; all values have the same form."""

    def __init__(self, form):
        super().__init__()
        self.form = form


DURATION = re.compile(r"^([0-9]+(ms|s|m|h))+$|^[0-9]+$")
ADDRESS = re.compile(r"^[^ :]*:[0-9]+$")
URL = re.compile(r"^https?://[^ ]+$")
LEVEL = re.compile(r"^(TRACE|DEBUG|INFO|WARN|ERROR|FATAL|PANIC)$")
TLS_VERSION = re.compile(r"^VersionTLS1[0-3]$")

FORWARDED_HEADERS = {"insecure": bool, "trustedIPs": [str]}
STATIC = {
    "entryPoints": Named({
        "address": ADDRESS, "asDefault": bool, "forwardedHeaders": FORWARDED_HEADERS, "proxyProtocol": FORWARDED_HEADERS,
        "transport": {
            "respondingTimeouts": {"readTimeout": DURATION, "writeTimeout": DURATION, "idleTimeout": DURATION},
            "lifeCycle": {"requestAcceptGraceTimeout": DURATION, "graceTimeOut": DURATION},
            "keepAliveMaxRequests": int, "keepAliveMaxTime": DURATION,
        },
    }),
    "providers": {"file": {"filename": str, "directory": str, "watch": bool}, "providersThrottleDuration": DURATION},
    "accessLog": {"filePath": str, "format": str},
    "log": {"level": LEVEL, "format": str, "filePath": str},
    "ping": {"entryPoint": str},
    "global": {"checkNewVersion": bool, "sendAnonymousUsage": bool},
}

ROUTER_TLS = {"options": str, "certResolver": str}
DYNAMIC = {
    "http": {
        "routers": Named({
            "entryPoints": [str], "rule": str, "priority": int, "middlewares": [str], "service": str, "tls": ROUTER_TLS,
        }),
        "middlewares": Named({"headers": {"customRequestHeaders": Named(str), "customResponseHeaders": Named(str)}}),
        "services": Named({
            "loadBalancer": {
                "servers": [{"url": URL, "weight": int}],
                "sticky": {"cookie": {"name": str, "secure": bool, "httpOnly": bool, "sameSite": str, "maxAge": int}},
                "healthCheck": {
                    "path": str, "interval": DURATION, "timeout": DURATION, "port": int, "scheme": str, "hostname": str, "status": int,
                    "method": str, "followRedirects": bool, "headers": Named(str),
                },
                "passHostHeader": bool, "serversTransport": str, "responseForwarding": {"flushInterval": DURATION},
            },
        }),
        "serversTransports": Named({
            "serverName": str, "insecureSkipVerify": bool, "rootCAs": [str], "maxIdleConnsPerHost": int, "disableHTTP2": bool,
            "forwardingTimeouts": {
                "dialTimeout": DURATION, "responseHeaderTimeout": DURATION, "idleConnTimeout": DURATION, "readIdleTimeout": DURATION,
                "pingTimeout": DURATION,
            },
        }),
    },
    "tcp": {
        "routers": Named({
            "entryPoints": [str], "rule": str, "priority": int, "middlewares": [str], "service": str,
            "tls": {"passthrough": bool, **ROUTER_TLS},
        }),
        "services": Named({
            "loadBalancer": {"servers": [{"address": ADDRESS}], "proxyProtocol": {"version": int}, "serversTransport": str},
        }),
    },
    "tls": {
        "certificates": [{"certFile": str, "keyFile": str, "stores": [str]}],
        "options": Named({"minVersion": TLS_VERSION, "maxVersion": TLS_VERSION, "sniStrict": bool, "alpnProtocols": [str]}),
    },
}


def check(node, form, path):
    """Raises ValueError with the path of the first key or value that doesn't have its form."""
    if isinstance(form, Named):
        form = {key: form.form for key in node} if isinstance(node, dict) else {}
    if isinstance(form, dict):
        if not isinstance(node, dict):
            raise ValueError(f"{path}: not a map")
        for key, value in node.items():
            if key not in form:
                raise ValueError(f"{path}: unknown key {key}; known are {', '.join(form)}")
            check(value, form[key], f"{path}.{key}")
    elif isinstance(form, list):
        if not isinstance(node, list):
            raise ValueError(f"{path}: not a list")
        for index, value in enumerate(node):
            check(value, form[0], f"{path}[{index}]")
    elif isinstance(form, re.Pattern):
        if not form.match(str(node)):
            raise ValueError(f"{path}: {node!r} isn't allowed")
    elif not isinstance(node, form) or (form is int and isinstance(node, bool)):
        raise ValueError(f"{path}: {node!r} isn't {form.__name__}")


def check_references(document):
    """Each router must use a service, middlewares and a transport of the same file."""
    for protocol in ("http", "tcp"):
        part = document.get(protocol, {})
        for name, router in part.get("routers", {}).items():
            if router["service"] not in part.get("services", {}):
                raise ValueError(f"{protocol}.routers.{name}: no service {router['service']}")
            for middleware in router.get("middlewares", []):
                if middleware not in part.get("middlewares", {}):
                    raise ValueError(f"{protocol}.routers.{name}: no middleware {middleware}")
        for name, service in part.get("services", {}).items():
            transport = service["loadBalancer"].get("serversTransport")
            if transport and transport not in part.get("serversTransports", {}):
                raise ValueError(f"{protocol}.services.{name}: no serversTransport {transport}")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        document = yaml.safe_load(file)
    try:
        check(document, STATIC if "entryPoints" in document else DYNAMIC, "")
        check_references(document)
    except ValueError as error:
        sys.exit(f"{sys.argv[1]}: {error}")


if __name__ == "__main__":
    main()
