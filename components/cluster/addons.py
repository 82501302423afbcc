"""The EKS add-ons the platform keeps: pod identity agent, CoreDNS, EBS CSI driver. No VPC CNI, no kube-proxy: Cilium is both.

Guarantees: pinned versions; EKS may not overwrite what the platform changed in the cluster (PRESERVE on update).
Relies on: nodes that are ready for CoreDNS and the CSI controller. The agent is a host-network DaemonSet, becomes active
without a node and stands first, a component of its own: Cilium's operator takes its AWS credentials from it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components.base import Component
from components.cluster.pod_identity import PodIdentity, PodIdentityArgs
from components.context import RegionContext

VERSIONS: Mapping[str, str] = {
    "eks-pod-identity-agent": "v1.3.10-eksbuild.3",  # EKS's own default for 1.35
    "coredns": "v1.13.2-eksbuild.31",  # EKS's own default for 1.35
    "aws-ebs-csi-driver": "v1.64.0-eksbuild.1",  # in use with 1.35
}
"""From public records of clusters on 1.35 (October 2026), not yet held to `aws eks describe-addon-versions`: ask it."""

CSI_SERVICE_ACCOUNT = "ebs-csi-controller-sa"
CSI_POLICY = "arn:aws:iam::aws:policy/service-role/AmazonEBSCSIDriverPolicy"

CONFIGURATION: Mapping[str, Mapping[str, Any]] = {
    "coredns": {
        "replicaCount": 3,  # one per zone
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "topology.kubernetes.io/zone",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
            }
        ],
    },
    "aws-ebs-csi-driver": {
        "defaultStorageClass": {"enabled": False},  # the platform's own classes name the customer key
    },
}


def volume_key_document(key: pulumi.Input[str]) -> dict[str, Any]:
    """What the CSI driver needs to create encrypted volumes with a customer key (EKS user guide, EBS CSI driver)."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Grant",
                "Effect": "Allow",
                "Action": ["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"],
                "Resource": key,
                "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}},
            },
            {
                "Sid": "Use",
                "Effect": "Allow",
                "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
                "Resource": key,
            },
        ],
    }


def _addon(
    name: str,
    addon: str,
    context: RegionContext,
    cluster_name: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> aws.eks.Addon:
    configuration = CONFIGURATION.get(addon)
    return aws.eks.Addon(
        f"{name}-{addon}",
        cluster_name=cluster_name,
        addon_name=addon,
        addon_version=VERSIONS[addon],
        configuration_values=json.dumps(configuration, sort_keys=True) if configuration else None,
        resolve_conflicts_on_create="OVERWRITE",
        resolve_conflicts_on_update="PRESERVE",
        tags=context.tagged(addon),
        opts=opts,
    )


@dataclass(frozen=True, kw_only=True)
class PodIdentityAgentArgs:
    """The agent of one cluster."""

    context: RegionContext
    cluster_name: pulumi.Input[str]


class PodIdentityAgent(Component, token="zerotrust:cluster:PodIdentityAgent"):
    """Hands pods the AWS credentials of their own role."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: PodIdentityAgentArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self.ready = (_addon(name, "eks-pod-identity-agent", args.context, args.cluster_name, self.child()),)
        self.register_outputs({})


@dataclass(frozen=True, kw_only=True)
class AddonsArgs:
    """The add-ons of one cluster."""

    context: RegionContext
    cluster_name: pulumi.Input[str]
    cluster_arn: pulumi.Input[str]
    data_key_arn: pulumi.Input[str]
    """KMS key of persistent volumes."""
    nodes: Sequence[pulumi.Resource]
    """Ready node groups: gates CoreDNS and the CSI driver themselves."""
    agent: Sequence[pulumi.Resource]
    """The pod identity agent."""


class Addons(Component, token="zerotrust:cluster:Addons"):
    """What needs nodes. `ready` is what needs DNS and volumes depends on."""

    ready: tuple[pulumi.Resource, ...]
    """CoreDNS and the CSI driver."""

    def __init__(self, name: str, args: AddonsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        identity = PodIdentity(
            f"{name}-ebs-csi",
            PodIdentityArgs(
                context=args.context,
                cluster_name=args.cluster_name,
                cluster_arn=args.cluster_arn,
                namespace="kube-system",
                service_account=CSI_SERVICE_ACCOUNT,
                policies={"volume-key": pulumi.Output.json_dumps(volume_key_document(args.data_key_arn))},
                managed_policies={"driver": CSI_POLICY},
            ),
            opts=self.child(),
        )
        dns = _addon(name, "coredns", args.context, args.cluster_name, self.child(depends_on=list(args.nodes)))
        csi = _addon(
            name,
            "aws-ebs-csi-driver",
            args.context,
            args.cluster_name,
            self.child(depends_on=[*args.nodes, *args.agent, *identity.ready]),
        )
        self.ready = (dns, csi)
        self.register_outputs({"csi_role_arn": identity.role_arn})
