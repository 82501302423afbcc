"""Stand-ins of `eks:index:ManagedNodeGroup` and `eks:index:NodeGroupSecurityGroup`."""

from typing import Any

import pulumi
import pulumi_aws as aws

from sandbox.standin.eks_parts import node_security_group

# Options that make the real component write a launch template of its own.
_LAUNCH_TEMPLATE = (
    "kubeletExtraArgs",
    "bootstrapExtraArgs",
    "bottlerocketSettings",
    "nodeadmExtraOptions",
    "enableIMDSv2",
    "userData",
    "amiId",
    "enableEfaSupport",
)
_PASSED_ON = {
    "amiType": "ami_type",
    "capacityType": "capacity_type",
    "diskSize": "disk_size",
    "forceUpdateVersion": "force_update_version",
    "instanceTypes": "instance_types",
    "labels": "labels",
    "launchTemplate": "launch_template",
    "nodeGroupName": "node_group_name",
    "nodeGroupNamePrefix": "node_group_name_prefix",
    "releaseVersion": "release_version",
    "remoteAccess": "remote_access",
    "tags": "tags",
    "taints": "taints",
}


def _refuse(name: str, problems: list[str]) -> None:
    if problems:
        raise pulumi.InputPropertiesError(
            f"eks:index:ManagedNodeGroup {name!r}: " + "; ".join(problems),
            [{"property_path": text.split(":", 1)[0], "reason": text} for text in problems],
        )


def _core(cluster: Any) -> pulumi.Output[Any]:
    """The core data, from the cluster component or from its `core` output."""
    return pulumi.Output.from_input(cluster).apply(lambda found: getattr(found, "core", found))


def _of(found: Any, camel: str, snake: str) -> Any:
    known = getattr(found, snake, None)
    return found.get(camel) if known is None and isinstance(found, dict) else known


class ManagedNodeGroup(pulumi.ComponentResource):
    """One `aws:eks/nodeGroup:NodeGroup` of the component's name."""

    state: dict[str, Any]

    def __init__(self, name: str, args: dict[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("eks:index:ManagedNodeGroup", name, {}, opts)
        problems = [f"{key}: no stand-in for custom launch templates" for key in _LAUNCH_TEMPLATE if args.get(key)]
        if args.get("nodeRole") is None and args.get("nodeRoleArn") is None:
            problems.append("nodeRole: an IAM role, or role ARN must be provided to create a managed node group")
        if args.get("nodeRole") is not None and args.get("nodeRoleArn") is not None:
            problems.append("nodeRole: give nodeRole or nodeRoleArn, not both")
        _refuse(name, problems)
        core = _core(args.get("cluster"))
        cluster = core.apply(lambda found: _of(found, "cluster", "cluster"))
        role = args.get("nodeRoleArn")
        if role is None:
            role = pulumi.Output.from_input(args["nodeRole"]).apply(lambda found: found.arn)
        version = args.get("version")
        if version is None and args.get("launchTemplate") is None:
            version = cluster.apply(lambda found: found.version)
        subnets = args.get("subnetIds")
        if subnets is None:
            subnets = core.apply(lambda found: _of(found, "subnetIds", "subnet_ids") or [])
        scaling: Any = pulumi.Output.from_input(args.get("scalingConfig") or {}).apply(
            lambda known: {
                "desired_size": known.get("desiredSize", 2),
                "min_size": known.get("minSize", 1),
                "max_size": known.get("maxSize", 2),
            }
        )
        passed: dict[str, Any] = {snake: args[camel] for camel, snake in _PASSED_ON.items() if camel in args}
        ignored = ["scalingConfig.desiredSize"] if args.get("ignoreScalingChanges") else None
        group = aws.eks.NodeGroup(
            name,
            cluster_name=args.get("clusterName") or cluster.apply(lambda found: found.name),
            node_role_arn=role,
            scaling_config=scaling,
            subnet_ids=subnets,
            version=version,
            **passed,
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=ignored),
        )
        self.state = {"nodeGroup": group, "placementGroupName": ""}
        self.register_outputs(self.state)


class NodeGroupSecurityGroup(pulumi.ComponentResource):
    """The security group of nodes with the rules between nodes and control plane."""

    state: dict[str, Any]

    def __init__(self, name: str, args: dict[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("eks:index:NodeGroupSecurityGroup", name, {}, opts)
        group, rule = node_security_group(
            name,
            self,
            vpc_id=args["vpcId"],
            cluster_name=pulumi.Output.from_input(args["eksCluster"]).apply(lambda found: found.name),
            cluster_group=pulumi.Output.from_input(args["clusterSecurityGroup"]).apply(lambda found: found.id),
            tags=args.get("tags"),
        )
        self.state = {"securityGroup": group, "securityGroupRule": rule}
        self.register_outputs({})
