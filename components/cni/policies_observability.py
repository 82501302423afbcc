"""Network rules of metrics, logs and traces: who scrapes, who sends, who stores.

Who is scraped stands in SCRAPED, a row for each system: the row opens the system's ports to Prometheus and Prometheus's way to
them, both and nothing else. A pod of the mesh is asked at its proxy's port for metrics, which hands out the application's too: no
application opens a port of its own, and none answers without mutual TLS elsewhere. That port and the exporters' own speak
plainly inside the nodes' encryption, so it is these rules that keep everybody but Prometheus from reading them.
"""

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from components.cni import dns
from components.cni.policies import CredentialAgent, Flow, Hosts, Lookups, Nodes, Pods, Policy
from components.cni.policies_admission import SCRAPED as ADMISSION
from components.cni.policies_backup import FAULT_METRICS_PORT, FAULTS, VELERO_SERVED
from components.cni.policies_delivery import SCRAPED as DELIVERY
from components.cni.policies_mesh import ISSUER, LIMITER
from components.cni.policies_platform import PODS
from components.cni.policies_tenant import (
    API_PORT,
    DATABASE_LABEL,
    DATABASE_OPERATOR,
    ISTIOD,
    ISTIOD_PORT,
    TO_ISTIOD,
    VAULT,
    control_plane,
    gateway_pods,
    subnets,
)
from components.graph.model import Graph
from components.graph.names import (
    CERTIFICATES_NAMESPACE,
    COLLECTOR,
    GATEWAYS,
    ISSUER_NAMESPACE,
    LOKI_PORT,
    LOKI_SERVICE,
    OBSERVABILITY_NAMESPACE,
    OTLP_GRPC_PORT,
    PROMETHEUS,
    PROMETHEUS_PORT,
    PROMETHEUS_SERVICE,
    PROXY_METRICS_PORT,
    RUNTIME_NAMESPACE,
    SECURITY_NAMESPACE,
    SERVICE_LABEL,
    SPIRE_SERVER_NAMESPACE,
    SYSTEM_NAMESPACE,
    VAULT_PORT,
    service_host,
)
from components.graph.traces import by_jaeger, trace_hosts, trace_port, trace_store
from components.names import bucket_name

PROMETHEUS_PODS: Final = Pods(
    namespace=OBSERVABILITY_NAMESPACE, labels={SERVICE_LABEL: PROMETHEUS}, service_account=PROMETHEUS, stateful=True
)
ALERTMANAGER: Final = Pods(
    namespace=OBSERVABILITY_NAMESPACE, labels={SERVICE_LABEL: "alertmanager"}, service_account="alertmanager", stateful=True
)
LOKI: Final = Pods(namespace=OBSERVABILITY_NAMESPACE, labels={SERVICE_LABEL: "loki"}, service_account="loki", stateful=True)
GRAFANA: Final = Pods(namespace=OBSERVABILITY_NAMESPACE, labels={SERVICE_LABEL: "grafana"}, service_account="grafana")
MONITORING_OPERATOR: Final = Pods(namespace=OBSERVABILITY_NAMESPACE, labels={"app": "kube-prometheus-stack-operator"})
CLUSTER_STATE: Final = Pods(namespace=OBSERVABILITY_NAMESPACE, labels={SERVICE_LABEL: "kube-state-metrics"})
COLLECTORS: Final = Pods(
    namespace=OBSERVABILITY_NAMESPACE, labels={SERVICE_LABEL: COLLECTOR}, service_account=COLLECTOR, stateful=True
)
SIDE_KICK: Final = Pods(namespace=SECURITY_NAMESPACE, labels={SERVICE_LABEL: "falcosidekick"}, service_account="falcosidekick")
ALERTMANAGER_PORT, ALERTMANAGER_PEER_PORT = 9093, 9094
LOKI_PEER_PORTS: Final = (7946, 9095)
"""Loki's instances among themselves: membership and gRPC, by pod addresses."""
RELOADER_PORT: Final = 8080
SPIRE_METRICS_PORT: Final = 9988
DATABASE_METRICS_PORT: Final = 9187
CERTIFICATES_METRICS_PORT: Final = 9402
NODE_PORTS: Final = (9100, 9962, 9963, 9964, 9965, 10250)
"""In the nodes' own network: node exporter; Cilium's agent, operator, proxy and flows; kubelet."""

