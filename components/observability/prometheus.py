"""Prometheus by the operator's stack: two of it in two zones, each with every sample, and what measures nodes and objects.

Guarantees: every monitor and rule of the cluster is read, whatever its labels (the chart's own default reads only its own);
what asks Prometheus does so by mutual TLS and is named by the mesh's rules, while Prometheus itself scrapes past its proxy: a
scrape goes to a pod's address, which the mesh knows no service for, and a meshed pod hands out its own and its application's
metrics on a port of its proxy that only Prometheus may reach. The node exporter, which must see the host, stands in a
namespace of its own.

The operator's admission webhook is off. Rules reach a cluster only from this program, whose tests put every one of them to
promtool; the operator leaves out a rule that it cannot read and counts it (an alert looks at that count); a webhook that fails
closed would make every change of a rule depend on the operator's pod, one that fails open would promise nothing.

Rules of the chart are off as well: each alert here has a runbook and a test.
"""

from collections.abc import Mapping
from typing import Any, Final

from components.graph.model import Graph
from components.graph.names import (
    COLLECTOR,
    GATEWAYS,
    ISSUER_NAMESPACE,
    LOKI_SERVICE,
    MESH_NAMESPACE,
    NODE_TELEMETRY_NAMESPACE,
    OBSERVABILITY_NAMESPACE,
    PROMETHEUS,
    PROXY_METRICS_PORT,
    RATE_LIMIT_NAMESPACE,
    RATE_LIMIT_SERVICE,
    SERVICE_LABEL,
    SPIRE_SERVER_NAMESPACE,
    SPIRE_SYSTEM_NAMESPACE,
)
from components.graph.traces import trace_store
from components.manifests import Manifest, manifest
from components.pods import pod_resources, spread_over_zones, system_placement
from components.settings.observability import MetricsSettings

RELEASE: Final = "monitoring"
FULL_NAME: Final = "monitoring"
SERVICE: Final = f"{FULL_NAME}-prometheus"
INSTANCES: Final = 2
PORT: Final = 9090
ISTIOD_METRICS_PORT: Final = 15014
SPIRE_METRICS_NAME: Final = "prom"
"""The port of metrics as SPIRE's chart calls it, of server and agent."""
METRICS_PATH: Final = "/stats/prometheus"
EVERYTHING: Final = {
    f"{kind}SelectorNilUsesHelmValues": False for kind in ("podMonitor", "probe", "rule", "scrapeConfig", "serviceMonitor")
}
PROXY_ANNOTATIONS: Final[Mapping[str, str]] = {
    # Only what asks Prometheus goes through its proxy; what it asks does not.
    "traffic.sidecar.istio.io/includeOutboundIPRanges": "",
    "traffic.sidecar.istio.io/excludeInboundPorts": "8080",  # the reloader's own metrics
    "prometheus.io/scrape": "true",
    "prometheus.io/port": str(PORT),
    "prometheus.io/path": "/metrics",
}
MESHED: Final = ("audit-reader", COLLECTOR, "grafana", LOKI_SERVICE, PROMETHEUS)
"""Meshed parts of the telemetry beside the store of traces, by SERVICE_LABEL: scraped at their proxies."""
RESTRICTED: Final = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def remote_write(settings: MetricsSettings, region: str) -> list[dict[str, Any]]:
    """The region's workspace, signed with the pod's own role: no key."""
    workspace = settings.workspaces.get(region)
    if workspace is None:
        return []
    url = f"https://aps-workspaces.{region}.amazonaws.com/workspaces/{workspace}/api/v1/remote_write"
    return [{"url": url, "sigv4": {"region": region}, "queueConfig": {"maxSamplesPerSend": 1000, "maxShards": 50}}]


def workspace_policy(arn: str) -> dict[str, Any]:
    """Writing to one workspace. Source: Amazon Managed Service for Prometheus user guide, IAM permissions."""
    return {
        "Version": "2012-10-17",
        "Statement": [{"Sid": "Write", "Effect": "Allow", "Action": "aps:RemoteWrite", "Resource": arn}],
    }


def prometheus_values(settings: MetricsSettings, *, cluster: str, region: str, storage_class: str) -> dict[str, Any]:
    """The chart's values under `prometheus`."""
    return {
        "enabled": True,
        "serviceAccount": {"create": True, "name": PROMETHEUS},
        "podDisruptionBudget": {"enabled": True, "minAvailable": 1},
        "service": {"port": PORT, "targetPort": PORT},
        "serviceMonitor": {"selfMonitor": False},  # at the proxies, like every meshed pod
        "prometheusSpec": {
            **EVERYTHING,
            "replicas": INSTANCES,
            "retention": f"{settings.retention_days}d",
            "retentionSize": _nine_tenths(settings.storage),
            "externalLabels": {"cluster": cluster, "region": region},
            "remoteWrite": remote_write(settings, region),
            "enableRemoteWriteReceiver": False,
            "enableAdminAPI": False,
            "podMetadata": {"annotations": dict(PROXY_ANNOTATIONS)},
            "podAntiAffinity": "hard",
            "podAntiAffinityTopologyKey": "topology.kubernetes.io/zone",
            "walCompression": True,
            "scrapeInterval": "30s",
            "evaluationInterval": "30s",
            "enforcedBodySizeLimit": "64MB",  # one broken exporter cannot fill the memory of both
            "resources": pod_resources("500m", settings.memory),
            "storageSpec": {
                "volumeClaimTemplate": {
                    "spec": {
                        "storageClassName": storage_class,
                        "accessModes": ["ReadWriteOnce"],
                        "resources": {"requests": {"storage": settings.storage}},
                    }
                }
            },
            "enableServiceLinks": False,
            **system_placement(),
        },
    }


