"""A tenant's services as hardened Deployments: what the documents ask of a pod, and what the mesh and SPIRE need of it.

The sidecar is the injector's (istiod's default templates `sidecar,spire`), with the resources stated here, so that the quota
the settings checked is the quota used. What else stands beside the application (OPA, what fetches credentials) arrives as an
argument. Relies on: the namespace's service accounts, the CSI driver csi.spiffe.io, the secrets of the stores' client
certificates.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from components.graph.model import Graph, Workload
from components.graph.names import PROXY_METRICS_PORT, REGION_REACH_LABEL, SERVICE_LABEL, TENANT_LABEL
from components.manifests import WITHOUT_AWAIT, Manifest, manifest
from components.pods import CPU_BURST, SECRET_MODE, container_security, pod_security, spread_over_zones
from components.settings.tenants import PROXY_CPU_MILLICORES, PROXY_MEMORY_MEBIBYTES, SURGE_PODS, millicores
from components.tenancy.stores import client_secret, edges_by_store, postgres_of, store_host

PART_OF: Final = "app.kubernetes.io/part-of"
VERSION: Final = "app.kubernetes.io/version"
DIGEST_SHOWN: Final = 12
SOCKET_DIRECTORY: Final = "/run/spire/sockets"
SOCKET: Final = "spire-agent.sock"
STORES_DIRECTORY: Final = "/var/run/secrets/stores"
READY_PATH: Final = "/healthz/ready"
LIVE_PATH: Final = "/healthz/live"
GRACE_SECONDS: Final = 45
DRAIN_SECONDS: Final = 5
"""Before the application is told to stop: as long as callers' sidecars may still take the pod for an endpoint."""
TMP_SIZE: Final = "64Mi"
METRICS_PORT_NAME: Final = "proxy-metrics"
METRICS_PATH: Final = "/stats/prometheus"
SCRAPE_INTERVAL: Final = "30s"


def selector_of(workload: Workload) -> dict[str, str]:
    """Labels that select the workload's pods; a Deployment's cannot be changed in place."""
    return {SERVICE_LABEL: workload.name, TENANT_LABEL: workload.tenant}


def pod_labels(graph: Graph, workload: Workload) -> dict[str, str]:
    """Labels of the workload's pods: identity, policy and routing select by them."""
    digest = workload.settings.image.rpartition(":")[2]
    reach = {REGION_REACH_LABEL: workload.name} if graph.spans_regions(workload) else {}
    return {**selector_of(workload), PART_OF: workload.tenant, VERSION: digest[:DIGEST_SHOWN], **reach}


def pod_annotations(workload: Workload) -> dict[str, str]:
    """What the injector reads: the sidecar's resources, and where the application's own metrics are.

    The agent beside the proxy scrapes the application over loopback and serves both on its port, so that no plain port of
    the application is open to anybody.
    """
    return {
        "kubectl.kubernetes.io/default-container": workload.name,
        "prometheus.io/path": "/metrics",
        "prometheus.io/port": str(workload.port),
        "prometheus.io/scrape": "true",
        "sidecar.istio.io/proxyCPU": f"{PROXY_CPU_MILLICORES}m",
        "sidecar.istio.io/proxyCPULimit": f"{10 * PROXY_CPU_MILLICORES}m",
        "sidecar.istio.io/proxyMemory": f"{PROXY_MEMORY_MEBIBYTES}Mi",
        "sidecar.istio.io/proxyMemoryLimit": f"{PROXY_MEMORY_MEBIBYTES}Mi",
    }


