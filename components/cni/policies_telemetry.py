"""Network rules of the collectors: who sends them logs and traces, and where these go.

Agents speak to the gateway's TLS port and to the API server. Spans come from the sidecar of every workload of the graph, at one
port; which of them may write is said again by SPIFFE id in the mesh. Sinks and AWS are named hosts.
"""

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from components.cni.policies import CredentialAgent, Flow, Hosts, Lookups, Pods, Policy
from components.cni.policies_mesh import ISSUER, LIMITER
from components.cni.policies_observability import LOKI, scraped, trace_pods
from components.cni.policies_tenant import (
    API_PORT,
    ISTIOD,
    ISTIOD_PORT,
    TO_ISTIOD,
    control_plane,
    gateway_pods,
    subnets,
    workload_pods,
)
from components.graph.model import Graph
from components.graph.names import (
    COLLECTOR,
    GATEWAYS,
    LOKI_PORT,
    LOKI_SERVICE,
    NODE_TELEMETRY_NAMESPACE,
    OBSERVABILITY_NAMESPACE,
    OTLP_GRPC_PORT,
    PROXY_METRICS_PORT,
    SERVICE_LABEL,
    service_host,
)
from components.graph.traces import trace_hosts
from components.names import bucket_name
from components.settings.siem import FirehoseSink, HttpSink, OpenSearchSink, S3Sink

TLS_PORT, AUDIT_PORT, METRICS_PORT = 4316, 4319, 8888
"""As `observability.telemetry.names` has them; a test holds both to each other."""
GATEWAY: Final = Pods(
    namespace=OBSERVABILITY_NAMESPACE, labels={SERVICE_LABEL: COLLECTOR}, service_account=COLLECTOR, stateful=True
)
READER: Final = Pods(
    namespace=OBSERVABILITY_NAMESPACE, labels={SERVICE_LABEL: "audit-reader"}, service_account="audit-reader", stateful=True
)
AGENTS: Final = Pods(
    namespace=NODE_TELEMETRY_NAMESPACE, labels={SERVICE_LABEL: "telemetry-agent"}, service_account="telemetry-agent"
)
GATEWAY_NAME: Final = service_host(OBSERVABILITY_NAMESPACE, COLLECTOR)
PEERS_NAME: Final = service_host(OBSERVABILITY_NAMESPACE, f"{COLLECTOR}-peers")
TO_GATEWAY: Final = (Flow(peer=GATEWAY, ports=(OTLP_GRPC_PORT,)), Flow(peer=Lookups(names=(GATEWAY_NAME,))))
"""A proxy's way to the gateway with its spans."""


def telemetry_policies(graph: Graph, region: str) -> tuple[Policy, ...]:
    """Agents, gateway, reader, and the meshed parts of the platform that send spans."""
    return (
        *_agents(graph, region),
        *_gateway(graph),
        *_sinks(graph, region),
        *_reader(graph, region),
        *_platform_spans(graph, region),
        *(
            policy
            for name, pods, port in (
                ("collectors", GATEWAY, PROXY_METRICS_PORT),
                ("audit-reader", READER, PROXY_METRICS_PORT),
                ("agents", AGENTS, METRICS_PORT),
            )
            for policy in scraped(name, pods, (port,))
        ),
    )


def tenant_spans(graph: Graph, region: str, tenant: str) -> tuple[Policy, ...]:
    """The tenant's services to the gateway, both sides; nothing where it runs none."""
    workloads = graph.workloads_of(tenant, region)
    if not workloads:
        return ()
    senders = tuple(Flow(peer=workload_pods(workload), ports=(OTLP_GRPC_PORT,)) for workload in workloads)
    return (
        Policy(name=f"spans-tenant-{tenant}", subject=GATEWAY, ingress=senders),
        *(Policy(name=f"spans-{workload.name}", subject=workload_pods(workload), egress=TO_GATEWAY) for workload in workloads),
    )


def _spans(name: str, pods: Pods) -> Iterator[Policy]:
    yield Policy(name=f"spans-{name}", subject=GATEWAY, ingress=(Flow(peer=pods, ports=(OTLP_GRPC_PORT,)),))
    yield Policy(name="spans", subject=pods, egress=TO_GATEWAY)


