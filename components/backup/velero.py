"""Velero: the objects of each tenant's namespace, and files of volumes that ask for it, in the region's locked bucket.

Guarantees: no credential is stored (Pod Identity); its standing rights read exactly the kinds that its schedules keep, no Secret
among them, and write nothing outside of its own namespace: a restore is given its rights for the day (docs/runbooks); copied
files are closed with a password made for this cluster, not with the one that every Velero has. Relies on: the bucket's lock,
which Velero knows nothing of; cert-manager's and Vault's leave to make secrets anew; the monitoring kinds.
No CSI snapshots: they would need a snapshot controller in every cluster; AWS Backup keeps the volumes, in a vault of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random

from components.backup.buckets import VELERO, VELERO_PREFIX
from components.base import Component
from components.graph.model import Graph
from components.graph.names import BACKUP_NAMESPACE, TENANT_LABEL
from components.helm import install
from components.manifests import Manifest, manifest
from components.names import bucket_name
from components.pods import pod_resources, system_placement
from components.settings import Settings
from components.settings.backup import NamespaceBackupSettings
from components.settings.images import BackupImages

STORAGE_LOCATION: Final = "default"
METRICS_PORT: Final = 8085
PASSWORD_SECRET, PASSWORD_KEY = "velero-repo-credentials", "repository-password"
"""Where Velero looks for the password of its file copies; it makes it itself, with a known password, when it is not there."""
KEPT: Final[dict[str, tuple[str, ...]]] = {
    "": ("configmaps", "limitranges", "persistentvolumeclaims", "pods", "resourcequotas", "serviceaccounts", "services"),
    "apps": ("controllerrevisions", "daemonsets", "deployments", "replicasets", "statefulsets"),
    "autoscaling": ("horizontalpodautoscalers",),
    "batch": ("cronjobs", "jobs"),
    "cert-manager.io": ("certificates", "issuers"),
    "cilium.io": ("ciliumnetworkpolicies",),
    "monitoring.coreos.com": ("podmonitors", "servicemonitors"),
    "networking.istio.io": (
        "destinationrules",
        "envoyfilters",
        "serviceentries",
        "sidecars",
        "virtualservices",
        "workloadentries",
    ),
    "networking.k8s.io": ("networkpolicies",),
    "policy": ("poddisruptionbudgets",),
    "postgresql.cnpg.io": ("clusters", "databases", "imagecatalogs", "scheduledbackups"),
    "rbac.authorization.k8s.io": ("rolebindings", "roles"),
    "security.istio.io": ("authorizationpolicies", "peerauthentications", "requestauthentications"),
    "telemetry.istio.io": ("telemetries",),
}
"""What is kept of a namespace, by API group. No Secrets: certificates and credentials are issued anew, and a copy of a secret
outlives every rotation."""


def bucket_of(settings: Settings, region: str) -> str:
    """The region's bucket of backups."""
    return bucket_name(settings.organization, settings.environment, region, "backup", settings.account.id)


def velero_policy(bucket_arn: pulumi.Input[str], key_arn: pulumi.Input[str], region: str) -> dict[str, Any]:
    """Objects below its own prefix; hides, never removes, and sets no lock.

    Source: velero-plugin-for-aws, permissions for a backup storage location; no EC2 rights, snapshots are off.
    """
    within = {"StringLike": {"s3:prefix": [VELERO_PREFIX, f"{VELERO_PREFIX}*"]}}
    actions = [
        "s3:AbortMultipartUpload",
        "s3:DeleteObject",
        "s3:GetObject",
        "s3:ListMultipartUploadParts",
        "s3:PutObject",
    ]
    through = {"StringEquals": {"kms:ViaService": f"s3.{region}.amazonaws.com"}}
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "List", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": bucket_arn, "Condition": within},
            {
                "Sid": "Objects",
                "Effect": "Allow",
                "Action": actions,
                "Resource": pulumi.Output.concat(bucket_arn, "/", VELERO_PREFIX, "*"),
            },
            {
                "Sid": "Key",
                "Effect": "Allow",
                "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
                "Resource": key_arn,
                "Condition": through,
            },
        ],
    }


