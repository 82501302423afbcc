"""Settings with any number of tenants, each like the shipped `bank-a`, on the infrastructure of the dev stack.

A tenant has four services, a database, a cache, three calls and two data edges of its own, a route for its OIDC client, and one
call to the tenant `shared`. Tenants differ in nothing but their name, so what a tenant costs can be compared between sizes.
"""

import hashlib
from pathlib import Path
from typing import Any, Final

import yaml

from components.settings import CONFIG_KEY

ROOT: Final = Path(__file__).resolve().parents[1]
SHARED: Final = "shared"
CALLS: Final = (("frontend", "api-ms", "/accounts"), ("api-ms", "auth-ms", "/introspect"), ("auth-ms", "trans-ms", "/authorize"))
"""Caller, callee and path of a tenant's own calls."""
SERVICES: Final = ("frontend", "api-ms", "auth-ms", "trans-ms")


def names(count: int) -> tuple[str, ...]:
    """The tenants' names, without `shared`. A name's length never depends on the count."""
    return tuple(f"tenant-{number:04d}" for number in range(1, count + 1))


def service(tenant: str, name: str) -> dict[str, Any]:
    """A service by an image that nobody has."""
    digest = hashlib.sha256(f"{tenant}/{name}".encode()).hexdigest()
    image = f"111122223333.dkr.ecr.eu-west-1.amazonaws.com/{tenant}/{name}@sha256:{digest}"
    return {"image": image, "processes": ["python"]}


def tenant_tree(tenant: str) -> dict[str, Any]:
    """One tenant."""
    return {
        "display_name": tenant,
        "services": {name: service(tenant, name) for name in SERVICES},
        "databases": {"ledger": {"storage": "50Gi"}},
        "caches": {"sessions": {"memory": "256Mi"}},
        "clients": {
            "web": {
                "grant": "authorization_code",
                "scopes": ["accounts.read"],
                "redirect_uris": [f"https://{tenant}.example.net/callback"],
            }
        },
        "usage": {"requests_per_second": 100, "burst": 200, "requests_per_day": 1000000},
    }


def call(caller: str, callee: str, path: str) -> dict[str, Any]:
    """One call."""
    return {"caller": caller, "callee": callee, "operations": [{"methods": ["POST"], "paths": [path]}]}


def access_tree(tenants: tuple[str, ...]) -> dict[str, Any]:
    """Every edge of the tenants."""
    calls = {
        f"{tenant}-{caller}-{callee}": call(f"{tenant}/{caller}", f"{tenant}/{callee}", path)
        for tenant in tenants
        for caller, callee, path in CALLS
    }
    calls |= {f"{tenant}-events": call(f"{tenant}/trans-ms", f"{SHARED}/notifications", "/events") for tenant in tenants}
    data = {
        f"{tenant}-{store}": {"service": f"{tenant}/trans-ms", "store": f"{tenant}/{store}"}
        for tenant in tenants
        for store in ("ledger", "sessions")
    }
    routes = {
        f"{tenant}-web": {
            "clients": [f"{tenant}/web"],
            "service": f"{tenant}/frontend",
            "operations": [{"methods": ["GET"], "paths": ["/accounts", "/accounts/{id}"]}],
            "scopes": ["accounts.read"],
        }
        for tenant in tenants
    }
    return {"calls": calls, "data": data, "routes": routes}


def tree(count: int, *, regions: int = 2) -> dict[str, Any]:
    """Settings with `count` tenants and `shared`, in the first `regions` regions of the dev stack, its home region among them.

    Raises:
        ValueError: fewer regions than one, or more than the dev stack has.
    """
    found: dict[str, Any] = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text(encoding="utf-8"))["config"][CONFIG_KEY]
    codes = sorted(found["regions"], key=lambda code: (code != found["home_region"], code))
    if not 1 <= regions <= len(codes):
        msg = f"the dev stack has {len(codes)} regions, not {regions}"
        raise ValueError(msg)
    tenants = names(count)
    shared = {"display_name": "Shared", "kind": "shared", "services": {"notifications": service(SHARED, "notifications")}}
    found["regions"] = {code: found["regions"][code] for code in codes[:regions]}
    if regions == 1:
        found["backup"].pop("copy_region")
    found["edge"]["waf"].pop("uri_rates", None)
    found["tenants"] = {**{tenant: tenant_tree(tenant) for tenant in tenants}, SHARED: shared}
    found["access"] = access_tree(tenants)
    found["delivery"]["gitops"]["tenants"] = {}  # repositories are invented for nobody
    return found
