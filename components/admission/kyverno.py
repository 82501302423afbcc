"""Kyverno: fills in what pods leave unsaid, and makes what namespaces lack. It refuses nothing of its own; Gatekeeper does.

Fails closed: a pod of a tenant that it could not fill in is not made. Its webhooks are not asked about the platform's namespaces
at all, so that its outage stops nothing it would need to come back. Exceptions exist for no policy. What it made and saw is
reported as PolicyReports. Relies on: its namespace, nodes, the monitoring kinds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import yaml

from components.admission.constraints import PLATFORM
from components.admission.controls import of_engine
from components.base import Component
from components.graph.model import Graph
from components.graph.names import KYVERNO_NAMESPACE, NAMESPACE_LABEL
from components.helm import install
from components.manifests import Manifest, manifest
from components.pods import pod_resources, spread_over_zones, system_placement

REPLICAS: Final = 3
WEBHOOK_PORT: Final = 9443
METRICS_PORT: Final = 8000
PARTS: Final = ("admission-controller", "background-controller", "cleanup-controller", "reports-controller")
PART_LABEL: Final = "app.kubernetes.io/component"
NOT_THE_PLATFORMS: Final = {"matchExpressions": [{"key": NAMESPACE_LABEL, "operator": "NotIn", "values": list(PLATFORM)}]}
UNCLAIMED: Final = "unclaimed-limits"
MADE: Final = (
    {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": ["create", "update", "patch", "delete"]},
    {"apiGroups": [""], "resources": ["resourcequotas", "limitranges"], "verbs": ["create", "update", "patch", "delete"]},
)
"""What the generating policies make, and all that the background controller may write beside its own."""


@dataclass(frozen=True, kw_only=True)
class KyvernoArgs:
    """Kyverno of one cluster."""

    after: Sequence[pulumi.Resource]
    """Gates the release itself: the namespace with its rules, nodes and DNS."""
    replicas: int = REPLICAS
    """Pods that answer the webhook; of every other controller two at most."""


def chart_values(replicas: int = REPLICAS) -> dict[str, Any]:
    """The chart's values."""

    def part(component: str, usual: int, memory: str) -> dict[str, Any]:
        return {
            "replicas": min(usual, replicas),
            "podDisruptionBudget": {"enabled": True, "minAvailable": min(1, replicas - 1)},
            "topologySpreadConstraints": spread_over_zones({PART_LABEL: component}),
            "priorityClassName": "system-cluster-critical",
            "serviceMonitor": {"enabled": True},
            "metering": {"port": METRICS_PORT},
            **({} if component == "admission-controller" else {"resources": pod_resources("50m", "128Mi", memory_limit=memory)}),
            **system_placement(),
        }

    off = {"enabled": False}
    return {
        "features": {
            "policyExceptions": off,
            "forceFailurePolicyIgnore": off,
            "generateValidatingAdmissionPolicy": off,  # the floor is written here, and not made by an engine that may be down
            "generateMutatingAdmissionPolicy": off,
            "admissionReports": {"enabled": True},
            "aggregateReports": {"enabled": True},
            "logging": {"format": "json"},
        },
        "config": {
            "preserve": False,
            "webhooks": {"namespaceSelector": NOT_THE_PLATFORMS},
            "excludeGroups": [],  # a pod that a node would make is filled in like any other
        },
        "rbac": {"roles": {"aggregate": {"admin": False, "view": False}}},  # who administers a namespace writes no policies
        "crds": {"migration": off},
        "webhooksCleanup": off,
        "admissionController": {
            **part("admission-controller", replicas, "512Mi"),
            "podDisruptionBudget": {"enabled": True, "minAvailable": replicas - 1},
            "container": {"resources": pod_resources("100m", "256Mi", memory_limit="512Mi")},
            "initContainer": {"resources": pod_resources("10m", "64Mi", memory_limit="256Mi")},
            "webhookServer": {"port": WEBHOOK_PORT},
        },
        "backgroundController": {
            **part("background-controller", 2, "256Mi"),
            "rbac": {"coreClusterRole": {"extraResources": [dict(rule) for rule in MADE]}},
        },
        "cleanupController": part("cleanup-controller", 2, "256Mi"),
        "reportsController": part("reports-controller", 2, "512Mi"),
    }


def region_objects(graph: Graph) -> tuple[Manifest, ...]:
    """The policies from their files, for every namespace that is not the platform's; the limits are the settings'."""
    limits = graph.settings.guardrails.unclaimed
    given = {"cpu": f"'{limits.cpu}'", "memory": f"'{limits.memory}'", "pods": f"'{limits.pods}'"}
    found = []
    for control in of_engine("kyverno"):
        said = yaml.safe_load((control.folder / "policy.yaml").read_text(encoding="utf-8"))
        said["spec"]["matchConstraints"]["namespaceSelector"] = NOT_THE_PLATFORMS
        if control.id == UNCLAIMED:
            for variable in said["spec"]["variables"]:
                variable["expression"] = given.get(variable["name"], variable["expression"])
        annotations = {"policies.kyverno.io/description": control.title}
        found.append(manifest(said["apiVersion"], said["kind"], control.id, annotations=annotations, spec=said["spec"]))
    return tuple(found)


class Kyverno(Component, token="zerotrust:admission:Kyverno"):
    """The release. `ready` gates every policy."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: KyvernoArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        release = install(
            f"{name}-release",
            "kyverno",
            namespace=KYVERNO_NAMESPACE,
            values=chart_values(args.replicas),
            opts=self.child(depends_on=list(args.after)),
        )
        self.ready = (release,)
        self.register_outputs({})
