"""Name resolution of each VPC is recorded and filtered."""

from policy.checks import covered
from policy.model import CouldNotRun, Findings, Params, Resource, Stack, Violation
from policy.values import UNKNOWN

VPC = "aws:ec2/vpc:Vpc"
QUERY_LOG = "aws:route53/resolverQueryLogConfigAssociation:ResolverQueryLogConfigAssociation"
FIREWALL = "aws:route53/resolverFirewallRuleGroupAssociation:ResolverFirewallRuleGroupAssociation"
GROUP = "aws:route53/resolverFirewallRuleGroup:ResolverFirewallRuleGroup"
RULE = "aws:route53/resolverFirewallRule:ResolverFirewallRule"


def _blocks(stack: Stack, group: Resource) -> Findings:
    answers = [(rule, stack.refers(rule, "firewallRuleGroupId", group)) for rule in stack.of(RULE)]
    mine = [rule for rule, answer in answers if answer]
    if any(rule.get("action") == "BLOCK" for rule in mine):
        return
    undecided = [(rule, "action") for rule in mine if rule.get("action") is UNKNOWN]
    undecided += [(rule, "firewallRuleGroupId") for rule, answer in answers if answer is None]
    if undecided:
        yield from (CouldNotRun(path=path, urn=rule.urn) for rule, path in undecided)
    else:
        yield Violation(path="action", problem="the DNS firewall's rule group has no rule that blocks", urn=group.urn)


def validate(stack: Stack, _params: Params) -> Findings:
    """A query log and a DNS firewall per VPC; a firewall that only counts is none."""
    for vpc in stack.of(VPC):
        yield from covered(stack, vpc, stack.of(QUERY_LOG), "resourceId", "has no DNS query log")[1]
        yield from covered(stack, vpc, stack.of(FIREWALL), "vpcId", "has no DNS firewall")[1]
    for group in stack.of(GROUP):
        yield from _blocks(stack, group)
