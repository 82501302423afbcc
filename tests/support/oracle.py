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


def principal(tree: dict[str, Any], ref: str, region: str) -> str:
    """The SPIFFE id of a service or of `<namespace>/<account>` in a region, without its scheme."""
    namespace, account = ref.split("/")
    return f"{region}.{tree['identity']['trust_domain_base']}/ns/{namespace}/sa/{account}"


def destinations(tree: dict[str, Any], caller: str, origin: str, callee: str) -> list[str]:
    """The regions in which the caller of region `origin` may call anything of the callee."""
    return [region for region in regions_of(tree, callee) if declared(tree, caller, origin, callee, region)]


def store_kind(tree: dict[str, Any], store: str) -> str:
    """`databases` or `caches`."""
    tenant, name = store.split("/")
    return "databases" if name in (tree["tenants"][tenant].get("databases") or {}) else "caches"


def store_port(tree: dict[str, Any], store: str) -> int:
    """What its clients connect to."""
    return {"databases": 5432, "caches": 6379}[store_kind(tree, store)]


def store_names(tree: dict[str, Any], store: str) -> list[str]:
    """The names of its Services: a database's primary, replicas and any; a cache's one."""
    tenant, name = store.split("/")
    kinds = {"databases": (f"{name}-r", f"{name}-ro", f"{name}-rw"), "caches": (name,)}
    return [f"{each}.{tenant}.svc.cluster.local" for each in kinds[store_kind(tree, store)]]


def service_names(service: str) -> tuple[str, str]:
    """What a service is called by: inside its region, and for every region."""
    tenant, name = service.split("/")
    return f"{name}.{tenant}.svc.cluster.local", f"{name}.{tenant}.mesh.internal"


def names(tree: dict[str, Any], caller: str, origin: str) -> set[str]:
    """Every name that a service of a region has business with; the mesh's own are left out."""
    found: set[str] = set()
    for callee in services(tree):
        reached = destinations(tree, caller, origin, callee)
        ordinary, everywhere = service_names(callee)
        found |= {ordinary} if reached else set()
        found |= {everywhere} if set(reached) - {origin} else set()
    found |= {name for store in stores(tree) if uses(tree, caller, store) for name in store_names(tree, store)}
    return found | {edge["host"] for edge in (tree["access"].get("egress") or {}).values() if edge["service"] == caller}


def admits(tree: dict[str, Any], operation: Operation, client: str, scopes: frozenset[str]) -> bool:
    """Whether a token of the client `<tenant>.<client>` with these scopes may use an operation of a route."""
    route = tree["access"]["routes"][operation.edge]
    return client in {ref.replace("/", ".") for ref in route["clients"]} and scopes >= set(route["scopes"])


def federates(tree: dict[str, Any], service: str, here: str, there: str) -> bool:
    """Whether a service of region `here` has business with any service of region `there`, as caller or as callee."""
    return here != there and any(
        declared(tree, service, here, other, there) or declared(tree, other, there, service, here) for other in services(tree)
    )


def refusal(tree: dict[str, Any], ends: tuple[str, str, str, str], path: str) -> str:
    """Why a request that no operation covers is refused, the first step at which it fails: caller, origin, callee, region."""
    caller, origin, callee, region = ends
    found = declared(tree, caller, origin, callee, region)
    if not found:
        others = {code for code in tree["regions"] if code != origin and declared(tree, caller, code, callee, region)}
        return "region" if others else "no edge"
    return "method" if any(matches(operation.pattern, path) for operation in found) else "path"


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
