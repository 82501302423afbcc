"""Istio's kinds as the compilers of this layer write them: one builder, the API versions, and the labels that select pods."""

import hashlib
import re
from collections.abc import Iterable
from typing import Any, Final

from components.graph.names import SERVICE_LABEL, TENANT_LABEL, Gateway, service_host
from components.manifests import Manifest, manifest

NETWORKING: Final = "networking.istio.io/v1"
_VERSIONS: Final = {
    "AuthorizationPolicy": "security.istio.io/v1",
    "PeerAuthentication": "security.istio.io/v1",
    "RequestAuthentication": "security.istio.io/v1",
    "Telemetry": "telemetry.istio.io/v1",
    "EnvoyFilter": "networking.istio.io/v1alpha3",
}
SLUG_CHARACTERS: Final = 40
"""Longest readable part of a label made from a host; a DNS label has 63 characters."""


def istio(kind: str, name: str, namespace: str, spec: dict[str, Any], *, tenant: str | None = None) -> Manifest:
    """One object of Istio, labelled with the tenant it exists because of."""
    labels = {TENANT_LABEL: tenant} if tenant else None
    return manifest(_VERSIONS.get(kind, NETWORKING), kind, name, namespace=namespace, labels=labels, spec=spec)


def pods(service: str) -> dict[str, Any]:
    """The selector of a service's pods inside its namespace, as security kinds spell it."""
    return {"matchLabels": {SERVICE_LABEL: service}}


def gateway_pods(gateway: Gateway) -> dict[str, Any]:
    """The selector of a gateway's pods, as security kinds spell it."""
    return {"matchLabels": gateway.selector}


def gateway_host(gateway: Gateway) -> str:
    """The name of a gateway's service."""
    return service_host(gateway.namespace, gateway.name)


def dns_label(*parts: str) -> str:
    """A DNS label that stands for the parts and for nothing else: readable, then eight digits of their hash.

    Istio refuses a Gateway whose name has a dot, and hyphens alone would make one name of `a-b`, `c` and of `a`, `b-c`.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", "-".join(parts))[:SLUG_CHARACTERS].strip("-")
    return f"{slug}-{hashlib.sha256('/'.join(parts).encode()).hexdigest()[:8]}"


def unique(values: Iterable[str]) -> list[str]:
    """Sorted, each once: what is compiled never depends on the order of the settings."""
    return sorted(set(values))
