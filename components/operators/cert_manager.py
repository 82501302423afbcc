"""cert-manager: certificates of what stands outside the mesh, from authorities inside the cluster.

Guarantees: only issuers of a namespace are approved, so an authority signs for its own namespace and for no other; no public
authority is configured, no solver runs and no annotation makes a certificate; a certificate's secret goes with it. Relies on:
namespace cert-manager, nodes, the monitoring kinds. Issuers and certificates belong to whoever needs them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components.base import Component
from components.graph.names import CERTIFICATES_NAMESPACE
from components.helm import install
from components.pods import pod_resources, spread_over_zones, system_placement

OWN_ISSUERS: Final = "issuers.cert-manager.io/*"
"""Of each namespace. A ClusterIssuer could sign for every tenant: requests to one that is not named stay unapproved."""
OFF: Final = ("ingress-shim", "gateway-shim", "orders", "challenges")
"""Controllers that do not run. The shims make a certificate, whatever its name and usages, from annotations of an Ingress: who
may edit a namespace may write one, and could ask a product's issuer for another tenant's name. The others serve ACME."""
PRIORITY: Final = "system-cluster-critical"
REPLICAS: Final = 3
WEBHOOK_SECONDS: Final = 10


@dataclass(frozen=True, kw_only=True)
class CertManagerArgs:
    """The certificate operator of one cluster."""

    after: Sequence[pulumi.Resource]
    """Gates the release itself: the namespace, nodes and DNS, the monitoring kinds."""
    cluster_issuers: Sequence[str] = ()
    """Names of the ClusterIssuers it may sign for: those of products over several namespaces."""
    replicas: int = REPLICAS
    """Pods that answer the webhook; of every other part two at most."""


def chart_values(cluster_issuers: Sequence[str] = (), replicas: int = REPLICAS) -> dict[str, Any]:
    """The chart's values; its schema is closed, an unknown key fails the installation."""

    def spread(component: str) -> list[dict[str, Any]]:
        return spread_over_zones({"app.kubernetes.io/instance": "cert-manager", "app.kubernetes.io/component": component})

    def part(component: str, usual: int, memory: str) -> dict[str, Any]:
        return {
            "replicaCount": min(usual, replicas),
            "podDisruptionBudget": {"enabled": True, "maxUnavailable": 1},
            "resources": pod_resources("50m", memory, memory_limit="512Mi"),
            "topologySpreadConstraints": spread(component),
            **system_placement(),
        }

    return {
        "global": {
            "rbac": {"aggregateClusterRoles": False},  # who may edit a namespace may not ask for certificates in it
            "priorityClassName": PRIORITY,
            "leaderElection": {"namespace": CERTIFICATES_NAMESPACE},  # no rights in kube-system
        },
        "crds": {"enabled": True, "keep": True},  # removing the kind would remove every certificate
        **part("controller", 2, "128Mi"),
        "extraArgs": [f"--controllers={','.join(('*', *(f'-{name}' for name in OFF)))}"],
        "webhook": {
            **part("webhook", replicas, "64Mi"),
            "timeoutSeconds": WEBHOOK_SECONDS,
            "hostNetwork": False,  # pods have VPC addresses, the API server reaches them
        },
        "cainjector": part("cainjector", 2, "128Mi"),
        "startupapicheck": {"enabled": True, **system_placement()},  # the release is ready when the webhook answers
        "approveSignerNames": [OWN_ISSUERS, *(f"clusterissuers.cert-manager.io/{name}" for name in sorted(cluster_issuers))],
        "enableCertificateOwnerRef": True,  # no key outlives its certificate
        "prometheus": {"enabled": True, "servicemonitor": {"enabled": True}},
    }


class CertManager(Component, token="zerotrust:operators:CertManager"):
    """The operator. `ready` gates every Issuer and Certificate."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: CertManagerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        release = install(
            f"{name}-release",
            "cert-manager",
            namespace=CERTIFICATES_NAMESPACE,
            values=chart_values(args.cluster_issuers, args.replicas),
            opts=self.child(depends_on=list(args.after)),
        )
        self.ready = (release,)
        self.register_outputs({})
