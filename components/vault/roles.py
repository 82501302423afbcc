"""Who logs in to Vault, and as what: one role for each workload, for exactly one SPIFFE id of this region's trust domain.

By default through the `jwt` method (community): SPIRE's discovery provider publishes the keys its JWT-SVIDs are signed with, and
a role takes one subject, one audience and nothing by pattern. The keys are fetched from the provider's address in the cluster
(`jwks_url`), so that no login depends on a name outside of it; the issuer is held equal to the tokens' `iss` all the same. By
setting it is the `spiffe` method of Vault Enterprise.
"""

from dataclasses import dataclass
from typing import Final

from components.graph import identity
from components.graph.model import Graph, Workload
from components.graph.names import DISCOVERY_SERVICE, SPIRE_SERVER_NAMESPACE, service_host
from components.vault.policies import workload_name

AUDIENCE: Final = "vault"
"""The one audience a JWT-SVID must name: a token made for another service is no login here."""
JWT_MOUNT: Final = "spire"
SPIFFE_MOUNT: Final = "spiffe"
ALGORITHMS: Final = ("ES256",)
"""What SPIRE signs with here (EC P-256 keys in KMS). RSA, symmetric and unsigned tokens are refused before any claim is read."""
CLOCK_SKEW_SECONDS: Final = 10
"""Vault's own default is 60 s; the nodes keep time by AWS's clock."""
NO_LEEWAY: Final = -1
"""Vault's -1: no further leeway for tokens without an expiry of their own; 0 would mean its default, 150 s."""


@dataclass(frozen=True, kw_only=True)
class LoginMount:
    """The login method of one region."""

    kind: str
    """`jwt` or `spiffe`, which is also the method's type."""
    path: str
    trust_domain: str
    issuer: str
    """The `iss` of this region's JWT-SVIDs."""
    keys_url: str


@dataclass(frozen=True, kw_only=True)
class LoginRole:
    """One workload's login."""

    name: str
    subject: str
    """The SPIFFE id in full."""
    policy: str
    ttl_seconds: int
    max_ttl_seconds: int


def login_mount(graph: Graph, region: str) -> LoginMount:
    """How a region's workloads log in."""
    kind, domain = graph.settings.vault.login, graph.trust_domain(region)
    return LoginMount(
        kind=kind,
        path=JWT_MOUNT if kind == "jwt" else SPIFFE_MOUNT,
        trust_domain=domain,
        issuer=f"https://oidc-discovery.{domain}",
        keys_url=f"https://{service_host(SPIRE_SERVER_NAMESPACE, DISCOVERY_SERVICE)}/keys",
    )


def login_role(graph: Graph, region: str, name: str, namespace: str, account: str) -> LoginRole:
    """The login of one service account, with the policy of the same name."""
    settings = graph.settings.vault
    return LoginRole(
        name=name,
        subject=identity.spiffe_id(graph.trust_domain(region), namespace, account),
        policy=name,
        ttl_seconds=settings.token_ttl_minutes * 60,
        max_ttl_seconds=settings.token_max_ttl_minutes * 60,
    )


def workload_role(graph: Graph, region: str, workload: Workload) -> LoginRole:
    """A workload's login."""
    return login_role(graph, region, workload_name(workload), workload.tenant, workload.name)
