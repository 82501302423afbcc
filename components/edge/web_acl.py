"""The web ACL in front of a region's load balancer: rules, association, log.

Guarantees: what no rule refuses passes on to the token check behind; every request is logged, and neither the log nor a sampled
request shows a credential. Relies on: a log destination whose name begins with `aws-waf-logs-` (AWS WAF accepts no other) and
lets AWS WAF write.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import pulumi
import pulumi_aws as aws
from pulumi import Input, Resource

from components.base import Component
from components.context import RegionContext
from components.edge.web_acl_rules import web_acl_rules
from components.settings.edge import WafSettings

CREDENTIAL_HEADERS = ("authorization", "cookie", "proxy-authorization", "x-api-key")
"""Headers that carry credentials (control WAF-02), API Gateway's usage plan keys included."""


@dataclass(frozen=True, kw_only=True)
class WebAclArgs:
    """One region's web ACL."""

    context: RegionContext
    settings: WafSettings
    health_path: str
    load_balancer_arn: Input[str]
    log_destination_arn: Input[str]
    """A bucket or log group `aws-waf-logs-…`."""
    log_policies: Sequence[Resource] = ()
    """What must stand before AWS WAF may write there."""


class WebAcl(Component, token="zerotrust:edge:WebAcl"):
    """The rules of `web_acl_rules` on one load balancer."""

    arn: pulumi.Output[str]
    association: aws.wafv2.WebAclAssociation
    """Shield's automatic mitigation waits for it."""

    def __init__(self, name: str, args: WebAclArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        blocked = aws.wafv2.IpSet(
            f"{name}-blocked",
            scope="REGIONAL",
            ip_address_version="IPV4",
            addresses=sorted(args.settings.blocked_cidrs),
            tags=args.context.tagged(f"{name}-blocked"),
            opts=self.child(),
        )
        rules = web_acl_rules(args.settings, health_path=args.health_path, blocked_addresses_arn=blocked.arn)
        acl = aws.wafv2.WebAcl(
            f"{name}-acl",
            scope="REGIONAL",
            default_action={"allow": {}},
            rules=cast("list[aws.wafv2.WebAclRuleArgsDict]", rules),
            data_protection_config={
                "data_protections": [
                    {"action": "SUBSTITUTION", "field": {"field_type": "SINGLE_HEADER", "field_keys": [header]}}
                    for header in CREDENTIAL_HEADERS
                ]
            },
            visibility_config={
                "cloudwatch_metrics_enabled": True,
                "metric_name": args.context.physical("edge"),
                "sampled_requests_enabled": True,
            },
            tags=args.context.tagged(f"{name}-acl"),
            opts=self.child(),
        )
        aws.wafv2.WebAclLoggingConfiguration(
            f"{name}-log",
            resource_arn=acl.arn,
            log_destination_configs=[args.log_destination_arn],
            redacted_fields=[{"single_header": {"name": header}} for header in CREDENTIAL_HEADERS],
            opts=self.child(depends_on=list(args.log_policies)),
        )
        self.association = aws.wafv2.WebAclAssociation(
            f"{name}-association",
            resource_arn=args.load_balancer_arn,
            web_acl_arn=acl.arn,
            opts=self.child(),
        )
        self.arn = acl.arn
        self.register_outputs({"arn": self.arn})
