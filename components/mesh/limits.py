"""How much of a region a tenant's callers from outside may use: a bucket in every gateway pod, and one count for all of them.

The local limit costs no question and holds when the rate limiter is slow; the global one counts across pods and for the day,
and refuses when it cannot be asked. Both stand behind authentication and authorization: what is refused there uses up nobody's
share. A tenant is told by the first segment of the normalised path; each has filters, descriptors and buckets of its own.
Istio has no kind for this, so it is written as Envoy's own filters (EnvoyFilter).
"""

from typing import Any, Final

import yaml

from components.graph.model import Graph
from components.graph.names import (
    INGRESS,
    INGRESS_PORT,
    RATE_LIMIT_NAMESPACE,
    RATE_LIMIT_PORT,
    RATE_LIMIT_SERVICE,
    service_host,
)
from components.manifests import Manifest
from components.mesh.kinds import istio
from components.settings.tenants import UsageSettings

DOMAIN: Final = "zerotrust"
TENANT_KEY, WINDOW_KEY = "tenant", "window"
WINDOWS: Final = ("second", "minute", "day")
GLOBAL_TIMEOUT: Final = "0.25s"
UNLIMITED: Final = 4294967295
"""Tokens of the bucket that a tenant's filter takes for requests of others: the largest number Envoy has."""
LOCAL: Final = 5
"""Priority of the tenants' filters, said so that a filter of priority 0 that somebody adds is there before them."""
AFTER_LOCAL: Final = 10
"""Priority of the global filter: patched in last, so nearest to the router, and asked only for what every bucket let through."""
_TYPES: Final = "type.googleapis.com/envoy.extensions.filters.http"


def allowance(usage: UsageSettings) -> dict[str, int]:
    """Requests a window may hold: what a bucket of `burst` with the sustained rate can give out in it at most."""
    rate, burst = usage.requests_per_second, usage.burst
    return {"second": rate + burst, "minute": 60 * rate + burst, "day": usage.requests_per_day}


def limited(graph: Graph) -> dict[str, UsageSettings]:
    """Tenants with declared usage; no route leads to another (the settings refuse it)."""
    found = ((tenant, graph.settings.tenants[tenant].usage) for tenant in graph.tenants)
    return {tenant: usage for tenant, usage in found if usage is not None}


def rate_limit_config(graph: Graph) -> str:
    """The rate limiter's own configuration file, YAML, the same in every region: a region counts for itself."""
    descriptors = [
        {
            "key": TENANT_KEY,
            "value": tenant,
            "descriptors": [
                {"key": WINDOW_KEY, "value": window, "rate_limit": {"unit": window, "requests_per_unit": count}}
                for window, count in allowance(usage).items()
            ],
        }
        for tenant, usage in sorted(limited(graph).items())
    ]
    return str(yaml.safe_dump({"domain": DOMAIN, "descriptors": descriptors}, sort_keys=False))


def tenant_actions(tenant: str) -> list[dict[str, Any]]:
    """What a request below `/<tenant>` is counted as: one descriptor per window. Any other request is counted as nothing."""
    path = {"name": ":path", "string_match": {"safe_regex": {"regex": f"/{tenant}([/?].*)?"}}}
    told = {"descriptor_key": TENANT_KEY, "descriptor_value": tenant, "expect_match": True, "headers": [path]}
    return [
        {
            "actions": [
                {"header_value_match": told},
                {"generic_key": {"descriptor_key": WINDOW_KEY, "descriptor_value": window}},
            ]
        }
        for window in WINDOWS
    ]


def local_filter(tenant: str, usage: UsageSettings) -> dict[str, Any]:
    """The tenant's own bucket in a gateway pod. Others' requests take from a bucket that is never empty."""
    rate = usage.requests_per_second
    whole = {"numerator": 100, "denominator": "HUNDRED"}
    entries = [{"key": TENANT_KEY, "value": tenant}, {"key": WINDOW_KEY, "value": "second"}]
    bucket = {"max_tokens": rate + usage.burst, "tokens_per_fill": rate, "fill_interval": "1s"}
    return {
        "name": f"{DOMAIN}.local.{tenant}",
        "typed_config": {
            "@type": f"{_TYPES}.local_ratelimit.v3.LocalRateLimit",
            "stat_prefix": f"local_rate_limit_{tenant}",
            "token_bucket": {"max_tokens": UNLIMITED, "tokens_per_fill": UNLIMITED, "fill_interval": "1s"},
            "always_consume_default_token_bucket": False,
            "filter_enabled": {"default_value": whole},
            "filter_enforced": {"default_value": whole},
            "descriptors": [{"entries": entries, "token_bucket": bucket}],
        },
    }


def global_filter() -> dict[str, Any]:
    """The question to the rate limiter; no answer is a refusal."""
    host = service_host(RATE_LIMIT_NAMESPACE, RATE_LIMIT_SERVICE)
    grpc = {"cluster_name": f"outbound|{RATE_LIMIT_PORT}||{host}", "authority": host}
    return {
        "name": f"{DOMAIN}.global",
        "typed_config": {
            "@type": f"{_TYPES}.ratelimit.v3.RateLimit",
            "domain": DOMAIN,
            "failure_mode_deny": True,
            "status_on_error": {"code": "ServiceUnavailable"},
            "timeout": GLOBAL_TIMEOUT,
            "rate_limit_service": {"grpc_service": {"envoy_grpc": grpc}, "transport_api_version": "V3"},
        },
    }


def _before_router(value: dict[str, Any]) -> dict[str, Any]:
    """A filter behind all of Istio's own: authentication and authorization have been passed."""
    manager = {"name": "envoy.filters.network.http_connection_manager", "subFilter": {"name": "envoy.filters.http.router"}}
    return {
        "applyTo": "HTTP_FILTER",
        "match": {"context": "GATEWAY", "listener": {"portNumber": INGRESS_PORT, "filterChain": {"filter": manager}}},
        "patch": {"operation": "INSERT_BEFORE", "value": value},
    }


def tenant_limits(graph: Graph, tenant: str) -> tuple[Manifest, ...]:
    """The tenant's descriptors on the domain's virtual host, and its local bucket; nothing for a tenant without usage."""
    usage = graph.settings.tenants[tenant].usage
    if usage is None:
        return ()
    host = {"name": f"{graph.settings.edge.domain}:{INGRESS_PORT}"}
    actions = {
        "applyTo": "VIRTUAL_HOST",
        "match": {"context": "GATEWAY", "routeConfiguration": {"vhost": host}},
        "patch": {"operation": "MERGE", "value": {"rate_limits": tenant_actions(tenant)}},
    }
    spec = {
        "workloadSelector": {"labels": INGRESS.selector},
        "priority": LOCAL,
        "configPatches": [actions, _before_router(local_filter(tenant, usage))],
    }
    return (istio("EnvoyFilter", f"limits-{tenant}", INGRESS.namespace, spec, tenant=tenant),)


def region_limits() -> tuple[Manifest, ...]:
    """The global limit's filter at the ingress gateway."""
    spec = {
        "workloadSelector": {"labels": INGRESS.selector},
        "priority": AFTER_LOCAL,
        "configPatches": [_before_router(global_filter())],
    }
    return (istio("EnvoyFilter", "global-limits", INGRESS.namespace, spec),)
