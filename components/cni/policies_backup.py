"""Network rules of backups and chaos: who writes to the bucket of backups, the archive's plug-in, the faults' controller.

Everything in Velero's namespace writes to the bucket: the server, the agents and the jobs that Velero starts for a copy or for
maintenance, whose labels it chooses itself. The bucket is reached by the gateway endpoint, which leaves S3 its public addresses.
Chaos Mesh has rules only where it is installed.
"""

from collections.abc import Iterator
from typing import Final

from components.cni.policies import CredentialAgent, Flow, Hosts, Lookups, Pods, Policy
from components.cni.policies_tenant import (
    API_PORT,
    DATABASE_LABEL,
    DATABASE_OPERATOR,
    ISTIOD,
    ISTIOD_PORT,
    TO_ISTIOD,
    control_plane,
)
from components.graph.model import Graph
from components.graph.names import (
    BACKUP_NAMESPACE,
    CHAOS_NAMESPACE,
    DATABASE_OPERATOR_NAMESPACE,
    FAULT_CONTROLLER_LABELS,
    ISSUER_NAMESPACE,
    OBSERVABILITY_NAMESPACE,
    PROMETHEUS,
    PROMETHEUS_PORT,
    PROMETHEUS_SERVICE,
    SERVICE_LABEL,
    SPIRE_SERVER_NAMESPACE,
    service_host,
)
from components.names import bucket_name

VELERO: Final = Pods(namespace=BACKUP_NAMESPACE)
VELERO_SERVED: Final = Pods(namespace=BACKUP_NAMESPACE, labels={SERVICE_LABEL: "velero"})
"""The server and the agents: what has metrics."""
ARCHIVER: Final = Pods(namespace=DATABASE_OPERATOR_NAMESPACE, labels={SERVICE_LABEL: "plugin-barman-cloud"})
ARCHIVER_SERVICE, ARCHIVER_PORT = "barman-cloud", 9090
FAULTS: Final = Pods(namespace=CHAOS_NAMESPACE, labels=FAULT_CONTROLLER_LABELS)
FAULT_DAEMON: Final = Pods(
    namespace=CHAOS_NAMESPACE, labels={"app.kubernetes.io/component": "chaos-daemon", SERVICE_LABEL: "chaos-mesh"}
)
FAULT_WEBHOOK_PORT, FAULT_METRICS_PORT, FAULT_DAEMON_PORT = 10250, 10080, 31767


def backup_policies(graph: Graph, region: str) -> tuple[Policy, ...]:
    """What a region has once."""
    return (
        *_velero(graph, region),
        *_archiver(graph, region),
        *(_archived(graph, region, space) for space in _platform_databases(graph)),
        *(_chaos(graph, region) if graph.settings.chaos.enabled else ()),
    )


def tenant_backups(graph: Graph, region: str, tenant: str) -> tuple[Policy, ...]:
    """The way of a tenant's databases to their archive; nothing for a tenant without."""
    has = any(store.kind == "database" for store in graph.stores_of(tenant))
    return (_archived(graph, region, tenant),) if has else ()


def _platform_databases(graph: Graph) -> tuple[str, ...]:
    issuer = (ISSUER_NAMESPACE,) if graph.settings.identity.issuer_kind == "keycloak" else ()
    return (SPIRE_SERVER_NAMESPACE, *issuer)


def _bucket(graph: Graph, region: str) -> tuple[Flow, ...]:
    """The region's bucket of backups under either form of its name, and the credentials for it."""
    settings = graph.settings
    name = bucket_name(settings.organization, settings.environment, region, "backup", settings.account.id)
    hosts = (f"{name}.s3.{region}.amazonaws.com", f"s3.{region}.amazonaws.com")
    return (Flow(peer=Hosts(names=hosts), ports=(API_PORT,)), Flow(peer=Lookups(names=hosts)), Flow(peer=CredentialAgent()))


def _velero(graph: Graph, region: str) -> Iterator[Policy]:
    yield Policy(name="velero-api", subject=VELERO, egress=(Flow(peer=control_plane(graph, region), ports=(API_PORT,)),))
    yield Policy(name="velero-bucket", subject=VELERO, egress=_bucket(graph, region))


def _archived(graph: Graph, region: str, namespace: str) -> Policy:
    """Every database of a namespace; its role in AWS confines it to its own folder."""
    pods = Pods(namespace=namespace, present=(DATABASE_LABEL,))
    return Policy(name="archive", subject=pods, egress=_bucket(graph, region))


def _archiver(graph: Graph, region: str) -> Iterator[Policy]:
    lookups = Lookups(names=(service_host(DATABASE_OPERATOR_NAMESPACE, ARCHIVER_SERVICE),))
    yield Policy(
        name="archiver",
        subject=ARCHIVER,
        ingress=(Flow(peer=DATABASE_OPERATOR, ports=(ARCHIVER_PORT,)),),
        egress=(Flow(peer=control_plane(graph, region), ports=(API_PORT,)),),
    )
    yield Policy(
        name="operator-archiver",
        subject=DATABASE_OPERATOR,
        egress=(Flow(peer=ARCHIVER, ports=(ARCHIVER_PORT,)), Flow(peer=lookups)),
    )


def _chaos(graph: Graph, region: str) -> Iterator[Policy]:
    """The controller asks Prometheus whether to stop; Prometheus's proxy decides whether it answers."""
    server = control_plane(graph, region)
    prometheus = Pods(
        namespace=OBSERVABILITY_NAMESPACE, labels={SERVICE_LABEL: PROMETHEUS}, service_account=PROMETHEUS, stateful=True
    )
    yield Policy(
        name="faults",
        subject=FAULTS,
        ingress=(Flow(peer=server, ports=(FAULT_WEBHOOK_PORT,)),),
        egress=(
            Flow(peer=server, ports=(API_PORT,)),
            Flow(peer=FAULT_DAEMON, ports=(FAULT_DAEMON_PORT,)),
            Flow(peer=prometheus, ports=(PROMETHEUS_PORT,)),
            Flow(peer=Lookups(names=(service_host(OBSERVABILITY_NAMESPACE, PROMETHEUS_SERVICE),))),
            *TO_ISTIOD,
        ),
    )
    yield Policy(name="mesh-faults", subject=ISTIOD, ingress=(Flow(peer=FAULTS, ports=(ISTIOD_PORT,)),))
    yield Policy(name="fault-daemon", subject=FAULT_DAEMON, ingress=(Flow(peer=FAULTS, ports=(FAULT_DAEMON_PORT,)),))
    yield Policy(name="asked-by-faults", subject=prometheus, ingress=(Flow(peer=FAULTS, ports=(PROMETHEUS_PORT,)),))
