"""Network rules of Gatekeeper and Kyverno: the API server asks them, they ask the API server, and nobody else.

Neither leaves the cluster: no external data, no registry, no place to fetch a policy from.
"""

from typing import Final

from components.cni.policies import Flow, Pods, Policy
from components.cni.policies_tenant import API_PORT, control_plane
from components.graph.model import Graph
from components.graph.names import GATEKEEPER_NAMESPACE, KYVERNO_NAMESPACE

GATEKEEPER_WEBHOOK_PORT: Final = 8443
KYVERNO_WEBHOOK_PORT: Final = 9443
_COMPONENT: Final = "app.kubernetes.io/component"

GATEKEEPER: Final = Pods(namespace=GATEKEEPER_NAMESPACE, labels={"control-plane": "controller-manager"})
GATEKEEPER_AUDIT: Final = Pods(namespace=GATEKEEPER_NAMESPACE, labels={"control-plane": "audit-controller"})
KYVERNO: Final = Pods(namespace=KYVERNO_NAMESPACE, labels={_COMPONENT: "admission-controller"})
KYVERNO_CLEANUP: Final = Pods(namespace=KYVERNO_NAMESPACE, labels={_COMPONENT: "cleanup-controller"})

ASKED: Final = (
    ("gatekeeper", GATEKEEPER, GATEKEEPER_WEBHOOK_PORT),
    ("kyverno", KYVERNO, KYVERNO_WEBHOOK_PORT),
    ("kyverno-cleanup", KYVERNO_CLEANUP, KYVERNO_WEBHOOK_PORT),
)
"""Webhooks: the API server calls them."""
CLIENTS: Final = (
    ("gatekeeper", GATEKEEPER),
    ("gatekeeper-audit", GATEKEEPER_AUDIT),
    # The hook that brings the kinds before an upgrade; the chart gives its pods no label of their own but the job's.
    ("gatekeeper-hooks", Pods(namespace=GATEKEEPER_NAMESPACE, present=("batch.kubernetes.io/job-name",))),
    ("kyverno", KYVERNO),
    ("kyverno-background", Pods(namespace=KYVERNO_NAMESPACE, labels={_COMPONENT: "background-controller"})),
    ("kyverno-cleanup", KYVERNO_CLEANUP),
    ("kyverno-reports", Pods(namespace=KYVERNO_NAMESPACE, labels={_COMPONENT: "reports-controller"})),
    ("kyverno-hooks", Pods(namespace=KYVERNO_NAMESPACE, present=("batch.kubernetes.io/job-name",))),
)
"""What calls the API server."""
SCRAPED: Final = (
    ("gatekeeper", GATEKEEPER, (8888,)),
    ("gatekeeper-audit", GATEKEEPER_AUDIT, (8888,)),
    *(
        (f"kyverno-{part}", Pods(namespace=KYVERNO_NAMESPACE, labels={_COMPONENT: f"{part}-controller"}), (8000,))
        for part in ("admission", "background", "cleanup", "reports")
    ),
)
"""Metrics: name, pods, ports."""


def admission_policies(graph: Graph, region: str) -> tuple[Policy, ...]:
    """The API server to the webhooks, and the engines to the API server."""
    server = control_plane(graph, region)
    return (
        *(
            Policy(name=f"{name}-webhook", subject=pods, ingress=(Flow(peer=server, ports=(port,)),))
            for name, pods, port in ASKED
        ),
        *(Policy(name=f"{name}-api", subject=pods, egress=(Flow(peer=server, ports=(API_PORT,)),)) for name, pods in CLIENTS),
    )
