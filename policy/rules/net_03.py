"""The default security group of a VPC is adopted and lets nothing through."""

from policy.checks import covered
from policy.model import CouldNotRun, Findings, Params, Stack, Violation
from policy.values import UNKNOWN

VPC = "aws:ec2/vpc:Vpc"
DEFAULT_GROUP = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"


def validate(stack: Stack, _params: Params) -> Findings:
    """One adopted default group per VPC, without a rule."""
    for vpc in stack.of(VPC):
        _, missing = covered(stack, vpc, stack.of(DEFAULT_GROUP), "vpcId", "leaves its default security group as it is")
        yield from missing
    for group in stack.of(DEFAULT_GROUP):
        for direction in ("ingress", "egress"):
            value = group.get(direction)
            if value is UNKNOWN:
                yield CouldNotRun(path=direction, urn=group.urn)
            elif value not in (None, []):
                yield Violation(path=direction, problem="the default security group has a rule", urn=group.urn)
