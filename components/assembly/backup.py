"""Backups put together: what fills the region's vault and copies it elsewhere, and what backs up inside the cluster."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.assembly.place import ClusterPlace
from components.audit.worm import WormBucket
from components.backup.buckets import VELERO
from components.backup.databases import Archiver, ArchiverArgs, archive_objects, archive_policy, tenant_databases
from components.backup.objects import region_objects, tenant_objects
from components.backup.replication import Original, RegionCopy, RegionCopyArgs
from components.backup.velero import Velero, VeleroArgs, velero_policy
from components.backup.volumes import VolumePlan, VolumePlanArgs, VolumeVault
from components.base import Component
from components.cluster.pod_identity import PodIdentity, PodIdentityArgs
from components.context import RegionContext
from components.graph.names import BACKUP_NAMESPACE
from components.manifests import BackupManifests, ManifestsArgs
from components.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What stands in one region."""

    context: RegionContext
    provider: aws.Provider
    backups: WormBucket
    evidence: WormBucket
    volumes: VolumeVault
    backup_key_arn: pulumi.Input[str]
    logs_key_arn: pulumi.Input[str]
    data_key_arn: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class RegionBackupsArgs:
    """One region, and the one that holds its copies."""

    settings: Settings
    here: Standing
    there: Standing | None
    protect: bool


class RegionBackups(Component, token="zerotrust:backup:RegionBackups"):
    """The plan of a region's volumes, and the copies of its locked buckets. The caller's provider is that of `here`."""

    copies: Mapping[str, WormBucket]
    """By purpose; empty where there is no other region."""

    def __init__(self, name: str, args: RegionBackupsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        here, there, settings = args.here, args.there, args.settings
        keys = (here.data_key_arn, here.backup_key_arn, *((there.backup_key_arn,) if there else ()))
        VolumePlan(
            f"{name}-volumes",
            VolumePlanArgs(
                context=here.context,
                settings=settings.backup,
                vault=here.volumes,
                copy=there.volumes if there else None,
                copy_region=there.context.region if there else None,
                keys=keys,
            ),
            opts=self.child(),
        )
        self.copies = {}
        if there:
            self.copies = RegionCopy(
                f"{name}-buckets",
                RegionCopyArgs(
                    here=here.context,
                    there=there.context,
                    there_provider=there.provider,
                    originals={
                        "audit": Original(
                            bucket=here.evidence,
                            key_arn=here.logs_key_arn,
                            copy_key_arn=there.logs_key_arn,
                            lock_days=settings.audit.worm_retention_days,
                        ),
                        "backup": Original(
                            bucket=here.backups,
                            key_arn=here.backup_key_arn,
                            copy_key_arn=there.backup_key_arn,
                            lock_days=settings.backup.lock_days,
                        ),
                    },
                    audit=settings.audit,
                    within_15_minutes=settings.backup.copy_within_15_minutes,
                    custodians=(settings.account.security_contact_role,),
                    protect=args.protect,
                ),
                opts=self.child(),
            ).copies
        self.register_outputs({})


@dataclass(frozen=True, kw_only=True)
class BackupsArgs:
    """Backups inside one cluster."""

    place: ClusterPlace
    after: Sequence[pulumi.Resource]
    """The namespaces' network rules, cert-manager and the database operator, the monitoring kinds."""
    platform_databases: Sequence[tuple[str, str]]
    """Namespace and name of each database of the platform's own that stands in this cluster."""


class Backups(Component, token="zerotrust:backup:Backups"):
    """Velero, the archive's plug-in, and a role for every database. Stands before any database that archives."""

    archive: tuple[pulumi.Resource, ...]
    """What a database that archives waits for: the plug-in, and the roles."""
    ready: tuple[pulumi.Resource, ...]
    """What gates the tenants' schedules and archives."""

    def __init__(self, name: str, args: BackupsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        place, graph = args.place, args.place.graph
        document = velero_policy(place.buckets.backups.arn, place.backup_key_arn, place.region)
        role = self._role(f"{name}-velero-role", place, BACKUP_NAMESPACE, VELERO, document)
        velero = Velero(
            f"{name}-velero",
            VeleroArgs(graph=graph, region=place.region, key_arn=place.backup_key_arn, after=[*args.after, *role]),
            opts=self.child(),
        )
        archiver = Archiver(
            f"{name}-archiver", ArchiverArgs(images=graph.settings.images.backup, after=args.after), opts=self.child()
        )
        wanted = sorted(
            {
                *args.platform_databases,
                *((tenant, database) for tenant in graph.tenants for database in tenant_databases(graph, tenant)),
            }
        )
        roles = [
            gate
            for namespace, database in wanted
            for gate in self._role(
                f"{name}-archive-{namespace}-{database}",
                place,
                namespace,
                database,
                archive_policy(
                    place.buckets.backups.arn,
                    place.backup_key_arn,
                    region=place.region,
                    namespace=namespace,
                    name=database,
                ),
            )
        ]
        platform = [
            each
            for namespace, database in sorted(args.platform_databases)
            for each in archive_objects(graph.settings, place.region, namespace, database)
        ]
        objects = BackupManifests(
            f"{name}-objects",
            ManifestsArgs(
                objects=(*region_objects(graph, place.region), *platform),
                after=[*velero.ready, *archiver.ready],
            ),
            opts=self.child(),
        )
        self.archive = (*archiver.ready, *roles)
        self.ready = (*velero.ready, *self.archive, *objects.ready)
        self.register_outputs({})

    def _role(
        self, name: str, place: ClusterPlace, namespace: str, account: str, document: dict[str, object]
    ) -> tuple[pulumi.Resource, ...]:
        return PodIdentity(
            name,
            PodIdentityArgs(
                context=place.context,
                cluster_name=place.cluster_name,
                cluster_arn=place.cluster_arn,
                namespace=namespace,
                service_account=account,
                policies={"own": pulumi.Output.json_dumps(document)},
            ),
            opts=self.child(),
        ).ready


@dataclass(frozen=True, kw_only=True)
class TenantBackupsArgs:
    """One tenant's backups in one cluster."""

    place: ClusterPlace
    tenant: str
    after: Sequence[pulumi.Resource]
    """`Backups.ready`, and the tenant's stores."""


class TenantBackups(Component, token="zerotrust:backup:TenantBackups"):
    """A tenant's schedule and the archives of its databases."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: TenantBackupsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self.ready = BackupManifests(
            f"{name}-objects",
            ManifestsArgs(objects=tenant_objects(args.place.graph, args.place.region, args.tenant), after=args.after),
            opts=self.child(),
        ).ready
        self.register_outputs({})
