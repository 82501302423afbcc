"""Gatekeeper: validates what is written and audits what stands. Fails closed.

Its webhook is asked about the kinds that some control is about and about nothing else, in every namespace but two: kube-system,
where a network plug-in or a DNS server that cannot start would lock the cluster, and Gatekeeper's own, where it must be able to
start while it does not answer. The API server knows both by a name nobody can forge; no label opts a namespace out. There Pod
Security and RBAC alone decide. Its certificate is cert-manager's: its own rotation writes one into a secret that the pods have
mounted empty, and looks for it at intervals that double, so that a first webhook answered after up to four minutes. Relies on:
its namespace, nodes, that certificate, the monitoring kinds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components.admission.constraints import webhook_rules
from components.base import Component
from components.graph.names import GATEKEEPER_NAMESPACE, NAMESPACE_LABEL, SYSTEM_NAMESPACE
from components.helm import install
from components.manifests import Manifest, manifest
from components.pods import pod_resources, spread_over_zones, system_placement

REPLICAS: Final = 3
WEBHOOK_PORT: Final = 8443
METRICS_PORT: Final = 8888
CONTROLLER: Final = {"control-plane": "controller-manager"}
AUDIT: Final = {"control-plane": "audit-controller"}
SERVICE: Final = "gatekeeper-webhook-service"
CERTIFICATE: Final = "gatekeeper-webhook-server-cert"
"""The webhook's certificate and its secret, from an authority of the namespace's own. Chart 3.23 reads no other name in the
webhook's pods, whatever `externalCertInjection.secretName` says."""
UNASKED: Final = (GATEKEEPER_NAMESPACE, SYSTEM_NAMESPACE)
"""Namespaces whose objects the webhook is not asked about; audit reports them all the same."""
WEBHOOK_SECONDS: Final = 5
AUDIT_SECONDS: Final = 120


@dataclass(frozen=True, kw_only=True)
class GatekeeperArgs:
    """Gatekeeper of one cluster."""

    after: Sequence[pulumi.Resource]
    """Gates the release itself: the namespace with its rules, the certificate, nodes and DNS."""
    replicas: int = REPLICAS
    """Pods that answer the webhook."""


def chart_values(replicas: int = REPLICAS) -> dict[str, Any]:
    """The chart's values."""
    placed = system_placement()
    return {
        "replicas": replicas,
        "validatingWebhookFailurePolicy": "Fail",  # the chart's own default lets everything pass
        "validatingWebhookCheckIgnoreFailurePolicy": "Fail",
        "validatingWebhookTimeoutSeconds": WEBHOOK_SECONDS,
        "validatingWebhookExemptNamespacesLabels": {NAMESPACE_LABEL: sorted(UNASKED)},
        "validatingWebhookCustomRules": webhook_rules(),
        "validatingWebhookAnnotations": {"cert-manager.io/inject-ca-from": f"{GATEKEEPER_NAMESPACE}/{CERTIFICATE}"},
        "externalCertInjection": {"enabled": True, "secretName": CERTIFICATE},
        "disableMutation": True,  # Kyverno's
        "enableExternalData": False,  # a verdict depends on nothing outside
        "enableGeneratorResourceExpansion": False,  # pods are judged, not what makes them
        "defaultCreateVAPForTemplates": False,  # the floor is written here, and not made by an engine that may be down
        "defaultCreateVAPBindingForConstraints": False,
        "auditInterval": AUDIT_SECONDS,
        "auditMatchKindOnly": True,
        "constraintViolationsLimit": 100,
        "logDenies": True,  # each refusal is a line of the audit stream
        "emitAuditEvents": False,
        "disabledBuiltins": ["{http.send}"],
        "metricsBackends": ["prometheus"],
        "pdb": {"controllerManager": {"minAvailable": replicas - 1}},
        "postInstall": {
            "labelNamespace": {"enabled": False},  # namespaces and their labels are the platform's
            "probeWebhook": {"enabled": False},  # an image of somebody else's; the constraints wait for the release
        },
        "postUpgrade": {"labelNamespace": {"enabled": False}},
        "controllerManager": {
            "disableCertRotation": True,
            "port": WEBHOOK_PORT,
            "metricsPort": METRICS_PORT,
            "tlsMinVersion": 1.3,
            "resources": pod_resources("100m", "256Mi", memory_limit="512Mi"),
            "topologySpreadConstraints": spread_over_zones(CONTROLLER),
            **placed,
        },
        "audit": {
            "disableCertRotation": True,
            "metricsPort": METRICS_PORT,
            "resources": pod_resources("100m", "256Mi", memory_limit="1Gi"),
            **placed,
        },
        "crds": {"nodeSelector": placed["nodeSelector"], "tolerations": placed["tolerations"]},
    }


def monitor() -> Manifest:
    """What scrapes webhook and audit; the chart brings none."""
    spec = {
        "selector": {
            "matchExpressions": [{"key": "control-plane", "operator": "In", "values": ["audit-controller", "controller-manager"]}]
        },
        "podMetricsEndpoints": [{"port": "metrics", "interval": "30s"}],
    }
    return manifest("monitoring.coreos.com/v1", "PodMonitor", "gatekeeper", namespace=GATEKEEPER_NAMESPACE, spec=spec)


class Gatekeeper(Component, token="zerotrust:admission:Gatekeeper"):
    """The release. `ready` gates every template, and everything that the webhook is asked about."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: GatekeeperArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        release = install(
            f"{name}-release",
            "gatekeeper",
            namespace=GATEKEEPER_NAMESPACE,
            values=chart_values(args.replicas),
            opts=self.child(depends_on=list(args.after)),
        )
        self.ready = (release,)
        self.register_outputs({})
