"""Vault's servers in a region, by HashiCorp's chart: raft over the zones, TLS 1.3 alone, unsealed by KMS.

Guarantees: no plain port; no injector and no CSI provider, since a webhook that fails open would leave a pod without its secrets
and nobody would notice; the audit volume is a volume of its own. The `keeper` beside each server tells it of a renewed
certificate, and turns the audit file over before its volume is full: a server that cannot write its audit refuses every request.
Relies on: the namespace, the certificates, the seal's role, a storage class, nodes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pulumi

from components.base import Component
from components.graph.names import VAULT_NAMESPACE, VAULT_PORT, VAULT_SERVICE
from components.helm import install
from components.pods import SECRET_MODE, container_security, pod_resources, pod_security, spread_over_zones, system_placement
from components.settings.vault import VaultSettings
from components.vault.tls import SERVER_CERTIFICATE, TRUST_CERTIFICATE, pod_name, service_name

RAFT_PORT: Final = 8201
TLS_FOLDER: Final = "/vault/tls"
DATA_FOLDER: Final = "/vault/data"
AUDIT_FOLDER: Final = "/vault/audit"
AUDIT_FILE: Final = f"{AUDIT_FOLDER}/audit.log"
USER: Final = 100
"""The image's own user."""
LABELS: Final = {"app.kubernetes.io/name": "vault", "app.kubernetes.io/instance": VAULT_SERVICE, "component": "server"}
KEEPER: Final = Path(__file__).parent / "files" / "keeper.sh"
METRICS_KEPT: Final = "60s"
"""How long a figure is kept for Prometheus; longer than its interval."""


@dataclass(frozen=True, kw_only=True)
class ServersArgs:
    """The servers of one region."""

    region: str
    settings: VaultSettings
    image: str
    trust_domain: str
    role_arn: pulumi.Input[str]
    """The seal's role."""
    key_arn: pulumi.Input[str]
    """The seal's key."""
    storage_class: str
    after: Sequence[pulumi.Resource]
    """Gates the release itself: rules of the network, certificates, the role."""


def raft_config(*, region: str, key_arn: str, replicas: int, ui: bool) -> dict[str, Any]:
    """A server's configuration as plain data; the chart takes it as JSON text.

    Source: Vault's configuration reference (listener, raft, awskms, telemetry).
    """
    ca, certificate, key = (f"{TLS_FOLDER}/{name}" for name in ("ca.crt", "tls.crt", "tls.key"))
    return {
        "ui": ui,
        # Raft keeps its data in a mapped file, which a locked memory would pull in whole (Vault, disable_mlock).
        "disable_mlock": True,
        "log_format": "json",
        "listener": {
            "tcp": {
                "address": f"[::]:{VAULT_PORT}",
                "cluster_address": f"[::]:{RAFT_PORT}",
                "tls_cert_file": certificate,
                "tls_key_file": key,
                "tls_min_version": "tls13",
                # Figures of counts and times, no names of secrets; the network says that Prometheus alone asks.
                "telemetry": {"unauthenticated_metrics_access": True},
            }
        },
        "storage": {
            "raft": {
                "path": DATA_FOLDER,
                "retry_join": [
                    {
                        "leader_api_addr": f"https://{pod_name(ordinal)}:{VAULT_PORT}",
                        "leader_tls_servername": pod_name(ordinal),
                        "leader_ca_cert_file": ca,
                    }
                    for ordinal in range(replicas)
                ],
            }
        },
        "seal": {"awskms": {"region": region, "kms_key_id": key_arn}},
        "service_registration": {"kubernetes": {}},
        "telemetry": {
            "prometheus_retention_time": METRICS_KEPT,
            "disable_hostname": True,
            "usage_gauge_period": "5m",
            "lease_metrics_epsilon": "1h",
        },
    }