def environment(graph: Graph, workload: Workload) -> list[dict[str, str]]:
    """Where the application finds SPIRE and its stores: names and paths, never a secret.

    For a store `ledger`: `LEDGER_HOST`, `LEDGER_PORT`, `LEDGER_TLS` (directory of ca.crt, tls.crt, tls.key), and for a
    database `LEDGER_DATABASE`.
    """
    values = {"SPIFFE_ENDPOINT_SOCKET": f"unix://{SOCKET_DIRECTORY}/{SOCKET}", "PORT": str(workload.port)}
    for name, edge in edges_by_store(graph, workload).items():
        store, prefix = edge.store, name.upper().replace("-", "_")
        values[f"{prefix}_HOST"] = store_host(graph, store, writable=edge.settings.privileges == "read_write")
        values[f"{prefix}_PORT"] = str(store.port)
        values[f"{prefix}_TLS"] = f"{STORES_DIRECTORY}/{name}"
        if store.kind == "database":
            values[f"{prefix}_DATABASE"] = postgres_of(graph, store).database
    return [{"name": name, "value": value} for name, value in sorted(values.items())]


def workload_objects(
    graph: Graph,
    region: str,
    workload: Workload,
    *,
    sidecars: Sequence[Mapping[str, Any]] = (),
    helpers: Sequence[Mapping[str, Any]] = (),
    volumes: Sequence[Mapping[str, Any]] = (),
    mounts: Sequence[Mapping[str, Any]] = (),
    variables: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Manifest, ...]:
    """The workload's objects in a region: Deployment, PodDisruptionBudget, and a Service unless nobody may call it.

    Args:
        graph: The access graph.
        region: A region the workload runs in.
        workload: The workload.
        sidecars: Containers beside the application, whole, hardened by whoever makes them.
        helpers: The same that must run before the application starts and as long as it does, for `initContainers`.
        volumes: Volumes that they mount.
        mounts: Which of these the application mounts too.
        variables: What the application is told about them, no secret.

    Raises:
        ValueError: for a region the workload does not run in.
    """
    if region not in workload.regions:
        msg = f"{workload.ref} does not run in {region}"
        raise ValueError(msg)
    labels, selector = pod_labels(graph, workload), selector_of(workload)
    common: dict[str, Any] = {"namespace": workload.tenant, "labels": labels}
    deployment = manifest(
        "apps/v1",
        "Deployment",
        workload.name,
        **common,
        annotations=WITHOUT_AWAIT,
        spec={
            "replicas": workload.settings.replicas,
            "revisionHistoryLimit": 3,
            "progressDeadlineSeconds": 600,
            "minReadySeconds": 5,
            "selector": {"matchLabels": selector},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": SURGE_PODS}},
            "template": {
                "metadata": {"labels": labels, "annotations": pod_annotations(workload)},
                "spec": pod_spec(
                    graph, workload, sidecars=sidecars, helpers=helpers, volumes=volumes, mounts=mounts, variables=variables
                ),
            },
        },
    )
    budget = manifest(
        "policy/v1",
        "PodDisruptionBudget",
        workload.name,
        **common,
        spec={"maxUnavailable": 1, "selector": {"matchLabels": selector}, "unhealthyPodEvictionPolicy": "AlwaysAllow"},
    )
    return (deployment, budget, _service(workload, common)) if workload.serves else (deployment, budget)


def _service(workload: Workload, common: Mapping[str, Any]) -> Manifest:
    port = {"name": "http", "appProtocol": "http", "protocol": "TCP", "port": workload.port, "targetPort": workload.port}
    spec = {"type": "ClusterIP", "selector": selector_of(workload), "ports": [port]}
    return manifest("v1", "Service", workload.name, **common, annotations=WITHOUT_AWAIT, spec=spec)