SCRAPED: Final[tuple[tuple[str, Pods, tuple[int, ...]], ...]] = (
    ("istiod", ISTIOD, (15014,)),
    *ADMISSION,
    *DELIVERY,
    *((gateway.name, gateway_pods(gateway), (PROXY_METRICS_PORT,)) for gateway in GATEWAYS),
    ("limiter", LIMITER, (PROXY_METRICS_PORT,)),
    ("issuer", ISSUER, (PROXY_METRICS_PORT,)),
    ("spire-server", PODS["spire"], (SPIRE_METRICS_PORT,)),
    ("spire-agent", PODS["spire-agent"], (SPIRE_METRICS_PORT,)),
    ("spire-database", Pods(namespace=SPIRE_SERVER_NAMESPACE, present=(DATABASE_LABEL,)), (DATABASE_METRICS_PORT,)),
    ("issuer-database", Pods(namespace=ISSUER_NAMESPACE, present=(DATABASE_LABEL,)), (DATABASE_METRICS_PORT,)),
    ("database-operator", DATABASE_OPERATOR, (8080,)),
    *(
        (
            f"certificates-{part}",
            Pods(namespace=CERTIFICATES_NAMESPACE, labels={SERVICE_LABEL: part}),
            (CERTIFICATES_METRICS_PORT,),
        )
        for part in ("cainjector", "cert-manager", "webhook")
    ),
    ("external-dns", PODS["external-dns"], (7979,)),
    ("load-balancers", PODS["load-balancers"], (8080,)),
    ("karpenter", PODS["karpenter"], (8080,)),
    ("metrics-server", PODS["metrics"], (10250,)),
    ("dns", PODS["dns"], (9153,)),
    ("prometheus", PROMETHEUS_PODS, (RELOADER_PORT, PROXY_METRICS_PORT)),
    ("alertmanager", ALERTMANAGER, (RELOADER_PORT, ALERTMANAGER_PORT)),
    ("grafana", GRAFANA, (PROXY_METRICS_PORT,)),
    ("loki", LOKI, (PROXY_METRICS_PORT,)),
    ("monitoring-operator", MONITORING_OPERATOR, (8080,)),
    ("cluster-state", CLUSTER_STATE, (8080,)),
    ("flows", Pods(namespace=SYSTEM_NAMESPACE, labels={"k8s-app": "hubble-relay"}), (9966,)),
    ("vault", VAULT, (VAULT_PORT,)),
    ("velero", VELERO_SERVED, (8085,)),
    ("faults", FAULTS, (FAULT_METRICS_PORT,)),
    ("falco", Pods(namespace=RUNTIME_NAMESPACE, labels={SERVICE_LABEL: "falco"}), (8765,)),
    ("side-kick", SIDE_KICK, (PROXY_METRICS_PORT,)),
)
"""A policy's name, the pods, and their ports for metrics. A system adds its own row."""


def observability_policies(graph: Graph, region: str) -> tuple[Policy, ...]:
    """Everything that a region has once."""
    return (
        *(policy for row in SCRAPED for policy in scraped(*row)),
        *_metrics(graph, region),
        *_alerts(graph),
        *_stores(graph, region),
        *_traces(graph, region),
        *_pages(graph, region),
    )


def trace_pods(graph: Graph) -> Pods:
    """The store of traces, whichever the settings chose."""
    store = trace_store(graph)
    return Pods(namespace=OBSERVABILITY_NAMESPACE, labels={SERVICE_LABEL: store}, service_account=store, stateful=True)


def tenant_scrapes(graph: Graph, region: str, tenant: str) -> tuple[Policy, ...]:
    """Prometheus's way to a tenant's proxies and databases, both sides; nothing where the tenant has neither."""
    pods = Pods(namespace=tenant)
    rows: list[tuple[str, Pods, tuple[int, ...]]] = []
    if graph.workloads_of(tenant, region):
        rows.append((f"tenant-{tenant}", pods, (PROXY_METRICS_PORT,)))
    if any(store.kind == "database" for store in graph.stores_of(tenant)):
        databases = Pods(namespace=tenant, present=(DATABASE_LABEL,))
        rows.append((f"databases-{tenant}", databases, (DATABASE_METRICS_PORT,)))
    return tuple(policy for row in rows for policy in scraped(*row))


def scraped(name: str, pods: Pods, ports: tuple[int, ...]) -> Iterator[Policy]:
    """Both sides of one row."""
    yield Policy(name=f"scraped-{name}", subject=pods, ingress=(Flow(peer=PROMETHEUS_PODS, ports=ports),))
    yield Policy(name=f"scrapes-{name}", subject=PROMETHEUS_PODS, egress=(Flow(peer=pods, ports=ports),))


def meshed(name: str, pods: Pods) -> Iterator[Policy]:
    """A proxy and istiod, both sides."""
    yield Policy(name=f"mesh-{name}", subject=pods, egress=TO_ISTIOD)
    yield Policy(name=f"mesh-{name}", subject=ISTIOD, ingress=(Flow(peer=pods, ports=(ISTIOD_PORT,)),))


def _out(name: str, pods: Pods, *hosts: str) -> Policy:
    """Hosts of the internet by name."""
    return Policy(
        name=name,
        subject=pods,
        egress=(Flow(peer=Hosts(names=hosts), ports=(API_PORT,)), Flow(peer=Lookups(names=hosts))),
    )


