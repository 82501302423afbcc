"""PostgreSQL's archive: base backups every day and the log as it is written, below one folder of the bucket for each database.

Guarantees: a database's pods reach the folder of their own database and no other; what is archived stays locked whatever they
delete. Relies on: plugin-barman-cloud, `Postgres.archive` of the same database, cert-manager. A database can be set back to
any second of `databases.keep_days`; a lost region loses what the last segment held, `archive_timeout_seconds` at most, and
what S3 had not copied yet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components.backup.buckets import DATABASES_PREFIX
from components.backup.velero import bucket_of
from components.base import Component
from components.graph.model import Graph
from components.graph.names import DATABASE_OPERATOR_NAMESPACE, SERVICE_LABEL, TENANT_LABEL
from components.helm import install
from components.manifests import Manifest, manifest
from components.pods import pod_resources, spread_over_zones, system_placement
from components.settings import Settings
from components.settings.images import BackupImages
from components.settings.tenants import ARCHIVE_CPU_MILLICORES, ARCHIVE_MEMORY_MEBIBYTES
from components.tenancy.postgres import API, ARCHIVER

STORE_API: Final = "barmancloud.cnpg.io/v1"
PLUGIN: Final = "plugin-barman-cloud"


def folder(namespace: str) -> str:
    """The folder of a namespace's databases in the bucket of backups; the plug-in adds the database's name."""
    return f"{DATABASES_PREFIX}{namespace}/"


def archive_policy(
    bucket_arn: pulumi.Input[str], key_arn: pulumi.Input[str], *, region: str, namespace: str, name: str
) -> dict[str, Any]:
    """Objects of one database.

    Listing is confined to the folder where a prefix is said; the archiver also asks whether the bucket exists, which S3
    decides by the same permission without a prefix, and so the names of others' archives, never their content, can be listed.
    """
    mine = f"{folder(namespace)}{name}/"
    within = {"StringLikeIfExists": {"s3:prefix": [mine, f"{mine}*"]}}
    through = {"StringEquals": {"kms:ViaService": f"s3.{region}.amazonaws.com"}}
    actions = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "List", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": bucket_arn, "Condition": within},
            {
                "Sid": "Objects",
                "Effect": "Allow",
                "Action": actions,
                "Resource": pulumi.Output.concat(bucket_arn, "/", mine, "*"),
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


def archive_objects(
    settings: Settings, region: str, namespace: str, name: str, *, labels: dict[str, str] | None = None
) -> tuple[Manifest, ...]:
    """The place of one database's archive, and its daily base backup."""
    wanted, given = settings.backup.databases, {**(labels or {}), SERVICE_LABEL: name}
    # Minutes by name: databases do not all begin at once, and a new one moves none.
    minute = sum(f"{namespace}/{name}".encode()) % 60
    return (
        manifest(
            STORE_API,
            "ObjectStore",
            name,
            namespace=namespace,
            labels=given,
            spec={
                "retentionPolicy": f"{wanted.keep_days}d",
                "configuration": {
                    "destinationPath": f"s3://{bucket_of(settings, region)}/{folder(namespace)}",
                    "s3Credentials": {"inheritFromIAMRole": True},
                    # Neither names an encryption: the bucket's own key is its default, and another is refused.
                    "data": {"compression": "gzip", "jobs": 2},
                    "wal": {"compression": "gzip", "maxParallel": 4},
                },
                "instanceSidecarConfiguration": {
                    "env": [{"name": "AWS_REGION", "value": region}, {"name": "AWS_DEFAULT_REGION", "value": region}],
                    "resources": pod_resources(
                        f"{ARCHIVE_CPU_MILLICORES}m", "128Mi", memory_limit=f"{ARCHIVE_MEMORY_MEBIBYTES}Mi"
                    ),
                },
            },
        ),
        manifest(
            API,
            "ScheduledBackup",
            name,
            namespace=namespace,
            labels=given,
            spec={
                # Six fields: seconds first.
                "schedule": f"0 {minute} {wanted.base_hour} * * *",
                "immediate": True,
                "backupOwnerReference": "self",
                "cluster": {"name": name},
                "method": "plugin",
                "pluginConfiguration": {"name": ARCHIVER},
            },
        ),
    )


def tenant_databases(graph: Graph, tenant: str) -> tuple[str, ...]:
    """The names of a tenant's databases."""
    return tuple(store.name for store in graph.stores_of(tenant) if store.kind == "database")


def tenant_archives(graph: Graph, region: str, tenant: str) -> tuple[Manifest, ...]:
    """The archives of all of a tenant's databases, in its own namespace."""
    return tuple(
        each
        for name in tenant_databases(graph, tenant)
        for each in archive_objects(graph.settings, region, tenant, name, labels={TENANT_LABEL: tenant})
    )


def chart_values(images: BackupImages | None) -> dict[str, Any]:
    """The chart's values; it has no metrics of its own, the instances' exporter has them."""
    return {
        **({} if images is None else {"image": _split(images.archive), "sidecarImage": _split(images.archive_sidecar)}),
        "replicaCount": 1,  # Recreate is the one strategy it supports, and the operator reconciles when it is back
        "crds": {"create": True},
        "rbac": {"create": True},
        "serviceAccount": {"create": True, "name": PLUGIN},
        "certificate": {"createClientCertificate": True, "createServerCertificate": True},
        "resources": pod_resources("50m", "128Mi", memory_limit="256Mi"),
        "priorityClassName": "system-cluster-critical",
        "topologySpreadConstraints": spread_over_zones({"app.kubernetes.io/name": PLUGIN}),
        **system_placement(),
    }


def _split(image: str) -> dict[str, str]:
    """An image by digest in a chart that joins registry, repository and tag by `/` and `:`."""
    name, digest = image.split("@sha256:")
    registry, _, repository = name.partition("/")
    return {"registry": registry, "repository": f"{repository}@sha256", "tag": digest}


@dataclass(frozen=True, kw_only=True)
class ArchiverArgs:
    """The archive's plug-in in one cluster."""

    images: BackupImages | None
    after: Sequence[pulumi.Resource]
    """Gates the release itself: the database operator, cert-manager, the namespace's rules."""


class Archiver(Component, token="zerotrust:backup:Archiver"):
    """The plug-in. `ready` gates every ObjectStore, and every Cluster that archives."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: ArchiverArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        release = install(
            f"{name}-release",
            PLUGIN,
            # The operator looks for its plug-ins in its own namespace.
            namespace=DATABASE_OPERATOR_NAMESPACE,
            values=chart_values(args.images),
            opts=self.child(depends_on=list(args.after)),
        )
        self.ready = (release,)
        self.register_outputs({})
