"""Karpenter's AWS side: interruption queue with its rules, the controller's identity, the profile of its nodes.

Created where the settings turn Karpenter on. The chart, the EC2NodeClass and the NodePools are not here: they belong to
the delivery layer and take `queue_name`, `instance_profile` and the tag `karpenter.sh/discovery` of the nodes' group.
Relies on: a KMS key whose policy lets events.amazonaws.com use it (EventBridge writes the queue), the pod identity agent.
Karpenter's nodes have a role of their own: for the managed groups' role EKS keeps the access entry itself and would refuse
a second one.
"""

import json
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components.base import Component
from components.cluster.karpenter_policy import controller_document
from components.cluster.node_role import NodeRole, NodeRoleArgs
from components.cluster.pod_identity import PodIdentity, PodIdentityArgs
from components.context import RegionContext

NAMESPACE = "kube-system"
SERVICE_ACCOUNT = "karpenter"
RETENTION_SECONDS = 300
"""A warning is worth nothing after the two minutes EC2 gives."""
EVENTS: dict[str, dict[str, Any]] = {
    "health-event": {"source": ["aws.health"], "detail-type": ["AWS Health Event"]},
    "spot-interruption": {"source": ["aws.ec2"], "detail-type": ["EC2 Spot Instance Interruption Warning"]},
    "rebalance": {"source": ["aws.ec2"], "detail-type": ["EC2 Instance Rebalance Recommendation"]},
    "state-change": {"source": ["aws.ec2"], "detail-type": ["EC2 Instance State-change Notification"]},
    "capacity-reservation": {
        "source": ["aws.ec2"],
        "detail-type": ["EC2 Capacity Reservation Instance Interruption Warning"],
    },
}
"""What Karpenter drains a node for (karpenter.sh, interruption), by the rules' names."""


def queue_document(queue: pulumi.Input[str], rules: list[pulumi.Input[str]]) -> dict[str, Any]:
    """Only this program's rules write, and only by TLS."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Rules",
                "Effect": "Allow",
                "Principal": {"Service": "events.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": queue,
                "Condition": {"ArnEquals": {"aws:SourceArn": rules}},
            },
            {
                "Sid": "OnlyTls",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "sqs:*",
                "Resource": queue,
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
        ],
    }


@dataclass(frozen=True, kw_only=True)
class KarpenterArgs:
    """Karpenter of one cluster."""

    context: RegionContext
    cluster: str
    """The cluster's physical name, which tags and conditions are made of."""
    cluster_name: pulumi.Input[str]
    """The same as the cluster's output, which carries the dependency."""
    cluster_arn: pulumi.Input[str]
    queue_key_arn: pulumi.Input[str]
    data_key_arn: pulumi.Input[str]


class Karpenter(Component, token="zerotrust:cluster:Karpenter"):
    """What the chart is told, and `ready` for it to wait for."""

    queue_name: pulumi.Output[str]
    instance_profile: pulumi.Output[str]
    node_role_arn: pulumi.Output[str]
    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: KarpenterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        context = args.context
        physical = context.physical(context.region, "karpenter")
        queue = aws.sqs.Queue(
            f"{name}-interruptions",
            name=physical,
            message_retention_seconds=RETENTION_SECONDS,
            kms_master_key_id=args.queue_key_arn,
            tags=context.tagged(physical),
            opts=self.child(),
        )
        rules = self._rules(name, context, queue)
        aws.sqs.QueuePolicy(
            f"{name}-interruptions-policy",
            queue_url=queue.url,
            policy=pulumi.Output.json_dumps(queue_document(queue.arn, rules)),
            opts=self.child(),
        )
        role = NodeRole(f"{name}-node", NodeRoleArgs(context=context, purpose="karpenter-node"), opts=self.child())
        profile = aws.iam.InstanceProfile(
            f"{name}-node-profile",
            name=context.physical(context.region, "karpenter-node"),
            role=role.name,
            tags=context.tagged(physical),
            opts=self.child(),
        )
        entry = aws.eks.AccessEntry(
            f"{name}-node-access",
            cluster_name=args.cluster_name,
            principal_arn=role.arn,
            type="EC2_LINUX",
            tags=context.tagged(physical),
            opts=self.child(),
        )
        document = controller_document(
            region=context.region,
            account=context.account,
            cluster=args.cluster,
            cluster_arn=args.cluster_arn,
            queue_arn=queue.arn,
            node_role_arn=role.arn,
            instance_profile_arn=profile.arn,
            data_key_arn=args.data_key_arn,
        )
        identity = PodIdentity(
            f"{name}-controller",
            PodIdentityArgs(
                context=context,
                cluster_name=args.cluster_name,
                cluster_arn=args.cluster_arn,
                namespace=NAMESPACE,
                service_account=SERVICE_ACCOUNT,
                policies={"controller": pulumi.Output.json_dumps(document)},
            ),
            opts=self.child(),
        )
        self.queue_name = queue.name
        self.instance_profile = profile.name
        self.node_role_arn = role.arn
        self.ready = (*identity.ready, entry, *role.ready)
        self.register_outputs({"queue_name": self.queue_name, "instance_profile": self.instance_profile})

    def _rules(self, name: str, context: RegionContext, queue: aws.sqs.Queue) -> list[pulumi.Input[str]]:
        arns: list[pulumi.Input[str]] = []
        for key, pattern in sorted(EVENTS.items()):
            physical = context.physical(context.region, "karpenter", key)
            rule = aws.cloudwatch.EventRule(
                f"{name}-{key}",
                name=physical,
                description=f"Karpenter: {pattern['detail-type'][0]}",
                event_pattern=json.dumps(pattern, sort_keys=True),
                tags=context.tagged(physical),
                opts=self.child(),
            )
            aws.cloudwatch.EventTarget(
                f"{name}-{key}-target", rule=rule.name, target_id="queue", arn=queue.arn, opts=self.child()
            )
            arns.append(rule.arn)
        return arns
