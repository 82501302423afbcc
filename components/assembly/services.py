"""Everything inside a region's cluster, in order: ground, trust, mesh, the pods behind the load balancers, the tenants."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.assembly.ground import Ground, GroundArgs
from components.assembly.place import ClusterPlace
from components.assembly.service_mesh import ServiceMesh, ServiceMeshArgs
from components.assembly.trust import Trust, TrustArgs
from components.base import Component
from components.graph.names import (
    BUNDLE_PORT,
    EASTWEST,
    EASTWEST_PORT,
    INGRESS,
    INGRESS_PORT,
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


def bundle_record(place: ClusterPlace) -> Manifest:
    """The name under which other regions find this one's bundle endpoint: the fixed addresses of its load balancer."""
    network = place.graph.settings.regions[place.region]
    addresses = [eastwest_address(network.vpc_cidr, zone) for zone in sorted(network.zones)]
    return dns_record("bundle-endpoint", host=bundle_host(place.graph.trust_domain(place.region)), targets=addresses)


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
        trust = Trust(f"{name}-trust", TrustArgs(place=place, after=ground.ready), opts=self.child())
        mesh = ServiceMesh(
            f"{name}-mesh", ServiceMeshArgs(place=place, ground=ground.ready, trust=trust.ready), opts=self.child()
        )
        OperatorsManifests(
            f"{name}-targets",
            ManifestsArgs(
                objects=tuple(
                    target_group_binding(
                        key, namespace=space, service=service, port=port, target_group_arn=arn, vpc_id=place.vpc_id
                    )
                    for key, (space, service, port, arn) in sorted(bindings.items())
                ),
                after=[*ground.load_balancer_controller, *mesh.ready, *trust.spire],
            ),
            opts=self.child(),
        )
        if args.targets.bundle is not None:
            OperatorsManifests(
                f"{name}-records",
                ManifestsArgs(objects=(bundle_record(place),), after=ground.external_dns),
                opts=self.child(),
            )
        self.tenants = {
            tenant: Tenant(
                f"{name}-tenant-{tenant}",
                TenantArgs(
                    graph=place.graph,
                    region=place.region,
                    tenant=tenant,
                    after={
                        "namespace": ground.rules,
                        "identity": trust.spire,
                        "mesh": mesh.ready,
                        "stores": [*ground.ready, *ground.authorities.get(settings.product or "", ())],
                        "workloads": [*trust.ready, *mesh.ready],
                    },
                ),
                opts=self.child(),
            )
            for tenant, settings in sorted(place.graph.settings.tenants.items())
        }
        self.trust_domain = trust.trust_domain
        self.spire = trust.spire
        self.register_outputs({})
