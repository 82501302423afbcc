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

AWS_DOMAINS = (
    "amazonaws.com",
    "api.aws",
    "amazontrust.com",  # OCSP and CRL of AWS's own certificates
    "compute.internal",
    "in-addr.arpa",
)
"""AWS's own names: service endpoints, node names and reverse look-ups. Without them no node joins."""

PRIORITIES: Mapping[str, int] = {"aws": 100, "own": 200, "allowed": 300, "everything": 1000}
"""Fixed, so that a list that appears or goes moves no other rule."""


@dataclass(frozen=True, kw_only=True)
class DnsArgs:
    """Whose resolver, and what it answers."""

    context: RegionContext
    vpc_id: pulumi.Input[str]
    key_arn: pulumi.Input[str]
    retention_days: int
    own_domains: tuple[str, ...]
    allowed_domains: tuple[str, ...]


def with_subdomains(domains: tuple[str, ...]) -> list[str]:
    """Each domain and everything below it; a firewall list takes a wildcard only as the first label."""
    return sorted({form for domain in domains for form in (domain, f"*.{domain}")})


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
        lists = {"aws": AWS_DOMAINS, "own": args.own_domains, "allowed": args.allowed_domains}
        for key, domains in lists.items():
            if domains:
                self._rule(name, key, with_subdomains(domains), group, args)
        self._rule(name, "everything", ["*"], group, args)
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
            opts=self.child(),
        )

    def _rule(self, name: str, key: str, domains: list[str], group: aws.route53.ResolverFirewallRuleGroup, args: DnsArgs) -> None:
        context, block = args.context, key == "everything"
        names = aws.route53.ResolverFirewallDomainList(
            f"{name}-{key}",
            name=context.physical("dns", key, context.region),
            domains=domains,
            tags=context.tagged(f"{name}-{key}"),
            opts=self.child(),
        )
        aws.route53.ResolverFirewallRule(
            f"{name}-{key}-rule",
            name=context.physical("dns", key),
            action="BLOCK" if block else "ALLOW",
            block_response="NODATA" if block else None,
            # An allowed name may be an alias of one that is not listed (a CDN); its owner decides where it points.
            firewall_domain_redirection_action="INSPECT_REDIRECTION_DOMAIN" if block else "TRUST_REDIRECTION_DOMAIN",
            firewall_domain_list_id=names.id,
            firewall_rule_group_id=group.id,
            priority=PRIORITIES[key],
            opts=self.child(),
        )
