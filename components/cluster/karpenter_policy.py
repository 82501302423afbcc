"""What Karpenter's controller may do: only with resources that carry this cluster's tag, only in this region.

After the policy that Karpenter's own documentation gives (karpenter.sh, reference/cloudformation, v1), in the form for
pod identity. Reads have no resource-level permissions in EC2 and Pricing; they are limited to the region instead.
"""

from typing import Any

import pulumi

LAUNCHED = ("fleet", "instance", "volume", "network-interface", "launch-template", "spot-instances-request")
READS = (
    "ec2:DescribeCapacityReservations",
    "ec2:DescribeImages",
    "ec2:DescribeInstances",
    "ec2:DescribeInstanceStatus",
    "ec2:DescribeInstanceTypeOfferings",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeLaunchTemplates",
    "ec2:DescribePlacementGroups",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSpotPriceHistory",
    "ec2:DescribeSubnets",
)


def _resources(region: str, account: str, *kinds: str) -> list[str]:
    return [f"arn:aws:ec2:{region}:{account}:{kind}/*" for kind in kinds]


def controller_document(
    *,
    region: str,
    account: str,
    cluster: str,
    cluster_arn: pulumi.Input[str],
    queue_arn: pulumi.Input[str],
    node_role_arn: pulumi.Input[str],
    instance_profile_arn: pulumi.Input[str],
    data_key_arn: pulumi.Input[str],
) -> dict[str, Any]:
    """The controller's policy. `cluster` is the cluster's name, which every resource it makes is tagged with."""
    owned = f"aws:ResourceTag/kubernetes.io/cluster/{cluster}"
    asked = f"aws:RequestTag/kubernetes.io/cluster/{cluster}"
    statements: list[dict[str, Any]] = [
        {
            "Sid": "LaunchFrom",
            "Action": ["ec2:RunInstances", "ec2:CreateFleet"],
            # images and snapshots belong to AWS's accounts, the rest is this account's and tagged below
            "Resource": [
                *(f"arn:aws:ec2:{region}::{kind}/*" for kind in ("image", "snapshot")),
                *_resources(region, account, "subnet", "capacity-reservation"),
            ],
        },
        {
            "Sid": "LaunchWith",
            "Action": ["ec2:RunInstances", "ec2:CreateFleet"],
            "Resource": _resources(region, account, "security-group", "launch-template"),
            "Condition": {"StringEquals": {owned: "owned"}},
        },
        {
            "Sid": "LaunchTagged",
            "Action": ["ec2:RunInstances", "ec2:CreateFleet", "ec2:CreateLaunchTemplate"],
            "Resource": _resources(region, account, *LAUNCHED),
            "Condition": {
                "StringEquals": {asked: "owned", "aws:RequestTag/eks:eks-cluster-name": cluster},
                "StringLike": {"aws:RequestTag/karpenter.sh/nodepool": "*"},
            },
        },
        {
            "Sid": "TagAtLaunch",
            "Action": "ec2:CreateTags",
            "Resource": _resources(region, account, *LAUNCHED),
            "Condition": {
                "StringEquals": {
                    asked: "owned",
                    "aws:RequestTag/eks:eks-cluster-name": cluster,
                    "ec2:CreateAction": ["RunInstances", "CreateFleet", "CreateLaunchTemplate"],
                },
                "StringLike": {"aws:RequestTag/karpenter.sh/nodepool": "*"},
            },
        },
        {
            "Sid": "TagOwned",
            "Action": "ec2:CreateTags",
            "Resource": _resources(region, account, "instance"),
            "Condition": {
                "StringEquals": {owned: "owned"},
                "StringLike": {"aws:ResourceTag/karpenter.sh/nodepool": "*"},
                "ForAllValues:StringEquals": {"aws:TagKeys": ["eks:eks-cluster-name", "karpenter.sh/nodeclaim", "Name"]},
            },
        },
        {
            "Sid": "RemoveOwned",
            "Action": ["ec2:TerminateInstances", "ec2:DeleteLaunchTemplate"],
            "Resource": _resources(region, account, "instance", "launch-template"),
            "Condition": {
                "StringEquals": {owned: "owned"},
                "StringLike": {"aws:ResourceTag/karpenter.sh/nodepool": "*"},
            },
        },
        {
            "Sid": "Read",
            "Action": list(READS),
            # describe calls know no resource
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:RequestedRegion": region}},
        },
        # public parameters of images and the price list: reads of AWS's own data
        {"Sid": "Images", "Action": "ssm:GetParameter", "Resource": f"arn:aws:ssm:{region}::parameter/aws/service/*"},
        {"Sid": "Prices", "Action": "pricing:GetProducts", "Resource": "*"},
        {
            "Sid": "Interruptions",
            "Action": ["sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage"],
            "Resource": queue_arn,
        },
        {
            "Sid": "PassNodeRole",
            "Action": "iam:PassRole",
            "Resource": node_role_arn,
            "Condition": {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
        },
        # the program owns the profile: Karpenter creates and changes none
        {"Sid": "ReadProfile", "Action": "iam:GetInstanceProfile", "Resource": instance_profile_arn},
        {"Sid": "ReadCluster", "Action": "eks:DescribeCluster", "Resource": cluster_arn},
        {
            "Sid": "VolumeGrant",
            "Action": "kms:CreateGrant",
            "Resource": data_key_arn,
            "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}},
        },
        {
            "Sid": "VolumeKey",
            "Action": ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncrypt*"],
            "Resource": data_key_arn,
        },
    ]
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement} for statement in statements]}
