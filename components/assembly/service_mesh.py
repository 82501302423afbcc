"""The mesh of a region: Istio, its region-wide objects, the gateways, the rate limiter, and the token issuer where it runs.

Order: istiod, then what every proxy must obey, then the first pods with a proxy. A gateway that came up before its rules would
answer by none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi

from components.assembly.place import ClusterPlace, platform_database
from components.base import Component
from components.certificates import authority, leaf
from components.decision.objects import region_objects as decision_objects
from components.delivery.argocd import PORT_FORWARD
from components.graph.names import GATEWAYS, INGRESS, ISSUER_NAMESPACE, RATE_LIMIT_NAMESPACE, RATE_LIMIT_SERVICE
from components.identity.issuer import Issuer, IssuerArgs
from components.identity.realm_pages import PageClient
from components.identity.spire import Datastore
from components.manifests import Manifest, ManifestsArgs, MeshManifests
from components.mesh.authentication import audience
from components.mesh.gateways import MeshGateway, MeshGatewayArgs
from components.mesh.ingress import CERTIFICATE_SECRET
from components.mesh.issuer import issuer_objects
from components.mesh.istio import Istio, IstioArgs, MeshIdentity
from components.mesh.limits import rate_limit_config
from components.mesh.mesh_config import mesh_config
from components.mesh.objects import region_objects
from components.mesh.ratelimit import Counters, RateLimiter, RateLimiterArgs
from components.observability.grafana import PAGE
from components.settings import Settings
from components.tenancy.postgres import Postgres, postgres_client, postgres_cluster
from components.tenancy.valkey import Valkey, valkey_cache

COUNTERS: Final = "counters"
COUNTERS_CLIENT: Final = "counters-client-tls"
ISSUER_DATABASE: Final = "accounts"
"""Not as the issuer: the operator makes a service account of the database's name, and the issuer's own is `keycloak`."""


@dataclass(frozen=True, kw_only=True)
class ServiceMeshArgs:
    """The mesh of one region."""

    place: ClusterPlace
    ground: Sequence[pulumi.Resource]
    """Gates istiod: namespaces and their rules, the operators."""
    trust: Sequence[pulumi.Resource]
    """Gates every pod with a proxy: SPIRE and the registrations."""


def gateway_certificate(place: ClusterPlace) -> tuple[Manifest, ...]:
    """What the ingress gateway shows the load balancers, which verify nobody: an internal authority's certificate will do."""
    hosts = [place.graph.settings.edge.domain]
    if place.graph.runs_issuer(place.region):
        hosts.append(place.graph.settings.identity.issuer_host)
    return (
        *authority(INGRESS.namespace),
        leaf(INGRESS.namespace, CERTIFICATE_SECRET, common_name=INGRESS.name, usages=("server auth",), dns_names=hosts),
    )


def counters(place: ClusterPlace) -> Valkey:
    """The rate limiter's Valkey; a count that is lost begins anew."""
    return Valkey(
        namespace=RATE_LIMIT_NAMESPACE,
        name=COUNTERS,
        image=place.graph.settings.images.valkey,
        instances=place.graph.settings.cluster.pods(2),
        memory="256Mi",
        users={RATE_LIMIT_SERVICE: "read_write"},
    )


def issuer_database(place: ClusterPlace) -> Postgres:
    """Keycloak's database."""
    return platform_database(place, ISSUER_NAMESPACE, ISSUER_DATABASE, storage="20Gi", memory="1Gi")


def pages(settings: Settings) -> tuple[PageClient, ...]:
    """What the platform's people sign in to by the issuer: Grafana, and Argo CD where it is installed."""
    seen, gitops = settings.observability.dashboards, settings.delivery.gitops
    found = [
        PageClient(
            client_id=seen.client_id,
            redirect_uris=(f"{PAGE}/login/generic_oauth",),
            roles=(seen.admin_role, seen.viewer_role),
        )
    ]
    if gitops.enabled:
        address = f"https://{gitops.host or PORT_FORWARD}"
        # The page's own flow ends at the first; the command line's at the second, on the person's own machine.
        uris = (f"{address}/pkce/verify", "http://localhost:8085/auth/callback")
        found.append(PageClient(client_id=gitops.client_id, redirect_uris=uris))
    return tuple(found)