def _platform_spans(graph: Graph, region: str) -> Iterator[Policy]:
    for gateway in GATEWAYS:
        yield from _spans(gateway.name, gateway_pods(gateway))
    yield from _spans("limiter", LIMITER)
    if graph.runs_issuer(region):
        yield from _spans("issuer", ISSUER)


def _agents(graph: Graph, region: str) -> Iterator[Policy]:
    yield Policy(
        name="agents",
        subject=AGENTS,
        egress=(
            Flow(peer=GATEWAY, ports=(TLS_PORT,)),
            Flow(peer=control_plane(graph, region), ports=(API_PORT,)),
            Flow(peer=Lookups(names=(GATEWAY_NAME,))),
        ),
    )
    yield Policy(name="agents", subject=GATEWAY, ingress=(Flow(peer=AGENTS, ports=(TLS_PORT,)),))


def _gateway(graph: Graph) -> Iterator[Policy]:
    peers = Flow(peer=GATEWAY, ports=(TLS_PORT,))
    yield Policy(name="peers", subject=GATEWAY, ingress=(peers,), egress=(peers, Flow(peer=Lookups(names=(PEERS_NAME,)))))
    stores = {service_host(OBSERVABILITY_NAMESPACE, LOKI_SERVICE), *trace_hosts(graph).values()}
    yield Policy(
        name="stores",
        subject=GATEWAY,
        egress=(
            Flow(peer=LOKI, ports=(LOKI_PORT,)),
            Flow(peer=trace_pods(graph), ports=(OTLP_GRPC_PORT,)),
            Flow(peer=Lookups(names=tuple(sorted(stores)))),
        ),
    )
    for name, pods in (("collectors", GATEWAY), ("audit-reader", READER)):
        yield Policy(name=f"mesh-{name}", subject=pods, egress=TO_ISTIOD)
        yield Policy(name=f"mesh-{name}", subject=ISTIOD, ingress=(Flow(peer=pods, ports=(ISTIOD_PORT,)),))


def _sinks(graph: Graph, region: str) -> Iterator[Policy]:
    """Each sink by its own name: of those of AWS none has an interface endpoint in the VPC."""
    for name, sink in sorted(graph.settings.siem.sinks.items()):
        hosts: tuple[str, ...]
        match sink:
            case HttpSink(url=url) | OpenSearchSink(url=url):
                hosts = (str(urlsplit(url).hostname),)
            case S3Sink():
                hosts = (f"s3.{region}.amazonaws.com", f"{_bucket(graph, region, sink)}.s3.{region}.amazonaws.com")
            case FirehoseSink():
                hosts = (f"kinesis.{region}.amazonaws.com",)
        flows = (Flow(peer=Hosts(names=hosts), ports=(API_PORT,)), Flow(peer=Lookups(names=hosts)))
        agent = () if isinstance(sink, HttpSink) else (Flow(peer=CredentialAgent()),)
        yield Policy(name=f"sink-{name}", subject=GATEWAY, egress=(*flows, *agent))


def _bucket(graph: Graph, region: str, sink: S3Sink) -> str:
    if sink.bucket is not None:
        return sink.bucket
    settings = graph.settings
    return bucket_name(settings.organization, settings.environment, region, "audit", settings.account.id)


def _reader(graph: Graph, region: str) -> Iterator[Policy]:
    settings = graph.settings.siem
    if not (settings.read_cluster_audit or (settings.read_cloud_trail and region == graph.settings.home_region)):
        return
    host = (f"logs.{region}.amazonaws.com",)
    yield Policy(
        name="audit-logs",
        subject=READER,
        egress=(
            Flow(peer=Hosts(names=host, inside=subnets(graph, region, "intra")), ports=(API_PORT,)),
            Flow(peer=Lookups(names=(*host, GATEWAY_NAME))),
            Flow(peer=CredentialAgent()),
            Flow(peer=GATEWAY, ports=(AUDIT_PORT,)),
        ),
    )
    yield Policy(name="audit-records", subject=GATEWAY, ingress=(Flow(peer=READER, ports=(AUDIT_PORT,)),))
