"""Everything inside a region's cluster, in order: ground, guardrails, backups, trust, mesh, secrets, sight, the tenants.

A tenant's objects wait for what holds them in check; what only watches them, or fetches for them, waits for nobody's workloads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from components.assembly.backup import Backups, BackupsArgs, TenantBackups, TenantBackupsArgs
from components.assembly.chaos import Chaos, ChaosArgs
from components.assembly.delivery import Delivery, DeliveryArgs
from components.assembly.ground import Ground, GroundArgs
from components.assembly.guardrails import Guardrails, GuardrailsArgs
from components.assembly.monitoring import Monitoring, MonitoringArgs
from components.assembly.place import Bucket, ClusterPlace
from components.assembly.platform_secrets import PlatformSecrets, PlatformSecretsArgs
from components.assembly.runtime import Runtime, RuntimeArgs
from components.assembly.service_mesh import ISSUER_DATABASE, ServiceMesh, ServiceMeshArgs
from components.assembly.telemetry import Telemetry, TelemetryArgs
from components.assembly.trust import DATABASE, Trust, TrustArgs
from components.assembly.vault import VaultPlatform, VaultPlatformArgs
from components.assembly.vault_access import VaultGrants, VaultGrantsArgs
from components.base import Component
from components.graph.names import (
    BUNDLE_PORT,
    EASTWEST,
    EASTWEST_PORT,
    INGRESS,
    INGRESS_PORT,
    ISSUER_NAMESPACE,
    SPIRE_SERVER_NAMESPACE,
    VAULT_NAMESPACE,
    VAULT_PORT,
    VAULT_SERVICE,
    bundle_host,
)
from components.identity.spire import SERVER_SERVICE
from components.manifests import Manifest, ManifestsArgs, OperatorsManifests
from components.network.addresses import eastwest_address
from components.operators.aws_load_balancer import target_group_binding
from components.operators.external_dns import dns_record
from components.tenancy.postgres import STORAGE_CLASS
from components.tenant import Tenant, TenantArgs


@dataclass(frozen=True, kw_only=True)
class TargetGroups:
    """Where pods are registered, by ARN."""

    ingress: pulumi.Input[str]
    eastwest: pulumi.Input[str] | None
    """With more than one region."""
    bundle: pulumi.Input[str] | None
    """With more than one region."""
    vault: pulumi.Input[str]
    """Vault's servers, for the deployer's runner."""
    issuer: pulumi.Input[str] | None
    """Where the platform runs the issuer."""

    def bindings(self) -> dict[str, tuple[str, str, int, pulumi.Input[str]]]:
        """Namespace, service, port and target group of each that is there, by name."""
        wanted = {
            "ingress": (INGRESS.namespace, INGRESS.name, INGRESS_PORT, self.ingress),
            "eastwest": (EASTWEST.namespace, EASTWEST.name, EASTWEST_PORT, self.eastwest),
            "bundle": (SPIRE_SERVER_NAMESPACE, SERVER_SERVICE, BUNDLE_PORT, self.bundle),
            "vault": (VAULT_NAMESPACE, VAULT_SERVICE, VAULT_PORT, self.vault),
            "issuer": (INGRESS.namespace, INGRESS.name, INGRESS_PORT, self.issuer),
        }
        return {key: (space, service, port, arn) for key, (space, service, port, arn) in wanted.items() if arn is not None}


@dataclass(frozen=True, kw_only=True)
class ServicesArgs:
    """One region's cluster and what stands around it."""

    place: ClusterPlace
    targets: TargetGroups
    private_zone_id: pulumi.Input[str]
    audit_bucket: Bucket
    """The region's locked evidence."""
    trail_log_group: str
    """Name of the trail's log group in the home region."""


def bundle_record(place: ClusterPlace) -> Manifest:
    """The name under which other regions find this one's bundle endpoint: the fixed addresses of its load balancer."""
    network = place.graph.settings.regions[place.region]
    addresses = [eastwest_address(network.vpc_cidr, zone) for zone in sorted(network.zones)]
    return dns_record("bundle-endpoint", host=bundle_host(place.graph.trust_domain(place.region)), targets=addresses)


def platform_databases(place: ClusterPlace) -> tuple[tuple[str, str], ...]:
    """Namespace and name of each database of the platform's own in this cluster."""
    issuer = ((ISSUER_NAMESPACE, ISSUER_DATABASE),) if place.graph.runs_issuer(place.region) else ()
    return ((SPIRE_SERVER_NAMESPACE, DATABASE), *issuer)


