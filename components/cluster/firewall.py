"""Security groups of the control plane's interfaces and of the nodes, with every rule a resource of its own.

Guarantees: nothing outside the VPC's own groups reaches a node or the API server's interfaces; nodes leave by TCP 443 only
(control NET-05). Relies on: Cilium and Istio for what pods may do to one another. Layers that open a further path (the
load balancer, the other region) add their own rule to `nodes_id`.

EKS puts a group of its own on the control plane's interfaces besides this one, with open egress; it cannot be removed.
What the control plane reaches on the nodes is therefore decided on the nodes' side: their ingress names this group.
VPC DNS, NTP and the metadata service are link services that security groups do not filter (VPC user guide), so they
need no rule here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from components.base import Component
from components.context import RegionContext

HTTPS = 443
CONTROL_PLANE_TO_NODES: Mapping[str, int] = {
    "https": HTTPS,  # aggregated APIs and webhooks that listen on 443
    "kubelet": 10250,  # logs, exec, metrics; metrics-server and cert-manager's webhook listen there too
    "webhook-8443": 8443,  # Gatekeeper
    "webhook-9443": 9443,  # Kyverno, SPIRE controller manager, AWS load balancer controller
    "webhook-15017": 15017,  # istiod
    "webhook-8080": 8080,  # Vault agent injector
}
"""TCP ports the API server calls on nodes and pods (Cilium's ENI mode gives pods the nodes' group)."""


@dataclass(frozen=True, kw_only=True)
class FirewallArgs:
    """Where the groups live and who else may call the API."""

    context: RegionContext
    cluster_name: str
    vpc_id: pulumi.Input[str]
    api_clients: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """Ids of security groups inside the VPC that call the API (a deployment runner), by name."""


class Firewall(Component, token="zerotrust:cluster:Firewall"):
    """The two groups. `control_plane` is passed to EKS whole, which wants the resource."""

    control_plane: aws.ec2.SecurityGroup
    control_plane_id: pulumi.Output[str]
    nodes_id: pulumi.Output[str]
    ready: tuple[pulumi.Resource, ...]
    """Every rule: the cluster depends on them, so that nodes never start, drain or call webhooks without."""

    def __init__(self, name: str, args: FirewallArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._tags = args.context.tagged
        rules: list[pulumi.Resource] = []
        self.control_plane = self._group(f"{name}-control-plane", "Interfaces of the EKS control plane", args, {})
        nodes = self._group(
            f"{name}-nodes",
            "Nodes and pods of the EKS cluster",
            args,
            {
                f"kubernetes.io/cluster/{args.cluster_name}": "owned",
                "karpenter.sh/discovery": args.cluster_name,
            },
        )
        self.control_plane_id = self.control_plane.id
        self.nodes_id = nodes.id
        control, node = self.control_plane_id, self.nodes_id
        rules.append(self._ingress(f"{name}-control-plane-from-nodes", control, node, HTTPS, "API server from nodes and pods"))
        for client, group in sorted(args.api_clients.items()):
            rules.append(self._ingress(f"{name}-control-plane-from-{client}", control, group, HTTPS, f"API server from {client}"))
        for key, port in sorted(CONTROL_PLANE_TO_NODES.items()):
            text = f"API server to nodes: {key}"
            rules.append(self._egress(f"{name}-control-plane-to-nodes-{key}", control, node, port, text))
            rules.append(self._ingress(f"{name}-nodes-from-control-plane-{key}", node, control, port, text))
        # Every pod shares its node's group, so a port list here could not tell two pods apart: Cilium's identities do.
        # WireGuard between nodes (UDP 51871) and the health checks (TCP 4240) are inside this rule; ENI mode routes
        # natively and needs no overlay port.
        rules.append(self._ingress(f"{name}-nodes-from-nodes", node, node, None, "Nodes and pods among themselves"))
        rules.append(self._egress(f"{name}-nodes-to-nodes", node, node, None, "Nodes and pods among themselves"))
        outside = aws.vpc.SecurityGroupEgressRule(
            f"{name}-nodes-to-https",
            security_group_id=node,
            ip_protocol="tcp",
            from_port=HTTPS,
            to_port=HTTPS,
            cidr_ipv4="0.0.0.0/0",
            description="API server, VPC endpoints, and the declared hosts by NAT (Cilium and the DNS firewall pick)",
            tags=self._tags(f"{name}-nodes-to-https"),
            opts=self.child(),
        )
        self.ready = (*rules, outside)
        self.register_outputs({"control_plane_id": self.control_plane_id, "nodes_id": self.nodes_id})

    def _group(self, name: str, description: str, args: FirewallArgs, more: Mapping[str, str]) -> aws.ec2.SecurityGroup:
        return aws.ec2.SecurityGroup(
            name,
            description=description,
            vpc_id=args.vpc_id,
            revoke_rules_on_delete=True,
            tags={**self._tags(name), **more},
            opts=self.child(),
        )

    def _ingress(
        self, name: str, group: pulumi.Input[str], source: pulumi.Input[str], port: int | None, description: str
    ) -> pulumi.Resource:
        return aws.vpc.SecurityGroupIngressRule(
            name,
            security_group_id=group,
            referenced_security_group_id=source,
            ip_protocol="-1" if port is None else "tcp",
            from_port=port,
            to_port=port,
            description=description,
            tags=self._tags(name),
            opts=self.child(),
        )

    def _egress(
        self, name: str, group: pulumi.Input[str], target: pulumi.Input[str], port: int | None, description: str
    ) -> pulumi.Resource:
        return aws.vpc.SecurityGroupEgressRule(
            name,
            security_group_id=group,
            referenced_security_group_id=target,
            ip_protocol="-1" if port is None else "tcp",
            from_port=port,
            to_port=port,
            description=description,
            tags=self._tags(name),
            opts=self.child(),
        )
