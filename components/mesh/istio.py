"""Istio's control plane of one cluster: its kinds, istiod and the node agent that redirects pods' traffic.

Guarantees: every proxy takes its certificate from SPIRE's socket and none from istiod, sidecars start before the application
and stop after it, no init container with network rights exists in a tenant's pod. Relies on: namespace istio-system, SPIRE's
CSI driver before any pod that is injected, and a mesh configuration from the mesh's compiler (trust domain, mTLS, providers).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components.base import Component
from components.graph.names import CLUSTER_DOMAIN, MESH_NAMESPACE, SYSTEM_NAMESPACE
from components.helm import install, istio_values
from components.pods import pod_resources, spread_over_zones, system_placement

SOCKET_FOLDER: Final = "/var/run/secrets/workload-spiffe-uds"
"""Where the proxy looks for its identity; Istio's own templates mount an empty folder here."""
CSI_DRIVER: Final = "csi.spiffe.io"
SIDECAR_TEMPLATES: Final = ("sidecar", "spire")
GATEWAY_TEMPLATES: Final = ("gateway", "spire-gateway")
PRIORITY: Final = "system-cluster-critical"
REPLICAS: Final = 3
ENVIRONMENT: Final[Mapping[str, str]] = {
    # Not `auto`, which reads the kubelets' versions: the template below patches what this makes.
    "ENABLE_NATIVE_SIDECARS": "true",
    # A Service never takes in a WorkloadEntry: another region is reached by its own host, whose rules name that region.
    "PILOT_ENABLE_K8S_SELECT_WORKLOAD_ENTRIES": "false",
    # No machine may register itself as a workload.
    "PILOT_ENABLE_WORKLOAD_ENTRY_AUTOREGISTRATION": "false",
    # A Gateway takes the pods of its own namespace only: a tenant's cannot open a port on the platform's.
    "PILOT_SCOPE_GATEWAY_TO_NAMESPACE": "true",
    # Keys of token issuers are never fetched from the node itself or from AWS's metadata and credential addresses.
    "BLOCKED_CIDRS_IN_JWKS_URIS": "127.0.0.0/8,169.254.0.0/16,::1/128,fe80::/10,fd00:ec2::/32",
    # With Istio's twenty minutes every token of an issuer's new key is refused for as long.
    "PILOT_JWT_PUB_KEY_REFRESH_INTERVAL": "1m",
    # Its gateways would be pods without SPIRE's socket, made by whoever may create a Gateway.
    "PILOT_ENABLE_GATEWAY_API": "false",
    "PILOT_ENABLE_GATEWAY_API_DEPLOYMENT_CONTROLLER": "false",
}


@dataclass(frozen=True, kw_only=True)
class MeshIdentity:
    """What tells one region's control plane from another's."""

    mesh: str
    """The same in every region."""
    cluster: str
    """The cluster's physical name."""
    network: str
    """The region: pods of two of them reach each other through gateways only."""


@dataclass(frozen=True, kw_only=True)
class IstioArgs:
    """The control plane of one cluster."""

    identity: MeshIdentity
    mesh_config: Mapping[str, Any]
    """`meshConfig` as the mesh's compiler made it."""
    after: Sequence[pulumi.Resource]
    """Gates every release itself: nodes, DNS, the namespace, the monitoring kinds."""
    replicas: int = REPLICAS
    """Pods of istiod at least."""


def injection_template(containers: str) -> str:
    """A patch of an injected pod that puts SPIRE's socket where the proxy looks for it.

    Args:
        containers: `initContainers` for a native sidecar, `containers` for a gateway. The wrong one would add a second,
            imageless istio-proxy, and the pod would be refused.
    """
    return json.dumps(
        {
            "spec": {
                containers: [
                    {"name": "istio-proxy", "volumeMounts": [{"name": "workload-socket", "mountPath": SOCKET_FOLDER}]},
                ],
                "volumes": [{"name": "workload-socket", "csi": {"driver": CSI_DRIVER, "readOnly": True}}],
            }
        },
        sort_keys=True,
    )


def base_values() -> dict[str, Any]:
    """The kinds, as templates that Helm upgrades, and the validation webhook of the default revision."""
    return {
        "global": {"istioNamespace": MESH_NAMESPACE},
        "base": {"enableCRDTemplates": True},
        "defaultRevision": "default",  # without one, objects are not validated at all
    }


