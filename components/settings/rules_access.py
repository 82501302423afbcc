"""The rules that hold between tenants, clients and the access graph: who is named exists, and nothing is said twice.

Pure: each reads the whole tree and yields one problem for each sentence that an operator gets.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from components.settings.access import RouteSettings, overlap
from components.settings.base import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from components.settings.root import Settings

INSIDE_DOMAINS = ("cluster.local", "mesh.internal")
"""Names of services: under one of these no host is outside. `components.graph.names` makes them."""


def missing_ref(tree: Settings, path: tuple[str, ...], ref: str, kinds: tuple[str, ...]) -> Iterator[Problem]:
    """A reference `<tenant>/<name>` that leads to nothing of these kinds."""
    tenant, name = ref.split("/")
    words = " or ".join(kind.rstrip("s") for kind in kinds)
    if tenant not in tree.tenants:
        declared = ", ".join(sorted(tree.tenants)) or "none yet"
        yield Problem(path, ref, f"there is no tenant {tenant}; declare it under tenants, or name one of {declared}")
        return
    known = sorted(itertools.chain.from_iterable(getattr(tree.tenants[tenant], kind) for kind in kinds))
    if name not in known:
        yield Problem(
            path,
            ref,
            f"{tenant} has no {words} {name}; declare it, or name one of {', '.join(known) or 'none yet'}",
        )


def unknown_regions(tree: Settings, path: tuple[str, ...], codes: Iterable[str]) -> Iterator[Problem]:
    """Regions that are not declared."""
    for code in codes:
        if code not in tree.regions:
            yield Problem(path, code, f"name one of the regions: {', '.join(sorted(tree.regions))}")


def calls(tree: Settings) -> Iterator[Problem]:
    """Both ends of every call exist, the callee serves, and a pair is declared once."""
    pairs: dict[tuple[str, str], str] = {}
    for key, call in sorted(tree.access.calls.items()):
        path = ("access", "calls", key)
        yield from missing_ref(tree, (*path, "caller"), call.caller, ("services",))
        yield from missing_ref(tree, (*path, "callee"), call.callee, ("services",))
        yield from unknown_regions(tree, (*path, "conditions", "source_regions"), call.conditions.source_regions)
        tenant, name = call.callee.split("/")
        service = tree.tenants[tenant].services.get(name) if tenant in tree.tenants else None
        if service and service.kind == "worker":
            yield Problem(
                (*path, "callee"),
                call.callee,
                "this service is a worker and serves nobody; call another, or set its kind to http",
            )
        if (call.caller, call.callee) in pairs:
            yield Problem(
                path,
                f"{call.caller} → {call.callee}",
                f"{pairs[call.caller, call.callee]} declares this pair; put its operations there",
            )
        pairs.setdefault((call.caller, call.callee), key)


def stores(tree: Settings) -> Iterator[Problem]:
    """A service uses stores of its own tenant or product, each under one name."""
    used: dict[tuple[str, str], str] = {}
    for key, edge in sorted(tree.access.data.items()):
        path = ("access", "data", key)
        first = used.setdefault((edge.service, edge.store.split("/")[-1]), key)
        if first != key:
            yield Problem(
                (*path, "store"), edge.store, f"{first} gives this service a store of that name; keep one, or rename a store"
            )
        yield from missing_ref(tree, (*path, "service"), edge.service, ("services",))
        yield from missing_ref(tree, (*path, "store"), edge.store, ("databases", "caches"))
        if not one_product(tree, edge.service.split("/")[0], edge.store.split("/")[0]):
            yield Problem(
                (*path, "store"),
                edge.store,
                "name a store of the service's own tenant or product; others' data is reached through their services",
            )


def one_product(tree: Settings, tenant: str, other: str) -> bool:
    """Whether two tenants are one, or namespaces of one product."""
    products = {tree.tenants[name].product for name in (tenant, other) if name in tree.tenants}
    return tenant == other or (len(products) == 1 and None not in products)


def egress(tree: Settings) -> Iterator[Problem]:
    """What is called outside is outside."""
    for key, edge in sorted(tree.access.egress.items()):
        yield from missing_ref(tree, ("access", "egress", key, "service"), edge.service, ("services",))
        inside = (*INSIDE_DOMAINS, tree.identity.trust_domain_base)
        if any(edge.host == domain or edge.host.endswith(f".{domain}") for domain in inside):
            yield Problem(
                ("access", "egress", key, "host"),
                edge.host,
                "name a host outside the platform; a service is called by an edge under access.calls, and its callee decides",
            )


def routes(tree: Settings) -> Iterator[Problem]:
    """Every route leads to a service, for clients that can have its scopes, in a tenant with limits."""
    taken: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for key, route in sorted(tree.access.routes.items()):
        path = ("access", "routes", key)
        yield from missing_ref(tree, (*path, "service"), route.service, ("services",))
        tenant = route.service.split("/")[0]
        if tenant in tree.tenants and tree.tenants[tenant].usage is None:
            yield Problem(
                ("tenants", tenant, "usage"),
                None,
                f"declare the usage limits; {'.'.join(path)} leads to this tenant",
            )
        for ref in route.clients:
            yield from missing_ref(tree, (*path, "clients"), ref, ("clients",))
            owner, name = ref.split("/")
            client = tree.tenants[owner].clients.get(name) if owner in tree.tenants else None
            for scope in sorted(set(route.scopes) - set(client.scopes)) if client else ():
                yield Problem(
                    (*path, "scopes"),
                    scope,
                    f"{ref} is never given this scope; add it to the client or drop it here",
                )
        yield from taken_requests(key, route, taken)


def taken_requests(key: str, route: RouteSettings, taken: dict[tuple[str, str], list[tuple[str, str]]]) -> Iterator[Problem]:
    """Requests of a tenant that another route has: in which order they are merged must decide nothing."""
    tenant = route.service.split("/")[0]
    own = [(method, public) for operation in route.operations for method in operation.methods for public in operation.paths]
    for method, public in own:
        earlier = taken.get((tenant, method), [])
        other = next((name for name, known in earlier if overlap(known, public)), None)
        if other is not None:
            yield Problem(
                ("access", "routes", key), f"{method} {public}", f"{other} routes such a request already; give each one route"
            )
    for method, public in own:
        taken.setdefault((tenant, method), []).append((key, public))
