"""One rule of a security group: TCP on one port, to or from one group or network. The group itself has no rules of its own."""

import pulumi
import pulumi_aws as aws

from components.context import RegionContext


def admit(
    name: str,
    *,
    group: pulumi.Input[str],
    port: int,
    description: str,
    context: RegionContext,
    opts: pulumi.ResourceOptions,
    source_group: pulumi.Input[str] | None = None,
    source_cidr: str | None = None,
) -> pulumi.Resource:
    """Lets one source in.

    Args:
        name: The rule's name.
        group: Whose rule it is.
        port: TCP.
        description: For who reads the console; AWS takes letters, digits and ._-:/()#,@[]+=&;{}!$*.
        context: For its tags.
        opts: The child's options.
        source_group: Id of the group that may call, or
        source_cidr: the network that may.
    """
    return aws.vpc.SecurityGroupIngressRule(
        name,
        security_group_id=group,
        referenced_security_group_id=source_group,
        cidr_ipv4=source_cidr,
        ip_protocol="tcp",
        from_port=port,
        to_port=port,
        description=description,
        tags=context.tagged(name),
        opts=opts,
    )


def reach(
    name: str,
    *,
    group: pulumi.Input[str],
    port: int,
    description: str,
    context: RegionContext,
    opts: pulumi.ResourceOptions,
    target_group: pulumi.Input[str] | None = None,
    target_cidr: str | None = None,
) -> pulumi.Resource:
    """Lets the group out to one target; arguments as of `admit`."""
    return aws.vpc.SecurityGroupEgressRule(
        name,
        security_group_id=group,
        referenced_security_group_id=target_group,
        cidr_ipv4=target_cidr,
        ip_protocol="tcp",
        from_port=port,
        to_port=port,
        description=description,
        tags=context.tagged(name),
        opts=opts,
    )
