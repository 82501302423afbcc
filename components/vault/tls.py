"""Names that Vault's servers answer to, and the secrets their certificates lie in."""

import base64
from collections.abc import Mapping
from typing import Final

import pulumi

from components.graph.names import CLUSTER_DOMAIN, VAULT_NAMESPACE, VAULT_SERVICE, vault_host

SERVER_CERTIFICATE: Final = "vault-tls"
TRUST_CERTIFICATE: Final = "vault-trust"
"""Carries the authority's certificate to whoever must know it; the key in it opens nothing, no server asks for a client's."""
INTERNAL_SERVICE: Final = f"{VAULT_SERVICE}-internal"
"""The headless service by which the servers find each other; the chart's name for it."""
ACTIVE_SERVICE: Final = f"{VAULT_SERVICE}-active"


def service_name(service: str = VAULT_SERVICE) -> str:
    """A service of Vault's by the name that certificates and clients spell: `<service>.vault.svc.cluster.local`."""
    return f"{service}.{VAULT_NAMESPACE}.svc.{CLUSTER_DOMAIN}"


def pod_name(ordinal: int) -> str:
    """A server by the name its peers call it."""
    return f"{VAULT_SERVICE}-{ordinal}.{INTERNAL_SERVICE}"


def server_names(trust_domain: str, replicas: int) -> tuple[str, ...]:
    """Every DNS name that a server answers to, in order: its services, each server, the private name outside the cluster."""
    services = [
        f"{service}{suffix}"
        for service in (VAULT_SERVICE, ACTIVE_SERVICE)
        for suffix in (f".{VAULT_NAMESPACE}.svc", f".{VAULT_NAMESPACE}.svc.{CLUSTER_DOMAIN}")
    ]
    return (*services, *(pod_name(ordinal) for ordinal in range(replicas)), "localhost", vault_host(trust_domain))


class AuthorityError(pulumi.RunError):
    """Vault's authority has published no certificate yet."""

    user_facing = True


def published_authority(region: str, data: Mapping[str, str] | None) -> str:
    """The authority's certificate (PEM) out of the secret that carries it; `data` is base64, as Kubernetes has it.

    Raises:
        AuthorityError: when there is none: a client without it would trust nobody, or anybody.
    """
    pem = base64.b64decode((data or {}).get("ca.crt", "")).decode()
    if "BEGIN CERTIFICATE" not in pem:
        msg = (
            f"{region}: Secret {VAULT_NAMESPACE}/{TRUST_CERTIFICATE} has no ca.crt yet; see that cert-manager's pods are ready, "
            "then run pulumi up again"
        )
        raise AuthorityError(msg)
    return pem