class ServiceMesh(Component, token="zerotrust:mesh:ServiceMesh"):
    """Everything of the mesh that a region has once. `ready` is what tenants depend on."""

    gateways: Mapping[str, tuple[pulumi.Resource, ...]]
    """Each gateway's release, by its name."""
    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: ServiceMeshArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        place = args.place
        graph = place.graph
        istio = Istio(
            f"{name}-istio",
            IstioArgs(
                identity=MeshIdentity(mesh=place.context.physical("mesh"), cluster=place.cluster, network=place.region),
                mesh_config=mesh_config(graph, place.region),
                after=args.ground,
                replicas=graph.settings.cluster.pods(),
            ),
            opts=self.child(),
        )
        rules = MeshManifests(
            f"{name}-rules",
            ManifestsArgs(
                objects=(
                    *region_objects(graph, place.region),
                    *decision_objects(graph, place.region),
                    *issuer_objects(graph, place.region),
                ),
                after=istio.ready,
            ),
            opts=self.child(),
        )
        certificate = MeshManifests(
            f"{name}-certificate", ManifestsArgs(objects=gateway_certificate(place), after=args.ground), opts=self.child()
        )
        # The rules wait for istiod and the node agent.
        before = [*rules.ready, *args.trust]
        limiter = self._rate_limiter(name, place, args.ground, before)
        self.gateways = {
            gateway.name: MeshGateway(
                f"{name}-{gateway.name}",
                MeshGatewayArgs(gateway=gateway, after=[*before, *certificate.ready], replicas=graph.settings.cluster.pods()),
                opts=self.child(),
            ).ready
            for gateway in GATEWAYS
        }
        issuer = self._issuer(name, place, args.ground, before)
        releases = [resource for ready in self.gateways.values() for resource in ready]
        # Each of them waits for the rules and the trust domain.
        self.ready = (*releases, *limiter, *issuer)
        self.register_outputs({})

    def _rate_limiter(
        self, name: str, place: ClusterPlace, ground: Sequence[pulumi.Resource], before: Sequence[pulumi.Resource]
    ) -> tuple[pulumi.Resource, ...]:
        wanted = counters(place)
        client = leaf(RATE_LIMIT_NAMESPACE, COUNTERS_CLIENT, common_name=RATE_LIMIT_SERVICE, usages=("client auth",))
        valkey = MeshManifests(
            f"{name}-counters",
            ManifestsArgs(objects=(*authority(RATE_LIMIT_NAMESPACE), *valkey_cache(wanted), client), after=ground),
            opts=self.child(),
        )
        return RateLimiter(
            f"{name}-rate-limiter",
            RateLimiterArgs(
                image=place.graph.settings.images.rate_limit,
                config=rate_limit_config(place.graph),
                counters=Counters(host=wanted.host(writable=True), client_secret=COUNTERS_CLIENT),
                after=[*before, *valkey.ready],
                replicas=place.graph.settings.cluster.pods(),
            ),
            opts=self.child(),
        ).ready

    def _issuer(
        self, name: str, place: ClusterPlace, ground: Sequence[pulumi.Resource], before: Sequence[pulumi.Resource]
    ) -> tuple[pulumi.Resource, ...]:
        if not place.graph.runs_issuer(place.region):
            return ()
        identity, wanted = place.graph.settings.identity, issuer_database(place)
        database = MeshManifests(
            f"{name}-issuer-database",
            ManifestsArgs(
                objects=(*authority(ISSUER_NAMESPACE), *postgres_cluster(wanted), postgres_client(wanted, der=True)),
                after=ground,
            ),
            opts=self.child(),
        )
        return Issuer(
            f"{name}-issuer",
            IssuerArgs(
                issuer=identity.issuer,
                clients=tuple(place.graph.clients.values()),
                pages=pages(place.graph.settings),
                audience=audience(place.graph),
                token_minutes=identity.access_token_ttl_minutes,
                datastore=Datastore(
                    host=wanted.host(writable=True),
                    database=wanted.database,
                    user=wanted.database,
                    client_secret=wanted.client_secret,
                ),
                after=[*before, *database.ready],
                replicas=place.graph.settings.cluster.pods(),
            ),
            opts=self.child(),
        ).ready
