"""Certificates between Falco and its side-kick, which lie in two namespaces: one authority for both, and for nobody else.

The root's key lies with cert-manager, as a product's does. Relies on: cert-manager, and on its approving this cluster issuer.
"""

from collections.abc import Sequence
from typing import Final

from components.certificates import Issuer, Usage, cluster_authority, leaf
from components.graph.names import RUNTIME_NAMESPACE, SECURITY_NAMESPACE, SIDEKICK
from components.manifests import Manifest
from components.runtime.names import FALCO, events_host

ISSUER: Final = "runtime-events"
"""The ClusterIssuer."""
_ISSUER: Final = Issuer(kind="ClusterIssuer", name=ISSUER)
CLIENT_SECRET: Final = f"{FALCO}-client"
SERVER_SECRET: Final = f"{SIDEKICK}-server"
LEAF_HOURS, LEAF_RENEW_HOURS = 180 * 24, 90 * 24
"""The side-kick reads its certificate at start only: half of its life is left when a new one lies beside it, and an alert asks
for the restart long before."""


def authority() -> tuple[Manifest, ...]:
    """The authority of the two; its key is kept at renewal, or the side-kick would refuse new certificates until restarted."""
    return cluster_authority(ISSUER, "runtime events")


def certificates() -> tuple[Manifest, ...]:
    """Falco's as a client, the side-kick's as a server; neither passes for the other."""
    return (
        _leaf(RUNTIME_NAMESPACE, CLIENT_SECRET, "client auth", ()),
        _leaf(SECURITY_NAMESPACE, SERVER_SECRET, "server auth", (events_host(),)),
    )


def _leaf(namespace: str, name: str, usage: Usage, dns_names: Sequence[str]) -> Manifest:
    return leaf(
        namespace,
        name,
        common_name=name,
        usages=(usage,),
        dns_names=dns_names,
        issuer=_ISSUER,
        hours=LEAF_HOURS,
        renew_hours=LEAF_RENEW_HOURS,
    )
