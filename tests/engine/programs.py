"""Small programs for the real engine. Each is a `main()` in the sense of the product's own program."""

import json
from collections.abc import Callable
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_eks as eks
import pulumi_kubernetes as k8s
import pulumi_random as random


def network(cidr: str = "10.0.0.0/16", *, tags: dict[str, str] | None = None, protect: bool | None = None) -> Callable[[], None]:
    """A VPC, protected if asked for, with a subnet and a password that does not depend on them."""

    def main() -> None:
        opts = pulumi.ResourceOptions(protect=protect)
        vpc = aws.ec2.Vpc("vpc", cidr_block=cidr, enable_dns_support=True, tags=tags, opts=opts)
        subnet = aws.ec2.Subnet("subnet", vpc_id=vpc.id, cidr_block="10.0.0.0/24", tags={"vpc": vpc.arn})
        random.RandomPassword("password", length=20)
        bucket = aws.s3.Bucket("logs")
        pulumi.export("vpc", vpc.id)
        pulumi.export("arn", vpc.arn)
        pulumi.export("subnet", subnet.id)
        pulumi.export("bucket", bucket.bucket)
        pulumi.export("tier", pulumi.Config().require("tier"))

    return main


def many(count: int) -> Callable[[], None]:
    """Many resources without any dependency."""

    def main() -> None:
        for index in range(count):
            aws.ssm.Parameter(f"parameter-{index}", type="String", value=str(index))

    return main


def raw(token: str, properties: dict[str, Any]) -> Callable[[], None]:
    """One resource with properties the typed SDK would not let through."""

    def main() -> None:
        class Untyped(pulumi.CustomResource):
            def __init__(self) -> None:
                super().__init__(token, "wrong", properties)

        Untyped()

    return main


def _keep_creator_out(args: pulumi.ResourceTransformArgs) -> pulumi.ResourceTransformResult | None:
    if args.type_ != "aws:eks/cluster:Cluster":
        return None
    properties: dict[str, Any] = dict(args.props)
    properties["accessConfig"] = {
        **properties["accessConfig"],
        "bootstrapClusterCreatorAdminPermissions": False,
    }
    return pulumi.ResourceTransformResult(properties, args.opts)


def cluster(*, transformed: bool = True, **more: Any) -> Callable[[], None]:
    """An EKS cluster as the platform builds it, with a managed node group and a namespace in it."""

    def main() -> None:
        aws_provider = aws.Provider("eu-west-1", region="eu-west-1", allowed_account_ids=["111122223333"])
        in_region = pulumi.ResourceOptions(provider=aws_provider)
        vpc = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16", opts=in_region)
        trust = json.dumps({"Version": "2012-10-17", "Statement": []})
        role = aws.iam.Role("nodes", assume_role_policy=trust, opts=in_region)
        arguments: dict[str, Any] = {
            "vpc_id": vpc.id,
            "private_subnet_ids": ["subnet-a", "subnet-b"],
            "skip_default_node_group": True,
            "authentication_mode": eks.AuthenticationMode.API,
            "create_oidc_provider": True,
            "use_default_vpc_cni": True,
            "bootstrap_self_managed_addons": False,
            "kube_proxy_addon_options": {"enabled": False},
            "coredns_addon_options": {"enabled": False},
            "access_entries": {
                "operators": {
                    "principal_arn": "arn:aws:iam::111122223333:role/operators",
                    "access_policies": {"admin": {"policy_arn": "arn:policy", "access_scope": {"type": "cluster"}}},
                }
            },
            **more,
        }
        options = pulumi.ResourceOptions(providers=[aws_provider], transforms=[_keep_creator_out] if transformed else None)
        made = eks.Cluster("bank", **arguments, opts=options)
        eks.ManagedNodeGroup("workers", cluster=made, node_role=role, opts=pulumi.ResourceOptions(providers=[aws_provider]))
        inside = k8s.Provider("inside", kubeconfig=made.kubeconfig_json)
        k8s.core.v1.Namespace("tenant", opts=pulumi.ResourceOptions(provider=inside))
        pulumi.export("kubeconfig", made.kubeconfig_json)
        pulumi.export("oidc_arn", made.oidc_provider_arn)
        pulumi.export("oidc_issuer", made.oidc_issuer)
        pulumi.export("endpoint", made.core.endpoint)
        pulumi.export("cluster_group", made.cluster_security_group.id)

    return main


def asks(call: Callable[[], Any]) -> Callable[[], None]:
    """A program that calls a provider function and exports its answer."""

    def main() -> None:
        pulumi.export("answer", call())

    return main
