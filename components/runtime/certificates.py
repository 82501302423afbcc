"""Certificates between Falco and its side-kick, which lie in two namespaces: one authority for both, and for nobody else.

The root's key lies with cert-manager, as a product's does. Relies on: cert-manager, and on its approving this cluster issuer.
"""

from collections.abc import Sequence
from typing import Any, Final

from components.graph.names import CERTIFICATES_NAMESPACE, RUNTIME_NAMESPACE, SECURITY_NAMESPACE, SIDEKICK
from components.manifests import Manifest, manifest
from components.runtime.names import FALCO, events_host

API: Final = "cert-manager.io/v1"
ISSUER: Final = "runtime-events"
"""The ClusterIssuer."""
ROOT, BOOTSTRAP = f"{ISSUER}-root", f"{ISSUER}-bootstrap"
CLIENT_SECRET: Final = f"{FALCO}-client"
SERVER_SECRET: Final = f"{SIDEKICK}-server"
ROOT_HOURS, ROOT_RENEW_HOURS = 3 * 365 * 24, 365 * 24
LEAF_HOURS, LEAF_RENEW_HOURS = 180 * 24, 90 * 24
"""The side-kick reads its certificate at start only: half of its life is left when a new one lies beside it, and an alert asks
for the restart long before."""


def authority() -> tuple[Manifest, ...]:
    """The issuer that signs its own root, the root, and the issuer of the two certificates.

    The root's key is kept at renewal (`Never`): the side-kick would refuse certificates under a new one until it is restarted.
    """
    root = {
        "isCA": True,
        "commonName": "runtime events",
        "secretName": ROOT,
        "duration": f"{ROOT_HOURS}h",
        "renewBefore": f"{ROOT_RENEW_HOURS}h",
        "privateKey": {"algorithm": "ECDSA", "size": 384, "rotationPolicy": "Never"},
        "usages": ["cert sign", "crl sign"],
        "issuerRef": {"kind": "Issuer", "name": BOOTSTRAP, "group": "cert-manager.io"},
    }
    return (
        manifest(API, "Issuer", BOOTSTRAP, namespace=CERTIFICATES_NAMESPACE, spec={"selfSigned": {}}),
        _certificate(CERTIFICATES_NAMESPACE, root),
        manifest(API, "ClusterIssuer", ISSUER, spec={"ca": {"secretName": ROOT}}),
    )


def certificates() -> tuple[Manifest, ...]:
    """Falco's as a client, the side-kick's as a server; neither passes for the other."""
    return (
        _leaf(RUNTIME_NAMESPACE, CLIENT_SECRET, "client auth", ()),
        _leaf(SECURITY_NAMESPACE, SERVER_SECRET, "server auth", (events_host(),)),
    )


def _leaf(namespace: str, name: str, usage: str, dns_names: Sequence[str]) -> Manifest:
    spec: dict[str, Any] = {
        "commonName": name,
        "secretName": name,
        "duration": f"{LEAF_HOURS}h",
        "renewBefore": f"{LEAF_RENEW_HOURS}h",
        "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
        "usages": ["digital signature", usage],
        "issuerRef": {"kind": "ClusterIssuer", "name": ISSUER, "group": "cert-manager.io"},
    }
    if dns_names:
        spec["dnsNames"] = list(dns_names)
    return _certificate(namespace, spec)


def _certificate(namespace: str, spec: dict[str, Any]) -> Manifest:
    return manifest(API, "Certificate", spec["secretName"], namespace=namespace, spec={"revisionHistoryLimit": 1, **spec})
