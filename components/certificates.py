"""Certificates of what speaks TLS outside the mesh: the data stores, the webhooks, Vault, Falco, the telemetry; by cert-manager.

A namespace's authority signs for nobody else, so a certificate of one tenant opens no store of another. What has certificates in
several namespaces has one authority for all of them, whose key lies with cert-manager: a product, whose namespaces may use each
other's stores; Falco with its side-kick; the telemetry. RBAC gives no tenant principal the right to read secrets or to create
certificates. Relies on: cert-manager's CRDs, and on its approving exactly these issuers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from components.graph.names import CERTIFICATES_NAMESPACE
from components.manifests import WHEN_READY, Manifest, manifest

API: Final = "cert-manager.io/v1"
AUTHORITY: Final = "stores"
"""Name of the namespace's issuer; `stores-root` is the certificate it signs with."""
ROOT: Final = f"{AUTHORITY}-root"
BOOTSTRAP: Final = f"{AUTHORITY}-bootstrap"
ROOT_HOURS: Final = 3 * 365 * 24
ROOT_RENEW_HOURS: Final = 365 * 24
LEAF_HOURS: Final = 30 * 24
LEAF_RENEW_HOURS: Final = 10 * 24
"""Left when it is renewed: ten days for whoever reads the file only now and then."""

Usage = Literal["server auth", "client auth"]


@dataclass(frozen=True, kw_only=True)
class Issuer:
    """Who signs a certificate."""

    kind: Literal["Issuer", "ClusterIssuer"] = "Issuer"
    name: str = AUTHORITY

    @property
    def reference(self) -> dict[str, str]:
        """As a Certificate names it."""
        return {"kind": self.kind, "name": self.name, "group": "cert-manager.io"}


OWN: Final = Issuer()
"""The authority of the certificate's own namespace."""


def issued(certificate: Manifest) -> Manifest:
    """The certificate, as one whose secret the program reads next: without this it would read before there is any."""
    return {**certificate, "metadata": {**certificate["metadata"], "annotations": WHEN_READY}}


def product_issuer(product: str) -> Issuer:
    """The authority of a product's namespaces."""
    return Issuer(kind="ClusterIssuer", name=f"product-{product}")


def authority(namespace: str, labels: Mapping[str, str] | None = None) -> tuple[Manifest, ...]:
    """The namespace's certificate authority: an issuer that signs its own root, the root, and the issuer of everything else."""
    return (
        manifest(API, "Issuer", BOOTSTRAP, namespace=namespace, labels=labels, spec={"selfSigned": {}}),
        _root(namespace, ROOT, f"{namespace} {AUTHORITY}", BOOTSTRAP, labels),
        manifest(API, "Issuer", AUTHORITY, namespace=namespace, labels=labels, spec={"ca": {"secretName": ROOT}}),
    )


def product_authority(product: str) -> tuple[Manifest, ...]:
    """A product's certificate authority."""
    return cluster_authority(product_issuer(product).name, f"{product} {AUTHORITY}")


def cluster_authority(name: str, common_name: str) -> tuple[Manifest, ...]:
    """An authority that signs in several namespaces: its root lies with cert-manager, where nobody else reads the key."""
    return (
        manifest(API, "Issuer", f"{name}-bootstrap", namespace=CERTIFICATES_NAMESPACE, spec={"selfSigned": {}}),
        _root(CERTIFICATES_NAMESPACE, f"{name}-root", common_name, f"{name}-bootstrap", None),
        manifest(API, "ClusterIssuer", name, spec={"ca": {"secretName": f"{name}-root"}}),
    )


def _root(namespace: str, name: str, common_name: str, bootstrap: str, labels: Mapping[str, str] | None) -> Manifest:
    """The key is kept at renewal (`Never`): a new key would make every certificate in use untrusted at once."""
    spec = {
        "isCA": True,
        "commonName": common_name,
        "secretName": name,
        "duration": f"{ROOT_HOURS}h",
        "renewBefore": f"{ROOT_RENEW_HOURS}h",
        "privateKey": {"algorithm": "ECDSA", "size": 384, "rotationPolicy": "Never"},
        "usages": ["cert sign", "crl sign"],
        "issuerRef": Issuer(name=bootstrap).reference,
    }
    return _certificate(namespace, name, spec, labels)


def leaf(
    namespace: str,
    name: str,
    *,
    common_name: str,
    usages: Sequence[Usage],
    dns_names: Sequence[str] = (),
    labels: Mapping[str, str] | None = None,
    secret_labels: Mapping[str, str] | None = None,
    der: bool = False,
    issuer: Issuer = OWN,
    hours: int = LEAF_HOURS,
    renew_hours: int = LEAF_RENEW_HOURS,
) -> Manifest:
    """One certificate, with a new key at every renewal, in a secret of its name.

    The secret holds `ca.crt`, `tls.crt` and `tls.key`, with `der` also `key.der`, as PKCS#8: Java's driver of PostgreSQL reads
    nothing else. `common_name` is what its peer knows the holder by.
    """
    spec: dict[str, Any] = {
        "commonName": common_name,
        "secretName": name,
        "duration": f"{hours}h",
        "renewBefore": f"{renew_hours}h",
        "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always", **({"encoding": "PKCS8"} if der else {})},
        "usages": ["digital signature", *usages],
        "issuerRef": issuer.reference,
    }
    if dns_names:
        spec["dnsNames"] = list(dns_names)
    if der:
        spec["additionalOutputFormats"] = [{"type": "DER"}]
    if secret_labels:
        spec["secretTemplate"] = {"labels": dict(secret_labels)}
    return _certificate(namespace, name, spec, labels)


def _certificate(namespace: str, name: str, spec: dict[str, Any], labels: Mapping[str, str] | None) -> Manifest:
    return manifest(API, "Certificate", name, namespace=namespace, labels=labels, spec={"revisionHistoryLimit": 1, **spec})
