"""What everything else in a cluster stands on: storage, namespaces, the rules of its network, and the operators.

Order: namespaces, then the network's rules, then whatever speaks. Every namespace denies before the first pod of it starts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi

from components.assembly.place import ClusterPlace
from components.base import Component
from components.certificates import product_authority, product_issuer
from components.cluster.pod_identity import PodIdentity, PodIdentityArgs
from components.cni.objects import region_objects
from components.graph.names import EXTERNAL_DNS_NAMESPACE, SYSTEM_NAMESPACE
from components.manifests import CniManifests, Manifest, ManifestsArgs, OperatorsManifests, TenancyManifests, manifest
from components.observability.telemetry.names import ISSUER as TELEMETRY_ISSUER
from components.operators import aws_load_balancer, external_dns
from components.operators.aws_load_balancer import LoadBalancerController, LoadBalancerControllerArgs
from components.operators.cert_manager import CertManager, CertManagerArgs
from components.operators.database_operator import REPLICAS as OPERATORS
from components.operators.database_operator import DatabaseOperator, DatabaseOperatorArgs
from components.operators.external_dns import ExternalDns, ExternalDnsArgs
from components.operators.metrics_server import MetricsServer, MetricsServerArgs
from components.runtime.certificates import ISSUER as EVENTS_ISSUER
from components.tenancy.namespace import platform_namespaces
from components.tenancy.postgres import STORAGE_CLASS

IOPS_DEFAULT: Final = "gp3"
PLATFORM_ISSUERS: Final = (EVENTS_ISSUER, TELEMETRY_ISSUER)
"""Issuers of every namespace of the platform that they are for: both ends of a connection outside the mesh."""


@dataclass(frozen=True, kw_only=True)
class GroundArgs:
    """The ground of one cluster."""

    place: ClusterPlace
    target_groups: Sequence[pulumi.Input[str]]
    """Target groups that pods of this cluster are registered in."""
    private_zone_id: pulumi.Input[str]
    """Hosted zone named after the trust domain."""


def storage_class(key_arn: pulumi.Input[str]) -> Manifest:
    """The default class: volumes under the region's own key, bound in the zone of their pod, kept until somebody deletes them."""
    return manifest(
        "storage.k8s.io/v1",
        "StorageClass",
        STORAGE_CLASS,
        annotations={"storageclass.kubernetes.io/is-default-class": "true"},
        provisioner="ebs.csi.aws.com",
        parameters={"type": IOPS_DEFAULT, "encrypted": "true", "kmsKeyId": key_arn},
        volumeBindingMode="WaitForFirstConsumer",
        reclaimPolicy="Retain",
        allowVolumeExpansion=True,
    )


class Ground(Component, token="zerotrust:operators:Ground"):
    """Storage, namespaces, network rules, operators."""

    rules: tuple[pulumi.Resource, ...]
    """What stands for namespaces and network policies: tenants wait for these as well."""
    authorities: Mapping[str, tuple[pulumi.Resource, ...]]
    """What the stores of a product's tenants depend on besides, by product."""
    load_balancer_controller: tuple[pulumi.Resource, ...]
    external_dns: tuple[pulumi.Resource, ...]
    ready: tuple[pulumi.Resource, ...]
    """What identity, mesh and stores depend on."""

    def __init__(self, name: str, args: GroundArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        place = args.place
        storage = OperatorsManifests(
            f"{name}-storage",
            ManifestsArgs(objects=(storage_class(place.data_key_arn),), after=place.ready),
            opts=self.child(),
        )
        namespaces = TenancyManifests(
            f"{name}-namespaces",
            ManifestsArgs(objects=platform_namespaces(place.graph.settings), after=place.ready),
            opts=self.child(),
        )
        network = CniManifests(
            f"{name}-network",
            ManifestsArgs(objects=region_objects(place.graph, place.region), after=namespaces.ready),
            opts=self.child(),
        )
        self.rules = network.ready
        products = sorted({tenant.product for tenant in place.graph.settings.tenants.values() if tenant.product is not None})
        pods = place.graph.settings.cluster.pods
        certificates = CertManager(
            f"{name}-certificates",
            CertManagerArgs(
                after=self.rules,
                cluster_issuers=[*PLATFORM_ISSUERS, *(product_issuer(product).name for product in products)],
                replicas=pods(),
            ),
            opts=self.child(),
        )
        self.authorities = {
            product: TenancyManifests(
                f"{name}-product-{product}",
                ManifestsArgs(objects=product_authority(product), after=certificates.ready),
                opts=self.child(),
            ).ready
            for product in products
        }
        databases = DatabaseOperator(
            f"{name}-databases",
            DatabaseOperatorArgs(after=certificates.ready, replicas=pods(OPERATORS)),
            opts=self.child(),
        )
        MetricsServer(f"{name}-metrics", MetricsServerArgs(after=certificates.ready), opts=self.child())
        self.load_balancer_controller = self._load_balancers(name, args, certificates.ready)
        self.external_dns = self._names(name, args)
        # The database operator waits for cert-manager, that for the rules, and those for the namespaces.
        self.ready = (*storage.ready, *databases.ready)
        self.register_outputs({})

    def _role(self, name: str, place: ClusterPlace, namespace: str, account: str, document: pulumi.Output[str]) -> PodIdentity:
        return PodIdentity(
            name,
            PodIdentityArgs(
                context=place.context,
                cluster_name=place.cluster_name,
                cluster_arn=place.cluster_arn,
                namespace=namespace,
                service_account=account,
                policies={"own": document},
            ),
            opts=self.child(),
        )

    def _load_balancers(
        self, name: str, args: GroundArgs, certificates: Sequence[pulumi.Resource]
    ) -> tuple[pulumi.Resource, ...]:
        place = args.place
        document = pulumi.Output.json_dumps(aws_load_balancer.targets_policy(args.target_groups))
        role = self._role(f"{name}-load-balancers-role", place, SYSTEM_NAMESPACE, aws_load_balancer.SERVICE_ACCOUNT, document)
        return LoadBalancerController(
            f"{name}-load-balancers",
            LoadBalancerControllerArgs(
                cluster_name=place.cluster_name,
                region=place.region,
                vpc_id=place.vpc_id,
                after=[*certificates, *role.ready],
            ),
            opts=self.child(),
        ).ready

    def _names(self, name: str, args: GroundArgs) -> tuple[pulumi.Resource, ...]:
        place = args.place
        document = pulumi.Output.json_dumps(external_dns.zone_policy(args.private_zone_id))
        role = self._role(f"{name}-names-role", place, EXTERNAL_DNS_NAMESPACE, external_dns.SERVICE_ACCOUNT, document)
        return ExternalDns(
            f"{name}-names",
            ExternalDnsArgs(
                region=place.region,
                owner=place.cluster,
                domain=place.graph.trust_domain(place.region),
                zone_id=args.private_zone_id,
                after=[*self.rules, *role.ready],
            ),
            opts=self.child(),
        ).ready