class Services(Component, token="zerotrust:region:Services"):
    """The platform in one cluster, and its tenants. The cluster's and the region's providers are given by the caller."""

    trust_domain: str
    spire: tuple[pulumi.Resource, ...]
    tenants: Mapping[str, Tenant]

    def __init__(self, name: str, args: ServicesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        place = args.place
        bindings = args.targets.bindings()
        ground = Ground(
            f"{name}-ground",
            GroundArgs(
                place=place,
                target_groups=[arn for _, _, _, arn in bindings.values()],
                private_zone_id=args.private_zone_id,
            ),
            opts=self.child(),
        )
        guardrails = Guardrails(
            f"{name}-guardrails",
            GuardrailsArgs(place=place, after=[*ground.ready, *ground.external_dns]),
            opts=self.child(),
        )
        # From here on the webhook is asked.
        judged = (*ground.ready, *guardrails.answering)
        backups = Backups(
            f"{name}-backups",
            BackupsArgs(place=place, after=judged, platform_databases=platform_databases(place)),
            opts=self.child(),
        )
        stored = (*judged, *backups.archive)
        trust = Trust(f"{name}-trust", TrustArgs(place=place, after=stored), opts=self.child())
        mesh = ServiceMesh(f"{name}-mesh", ServiceMeshArgs(place=place, ground=stored, trust=trust.ready), opts=self.child())
        targets = self._targets(name, place, bindings, ground, (*mesh.ready, *trust.spire))
        if args.targets.bundle is not None:
            OperatorsManifests(
                f"{name}-records",
                ManifestsArgs(objects=(bundle_record(place),), after=ground.external_dns),
                opts=self.child(),
            )
        vault = VaultPlatform(
            f"{name}-vault",
            VaultPlatformArgs(place=place, after=[*judged, *ground.external_dns], reachable=targets),
            opts=self.child(),
        )
        secrets = PlatformSecrets(
            f"{name}-secrets",
            PlatformSecretsArgs(
                place=place, authority=vault.authority, provider=vault.provider, after=[*vault.ready, *trust.ready]
            ),
            opts=self.child(),
        )
        sight = self._sight(name, args, (*judged, *mesh.ready, *trust.ready, *secrets.ready), secrets)
        self.tenants = {
            tenant: Tenant(
                f"{name}-tenant-{tenant}",
                TenantArgs(
                    graph=place.graph,
                    region=place.region,
                    tenant=tenant,
                    after={
                        "namespace": [*ground.rules, *guardrails.ready],
                        "identity": trust.spire,
                        "mesh": mesh.ready,
                        "stores": [*stored, *ground.authorities.get(settings.product or "", ())],
                        "workloads": [*trust.ready, *mesh.ready, *sight],
                    },
                ),
                opts=self.child(),
            )
            for tenant, settings in sorted(place.graph.settings.tenants.items())
        }
        for tenant, made in self.tenants.items():
            stores = [each for layer in ("namespace", "stores") if layer in made.layers for each in made.layers[layer].ready]
            TenantBackups(
                f"{name}-backups-{tenant}",
                TenantBackupsArgs(place=place, tenant=tenant, after=[*backups.ready, *stores]),
                opts=self.child(),
            )
        # Pods that fetch wait for their own files; a login must know the databases, and those are the tenants'.
        VaultGrants(
            f"{name}-grants",
            VaultGrantsArgs(
                place=place,
                authority=vault.authority,
                provider=vault.provider,
                after=[
                    *vault.ready,
                    *secrets.ready,
                    *trust.spire,
                    *(
                        gate
                        for made in self.tenants.values()
                        for layer in ("namespace", "stores")
                        if layer in made.layers
                        for gate in made.layers[layer].ready
                    ),
                ],
            ),
            opts=self.child(),
        )
        namespaces = [gate for made in self.tenants.values() for gate in made.layers["namespace"].ready]
        Delivery(
            f"{name}-delivery",
            DeliveryArgs(place=place, storage_class=STORAGE_CLASS, after=[*judged, *trust.spire, *namespaces, *guardrails.ready]),
            opts=self.child(),
        )
        Chaos(f"{name}-chaos", ChaosArgs(place=place, after=[*judged, *mesh.ready]), opts=self.child())
        self.trust_domain = trust.trust_domain
        self.spire = trust.spire
        self.register_outputs({})

    def _targets(
        self,
        name: str,
        place: ClusterPlace,
        bindings: Mapping[str, tuple[str, str, int, pulumi.Input[str]]],
        ground: Ground,
        standing: Sequence[pulumi.Resource],
    ) -> tuple[pulumi.Resource, ...]:
        """The pods behind the load balancers."""
        return OperatorsManifests(
            f"{name}-targets",
            ManifestsArgs(
                objects=tuple(
                    target_group_binding(
                        key, namespace=space, service=service, port=port, target_group_arn=arn, vpc_id=place.vpc_id
                    )
                    for key, (space, service, port, arn) in sorted(bindings.items())
                ),
                after=[*ground.load_balancer_controller, *standing],
            ),
            opts=self.child(),
        ).ready

    def _sight(
        self, name: str, args: ServicesArgs, standing: Sequence[pulumi.Resource], secrets: PlatformSecrets
    ) -> tuple[pulumi.Resource, ...]:
        """Stores of metrics, logs and traces, what fills them, and detection at run time."""
        place = args.place
        monitoring = Monitoring(
            f"{name}-monitoring", MonitoringArgs(place=place, after=standing, delivery=secrets.alerts), opts=self.child()
        )
        telemetry = Telemetry(
            f"{name}-telemetry",
            TelemetryArgs(
                place=place,
                after=[*standing, *monitoring.ready],
                audit_bucket=args.audit_bucket,
                trail_log_group=args.trail_log_group,
                delivery=secrets.tokens,
            ),
            opts=self.child(),
        )
        runtime = Runtime(
            f"{name}-runtime",
            RuntimeArgs(place=place, after=[*standing, *telemetry.ready], delivery=secrets.events),
            opts=self.child(),
        )
        return (*telemetry.ready, *runtime.ready)
