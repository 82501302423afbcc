"""An AWS role for exactly one Kubernetes service account, by EKS Pod Identity.

Guarantees: no credential is stored anywhere; the role can be assumed by this cluster's Pod Identity service for this
namespace and service account and for nothing else, even if another association names it (control EKS-11).
Relies on: the `eks-pod-identity-agent` add-on. Cilium sees the agent (169.254.170.23:80) as the entity `host`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from components.base import Component
from components.context import RegionContext

LONGEST_SESSION_SECONDS = 3600


def trust_document(
    account: str, cluster_name: pulumi.Input[str], cluster_arn: pulumi.Input[str], namespace: str, service_account: str
) -> dict[str, Any]:
    """The role's trust policy. The request tags are those EKS sets itself when it assumes the role for a pod.

    Source: EKS user guide, "Create IAM role with trust policy required by EKS Pod Identity".
    """
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "OnlyThisServiceAccount",
                "Effect": "Allow",
                "Principal": {"Service": "pods.eks.amazonaws.com"},
                "Action": ["sts:AssumeRole", "sts:TagSession"],
                "Condition": {
                    "StringEquals": {
                        "aws:SourceAccount": account,
                        "aws:RequestTag/eks-cluster-name": cluster_name,
                        "aws:RequestTag/kubernetes-namespace": namespace,
                        "aws:RequestTag/kubernetes-service-account": service_account,
                    },
                    "ArnEquals": {"aws:SourceArn": cluster_arn},
                },
            }
        ],
    }


@dataclass(frozen=True, kw_only=True)
class PodIdentityArgs:
    """Who gets the role and what it may do."""

    context: RegionContext
    cluster_name: pulumi.Input[str]
    cluster_arn: pulumi.Input[str]
    namespace: str
    service_account: str
    policies: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """Inline policy documents as JSON text, by a short name."""
    managed_policies: Mapping[str, str] = field(default_factory=dict)
    """ARNs of AWS managed policies, by a short name."""


class PodIdentity(Component, token="zerotrust:cluster:PodIdentity"):
    """One role and its association. `ready` is what a workload that needs the credentials depends on."""

    role_arn: pulumi.Output[str]
    role_name: pulumi.Output[str]
    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: PodIdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        context = args.context
        physical = context.physical(context.region, args.namespace, args.service_account)
        role = aws.iam.Role(
            f"{name}-role",
            name=physical,
            description=f"Pod identity of {args.namespace}/{args.service_account} in {context.region}",
            assume_role_policy=pulumi.Output.json_dumps(
                trust_document(context.account, args.cluster_name, args.cluster_arn, args.namespace, args.service_account)
            ),
            permissions_boundary=context.permissions_boundary,
            max_session_duration=LONGEST_SESSION_SECONDS,
            tags=context.tagged(physical),
            opts=self.child(),
        )
        inline = [
            aws.iam.RolePolicy(f"{name}-policy-{key}", name=key, role=role.name, policy=document, opts=self.child())
            for key, document in sorted(args.policies.items())
        ]
        attached = [
            aws.iam.RolePolicyAttachment(f"{name}-managed-{key}", role=role.name, policy_arn=arn, opts=self.child())
            for key, arn in sorted(args.managed_policies.items())
        ]
        association = aws.eks.PodIdentityAssociation(
            f"{name}-association",
            cluster_name=args.cluster_name,
            namespace=args.namespace,
            service_account=args.service_account,
            role_arn=role.arn,
            tags=context.tagged(physical),
            opts=self.child(depends_on=[*inline, *attached]),
        )
        self.role_arn = role.arn
        self.role_name = role.name
        self.ready = (association,)
        self.register_outputs({"role_arn": self.role_arn, "role_name": self.role_name})
