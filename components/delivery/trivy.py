"""Trivy's operator: what runs is scanned where it runs, again and again, because findings become known after a deployment.

One server keeps the vulnerability database and is the only one that fetches it, from the account's own registry: neither the
scanner nor its data moves with somebody else's tag. Scans are jobs of this namespace, restricted like every pod here; none looks
at a node (that would need its files), and the operator reads no Secret. Registries are read as the operator's
account in AWS. Relies on: images and databases mirrored into the account's registry, the namespace's network rules.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components.base import Component
from components.graph.model import Graph
from components.graph.names import SCANNING_NAMESPACE
from components.helm import install
from components.pods import pod_resources, system_placement

ACCOUNT: Final = "trivy-operator"
"""Of operator, server and jobs alike: it is what the role in AWS is bound to."""
METRICS_PORT, SERVER_PORT = 8080, 4954
_USER: Final = 65534
_POD: Final = {"runAsNonRoot": True, "runAsUser": _USER, "fsGroup": _USER, "seccompProfile": {"type": "RuntimeDefault"}}
_CONTAINER: Final = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "privileged": False,
    "readOnlyRootFilesystem": True,
}


def registry(graph: Graph) -> str:
    """The account's own registry, in the home region: where the databases are mirrored."""
    return f"{graph.settings.account.id}.dkr.ecr.{graph.settings.home_region}.amazonaws.com"


def _split(image: str) -> dict[str, str]:
    """An image by digest in a chart that joins registry, repository and tag by `/` and `:`."""
    name, digest = image.split("@sha256:")
    host, _, repository = name.partition("/")
    return {"registry": host, "repository": f"{repository}@sha256", "tag": digest}


def chart_values(graph: Graph, storage_class: str) -> dict[str, Any]:
    """The chart's values."""
    wanted, images, mirror = graph.settings.delivery.scanning, graph.settings.images.delivery, registry(graph)
    placed = system_placement()
    trivy: dict[str, Any] = {
        "mode": "ClientServer",
        "severity": ",".join(wanted.severities),
        "dbRegistry": mirror,
        "dbRepository": wanted.database,
        "javaDbRegistry": mirror,
        "javaDbRepository": wanted.java_database,
        "dbRepositoryInsecure": "false",
        "serverInsecure": False,
        # The checks that stand in the image: a bundle would be fetched by a tag from somebody else's registry.
        "useEmbeddedRegoPolicies": "true",
        "useBuiltinRegoPolicies": "false",
        "storageClassName": storage_class,
        "resources": pod_resources("100m", "512Mi"),
        "server": {
            "resources": pod_resources("200m", "512Mi", memory_limit="1Gi"),
            "podSecurityContext": dict(_POD),
            "securityContext": dict(_CONTAINER),
        },
    }
    values: dict[str, Any] = {
        "operator": {
            "builtInTrivyServer": True,
            "builtInServerRegistryInsecure": False,
            "vulnerabilityScannerEnabled": True,
            "exposedSecretScannerEnabled": True,
            "configAuditScannerEnabled": True,
            "rbacAssessmentScannerEnabled": True,
            "infraAssessmentScannerEnabled": False,  # reads the nodes' files
            "clusterComplianceEnabled": False,  # its benchmark starts the node collector
            "accessGlobalSecretsAndServiceAccount": False,  # registries are read with the role in AWS
            "metricsFindingsEnabled": True,
            "scannerReportTTL": f"{wanted.report_hours}h",
            "scanJobsConcurrentLimit": 3,
            "scanJobTimeout": "10m",
        },
        "trivy": trivy,
        "trivyOperator": {
            "scanJobsInSameNamespace": False,
            "scanJobAutomountServiceAccountToken": False,
            "scanJobNodeSelector": placed["nodeSelector"],
            "scanJobTolerations": placed["tolerations"],
            "scanJobPodTemplatePodSecurityContext": dict(_POD),
            "scanJobPodTemplateContainerSecurityContext": dict(_CONTAINER),
            "useGCRServiceAccount": False,
        },
        "serviceAccount": {"create": True, "name": ACCOUNT},
        "serviceMonitor": {"enabled": True},
        "podSecurityContext": dict(_POD),
        "securityContext": dict(_CONTAINER),
        "resources": pod_resources("100m", "256Mi", memory_limit="512Mi"),
        **placed,
    }
    if images is not None:
        values["image"] = _split(images.trivy_operator)
        trivy["image"] = _split(images.trivy)
    return values


def registry_document(graph: Graph) -> dict[str, Any]:
    """What the account may do in AWS: read images of the account's own registry. Only the login has no resource to name."""
    own = f"arn:aws:ecr:*:{graph.settings.account.id}:repository/*"
    reading = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "LogIn", "Effect": "Allow", "Action": ["ecr:GetAuthorizationToken"], "Resource": ["*"]},
            {"Sid": "ReadImages", "Effect": "Allow", "Action": reading, "Resource": [own]},
        ],
    }


@dataclass(frozen=True, kw_only=True)
class ScannerArgs:
    """The scanner in one cluster."""

    graph: Graph
    storage_class: str
    after: Sequence[pulumi.Resource]
    """Gates the release itself: the namespace and its rules, the role in AWS, the monitoring kinds."""


class Scanner(Component, token="zerotrust:delivery:Scanner"):
    """The release."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: ScannerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        release = install(
            f"{name}-release",
            "trivy-operator",
            namespace=SCANNING_NAMESPACE,
            values=chart_values(args.graph, args.storage_class),
            opts=self.child(depends_on=list(args.after)),
        )
        self.ready = (release,)
        self.register_outputs({})
