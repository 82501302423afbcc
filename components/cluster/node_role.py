"""The role of the cluster's nodes: join the cluster and pull images, nothing else (control EKS-10).

Pods do not get it: the metadata service answers one hop only, and what needs AWS has a pod identity of its own. Not even
the CNI is here: Cilium's operator has a pod identity.
"""

import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.base import Component
from components.context import RegionContext

POLICIES = {
    "worker": "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy",
    "pull": "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly",
}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
LONGEST_SESSION_SECONDS = 3600


@dataclass(frozen=True, kw_only=True)
class NodeRoleArgs:
    """One role for all managed groups of a cluster, and another for Karpenter's nodes."""

    context: RegionContext
    purpose: str = "node"
    """Part of the role's name."""


class NodeRole(Component, token="zerotrust:cluster:NodeRole"):
    """The role; `ready` is what a node group depends on, since a node without its policies never joins."""

    arn: pulumi.Output[str]
    name: pulumi.Output[str]
    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: NodeRoleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        context = args.context
        physical = context.physical(context.region, args.purpose)
        role = aws.iam.Role(
            f"{name}-role",
            name=physical,
            description=f"Nodes of the EKS cluster in {context.region}",
            assume_role_policy=json.dumps(TRUST),
            permissions_boundary=context.permissions_boundary,
            max_session_duration=LONGEST_SESSION_SECONDS,
            tags=context.tagged(physical),
            opts=self.child(),
        )
        self.ready = tuple(
            aws.iam.RolePolicyAttachment(f"{name}-{key}", role=role.name, policy_arn=arn, opts=self.child())
            for key, arn in sorted(POLICIES.items())
        )
        self.arn = role.arn
        self.name = role.name
        self.register_outputs({"arn": self.arn, "name": self.name})