def chart_values(args: ServersArgs) -> dict[str, Any]:
    """The chart's values."""
    settings = args.settings
    repository, digest = args.image.rsplit(":", 1)
    config = pulumi.Output.from_input(args.key_arn).apply(
        lambda key: raft_config(region=args.region, key_arn=key, replicas=settings.replicas, ui=settings.ui)
    )
    return {
        "global": {"enabled": True, "tlsDisable": False},
        "injector": {"enabled": False},
        "csi": {"enabled": False},
        "ui": {"enabled": False},  # the chart's switch makes a service of its own; the pages are the server's
        "server": {
            "enabled": True,
            # The chart joins the two by a colon: a repository that ends in @sha256 and the digest for a tag are a pinned image.
            "image": {"repository": repository, "tag": digest},
            "logFormat": "json",
            "updateStrategyType": "OnDelete",  # servers are restarted one by one, the active one last: the runbook's to do
            "standalone": {"enabled": False},
            "ha": {
                "enabled": True,
                "replicas": settings.replicas,
                "apiAddr": f"https://$(HOSTNAME).{VAULT_SERVICE}-internal:{VAULT_PORT}",
                "raft": {"enabled": True, "setNodeId": True, "config": pulumi.Output.json_dumps(config)},
                "disruptionBudget": {"enabled": True, "maxUnavailable": max(1, (settings.replicas - 1) // 2)},
            },
            "serviceAccount": {
                "create": True,
                "name": VAULT_SERVICE,  # the seal's role names it
                "annotations": {
                    "eks.amazonaws.com/role-arn": args.role_arn,
                    "eks.amazonaws.com/sts-regional-endpoints": "true",
                },
            },
            # Login of the snapshot's account: Vault asks the API server whose token it was shown.
            "authDelegator": {"enabled": True},
            "extraEnvironmentVars": {
                "AWS_REGION": args.region,
                "VAULT_CACERT": f"{TLS_FOLDER}/ca.crt",
            },
            "readinessProbe": {"enabled": True, "timeoutSeconds": 5},
            # A server that is sealed or waits for its first ceremony lives; only one that no longer answers is restarted.
            "livenessProbe": {
                "enabled": True,
                "path": "/v1/sys/health?standbyok=true&sealedcode=204&uninitcode=204",
                "initialDelaySeconds": 60,
                "timeoutSeconds": 5,
            },
            "dataStorage": {
                "enabled": True,
                "size": settings.storage,
                "mountPath": DATA_FOLDER,
                "storageClass": args.storage_class,
            },
            "auditStorage": {
                "enabled": True,
                "size": settings.audit_storage,
                "mountPath": AUDIT_FOLDER,
                "storageClass": args.storage_class,
            },
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
            "volumes": [
                {"name": "tls", "secret": {"secretName": SERVER_CERTIFICATE, "defaultMode": SECRET_MODE}},
                {"name": "scratch", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
            ],
            "volumeMounts": [
                {"name": "tls", "mountPath": TLS_FOLDER, "readOnly": True},
                {"name": "scratch", "mountPath": "/tmp"},  # noqa: S108 - the chart writes the configuration there
            ],
            "shareProcessNamespace": True,  # the keeper signals the server
            "extraContainers": [keeper(args.image)],
            "statefulSet": {"securityContext": {"pod": pod_security(USER), "container": container_security()}},
            "resources": pod_resources(settings.cpu, settings.memory),
            "topologySpreadConstraints": spread_over_zones(LABELS, by_revision=False),
            "priorityClassName": "system-cluster-critical",
            **system_placement(),
        },
        "serverTelemetry": {
            "serviceMonitor": {
                "enabled": True,
                "selectors": {"release": "prometheus"},
                # Every server, sealed ones too, and not only the active one.
                "matchLabels": {"vault-internal": "true"},
                "tlsConfig": {
                    "ca": {"secret": {"name": TRUST_CERTIFICATE, "key": "ca.crt"}},
                    "serverName": service_name(),
                },
            }
        },
    }


def keeper(image: str) -> dict[str, Any]:
    """The container beside a server that watches its certificate and its audit file."""
    return {
        "name": "keeper",
        "image": image,
        "command": ["/bin/sh", "-eu", "-c", KEEPER.read_text(encoding="utf-8")],
        "env": [
            {"name": "CERTIFICATE", "value": f"{TLS_FOLDER}/tls.crt"},
            {"name": "AUDIT_FILE", "value": AUDIT_FILE},
        ],
        "securityContext": container_security(),
        "resources": pod_resources("10m", "32Mi"),
        "volumeMounts": [
            {"name": "tls", "mountPath": TLS_FOLDER, "readOnly": True},
            {"name": "audit", "mountPath": AUDIT_FOLDER},
        ],
    }


class Servers(Component, token="zerotrust:vault:Servers"):
    """The release. Before the first ceremony no server is ready, so only afterwards is it waited for."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: ServersArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        release = install(
            f"{name}-release",
            "vault",
            namespace=VAULT_NAMESPACE,
            values=chart_values(args),
            skip_await=not args.settings.configured,
            opts=self.child(depends_on=list(args.after)),
        )
        self.ready = (release,)
        self.register_outputs({})