def _restricted(*, user: int) -> dict[str, Any]:
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "runAsUser": user,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def chart_values(graph: Graph, region: str, *, key_arn: pulumi.Input[str]) -> dict[str, Any]:
    """The chart's values. Deployment and agent have one account, and one replica alone may write: the chart allows no second."""
    settings, images = graph.settings.backup.namespaces, graph.settings.images.backup
    return {
        **_images(images),
        "credentials": {"useSecret": False},  # Pod Identity: the chart's default mounts a key
        "serviceAccount": {"server": {"create": True, "name": VELERO}},  # the role's association names it
        # Its own Role stays; the chart's default for the whole cluster is cluster-admin.
        "rbac": {"create": True, "clusterAdministrator": False},
        "configuration": {
            "uploaderType": "kopia",
            "backupStorageLocation": [
                {
                    "name": STORAGE_LOCATION,
                    "provider": "aws",
                    "default": True,
                    "bucket": bucket_of(graph.settings, region),
                    "prefix": VELERO_PREFIX.rstrip("/"),
                    "accessMode": "ReadWrite",
                    # No checksumAlgorithm: an empty one sends none, and a locked bucket refuses the upload.
                    "config": {"region": region, "serverSideEncryption": "aws:kms", "kmsKeyId": key_arn},
                }
            ],
            "volumeSnapshotLocation": [],
            "defaultBackupTTL": f"{settings.keep_days * 24}h0m0s",
            "defaultVolumesToFsBackup": False,  # a pod asks for it; a database's files copied under it are worth nothing
            "garbageCollectionFrequency": "1h",
            "logFormat": "json",
            # As a flag alone is given no map: the job's own limits.
            "repositoryMaintenanceJob": {
                "repositoryConfigData": {
                    "global": {
                        "keepLatestMaintenanceJobs": 1,
                        "podResources": {
                            "cpuRequest": "100m",
                            "memoryRequest": "256Mi",
                            "cpuLimit": "1",
                            "memoryLimit": "1Gi",
                        },
                    }
                }
            },
            "extraEnvVars": [{"name": "AWS_REGION", "value": region}],  # the metadata service is closed to pods
        },
        "backupsEnabled": True,
        "snapshotsEnabled": False,
        "deployNodeAgent": settings.node_agent,
        "nodeAgent": {
            "resources": pod_resources("100m", "128Mi", memory_limit="1Gi"),
            # Reads what the kubelet mounted for others: root, and nothing more of root's than that.
            "podSecurityContext": {"runAsUser": 0, "seccompProfile": {"type": "RuntimeDefault"}},
            "containerSecurityContext": {
                "privileged": False,
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"], "add": ["DAC_READ_SEARCH"]},
            },
            "tolerations": [{"operator": "Exists"}],
            # Velero and its helpers write to their home and to /tmp.
            "extraVolumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "2Gi"}}],
            "extraVolumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - of the container
            "extraEnvVars": [{"name": "HOME", "value": "/tmp"}],  # noqa: S108 - of the container
        },
        "podSecurityContext": {"runAsNonRoot": True, "fsGroup": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
        "containerSecurityContext": _restricted(user=1000),
        "resources": pod_resources("100m", "256Mi", memory_limit="1Gi"),
        "upgradeJobResources": pod_resources("50m", "128Mi", memory_limit="256Mi"),
        "upgradeCRDs": True,
        "cleanUpCRDs": False,  # with the kinds would go the record of every backup
        "metrics": {
            "enabled": True,
            # Found out from the cluster, the monitor would silently be left out of a cluster without the kind.
            "serviceMonitor": {"enabled": True, "autodetect": False},
            "nodeAgentPodMonitor": {"enabled": settings.node_agent, "autodetect": False},
        },
        "schedules": {},  # each tenant brings its own
        **system_placement(),
    }


def _images(images: BackupImages | None) -> dict[str, Any]:
    plugin = "docker.io/velero/velero-plugin-for-aws:v1.14.2" if images is None else images.velero_aws
    init = {
        "name": "velero-plugin-for-aws",
        "image": plugin,
        "volumeMounts": [{"mountPath": "/target", "name": "plugins"}],
        "securityContext": _restricted(user=1000),
        "resources": pod_resources("50m", "64Mi", memory_limit="128Mi"),
    }
    if images is None:
        return {"initContainers": [init]}
    repository, digest = images.velero.split("@")
    return {"image": {"repository": repository, "digest": digest}, "initContainers": [init]}


def reader_objects() -> tuple[Manifest, ...]:
    """Velero's standing rights outside of its namespace: to read what is kept, and the volumes and nodes it finds files by."""
    name = "velero-reads"
    look = ["get", "list", "watch"]
    rules = [{"apiGroups": [group], "resources": list(kinds), "verbs": look} for group, kinds in sorted(KEPT.items())]
    found = {"apiGroups": [""], "resources": ["namespaces", "nodes", "persistentvolumes"], "verbs": look}
    storage = {"apiGroups": ["storage.k8s.io"], "resources": ["storageclasses"], "verbs": look}
    subject = {"kind": "ServiceAccount", "name": VELERO, "namespace": BACKUP_NAMESPACE}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    api = "rbac.authorization.k8s.io/v1"
    return (
        manifest(api, "ClusterRole", name, rules=[*rules, found, storage]),
        manifest(api, "ClusterRoleBinding", name, roleRef=role, subjects=[subject]),
    )


def staggered(cron: str, tenant: str) -> str:
    """The schedule moved within the hour by the tenant's name: another tenant moves nobody. A minute that is no number stays."""
    minute, *rest = cron.split(" ")
    moved = str((int(minute) + sum(tenant.encode())) % 60) if minute.isdigit() else minute
    return " ".join((moved, *rest))


def tenant_schedule(settings: NamespaceBackupSettings, tenant: str) -> Manifest:
    """The backups of exactly one tenant's namespace."""
    own = settings.tenants.get(tenant)
    days = settings.keep_days if own is None or own.keep_days is None else own.keep_days
    cron = staggered(settings.schedule, tenant) if own is None or own.schedule is None else own.schedule
    kinds = [f"{kind}.{group}" if group else kind for group, several in sorted(KEPT.items()) for kind in several]
    return manifest(
        "velero.io/v1",
        "Schedule",
        f"tenant-{tenant}",
        namespace=BACKUP_NAMESPACE,
        labels={TENANT_LABEL: tenant},
        spec={
            "schedule": cron,
            # A removed Schedule must not take its backups with it.
            "useOwnerReferencesInBackup": False,
            "template": {
                "ttl": f"{days * 24}h0m0s",
                "storageLocation": STORAGE_LOCATION,
                "includedNamespaces": [tenant],
                "includedNamespaceScopedResources": kinds,
                "includedClusterScopedResources": ["namespaces", "persistentvolumes"],
                "snapshotVolumes": False,
                "defaultVolumesToFsBackup": False,
                "metadata": {"labels": {TENANT_LABEL: tenant}},
            },
        },
    )


@dataclass(frozen=True, kw_only=True)
class VeleroArgs:
    """Velero in one cluster."""

    graph: Graph
    region: str
    key_arn: pulumi.Input[str]
    after: Sequence[pulumi.Resource]
    """Gates the release itself: the namespace and its rules, the role's association, the monitoring kinds, the bucket."""


class Velero(Component, token="zerotrust:backup:Velero"):
    """The release and the password of its copies. `ready` gates every Schedule."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: VeleroArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        # In the program's state, encrypted, as well: copies are read by another cluster than the one that is lost.
        maker = random.Provider(f"{name}-random", opts=self.child())
        password = random.RandomPassword(f"{name}-password", length=48, special=False, opts=self.child(provider=maker))
        secret = k8s.core.v1.Secret(
            f"{name}-password-secret",
            metadata={"name": PASSWORD_SECRET, "namespace": BACKUP_NAMESPACE},
            string_data={PASSWORD_KEY: password.result},
            opts=self.child(depends_on=list(args.after)),
        )
        release = install(
            f"{name}-release",
            "velero",
            namespace=BACKUP_NAMESPACE,
            values=chart_values(args.graph, args.region, key_arn=args.key_arn),
            opts=self.child(depends_on=[*args.after, secret]),
        )
        self.ready = (release,)
        self.register_outputs({})
