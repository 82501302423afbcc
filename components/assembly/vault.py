"""Vault of one region: its certificates, its role and servers, and once the ceremony was held what it stands on inside.

Order: certificates and role, servers, audit devices, the snapshots' login, then whatever else is declared in Vault. Before the
ceremony there is nobody to log in to, so nothing inside is declared and the servers are not waited for.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s
import pulumi_vault as vault

from components.assembly.place import ClusterPlace
from components.base import Component
from components.certificates import authority, issued, leaf
from components.cluster.pod_identity import PodIdentity, PodIdentityArgs
from components.graph.model import Graph
from components.graph.names import VAULT_NAMESPACE, vault_host
from components.manifests import Manifest, ManifestsArgs, VaultManifests
from components.network.addresses import eastwest_address
from components.operators.external_dns import dns_record
from components.tenancy.postgres import STORAGE_CLASS
from components.vault.audit import AuditDevices
from components.vault.engines import declared_roles
from components.vault.provider import vault_provider
from components.vault.seal import SealRole
from components.vault.server import Servers, ServersArgs
from components.vault.snapshots import ACCOUNT, SnapshotJob, SnapshotLogin, bucket_document, snapshot_objects
from components.vault.tls import SERVER_CERTIFICATE, TRUST_CERTIFICATE, published_authority, server_names, service_name


@dataclass(frozen=True, kw_only=True)
class VaultPlatformArgs:
    """Vault in one cluster."""

    place: ClusterPlace
    after: Sequence[pulumi.Resource]
    """Gates everything: namespaces and their rules, cert-manager, the storage class, external-dns, nodes."""
    reachable: Sequence[pulumi.Resource] = ()
    """Gates what is declared inside: the listener, the target group's binding. Empty in a test."""


def certificate_objects(graph: Graph, region: str) -> tuple[Manifest, ...]:
    """The namespace's authority, the servers' certificate, and the one that carries the authority's to others."""
    names = server_names(graph.trust_domain(region), graph.settings.vault.replicas)
    return (
        *authority(VAULT_NAMESPACE),
        leaf(VAULT_NAMESPACE, SERVER_CERTIFICATE, common_name=service_name(), usages=("server auth",), dns_names=names),
        issued(leaf(VAULT_NAMESPACE, TRUST_CERTIFICATE, common_name="trust", usages=("client auth",))),
    )


def vault_record(place: ClusterPlace) -> Manifest:
    """The name under which the deployer's runner finds the region's Vault: the fixed addresses of the regional load balancer."""
    network = place.graph.settings.regions[place.region]
    addresses = [eastwest_address(network.vpc_cidr, zone) for zone in sorted(network.zones)]
    return dns_record("vault", host=vault_host(place.graph.trust_domain(place.region)), targets=addresses)


def snapshot_job(place: ClusterPlace) -> SnapshotJob:
    """The job as the settings have it."""
    settings = place.graph.settings
    return SnapshotJob(
        region=place.region,
        hours=settings.vault.snapshot_hours,
        vault_image=settings.images.vault,
        aws_image=settings.images.aws_cli,
        bucket=place.buckets.backups.name,
    )


class VaultPlatform(Component, token="zerotrust:vault:Platform"):
    """Vault of one region. The cluster's and the region's providers are given by the caller."""

    provider: vault.Provider | None
    """Of everything inside this Vault; None before the ceremony."""
    authority: pulumi.Output[str]
    """The certificate of Vault's authority, PEM: what every client trusts."""
    servers: tuple[pulumi.Resource, ...]
    ready: tuple[pulumi.Resource, ...]
    """What everything else inside waits for: both audit devices; before the ceremony the release."""

    def __init__(self, name: str, args: VaultPlatformArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        place, settings = args.place, args.place.graph.settings
        trust_domain = place.graph.trust_domain(place.region)
        certificates = VaultManifests(
            f"{name}-certificates",
            ManifestsArgs(objects=certificate_objects(place.graph, place.region), after=args.after),
            opts=self.child(),
        )
        seal = SealRole(
            f"{name}-seal",
            context=place.context,
            oidc_provider_arn=place.oidc_provider_arn,
            oidc_issuer=place.oidc_issuer,
            key_arn=place.vault_key_arn,
            assumes=declared_roles(place.graph, place.region),
            opts=self.child(),
        )
        servers = Servers(
            f"{name}-servers",
            ServersArgs(
                region=place.region,
                settings=settings.vault,
                image=settings.images.vault,
                trust_domain=trust_domain,
                role_arn=seal.arn,
                key_arn=place.vault_key_arn,
                storage_class=STORAGE_CLASS,
                after=[*args.after, *certificates.ready, *seal.ready],
            ),
            opts=self.child(),
        )
        self.servers = servers.ready
        # Not known before the certificate stands: a first preview reads nothing.
        known = certificates.objects[-1].id.apply(lambda _: f"{VAULT_NAMESPACE}/{TRUST_CERTIFICATE}")  # type: ignore[attr-defined]
        published = k8s.core.v1.Secret.get(f"{name}-authority", known, opts=self.child(depends_on=list(certificates.ready)))
        # A certificate is public; only the key that lies beside it is not, and it goes nowhere.
        self.authority = pulumi.Output.unsecret(published.data).apply(lambda data: published_authority(place.region, data))
        record = VaultManifests(
            f"{name}-records", ManifestsArgs(objects=(vault_record(place),), after=args.after), opts=self.child()
        )
        self.provider = None
        self.ready = servers.ready
        if settings.vault.configured:
            self.provider = vault_provider(
                f"{name}-provider",
                trust_domain=trust_domain,
                region=place.region,
                ca_file=settings.vault.ca_file,
                opts=self.child(depends_on=[*servers.ready, *record.ready, *args.reachable]),
            )
            inside = pulumi.ResourceOptions(parent=self, provider=self.provider)
            self.ready = AuditDevices(
                f"{name}-audit",
                protect=settings.assurance == "high",
                after=[*servers.ready, *record.ready, *args.reachable],
                opts=inside,
            ).ready
            self._snapshots(name, args, self.ready, inside)
        self.register_outputs({})

    def _snapshots(
        self, name: str, args: VaultPlatformArgs, audited: tuple[pulumi.Resource, ...], inside: pulumi.ResourceOptions
    ) -> None:
        place = args.place
        login = SnapshotLogin(f"{name}-snapshot-login", after=audited, opts=inside)
        role = PodIdentity(
            f"{name}-snapshot-role",
            PodIdentityArgs(
                context=place.context,
                cluster_name=place.cluster_name,
                cluster_arn=place.cluster_arn,
                namespace=VAULT_NAMESPACE,
                service_account=ACCOUNT,
                policies={"add": pulumi.Output.json_dumps(bucket_document(place.buckets.backups.arn, place.backup_key_arn))},
            ),
            opts=self.child(),
        )
        VaultManifests(
            f"{name}-snapshots",
            ManifestsArgs(objects=snapshot_objects(snapshot_job(place)), after=[*args.after, *login.ready, *role.ready]),
            opts=self.child(),
        )
