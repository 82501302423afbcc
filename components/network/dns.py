"""The resolver of a VPC: every query logged, and only allowed names answered (NET-07).

Guarantees: a name that no list allows gets NODATA, so that nothing leaves by DNS; when the firewall itself fails, queries fail
(fail closed). Pods ask through CoreDNS, which asks this resolver, so the list is the outermost of the DNS allow lists.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.base import Component
from components.context import RegionContext

PRIORITIES: Mapping[str, int] = {"aws": 100, "own": 200, "allowed": 300, "everything": 1000}
"""Fixed, so that a list that appears or goes moves no other rule."""


TRUSTED_ALIASES = frozenset({"own", "allowed"})


@dataclass(frozen=True, kw_only=True)
class DnsArgs:
    """Whose resolver, and what it answers."""

    context: RegionContext
    vpc_id: pulumi.Input[str]
    vpc_cidr: str
    key_arn: pulumi.Input[str]
    retention_days: int
    own_domains: tuple[str, ...]
    allowed_domains: tuple[str, ...]


def with_subdomains(domains: tuple[str, ...]) -> list[str]:
    """Each domain and everything below it; a firewall list takes a wildcard only as the first label."""
    return sorted({form for domain in domains for form in (domain, f"*.{domain}")})


def reverse_zone(vpc_cidr: str) -> str:
    """The names of the VPC's own addresses; networks from /16 on share their first two octets.

    Not all of in-addr.arpa: reverse zones are delegated to whoever holds the addresses, which makes them a way out.
    """
    first, second, *_ = vpc_cidr.split(".")
    return f"*.{second}.{first}.in-addr.arpa"


def platform_domains(region: str, vpc_cidr: str) -> list[str]:
    """AWS's service endpoints, node names and the VPC's reverse zone: without them no node joins.

    Nobody but AWS runs name servers below amazonaws.com; EKS Pod Identity answers below api.aws only.
    """
    hosts = "*.ec2.internal" if region == "us-east-1" else f"*.{region}.compute.internal"
    return sorted({"*.amazonaws.com", f"*.{region}.api.aws", hosts, reverse_zone(vpc_cidr)})


class Dns(Component, token="zerotrust:network:Dns"):
    """Query log and firewall of one VPC."""

    def __init__(self, name: str, args: DnsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._log(name, args)
        self._firewall(name, args)
        self.register_outputs({})

    def _log(self, name: str, args: DnsArgs) -> None:
        context = args.context
        group_name = f"/aws/route53resolver/{context.physical('dns', context.region)}"
        group = aws.cloudwatch.LogGroup(
            f"{name}-group",
            name=group_name,
            kms_key_id=args.key_arn,
            retention_in_days=args.retention_days,
            tags=context.tagged(group_name),
            opts=self.child(),
        )
        config = aws.route53.ResolverQueryLogConfig(
            f"{name}-query-log",
            name=context.physical("dns", context.region),
            destination_arn=group.arn,
            tags=context.tagged(f"{name}-query-log"),
            opts=self.child(),
        )
        aws.route53.ResolverQueryLogConfigAssociation(
            f"{name}-query-log-association",
            resolver_query_log_config_id=config.id,
            resource_id=args.vpc_id,
            opts=self.child(),
        )

    def _firewall(self, name: str, args: DnsArgs) -> None:
        context = args.context
        group = aws.route53.ResolverFirewallRuleGroup(
            f"{name}-firewall",
            name=context.physical("dns-firewall", context.region),
            tags=context.tagged(f"{name}-firewall"),
            opts=self.child(),
        )
        lists = {
            "aws": platform_domains(context.region, args.vpc_cidr),
            "own": with_subdomains(args.own_domains),
            "allowed": with_subdomains(args.allowed_domains),
            "everything": ["*"],
        }
        rules = [self._rule(name, key, domains, group, context) for key, domains in lists.items() if domains]
        aws.route53.ResolverFirewallConfig(
            f"{name}-fail-closed", resource_id=args.vpc_id, firewall_fail_open="DISABLED", opts=self.child()
        )
        aws.route53.ResolverFirewallRuleGroupAssociation(
            f"{name}-firewall-association",
            name=context.physical("dns-firewall", context.region),
            firewall_rule_group_id=group.id,
            # AWS keeps 100 and below, and 9900 and above, for Firewall Manager.
            priority=101,
            vpc_id=args.vpc_id,
            tags=context.tagged(f"{name}-firewall-association"),
            # Without its rules the group would let everything pass, or block before the allowed names are listed.
            opts=self.child(depends_on=rules),
        )

    def _rule(
        self, name: str, key: str, domains: list[str], group: aws.route53.ResolverFirewallRuleGroup, context: RegionContext
    ) -> aws.route53.ResolverFirewallRule:
        block = key == "everything"
        names = aws.route53.ResolverFirewallDomainList(
            f"{name}-{key}",
            name=context.physical("dns", key, context.region),
            domains=domains,
            tags=context.tagged(f"{name}-{key}"),
            opts=self.child(),
        )
        return aws.route53.ResolverFirewallRule(
            f"{name}-{key}-rule",
            name=context.physical("dns", key),
            action="BLOCK" if block else "ALLOW",
            block_response="NODATA" if block else None,
            # A partner's name may be an alias of one that is not listed (a CDN); its owner decides where it points.
            firewall_domain_redirection_action=(
                "TRUST_REDIRECTION_DOMAIN" if key in TRUSTED_ALIASES else "INSPECT_REDIRECTION_DOMAIN"
            ),
            firewall_domain_list_id=names.id,
            firewall_rule_group_id=group.id,
            priority=PRIORITIES[key],
            opts=self.child(),
        )
