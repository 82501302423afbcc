"""Who may call what, read from the settings' plain data: the second source that every compiled layer is held against.

It shares no code with the compilers, not even the resolved graph.
"""

import re
from dataclasses import dataclass
from typing import Any

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True, kw_only=True)
class Operation:
    """A method on a path pattern of an edge."""

    edge: str
    method: str
    pattern: str

    def covers(self, method: str, path: str) -> bool:
        """Whether a request is one of this operation."""
        return method == self.method and matches(self.pattern, path)

    @property
    def sample(self) -> str:
        """A path of the pattern."""
        return re.sub(r"\{[^}]*\}", "7f3a", self.pattern).replace("/*", "/any/deep")


def matches(pattern: str, path: str) -> bool:
    """Exact; `{name}` is one segment that is not empty; a closing `/*` is everything below."""
    text = re.sub(r"\\\{[^/]*\\\}", "[^/]+", re.escape(pattern.removesuffix("*")))
    return re.fullmatch(text + (".*" if pattern.endswith("/*") else ""), path) is not None


def regions_of(tree: dict[str, Any], ref: str) -> list[str]:
    """The regions a service runs in."""
    tenant, name = ref.split("/")
    return sorted(tree["tenants"][tenant]["services"][name].get("regions") or tree["regions"])


def services(tree: dict[str, Any]) -> list[str]:
    """Every service, `<tenant>/<service>`."""
    return sorted(f"{tenant}/{name}" for tenant, wanted in tree["tenants"].items() for name in wanted.get("services") or {})


def stores(tree: dict[str, Any]) -> list[str]:
    """Every database and cache, `<tenant>/<store>`."""
    return sorted(
        f"{tenant}/{name}"
        for tenant, wanted in tree["tenants"].items()
        for kind in ("databases", "caches")
        for name in wanted.get(kind) or {}
    )


def declared(tree: dict[str, Any], caller: str, origin: str, callee: str, region: str) -> list[Operation]:
    """What the caller of region `origin` may call of the callee of `region`, whatever the context asks besides."""
    found: list[Operation] = []
    for key, call in (tree["access"].get("calls") or {}).items():
        if (call["caller"], call["callee"]) != (caller, callee):
            continue
        if origin not in regions_of(tree, caller) or region not in regions_of(tree, callee):
            continue
        if origin != region and call.get("reach", "same_region") != "every_region":
            continue
        wanted = (call.get("conditions") or {}).get("source_regions") or []
        if wanted and origin not in wanted:
            continue
        found += [
            Operation(edge=key, method=method, pattern=path)
            for operation in call["operations"]
            for method in operation["methods"]
            for path in operation["paths"]
        ]
    return found


def uses(tree: dict[str, Any], service: str, store: str) -> bool:
    """Whether a service may use a store."""
    return any((edge["service"], edge["store"]) == (service, store) for edge in (tree["access"].get("data") or {}).values())


def reaches(tree: dict[str, Any], service: str, host: str, port: int) -> bool:
    """Whether a service may reach an external host."""
    return any(
        (edge["service"], edge["host"], edge.get("port", 443)) == (service, host, port)
        for edge in (tree["access"].get("egress") or {}).values()
    )


def routed(tree: dict[str, Any], service: str) -> list[Operation]:
    """What clients may call of a service from outside, as the service sees it."""
    return [
        Operation(edge=key, method=method, pattern=path)
        for key, route in (tree["access"].get("routes") or {}).items()
        if route["service"] == service
        for operation in route["operations"]
        for method in operation["methods"]
        for path in operation["paths"]
    ]


def requests(operations: list[Operation]) -> list[tuple[str, str]]:
    """Requests worth asking about: every declared one by a sample, and neighbours that are not declared."""
    asked = {(operation.method, operation.sample) for operation in operations}
    for operation in operations:
        asked |= {(method, operation.sample) for method in METHODS if method != operation.method}
        asked |= {
            (operation.method, path)
            for path in (operation.sample + "x", operation.sample + "/x", "/admin" + operation.sample, operation.sample.upper())
        }
    asked |= {("GET", "/"), ("POST", "/transfer"), ("GET", "/undeclared"), ("DELETE", "/accounts/7f3a")}
    return sorted(asked)