def istiod_values(identity: MeshIdentity, mesh_config: Mapping[str, Any], replicas: int = REPLICAS) -> dict[str, Any]:
    """Values of istiod; `mesh_config` is passed through."""
    return {
        "meshConfig": dict(mesh_config),
        "autoscaleEnabled": True,
        "autoscaleMin": replicas,  # one per zone: without istiod no pod starts and no rule changes
        "autoscaleMax": 2 * replicas,
        "pdb": {"minAvailable": replicas - 1},
        "rollingMaxUnavailable": "0%",
        # Keys that istiod never had are fetched only while it configures a proxy; a failure is forgotten within seconds. With
        # Istio's half hour a region that is quiet after it started without the issuer refuses every token for as long.
        "keepaliveMaxServerConnectionAge": "2m",
        "topologySpreadConstraints": spread_over_zones({"app": "istiod"}),
        "resources": pod_resources("500m", "2Gi", memory_limit="4Gi"),
        "seccompProfile": {"type": "RuntimeDefault"},
        **system_placement(),
        "env": dict(ENVIRONMENT),
        "cni": {"enabled": True},  # pods get no init container with NET_ADMIN
        # The node groups carry no taint of istio-cni: a pod that outruns it fails its own check and is repaired.
        "taint": {"enabled": False},
        "telemetry": {"v2": {"prometheus": {"enabled": True}}},
        "sidecarInjectorWebhook": {
            "templates": {
                "spire": injection_template("initContainers"),
                "spire-gateway": injection_template("containers"),
            },
            "defaultTemplates": list(SIDECAR_TEMPLATES),
            "enableNamespacesByDefault": False,  # a namespace asks by its label, which only the platform sets
            "rewriteAppHTTPProbe": True,
        },
        "global": {
            "istioNamespace": MESH_NAMESPACE,
            **istio_values(),
            "logAsJson": True,
            "priorityClassName": PRIORITY,
            "meshID": identity.mesh,
            "multiCluster": {"clusterName": identity.cluster},
            "network": identity.network,
            "proxy": {
                "clusterDomain": CLUSTER_DOMAIN,
                "privileged": False,
                "seccompProfile": {"type": "RuntimeDefault"},
                "resources": pod_resources("100m", "128Mi", memory_limit="512Mi"),
                # Metadata and credential addresses stay captured: REGISTRY_ONLY ends them in the sidecar.
                "excludeIPRanges": "",
            },
        },
    }


def cni_values() -> dict[str, Any]:
    """The node agent's values: chained behind Cilium, which leaves it there because it is not exclusive."""
    return {
        "chained": True,
        "cniBinDir": "/opt/cni/bin",
        "cniConfDir": "/etc/cni/net.d",
        "excludeNamespaces": [SYSTEM_NAMESPACE, MESH_NAMESPACE],
        "ambient": {"enabled": False},  # has no SPIRE
        "repair": {"enabled": True, "repairPods": True, "deletePods": False, "labelPods": False},
        "seccompProfile": {"type": "RuntimeDefault"},
        # Bottlerocket's SELinux lets no ordinary container write the CNI folders; Cilium runs under the same type.
        "seLinuxOptions": {"type": "spc_t", "level": "s0"},
        "resources": pod_resources("50m", "100Mi", memory_limit="256Mi"),
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
        "global": {"logAsJson": True, **istio_values()},
    }


class Istio(Component, token="zerotrust:mesh:Istio"):
    """The control plane. `ready` is what meshed pods and the mesh's objects depend on: istiod validates them."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: IstioArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        base = install(
            f"{name}-base",
            "istio-base",
            namespace=MESH_NAMESPACE,
            values=base_values(),
            opts=self.child(depends_on=list(args.after)),
        )
        istiod = install(
            f"{name}-istiod",
            "istiod",
            namespace=MESH_NAMESPACE,
            values=istiod_values(args.identity, args.mesh_config, args.replicas),
            opts=self.child(depends_on=[base, *args.after]),
        )
        # In kube-system: it mounts host folders, and istio-system admits no such pod.
        node_agent = install(
            f"{name}-cni",
            "istio-cni",
            namespace=SYSTEM_NAMESPACE,
            values=cni_values(),
            opts=self.child(depends_on=[base, *args.after]),
        )
        self.ready = (istiod, node_agent)
        self.register_outputs({})
