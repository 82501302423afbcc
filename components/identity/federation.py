"""Federation: each region's SPIRE trusts exactly the bundles of the regions it shares a call with.

Guarantees: identities are never merged (no trust domain alias anywhere); a peer's bundle endpoint is known by its SPIFFE id
(`https_spiffe`), not by a public CA. Such an endpoint cannot introduce itself, so the first bundle is read from the peer's own
cluster, where its server publishes it: what vouches for it is the EKS API, reached with the deployer's role. From then on SPIRE
follows the endpoint, and the program does not touch the bundle again.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components.base import Component
from components.graph.names import BUNDLE_PORT, SPIRE_CLASS, SPIRE_SYSTEM_NAMESPACE, bundle_host
from components.identity.spire import BUNDLE_CONFIG_MAP, BUNDLE_KEY


class BundleError(pulumi.RunError):
    """A region's SPIRE has published no usable trust bundle."""

    user_facing = True


def published_bundle(trust_domain: str, data: Mapping[str, str] | None) -> str:
    """The SPIFFE bundle document that a trust domain's server published.

    Raises:
        BundleError: when there is none or it holds no X.509 authority; federating without one would fail every call in silence.
    """
    document = (data or {}).get(BUNDLE_KEY, "")
    try:
        keys = json.loads(document).get("keys", [])
    except (ValueError, AttributeError):
        keys = []
    if not any(isinstance(key, dict) and key.get("use") == "x509-svid" for key in keys):
        msg = (
            f"trust domain {trust_domain}: ConfigMap {SPIRE_SYSTEM_NAMESPACE}/{BUNDLE_CONFIG_MAP} has no X.509 authority under "
            f"{BUNDLE_KEY}; see that its spire-server pods are ready, then run pulumi up again"
        )
        raise BundleError(msg)
    return document


def federated_trust_domain(trust_domain: str, bundle: pulumi.Input[str]) -> dict[str, Any]:
    """The spec of a ClusterFederatedTrustDomain for a peer; `bundle` is its first one."""
    return {
        "className": SPIRE_CLASS,
        "trustDomain": trust_domain,
        "bundleEndpointURL": f"https://{bundle_host(trust_domain)}:{BUNDLE_PORT}",
        "bundleEndpointProfile": {"type": "https_spiffe", "endpointSPIFFEID": f"spiffe://{trust_domain}/spire/server"},
        "trustDomainBundle": bundle,
    }


@dataclass(frozen=True, kw_only=True)
class FederationArgs:
    """One direction: what a region trusts of a peer."""

    peer_region: str
    trust_domain: str
    """The peer's."""
    peer_cluster: k8s.Provider
    """The peer's cluster, to read its first bundle."""
    peer_ready: Sequence[pulumi.Resource]
    """The peer's SPIRE: gates the reading."""
    after: Sequence[pulumi.Resource]
    """The trusting region's own SPIRE."""


class Federation(Component, token="zerotrust:identity:Federation"):
    """A region's trust in one peer. The provider given by the caller is the trusting region's cluster."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: FederationArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        published = k8s.core.v1.ConfigMap.get(
            f"{name}-bundle",
            f"{SPIRE_SYSTEM_NAMESPACE}/{BUNDLE_CONFIG_MAP}",
            opts=pulumi.ResourceOptions(parent=self, provider=args.peer_cluster, depends_on=list(args.peer_ready)),
        )
        bundle = published.data.apply(lambda data: published_bundle(args.trust_domain, data))
        trusted = k8s.apiextensions.CustomResource(
            f"{name}-trust",
            api_version="spire.spiffe.io/v1alpha1",
            kind="ClusterFederatedTrustDomain",
            metadata={"name": args.peer_region},
            spec=federated_trust_domain(args.trust_domain, bundle),
            # The bundle only introduces the peer; its rotations come over the endpoint and must not show as a change here.
            opts=self.child(depends_on=list(args.after), ignore_changes=["spec.trustDomainBundle"]),
        )
        self.ready = (trusted,)
        self.register_outputs({})
