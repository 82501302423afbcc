"""Objects beside the collectors' releases: certificates of the pipeline, Services, and the mesh's rules about who may write.

The agents stand outside of the mesh, on nodes' own files; they and the gateways among themselves know each other by certificates
of one authority that signs for nobody else. Everybody else is told by SPIFFE id: spans may come from any workload of the graph,
events from the side-kick alone, audit records from the reader alone. The OTLP ports of spans take no other path.
"""

from typing import Any, Final

from components.certificates import Issuer, cluster_authority, leaf
from components.graph.identity import principal
from components.graph.model import Graph
from components.graph.names import (
    CLUSTER_DOMAIN,
    COLLECTOR,
    GATEWAYS,
    ISSUER_NAMESPACE,
    LOKI_SERVICE,
    MESH_NAMESPACE,
    OBSERVABILITY_NAMESPACE,
    OTLP_GRPC_PORT,
    OTLP_HTTP_PORT,
    RATE_LIMIT_NAMESPACE,
    RATE_LIMIT_SERVICE,
    SECURITY_NAMESPACE,
    SERVICE_LABEL,
    service_host,
)
from components.graph.traces import trace_hosts
from components.manifests import WITHOUT_AWAIT, Manifest, manifest
from components.observability.telemetry.names import (
    AGENT_NAMESPACE,
    AUDIT_PORT,
    CERTIFICATE,
    GATEWAY_HOST,
    ISSUER,
    PEERS,
    PEERS_HOST,
    READER,
    TLS_PORT,
)

_ISSUER: Final = Issuer(kind="ClusterIssuer", name=ISSUER)
TRACES_EXPORT: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
LOGS_EXPORT: Final = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
LABELS: Final = {SERVICE_LABEL: COLLECTOR}


def authority() -> tuple[Manifest, ...]:
    """The pipeline's authority."""
    return cluster_authority(ISSUER, "telemetry")


def certificates() -> tuple[Manifest, ...]:
    """An agent's as a client; a gateway's as server, and as client of its peers."""
    return (
        leaf(AGENT_NAMESPACE, CERTIFICATE, common_name="telemetry agent", usages=("client auth",), issuer=_ISSUER),
        leaf(
            OBSERVABILITY_NAMESPACE,
            CERTIFICATE,
            common_name="telemetry gateway",
            usages=("client auth", "server auth"),
            dns_names=(GATEWAY_HOST, PEERS_HOST),
            issuer=_ISSUER,
        ),
    )


def services() -> tuple[Manifest, ...]:
    """The gateway's Service, its ports named for the mesh, and the headless one of its instances."""

    def port(name: str, number: int) -> dict[str, Any]:
        return {"name": name, "port": number, "targetPort": number, "protocol": "TCP"}

    # `tcp-tls`: its TLS is its own, the proxies do not read it.
    own = port("tcp-tls", TLS_PORT)
    ports = [port("grpc-traces", OTLP_GRPC_PORT), port("http-events", OTLP_HTTP_PORT), port("grpc-audit", AUDIT_PORT), own]
    # the release with its pods comes after these objects: a service that waited for them would wait for ever
    return (
        manifest(
            "v1",
            "Service",
            COLLECTOR,
            namespace=OBSERVABILITY_NAMESPACE,
            labels=LABELS,
            annotations=WITHOUT_AWAIT,
            spec={"type": "ClusterIP", "selector": LABELS, "ports": ports},
        ),
        manifest(
            "v1",
            "Service",
            PEERS,
            namespace=OBSERVABILITY_NAMESPACE,
            labels=LABELS,
            spec={"type": "ClusterIP", "clusterIP": "None", "selector": LABELS, "ports": [own]},
        ),
    )


def senders(graph: Graph, region: str) -> tuple[str, ...]:
    """Principals whose proxies send spans: every workload of the region, the gateways, the rate limiter, the issuer."""
    domain = graph.trust_domain(region)
    found = {graph.principal(workload, region) for workload in graph.workloads.values() if region in workload.regions}
    found |= {graph.gateway_principal(gateway, region) for gateway in GATEWAYS}
    found.add(principal(domain, RATE_LIMIT_NAMESPACE, RATE_LIMIT_SERVICE))
    if graph.runs_issuer(region):
        found.add(principal(domain, ISSUER_NAMESPACE, "keycloak"))
    return tuple(sorted(found))


def writers(graph: Graph, region: str) -> Manifest:
    """Who may write what to the gateway. Its namespace denies everything else (`observability.stores`)."""
    domain = graph.trust_domain(region)

    def rule(principals: tuple[str, ...], port: int, path: str) -> dict[str, Any]:
        operation = {"methods": ["POST"], "paths": [path], "ports": [str(port)]}
        return {"from": [{"source": {"principals": list(principals)}}], "to": [{"operation": operation}]}

    rules = [
        rule(senders(graph, region), OTLP_GRPC_PORT, TRACES_EXPORT),
        rule((principal(domain, SECURITY_NAMESPACE, "falcosidekick"),), OTLP_HTTP_PORT, "/v1/logs"),
        rule((principal(domain, OBSERVABILITY_NAMESPACE, READER),), AUDIT_PORT, LOGS_EXPORT),
    ]
    spec = {"selector": {"matchLabels": LABELS}, "action": "ALLOW", "rules": rules}
    return manifest("security.istio.io/v1", "AuthorizationPolicy", COLLECTOR, namespace=OBSERVABILITY_NAMESPACE, spec=spec)


def scopes(graph: Graph) -> tuple[Manifest, ...]:
    """What the gateway's and the reader's proxies can name. AWS and sinks go past the proxy, by the network's rules."""
    istiod = f"{MESH_NAMESPACE}/istiod.{MESH_NAMESPACE}.svc.{CLUSTER_DOMAIN}"
    stores = {service_host(OBSERVABILITY_NAMESPACE, LOKI_SERVICE), *trace_hosts(graph).values()}
    reached = {COLLECTOR: [istiod, *(f"./{host}" for host in stores)], READER: [istiod, f"./{GATEWAY_HOST}"]}
    return tuple(
        manifest(
            "networking.istio.io/v1",
            "Sidecar",
            name,
            namespace=OBSERVABILITY_NAMESPACE,
            spec={
                "workloadSelector": {"labels": {SERVICE_LABEL: name}},
                "egress": [{"hosts": sorted(hosts)}],
                "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"},
            },
        )
        for name, hosts in sorted(reached.items())
    )


def region_objects(graph: Graph, region: str) -> tuple[Manifest, ...]:
    """Everything of a region that is no release."""
    return (*authority(), *certificates(), *services(), writers(graph, region), *scopes(graph))


def registrations() -> tuple[tuple[str, str, dict[str, str]], ...]:
    """Namespace, account and labels of what must have an identity, as SPIRE's registrations take them."""
    return tuple((OBSERVABILITY_NAMESPACE, name, {SERVICE_LABEL: name}) for name in (COLLECTOR, READER))
