"""What EKS itself puts into a new cluster that the platform counts on: the cluster's name server, the driver of its volumes.

The network plug-in, kube-proxy and the driver's program are the node's here. The name server is as EKS's add-on: the same names,
labels, account and settings (EKS user guide, "CoreDNS"), one pod in place of three; it forwards to the region's resolver.
"""

from collections.abc import Mapping
from typing import Any, Final

from sandbox.apiclient import ApiServer
from sandbox.local import volumes
from sandbox.local.cloud import resolver_address
from sandbox.local.plan import CLUSTER_DOMAIN, RegionPlan

NAMESPACE: Final = "kube-system"
NAME: Final = "coredns"
SERVICE: Final = "kube-dns"
REGISTRY: Final = "602401143452.dkr.ecr.{region}.amazonaws.com"
"""AWS's own, of its add-ons' images (EKS user guide, "View Amazon container image registries")."""
VERSION: Final = "v1.15.0"
"""Of the module that the sandbox builds it from."""
_LABELS: Final = {"k8s-app": SERVICE, "eks.amazonaws.com/component": NAME}
_PRIORITY: Final = "system-cluster-critical"
Manifest = dict[str, Any]


def install(client: ApiServer, region: RegionPlan) -> None:
    """Applies the add-ons; returns at once, the name server is ready when its pod is.

    Raises:
        RefusedError: in the API server's words.
    """
    for each in objects(region):
        if each["kind"] == "Service":
            # created twice, it is refused for its address before it is found to be there
            path = f"/api/v1/namespaces/{NAMESPACE}/services/{SERVICE}"
            client.request("PATCH", path, each, query={"fieldManager": "addons", "force": "true"})
        else:
            client.apply(each)


def objects(region: RegionPlan) -> tuple[Manifest, ...]:
    """The add-ons of a region's cluster, in the order to apply."""
    return (
        _object("v1", "ServiceAccount", NAME),
        _object("rbac.authorization.k8s.io/v1", "ClusterRole", f"system:{NAME}", inside=False, rules=_rules()),
        _object(
            "rbac.authorization.k8s.io/v1",
            "ClusterRoleBinding",
            f"system:{NAME}",
            inside=False,
            roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": f"system:{NAME}"},
            subjects=[{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}],
        ),
        _object("v1", "ConfigMap", NAME, data={"Corefile": corefile(region)}),
        _object("v1", "Service", SERVICE, spec=_service(region)),
        _object("apps/v1", "Deployment", NAME, spec=_deployment(region)),
        _driver(),
    )


def _driver() -> Manifest:
    """As the add-on's (EKS user guide, "Amazon EBS"), but that a folder of the node needs nobody to attach it."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "CSIDriver",
        "metadata": {"name": volumes.PROVISIONER},
        "spec": {"attachRequired": False, "podInfoOnMount": False, "fsGroupPolicy": "ReadWriteOnceWithFSType"},
    }


def corefile(region: RegionPlan) -> str:
    """The name server's settings: EKS's own, with the region's resolver by its address.

    A name that does not exist yet is forgotten after seconds: the platform's come while its pods already ask.
    """
    return f""".:53 {{
    errors
    health {{
        lameduck 5s
    }}
    ready
    kubernetes {CLUSTER_DOMAIN} in-addr.arpa ip6.arpa {{
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
    }}
    prometheus :9153
    forward . {resolver_address(region)} {{
        prefer_udp
    }}
    cache 30 {{
        denial 9984 2
    }}
    loop
    reload
    loadbalance
}}
"""


def _object(api_version: str, kind: str, name: str, *, inside: bool = True, **body: Any) -> Manifest:
    about: Manifest = {"name": name, "labels": dict(_LABELS)}
    if inside:
        about["namespace"] = NAMESPACE
    return {"apiVersion": api_version, "kind": kind, "metadata": about, **body}


def _rules() -> list[Mapping[str, Any]]:
    return [
        {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]


def _service(region: RegionPlan) -> Manifest:
    named = (("dns", "UDP", 53), ("dns-tcp", "TCP", 53), ("metrics", "TCP", 9153))
    return {
        "clusterIP": str(region.dns),
        "selector": {"k8s-app": SERVICE},
        "ports": [{"name": name, "protocol": protocol, "port": port, "targetPort": port} for name, protocol, port in named],
    }


def _deployment(region: RegionPlan) -> Manifest:
    named = (("dns", "UDP", 53), ("dns-tcp", "TCP", 53), ("metrics", "TCP", 9153))
    container = {
        "name": NAME,
        "image": f"{REGISTRY.format(region=region.code)}/eks/coredns:{VERSION}",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "resources": {"requests": {"cpu": "100m", "memory": "70Mi"}, "limits": {"memory": "170Mi"}},
        "ports": [{"name": name, "protocol": protocol, "containerPort": port} for name, protocol, port in named],
        "volumeMounts": [{"name": "config-volume", "mountPath": "/etc/coredns", "readOnly": True}],
        "livenessProbe": {
            "httpGet": {"path": "/health", "port": 8080},
            "initialDelaySeconds": 60,
            "timeoutSeconds": 5,
            "failureThreshold": 5,
        },
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 2},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }
    spec = {
        "serviceAccountName": NAME,
        "priorityClassName": _PRIORITY,
        "dnsPolicy": "Default",
        "tolerations": [
            {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"},
            {"key": "CriticalAddonsOnly", "operator": "Exists"},
        ],
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "config-volume", "configMap": {"name": NAME, "items": [{"key": "Corefile", "path": "Corefile"}]}}],
    }
    return {
        "replicas": 1,
        "selector": {"matchLabels": dict(_LABELS)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
        "template": {"metadata": {"labels": dict(_LABELS)}, "spec": spec},
    }
