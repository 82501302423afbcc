"""Certificates of the data stores, which stand outside the mesh: one authority per namespace, issued by cert-manager.

A namespace's authority signs for nobody else, so a certificate of one tenant opens no store of another. Its key lies in the
namespace; RBAC gives no tenant principal the right to read secrets or to create certificates there. Relies on:
cert-manager's CRDs.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from components.manifests import Manifest, manifest

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


def authority(namespace: str, labels: Mapping[str, str] | None = None) -> tuple[Manifest, ...]:
    """The namespace's certificate authority: an issuer that signs its own root, the root, and the issuer of everything else.

    The root's key is kept at renewal (`Never`): a new key would make every certificate in use untrusted at once.
    """
    root = _certificate(
        namespace,
        ROOT,
        {
            "isCA": True,
            "commonName": f"{namespace} {AUTHORITY}",
            "secretName": ROOT,
            "duration": f"{ROOT_HOURS}h",
            "renewBefore": f"{ROOT_RENEW_HOURS}h",
            "privateKey": {"algorithm": "ECDSA", "size": 384, "rotationPolicy": "Never"},
            "usages": ["cert sign", "crl sign"],
            "issuerRef": _issuer(BOOTSTRAP),
        },
        labels,
    )
    return (
        manifest(API, "Issuer", BOOTSTRAP, namespace=namespace, labels=labels, spec={"selfSigned": {}}),
        root,
        manifest(API, "Issuer", AUTHORITY, namespace=namespace, labels=labels, spec={"ca": {"secretName": ROOT}}),
    )


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
) -> Manifest:
    """One certificate of the namespace's authority, with a new key at every renewal, in a secret of the same name.

    The secret holds `ca.crt`, `tls.crt` and `tls.key`, with `der` also `key.der`. `common_name` is what the store knows the
    holder by.
    """
    spec: dict[str, Any] = {
        "commonName": common_name,
        "secretName": name,
        "duration": f"{LEAF_HOURS}h",
        "renewBefore": f"{LEAF_RENEW_HOURS}h",
        "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
        "usages": ["digital signature", *usages],
        "issuerRef": _issuer(AUTHORITY),
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


def _issuer(name: str) -> dict[str, str]:
    return {"kind": "Issuer", "name": name, "group": "cert-manager.io"}
