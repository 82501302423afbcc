"""The parts of a region that make its cluster: control plane, network plug-in, nodes, add-ons. The children are the region's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from components.base import Component
from components.cluster.addons import Addons, AddonsArgs, PodIdentityAgent, PodIdentityAgentArgs
from components.cluster.control_plane import ControlPlane, ControlPlaneArgs, cluster_name
from components.cluster.karpenter import Karpenter, KarpenterArgs
from components.cluster.node_group import NodeGroup, NodeGroupArgs
from components.cluster.node_role import NodeRole, NodeRoleArgs
from components.cluster.pod_identity import PodIdentity, PodIdentityArgs
from components.cni.cilium import OPERATOR_SERVICE_ACCOUNT, Cilium, CiliumArgs, operator_policy
from components.context import RegionContext
from components.graph.names import SYSTEM_NAMESPACE
from components.network.vpc import Vpc
from components.operators.monitoring_kinds import MonitoringKinds, MonitoringKindsArgs
from components.settings import Settings


@dataclass(frozen=True, kw_only=True)
class ClusterArgs:
    """What the cluster is made of."""

    settings: Settings
    context: RegionContext
    network: Vpc
    secrets_key_arn: pulumi.Output[str]
    logs_key_arn: pulumi.Output[str]
    data_key_arn: pulumi.Output[str]
    protect: bool


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The cluster, and what everything in it waits for."""

    control_plane: ControlPlane
    ready: tuple[pulumi.Resource, ...]
    """Nodes, DNS, volumes, the pod identity agent and the monitoring kinds."""


def tier(network: Vpc, wanted: str) -> Mapping[str, pulumi.Output[str]]:
    """The subnets of a tier by zone letter."""
    prefix = f"{wanted}-"
    return {key.removeprefix(prefix): subnet for key, subnet in network.subnet_ids.items() if key.startswith(prefix)}


def build_cluster(name: str, args: ClusterArgs, parent: Component) -> Cluster:
    """Registers a region's cluster as children of the region, in the order that lets nodes become ready.

    Control plane, then the network plug-in, which no node can be ready without, then nodes, then what runs on them.
    """
    settings, context = args.settings, args.context
    control_plane = ControlPlane(
        f"{name}-cluster",
        ControlPlaneArgs(
            context=context,
            settings=settings.cluster,
            service_cidr=settings.regions[context.region].service_cidr,
            vpc_id=args.network.vpc_id,
            subnet_ids=tier(args.network, "intra"),
            secrets_key_arn=args.secrets_key_arn,
            logs_key_arn=args.logs_key_arn,
            log_retention_days=settings.audit.log_retention_days,
            deployer_role=settings.account.deployer_role,
            protect=args.protect,
        ),
        opts=parent.child(),
    )
    agent = PodIdentityAgent(
        f"{name}-agent", PodIdentityAgentArgs(context=context, cluster_name=control_plane.name), opts=parent.child()
    )
    kinds = MonitoringKinds(f"{name}-monitoring-kinds", MonitoringKindsArgs(), opts=_inside(parent, control_plane))
    cni = _network_plugin(name, args, control_plane, (*agent.ready, *kinds.ready), parent)
    nodes = _nodes(name, args, control_plane, cni, parent)
    addons = Addons(
        f"{name}-addons",
        AddonsArgs(
            context=context,
            cluster_name=control_plane.name,
            cluster_arn=control_plane.arn,
            data_key_arn=args.data_key_arn,
            nodes=nodes,
            agent=agent.ready,
        ),
        opts=parent.child(),
    )
    if settings.cluster.karpenter.enabled:
        Karpenter(
            f"{name}-karpenter",
            KarpenterArgs(
                context=context,
                cluster=cluster_name(context),
                cluster_name=control_plane.name,
                cluster_arn=control_plane.arn,
                queue_key_arn=args.data_key_arn,
                data_key_arn=args.data_key_arn,
            ),
            opts=parent.child(),
        )
    return Cluster(control_plane=control_plane, ready=(*nodes, *addons.ready, *agent.ready, *kinds.ready))


def _inside(parent: Component, control_plane: ControlPlane) -> pulumi.ResourceOptions:
    """Options of what is installed in the cluster."""
    return parent.child(providers=[control_plane.kubernetes_provider])


def _network_plugin(
    name: str, args: ClusterArgs, control_plane: ControlPlane, after: Sequence[pulumi.Resource], parent: Component
) -> tuple[pulumi.Resource, ...]:
    context = args.context
    vpc_arn = pulumi.Output.concat(context.arn("ec2", "vpc/"), args.network.vpc_id)
    document = operator_policy(context, cluster=cluster_name(context), vpc_arn=vpc_arn)
    role = PodIdentity(
        f"{name}-cilium-operator",
        PodIdentityArgs(
            context=context,
            cluster_name=control_plane.name,
            cluster_arn=control_plane.arn,
            namespace=SYSTEM_NAMESPACE,
            service_account=OPERATOR_SERVICE_ACCOUNT,
            policies={"interfaces": pulumi.Output.json_dumps(document)},
        ),
        opts=parent.child(),
    )
    return Cilium(
        f"{name}-cilium",
        CiliumArgs(context=context, endpoint=control_plane.endpoint, after=[*after, *role.ready]),
        opts=_inside(parent, control_plane),
    ).ready


def _nodes(
    name: str, args: ClusterArgs, control_plane: ControlPlane, cni: Sequence[pulumi.Resource], parent: Component
) -> list[pulumi.Resource]:
    settings, context = args.settings, args.context
    role = NodeRole(f"{name}-node-role", NodeRoleArgs(context=context), opts=parent.child())
    groups = [
        NodeGroup(
            f"{name}-nodes-{group}",
            NodeGroupArgs(
                context=context,
                group=group,
                settings=wanted,
                cluster_name=control_plane.name,
                kubernetes_version=settings.cluster.kubernetes_version,
                subnet_ids=tier(args.network, "private"),
                security_group_id=control_plane.node_security_group_id,
                node_role_arn=role.arn,
                node_role=role.ready,
                data_key_arn=args.data_key_arn,
                cni=cni,
            ),
            opts=parent.child(),
        )
        for group, wanted in sorted(settings.cluster.node_groups.items())
    ]
    return [resource for group in groups for resource in group.ready]
