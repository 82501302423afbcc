"""Random access graphs: settings of up to six tenants and thirty services on the infrastructure of the dev stack.

What is drawn loads; a graph that the settings would refuse is never drawn, so a case that fails to load is a finding too.
"""

import hashlib
from typing import Any

from hypothesis import strategies as st

from components.settings import Settings, load
from tests.support.program import changed

TENANTS = ("alpha", "bravo", "charlie", "delta", "echo", "foxtrot")
SERVICES = ("api", "auth", "ledger-ms", "frontend", "worker")
PATHS = ("/", "/transfer", "/accounts", "/accounts/{id}", "/accounts/{id}/close", "/files/*", "/v1/items/{item}/parts/*")
METHODS = ("GET", "POST", "PUT", "DELETE")
SCOPES = ("accounts.read", "transfers.write", "admin:all")
HOSTS = ("rates.ecb.europa.eu", "api.payments.example", "sanctions.example.org")
MOST_EDGES = 24


def image(tenant: str, service: str) -> str:
    """An image by digest."""
    digest = hashlib.sha256(f"{tenant}/{service}".encode()).hexdigest()
    return f"111122223333.dkr.ecr.eu-west-1.amazonaws.com/{tenant}/{service}@sha256:{digest}"


def edge_key(kind: str, *ends: str) -> str:
    """A key of an edge that does not depend on what else is drawn."""
    return f"{kind}-{hashlib.sha256('/'.join(ends).encode()).hexdigest()[:12]}"


@st.composite
def operations(draw: st.DrawFn, *, most: int = 2) -> list[dict[str, Any]]:
    """One to `most` operations, no method and path twice."""
    paths = draw(st.lists(st.sampled_from(PATHS), min_size=1, max_size=most * 2, unique=True))
    count = draw(st.integers(1, min(most, len(paths))))
    methods = st.lists(st.sampled_from(METHODS), min_size=1, max_size=3, unique=True)
    return [{"methods": draw(methods), "paths": paths[place::count]} for place in range(count)]


@st.composite
def conditions(draw: st.DrawFn, regions: tuple[str, ...]) -> dict[str, Any]:
    """Context of a call; often none."""
    if draw(st.booleans()):
        return {}
    found: dict[str, Any] = {"scopes": draw(st.lists(st.sampled_from(SCOPES), max_size=2, unique=True))}
    if draw(st.booleans()):
        found["hours"] = draw(st.sampled_from([{"start": "05:00", "end": "23:00"}, {"start": "22:00", "end": "04:00"}]))
    if draw(st.booleans()):
        found["amount_limit_minor_units"] = draw(st.integers(1, 10**9))
    if draw(st.booleans()):
        found["source_regions"] = [draw(st.sampled_from(regions))]
    found["risk_ceiling"] = draw(st.sampled_from(["low", "medium"]))
    return found


@st.composite
def trees(draw: st.DrawFn, *, tenants: int = 6, services: int = 30) -> dict[str, Any]:
    """Settings as plain data."""
    tree = changed("dev")
    regions = tuple(sorted(tree["regions"]))
    names = draw(st.lists(st.sampled_from(TENANTS), min_size=1, max_size=tenants, unique=True))
    pairs = [(tenant, service) for tenant in names for service in SERVICES]
    chosen = draw(st.lists(st.sampled_from(pairs), min_size=1, max_size=services, unique=True))
    made: dict[str, Any] = {}
    for tenant in names:
        own = [service for owner, service in chosen if owner == tenant]
        made[tenant] = {
            "display_name": tenant,
            "services": {
                service: {
                    "image": image(tenant, service),
                    "processes": ["app"],
                    "kind": "worker" if service == "worker" else "http",
                    "port": draw(st.sampled_from([8080, 9090])),
                    "replicas": 2,
                    "regions": draw(st.sampled_from([[], [], [], [regions[0]]])),
                }
                for service in own
            },
            "databases": {"ledger": {"storage": "10Gi", "instances": 1}} if draw(st.booleans()) else {},
            "caches": {"sessions": {"memory": "64Mi", "instances": 1}} if draw(st.booleans()) else {},
            "clients": {
                "web": {
                    "grant": "authorization_code",
                    "scopes": list(SCOPES),
                    "redirect_uris": [f"https://{tenant}.example.net/callback"],
                }
            },
            "usage": {"requests_per_second": 10, "burst": 20, "requests_per_day": 10000},
            "quota": {"cpu": "64000m", "memory": "128Gi", "pods": 400, "storage": "2Ti"},
        }
    tree["tenants"] = made
    tree["delivery"]["gitops"]["tenants"] = {}
    tree["network"]["dns_firewall"] = {"allowed_domains": list(HOSTS)}
    tree["edge"]["waf"].pop("uri_rates", None)
    tree["access"] = draw(_access(chosen, made, regions))
    return tree


@st.composite
def _access(draw: st.DrawFn, chosen: list[tuple[str, str]], made: dict[str, Any], regions: tuple[str, ...]) -> dict[str, Any]:
    refs = [f"{tenant}/{service}" for tenant, service in chosen]
    callees = [f"{tenant}/{service}" for tenant, service in chosen if service != "worker"]
    calls: dict[str, Any] = {}
    if callees and len(refs) > 1:
        edges = st.tuples(st.sampled_from(refs), st.sampled_from(callees)).filter(lambda pair: pair[0] != pair[1])
        if any(one != other for one in refs for other in callees):
            for caller, callee in draw(st.lists(edges, max_size=MOST_EDGES, unique=True)):
                calls[edge_key("call", caller, callee)] = {
                    "caller": caller,
                    "callee": callee,
                    "operations": draw(operations()),
                    "conditions": draw(conditions(regions)),
                    "reach": draw(st.sampled_from(["same_region", "same_region", "every_region"])),
                }
    data = {
        edge_key("data", tenant, service, store): {"service": f"{tenant}/{service}", "store": f"{tenant}/{store}"}
        for tenant, service in chosen
        for store in sorted({**made[tenant]["databases"], **made[tenant]["caches"]})
        if draw(st.booleans())
    }
    egress = {
        edge_key("egress", tenant, service, host): {"service": f"{tenant}/{service}", "host": host}
        for tenant, service in chosen
        for host in draw(st.lists(st.sampled_from(HOSTS), max_size=1, unique=True))
    }
    routes = {
        edge_key("route", tenant, service): {
            "clients": [f"{tenant}/web"],
            "service": f"{tenant}/{service}",
            "operations": [{"methods": ["GET"], "paths": [f"/{service}", f"/{service}/{{id}}"]}],
            "scopes": draw(st.lists(st.sampled_from(SCOPES), min_size=1, max_size=2, unique=True)),
        }
        for tenant, service in chosen
        if service in {"api", "frontend"} and draw(st.booleans())
    }
    return {"calls": calls, "data": data, "egress": egress, "routes": routes}


def loaded(tree: dict[str, Any]) -> Settings:
    """The settings of a drawn tree."""
    return load(tree, "a random graph")