def pod_spec(
    graph: Graph,
    workload: Workload,
    *,
    sidecars: Sequence[Mapping[str, Any]] = (),
    helpers: Sequence[Mapping[str, Any]] = (),
    volumes: Sequence[Mapping[str, Any]] = (),
    mounts: Sequence[Mapping[str, Any]] = (),
    variables: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """The pod as it is sent; the injector adds the proxy."""
    stores = edges_by_store(graph, workload)
    application = _application(graph, workload)
    told = [{"name": name, "value": value} for name, value in variables.items()]
    application["env"] = sorted([*application["env"], *told], key=lambda each: str(each["name"]))
    application["volumeMounts"] = [*application["volumeMounts"], *map(dict, mounts)]
    before = {"initContainers": [*map(dict, helpers)]} if helpers else {}
    return {
        "serviceAccountName": workload.name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": pod_security(workload.settings.user_id),
        "topologySpreadConstraints": spread_over_zones(selector_of(workload)),
        **before,
        "containers": [application, *map(dict, sidecars)],
        "volumes": [
            {"name": "tmp", "emptyDir": {"sizeLimit": TMP_SIZE}},
            {"name": "spiffe-workload-api", "csi": {"driver": "csi.spiffe.io", "readOnly": True}},
            *(
                {"name": f"store-{name}", "secret": {"secretName": client_secret(edge), "defaultMode": SECRET_MODE}}
                for name, edge in stores.items()
            ),
            *map(dict, volumes),
        ],
    }


def _application(graph: Graph, workload: Workload) -> dict[str, Any]:
    settings = workload.settings
    stores = edges_by_store(graph, workload)
    ready = {"httpGet": {"path": READY_PATH, "port": workload.port, "scheme": "HTTP"}, "timeoutSeconds": 3}
    live = {"httpGet": {"path": LIVE_PATH, "port": workload.port, "scheme": "HTTP"}, "timeoutSeconds": 3}
    return {
        "name": workload.name,
        "image": settings.image,
        "imagePullPolicy": "IfNotPresent",
        "env": environment(graph, workload),
        "ports": [
            {"name": "http", "containerPort": workload.port, "protocol": "TCP"},
            # Declared for scraping to find it; the agent beside the proxy listens there.
            {"name": METRICS_PORT_NAME, "containerPort": PROXY_METRICS_PORT, "protocol": "TCP"},
        ],
        "securityContext": container_security(),
        "resources": {
            "requests": {"cpu": settings.cpu, "memory": settings.memory, "ephemeral-storage": TMP_SIZE},
            "limits": {
                "cpu": f"{CPU_BURST * millicores(settings.cpu)}m",
                "memory": settings.memory,
                "ephemeral-storage": "256Mi",
            },
        },
        "startupProbe": {**live, "periodSeconds": 2, "failureThreshold": 60},
        "readinessProbe": {**ready, "periodSeconds": 5, "failureThreshold": 2},
        "livenessProbe": {**live, "periodSeconds": 10, "failureThreshold": 3},
        "lifecycle": {"preStop": {"sleep": {"seconds": DRAIN_SECONDS}}},
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the pod's own volume
            {"name": "spiffe-workload-api", "mountPath": SOCKET_DIRECTORY, "readOnly": True},
            *({"name": f"store-{name}", "mountPath": f"{STORES_DIRECTORY}/{name}", "readOnly": True} for name in stores),
        ],
    }


def workload_monitor(graph: Graph, workload: Workload) -> Manifest:
    """What scrapes the workload: a ServiceMonitor, or a PodMonitor for a worker, which has no Service."""
    endpoint = {"path": METRICS_PATH, "interval": SCRAPE_INTERVAL}
    selector: dict[str, Any] = {"selector": {"matchLabels": selector_of(workload)}}
    kind, spec = (
        ("ServiceMonitor", {**selector, "endpoints": [{**endpoint, "targetPort": PROXY_METRICS_PORT}]})
        if workload.serves
        else ("PodMonitor", {**selector, "podMetricsEndpoints": [{**endpoint, "port": METRICS_PORT_NAME}]})
    )
    return manifest(
        "monitoring.coreos.com/v1",
        kind,
        workload.name,
        namespace=workload.tenant,
        labels=pod_labels(graph, workload),
        annotations=WITHOUT_AWAIT,
        spec=spec,
    )