def _metrics(graph: Graph, region: str) -> Iterator[Policy]:
    server = control_plane(graph, region)
    nodes = Nodes(cidrs=subnets(graph, region, "private"))
    yield from meshed("prometheus", PROMETHEUS_PODS)
    for name, pods in (("prometheus", PROMETHEUS_PODS), ("operator", MONITORING_OPERATOR), ("cluster-state", CLUSTER_STATE)):
        yield Policy(name=f"{name}-api", subject=pods, egress=(Flow(peer=server, ports=(API_PORT,)),))
    yield Policy(name="scrapes-nodes", subject=PROMETHEUS_PODS, egress=(Flow(peer=nodes, ports=NODE_PORTS),))
    if region in graph.settings.observability.metrics.workspaces:
        out = _out("remote-write", PROMETHEUS_PODS, f"aps-workspaces.{region}.amazonaws.com")
        yield Policy(name=out.name, subject=out.subject, egress=(*out.egress, Flow(peer=CredentialAgent())))


def _alerts(graph: Graph) -> Iterator[Policy]:
    """Alertmanager's instances tell each other by name what has been sent; the operator makes their Service."""
    alert = (Flow(peer=ALERTMANAGER, ports=(ALERTMANAGER_PORT,)),)
    for name, pods in (("prometheus", PROMETHEUS_PODS), ("loki", LOKI)):
        yield Policy(name=f"alerts-{name}", subject=pods, egress=alert)
        yield Policy(name=f"alerted-by-{name}", subject=ALERTMANAGER, ingress=(Flow(peer=pods, ports=(ALERTMANAGER_PORT,)),))
    among = Flow(peer=ALERTMANAGER, ports=(ALERTMANAGER_PEER_PORT,), protocols=("TCP", "UDP"))
    lookups = Flow(peer=Lookups(patterns=dns.services_of(OBSERVABILITY_NAMESPACE)))
    yield Policy(name="instances-alertmanager", subject=ALERTMANAGER, ingress=(among,), egress=(among, lookups))
    hosts = graph.settings.observability.alert_hosts
    if hosts:
        yield _out("receivers", ALERTMANAGER, *hosts)


def _stored(graph: Graph, region: str, name: str, pods: Pods, purpose: str) -> Policy:
    """A bucket by the gateway endpoint, which leaves S3 its public addresses, under either form of its name."""
    service = f"s3.{region}.amazonaws.com"
    settings = graph.settings
    bucket = bucket_name(settings.organization, settings.environment, region, purpose, settings.account.id)
    hosts = (service, f"{bucket}.{service}")
    out = _out(name, pods, *hosts)
    return Policy(name=f"{name}-bucket", subject=pods, egress=(*out.egress, Flow(peer=CredentialAgent())))


def _stores(graph: Graph, region: str) -> Iterator[Policy]:
    lookups = Flow(peer=Lookups(patterns=dns.services_of(OBSERVABILITY_NAMESPACE)))
    yield from meshed("loki", LOKI)
    among = Flow(peer=LOKI, ports=LOKI_PEER_PORTS)
    yield Policy(name="instances-loki", subject=LOKI, ingress=(among,), egress=(among, lookups))
    yield _stored(graph, region, "loki", LOKI, "logs")
    for name, pods in (("collectors", COLLECTORS), ("side-kick", SIDE_KICK)):
        yield Policy(name=f"logs-{name}", subject=LOKI, ingress=(Flow(peer=pods, ports=(LOKI_PORT,)),))


def _traces(graph: Graph, region: str) -> Iterator[Policy]:
    """The store of traces; Jaeger has its volume and speaks to nobody but istiod."""
    store, pods = trace_store(graph), trace_pods(graph)
    yield from scraped(store, pods, (PROXY_METRICS_PORT,))
    yield from meshed(store, pods)
    if not by_jaeger(graph):
        yield _stored(graph, region, store, pods, "traces")
    yield Policy(name="traces-collectors", subject=pods, ingress=(Flow(peer=COLLECTORS, ports=(OTLP_GRPC_PORT,)),))


def _pages(graph: Graph, region: str) -> Iterator[Policy]:
    """Grafana reads; nobody reaches it over the network: who may forward a port to it comes in by the API server."""
    yield from meshed("grafana", GRAFANA)
    for name, hosts, pods, port in (
        ("prometheus", {service_host(OBSERVABILITY_NAMESPACE, PROMETHEUS_SERVICE)}, PROMETHEUS_PODS, PROMETHEUS_PORT),
        ("loki", {service_host(OBSERVABILITY_NAMESPACE, LOKI_SERVICE)}, LOKI, LOKI_PORT),
        (trace_store(graph), set(trace_hosts(graph).values()), trace_pods(graph), trace_port(graph)),
    ):
        names = Lookups(names=tuple(sorted(hosts)))
        yield Policy(name=f"reads-{name}", subject=GRAFANA, egress=(Flow(peer=pods, ports=(port,)), Flow(peer=names)))
        yield Policy(name=f"read-{name}", subject=pods, ingress=(Flow(peer=GRAFANA, ports=(port,)),))
    yield Policy(name="grafana-api", subject=GRAFANA, egress=(Flow(peer=control_plane(graph, region), ports=(API_PORT,)),))
    login = graph.settings.observability.dashboards.login
    urls = (login.token_url, login.userinfo_url) if login else (graph.settings.identity.issuer,)
    yield _out("grafana-issuer", GRAFANA, *sorted({str(urlsplit(url).hostname) for url in urls}))
