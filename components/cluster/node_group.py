"""One managed node group with its launch template.

Guarantees: session-based metadata service that answers one hop (EKS-08); volumes encrypted with a customer key, no public
address, no key pair, no remote access (EKS-09); no pod before Cilium has taken the node (the agent-not-ready taint).
Relies on: Cilium's release, passed as `cni`, being installed but not waited for: a node without a CNI never becomes ready and
the group would fail. The volumes' key has to name the Auto Scaling service-linked role in its policy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.base import Component
from components.cluster import user_data
from components.context import RegionContext
from components.settings.cluster import NodeGroupSettings, architecture

CILIUM_TAINT = {"key": "node.cilium.io/agent-not-ready", "value": "true", "effect": "NO_EXECUTE"}
"""Removed by Cilium's agent; until then nothing without a toleration runs, so no pod escapes the network policy."""
SYSTEM_TAINT = {"key": "CriticalAddonsOnly", "value": "true", "effect": "NO_SCHEDULE"}
"""Keeps tenants off the platform's nodes."""
ROLE_LABEL = "zerotrust.role"
IMAGES = {
    ("bottlerocket", "arm64"): "BOTTLEROCKET_ARM_64",
    ("bottlerocket", "x86_64"): "BOTTLEROCKET_x86_64",
    ("al2023", "arm64"): "AL2023_ARM_64_STANDARD",
    ("al2023", "x86_64"): "AL2023_x86_64_STANDARD",
}
UNAVAILABLE_PERCENT = 33
"""One zone's share at a time."""


@dataclass(frozen=True, kw_only=True)
class NodeGroupArgs:
    """One group of the settings, in one region."""

    context: RegionContext
    group: str
    """The group's name in the settings."""
    settings: NodeGroupSettings
    cluster_name: pulumi.Input[str]
    kubernetes_version: str
    subnet_ids: Mapping[str, pulumi.Input[str]]
    """Private subnets by zone letter."""
    security_group_id: pulumi.Input[str]
    node_role_arn: pulumi.Input[str]
    node_role: Sequence[pulumi.Resource]
    """The role's policy attachments: gates the group."""
    data_key_arn: pulumi.Input[str]
    """KMS key of the volumes."""
    cni: Sequence[pulumi.Resource] = ()
    """Cilium's release: gates the group itself."""


def taints(settings: NodeGroupSettings) -> list[aws.eks.NodeGroupTaintArgs]:
    """The taints of a group."""
    chosen = (CILIUM_TAINT, SYSTEM_TAINT) if settings.role == "system" else (CILIUM_TAINT,)
    return [aws.eks.NodeGroupTaintArgs(**taint) for taint in chosen]


def volumes(settings: NodeGroupSettings, key: pulumi.Input[str]) -> list[aws.ec2.LaunchTemplateBlockDeviceMappingArgs]:
    """Block devices. Bottlerocket keeps its read-only root (image size) and its data on two volumes, AL2023 on one."""
    sizes: dict[str, int | None] = {"/dev/xvda": settings.disk_gib}
    if settings.operating_system == "bottlerocket":
        sizes = {"/dev/xvda": None, "/dev/xvdb": settings.disk_gib}
    return [
        aws.ec2.LaunchTemplateBlockDeviceMappingArgs(
            device_name=device,
            ebs=aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                volume_type="gp3", volume_size=size, encrypted="true", kms_key_id=key, delete_on_termination="true"
            ),
        )
        for device, size in sizes.items()
    ]


class NodeGroup(Component, token="zerotrust:cluster:NodeGroup"):
    """One group. `ready` is what needs a schedulable node depends on."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: NodeGroupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        context, settings = args.context, args.settings
        tags = context.tagged(context.physical(context.region, args.group))
        template = self._template(name, args, tags)
        group = aws.eks.NodeGroup(
            f"{name}-group",
            cluster_name=args.cluster_name,
            version=args.kubernetes_version,
            node_role_arn=args.node_role_arn,
            subnet_ids=[subnet for _, subnet in sorted(args.subnet_ids.items())],
            ami_type=IMAGES[settings.operating_system, architecture(settings.instance_types[0])],
            capacity_type="ON_DEMAND",
            instance_types=list(settings.instance_types),
            launch_template=aws.eks.NodeGroupLaunchTemplateArgs(id=template.id, version=template.latest_version.apply(str)),
            scaling_config=aws.eks.NodeGroupScalingConfigArgs(
                min_size=settings.min_size, max_size=settings.max_size, desired_size=settings.min_size
            ),
            update_config=aws.eks.NodeGroupUpdateConfigArgs(max_unavailable_percentage=UNAVAILABLE_PERCENT),
            node_repair_config=aws.eks.NodeGroupNodeRepairConfigArgs(enabled=True),
            labels={ROLE_LABEL: settings.role},
            taints=taints(settings),
            tags=tags,
            opts=self.child(
                depends_on=[*args.node_role, *args.cni],
                # What runs in the cluster scales the group; the next update must not set it back.
                ignore_changes=["scalingConfig.desiredSize"],
            ),
        )
        self.ready = (group,)
        self.register_outputs({"arn": group.arn})

    def _template(self, name: str, args: NodeGroupArgs, tags: Mapping[str, str]) -> aws.ec2.LaunchTemplate:
        text = user_data.al2023() if args.settings.operating_system == "al2023" else user_data.bottlerocket()
        return aws.ec2.LaunchTemplate(
            f"{name}-template",
            description=f"Node group {args.group}",
            update_default_version=True,
            metadata_options=aws.ec2.LaunchTemplateMetadataOptionsArgs(
                http_endpoint="enabled",
                http_tokens="required",
                http_put_response_hop_limit=1,
                instance_metadata_tags="disabled",
            ),
            block_device_mappings=volumes(args.settings, args.data_key_arn),
            network_interfaces=[
                aws.ec2.LaunchTemplateNetworkInterfaceArgs(
                    device_index=0,
                    associate_public_ip_address="false",
                    delete_on_termination="true",
                    security_groups=[args.security_group_id],
                )
            ],
            monitoring=aws.ec2.LaunchTemplateMonitoringArgs(enabled=True),
            user_data=user_data.encoded(text),
            tag_specifications=[
                aws.ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags=dict(tags))
                for kind in ("instance", "network-interface", "volume")
            ],
            tags=dict(tags),
            opts=self.child(),
        )