def _nine_tenths(storage: str) -> str:
    """Prometheus deletes its oldest block before the volume is full: `100Gi` → `92160MB`, in its units of 1024."""
    number, unit = int(storage[:-2]), storage[-2:]
    return f"{number * (1024 if unit == 'Gi' else 1024 * 1024) * 9 // 10}MB"


def exporter_values() -> dict[str, Any]:
    """Operator, cluster state and nodes."""
    plain = {"podLabels": {"sidecar.istio.io/inject": "false"}}
    state = {SERVICE_LABEL: "kube-state-metrics", "app.kubernetes.io/instance": RELEASE}
    return {
        "prometheusOperator": {
            **plain,
            "admissionWebhooks": {"enabled": False},
            "tls": {"enabled": False},  # serves the webhook, which is off; metrics stay behind the network's rules
            "resources": pod_resources("50m", "256Mi"),
            "containerSecurityContext": dict(RESTRICTED),
            "prometheusConfigReloader": {"resources": pod_resources("10m", "64Mi")},
            "denyNamespaces": [],
            **system_placement(),
        },
        "kubeStateMetrics": {"enabled": True},
        "kube-state-metrics": {
            **plain,
            "replicas": 1,
            # No secret's name or annotation leaves the API server this way.
            "collectorsExclude": ["secrets", "configmaps", "certificatesigningrequests"],
            "metricLabelsAllowlist": ["pods=[zerotrust.dev/tenant]", "namespaces=[zerotrust.dev/tenant]"],
            "topologySpreadConstraints": spread_over_zones(state),
            "containerSecurityContext": dict(RESTRICTED),
            "resources": pod_resources("20m", "256Mi"),
            **system_placement(),
        },
        "nodeExporter": {"enabled": True},
        "prometheus-node-exporter": {
            "namespaceOverride": NODE_TELEMETRY_NAMESPACE,
            "hostNetwork": True,
            "hostPID": True,
            "containerSecurityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "tolerations": [{"operator": "Exists"}],  # every node is measured
            "resources": pod_resources("20m", "64Mi"),
        },
    }


def chart_values(*, prometheus: dict[str, Any], alertmanager: dict[str, Any], grafana: dict[str, Any]) -> dict[str, Any]:
    """The stack's values from its parts'."""
    return {
        "fullnameOverride": FULL_NAME,
        "crds": {"enabled": False},  # the monitoring kinds stand before the cluster's first release
        "defaultRules": {"create": False},
        "global": {"rbac": {"create": True, "createAggregateClusterRoles": False}},
        **{part: {"enabled": False} for part in ("kubeControllerManager", "kubeEtcd", "kubeProxy", "kubeScheduler")},
        "prometheus": prometheus,
        "alertmanager": alertmanager,
        "grafana": grafana,
        **exporter_values(),
    }


def _pod_monitor(name: str, namespace: str, selector: dict[str, Any], endpoint: dict[str, Any]) -> Manifest:
    relabel = [{"sourceLabels": ["__meta_kubernetes_pod_label_app_kubernetes_io_name"], "regex": "(.+)", "targetLabel": "job"}]
    return manifest(
        "monitoring.coreos.com/v1",
        "PodMonitor",
        name,
        namespace=OBSERVABILITY_NAMESPACE,
        spec={
            "namespaceSelector": {"matchNames": [namespace]},
            "selector": selector,
            "podMetricsEndpoints": [{"interval": "30s", **endpoint, "relabelings": [*endpoint.get("relabelings", ()), *relabel]}],
        },
    )


def core_monitors(graph: Graph) -> tuple[Manifest, ...]:
    """What scrapes the parts whose charts bring no monitor: the mesh's, SPIRE's, the limiter's, and the telemetry's own."""
    proxy = {
        "port": "http-envoy-prom",
        "path": METRICS_PATH,
        "relabelings": [
            {
                "sourceLabels": ["__meta_kubernetes_pod_ip"],
                "targetLabel": "__address__",
                "replacement": f"$1:{PROXY_METRICS_PORT}",
            }
        ],
    }
    meshed = {"matchExpressions": [{"key": SERVICE_LABEL, "operator": "In", "values": sorted((*MESHED, trace_store(graph)))}]}
    return (
        _pod_monitor("telemetry", OBSERVABILITY_NAMESPACE, meshed, proxy),
        *(_pod_monitor(gateway.name, gateway.namespace, {"matchLabels": gateway.selector}, proxy) for gateway in GATEWAYS),
        _pod_monitor("limiter", RATE_LIMIT_NAMESPACE, {"matchLabels": {SERVICE_LABEL: RATE_LIMIT_SERVICE}}, proxy),
        _pod_monitor("issuer", ISSUER_NAMESPACE, {"matchLabels": {SERVICE_LABEL: "keycloakx"}}, proxy),
        _pod_monitor("istiod", MESH_NAMESPACE, {"matchLabels": {"app": "istiod"}}, {"portNumber": ISTIOD_METRICS_PORT}),
        _pod_monitor(
            "spire-server", SPIRE_SERVER_NAMESPACE, {"matchLabels": {SERVICE_LABEL: "server"}}, {"port": SPIRE_METRICS_NAME}
        ),
        _pod_monitor(
            "spire-agent", SPIRE_SYSTEM_NAMESPACE, {"matchLabels": {SERVICE_LABEL: "agent"}}, {"port": SPIRE_METRICS_NAME}
        ),
    )
