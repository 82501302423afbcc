"""The mesh's gateways, pods of Envoy without an application: in from the edge, out to external hosts, across to other regions.

Guarantees: no load balancer of its own (an internal address; AWS reaches the pods through target groups that the program owns),
no privilege, a read-only root, identities from SPIRE. Relies on: istiod and the node agent, SPIRE's CSI driver with a
registration of the gateway's service account, and its namespace. What a gateway listens for is the mesh compiler's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components.base import Component
from components.graph.names import (
    EASTWEST,
    EASTWEST_PORT,
    EGRESS,
    EGRESS_PORT,
    GATEWAY_STATUS_PORT,
    INGRESS,
    INGRESS_PORT,
    Gateway,
)
from components.helm import install
from components.mesh.istio import GATEWAY_TEMPLATES, PRIORITY
from components.pods import pod_resources, pod_security, spread_over_zones, system_placement

PROXY_USER: Final = 1337
"""The user istio-proxy runs as; the redirection rules know it."""
DRAIN_SECONDS: Final = 30
"""How long a stopping gateway still answers while load balancers take it out."""
GRACE_SECONDS: Final = 60
REPLICAS: Final = 3
LARGEST: Final = 12

STATUS: Final[Mapping[str, Any]] = {
    "name": "status-port",
    "port": GATEWAY_STATUS_PORT,
    "targetPort": GATEWAY_STATUS_PORT,
    "protocol": "TCP",
}
PORTS: Final[Mapping[Gateway, tuple[str, int]]] = {
    INGRESS: ("https", INGRESS_PORT),
    EGRESS: ("tls", EGRESS_PORT),
    EASTWEST: ("tls", EASTWEST_PORT),
}
"""The one port each is for, and the name that tells Istio its protocol."""
ENVIRONMENT: Final[Mapping[Gateway, Mapping[str, str]]] = {
    # Clusters named by SNI, for AUTO_PASSTHROUGH: the gateway never ends the callers' TLS.
    EASTWEST: {"ISTIO_META_ROUTER_MODE": "sni-dnat"},
}


@dataclass(frozen=True, kw_only=True)
class MeshGatewayArgs:
    """One gateway."""

    gateway: Gateway
    after: Sequence[pulumi.Resource]
    """Gates the release itself: istiod, the node agent, SPIRE and the registration, the namespace."""
    replicas: int = REPLICAS
    """Pods at least."""


def chart_values(gateway: Gateway, replicas: int = REPLICAS) -> dict[str, Any]:
    """The values of one gateway; a KeyError for one that has no port here."""
    name, port = PORTS[gateway]
    return {
        "name": gateway.name,
        "labels": dict(gateway.selector),
        "serviceAccount": {"create": True, "name": gateway.name},  # the name in its SPIFFE id
        "rbac": {"enabled": True},  # reads the TLS secrets of its own namespace
        "service": {
            "type": "ClusterIP",
            "ports": [{"name": name, "port": port, "targetPort": port, "protocol": "TCP"}, dict(STATUS)],
        },
        "podAnnotations": {
            "inject.istio.io/templates": ",".join(GATEWAY_TEMPLATES),
            "proxy.istio.io/config": f"{{terminationDrainDuration: {DRAIN_SECONDS}s}}",
        },
        "securityContext": pod_security(PROXY_USER),
        "containerSecurityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},  # every port is above 1023
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": PROXY_USER,
            "runAsGroup": PROXY_USER,
        },
        "env": dict(ENVIRONMENT.get(gateway, {})),
        "resources": pod_resources("200m", "256Mi", memory_limit="1Gi"),
        "autoscaling": {
            "enabled": True,
            "minReplicas": replicas,  # one per zone
            "maxReplicas": LARGEST,
            "targetCPUUtilizationPercentage": 70,
        },
        "podDisruptionBudget": {"minAvailable": replicas - 1},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "minReadySeconds": 10,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "topologySpreadConstraints": spread_over_zones(gateway.selector),
        "priorityClassName": PRIORITY,
        **system_placement(),
    }


class MeshGateway(Component, token="zerotrust:mesh:MeshGateway"):
    """One gateway of the mesh."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: MeshGatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        release = install(
            f"{name}-release",
            "istio-gateway",
            release=args.gateway.name,
            namespace=args.gateway.namespace,
            values=chart_values(args.gateway, args.replicas),
            opts=self.child(depends_on=list(args.after)),
        )
        self.ready = (release,)
        self.register_outputs({})
