"""Who is who in a region: SPIRE with its datastore, the registrations of the platform's own parts, and federation's first half.

Order: custom kinds, datastore, role, then the release, then registrations: the controller manager's webhook, once it stands,
judges every registration, so none is sent before it can answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pulumi

from components.assembly.place import ClusterPlace, platform_database
from components.base import Component
from components.certificates import authority, leaf
from components.cluster.pod_identity import PodIdentity, PodIdentityArgs
from components.graph.names import DISCOVERY_SERVICE, SPIRE_SERVER_NAMESPACE, service_host
from components.identity.registration import region_objects
from components.identity.spire import (
    DISCOVERY_SECRET,
    SERVER_SERVICE_ACCOUNT,
    Datastore,
    Kinds,
    KindsArgs,
    TrustDomain,
    TrustDomainArgs,
    kms_policy,
    private_ca_policy,
)
from components.manifests import IdentityManifests, Manifest, ManifestsArgs
from components.tenancy.postgres import STORAGE_CLASS, Postgres, postgres_client, postgres_cluster

DATABASE: Final = "spire"


@dataclass(frozen=True, kw_only=True)
class TrustArgs:
    """The trust domain of one region."""

    place: ClusterPlace
    after: Sequence[pulumi.Resource]
    """Gates everything: namespaces and their rules, the operators of certificates and databases, the storage class."""


def datastore(place: ClusterPlace) -> Postgres:
    """SPIRE's database: three instances, for who cannot be named cannot speak."""
    return platform_database(place, SPIRE_SERVER_NAMESPACE, DATABASE, storage="10Gi", memory="512Mi")


def discovery_certificate() -> Manifest:
    """What the discovery provider serves its keys with: the name that Vault asks it by, signed by the namespace's authority."""
    return leaf(
        SPIRE_SERVER_NAMESPACE,
        DISCOVERY_SECRET,
        common_name="spire-discovery",  # the whole name is longer than the 64 characters a common name has
        usages=("server auth",),
        dns_names=(service_host(SPIRE_SERVER_NAMESPACE, DISCOVERY_SERVICE),),
    )


class Trust(Component, token="zerotrust:identity:Trust"):
    """SPIRE of one region and what it knows of the platform. `ready` is what every pod with an identity depends on."""

    trust_domain: str
    spire: tuple[pulumi.Resource, ...]
    """The release: federation reads the bundle it publishes."""
    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: TrustArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        place = args.place
        graph, context = place.graph, place.context
        self.trust_domain = graph.trust_domain(place.region)
        kinds = Kinds(f"{name}-kinds", KindsArgs(after=args.after), opts=self.child())
        wanted = datastore(place)
        database = IdentityManifests(
            f"{name}-datastore",
            ManifestsArgs(
                objects=(
                    *authority(SPIRE_SERVER_NAMESPACE),
                    discovery_certificate(),
                    *postgres_cluster(wanted),
                    postgres_client(wanted),
                ),
                after=args.after,
            ),
            opts=self.child(),
        )
        upstream = graph.settings.identity.upstream_authority
        policies = {"signing-keys": pulumi.Output.json_dumps(kms_policy(context, self.trust_domain))}
        if upstream.private_ca is not None:
            policies["private-ca"] = pulumi.Output.json_dumps(private_ca_policy(upstream.private_ca))
        role = PodIdentity(
            f"{name}-server",
            PodIdentityArgs(
                context=context,
                cluster_name=place.cluster_name,
                cluster_arn=place.cluster_arn,
                namespace=SPIRE_SERVER_NAMESPACE,
                service_account=SERVER_SERVICE_ACCOUNT,
                policies=policies,
            ),
            opts=self.child(),
        )
        spire = TrustDomain(
            f"{name}-domain",
            TrustDomainArgs(
                context=context,
                settings=graph.settings.identity,
                trust_domain=self.trust_domain,
                cluster_name=place.cluster,
                federated=len(graph.regions) > 1,
                datastore=Datastore(
                    host=wanted.host(writable=True),
                    database=wanted.database,
                    user=wanted.database,
                    client_secret=wanted.client_secret,
                ),
                storage_class=STORAGE_CLASS,
                after=[*args.after, *kinds.ready, *database.ready, *role.ready],
                replicas=graph.settings.cluster.pods(),
            ),
            opts=self.child(),
        )
        registrations = IdentityManifests(
            f"{name}-registrations",
            ManifestsArgs(objects=region_objects(graph, place.region), after=spire.ready),
            opts=self.child(),
        )
        self.spire = spire.ready
        # The registrations wait for the release.
        self.ready = registrations.ready
        self.register_outputs({})
