"""AWS Shield Advanced for the public entry, by setting.

Guarantees: every load balancer is protected, judged by its region's own health check, and mitigated at the application layer
without waiting for a person; AWS's response team may read and tune what it needs and calls the named contacts. Relies on: a web
ACL on every load balancer, a Business or Enterprise support plan (AWS asks for it), and the decision to pay: the subscription
is 3,000 USD a month for the organisation, with a year's commitment that renews itself, plus data transfer. It cannot be ended
before the year is over, so destroying the stack leaves it in place. Without this component Shield Standard is on, free.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws
from pulumi import Input, Resource

from components.base import Component
from components.context import RegionContext
from components.settings.edge import ShieldSettings

RESPONSE_TEAM_POLICY = "arn:aws:iam::aws:policy/service-role/AWSShieldDRTAccessPolicy"
"""AWS asks for exactly this policy on the role (Shield guide, "Granting access for the SRT")."""
SESSION_SECONDS = 3600


def response_team_trust() -> dict[str, Any]:
    """Trust policy: Shield's response team, which assumes the role across AWS's own accounts."""
    statement = {"Effect": "Allow", "Principal": {"Service": "drt.shield.amazonaws.com"}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def emergency_contacts(settings: ShieldSettings) -> list[aws.shield.ProactiveEngagementEmergencyContactArgsDict]:
    """Whom the response team calls on; the first has the telephone number that AWS demands of at least one."""
    phone = settings.proactive_engagement_phone
    return [
        {"email_address": address, "phone_number": phone} if phone is not None and index == 0 else {"email_address": address}
        for index, address in enumerate(settings.proactive_engagement_contacts)
    ]


@dataclass(frozen=True, kw_only=True)
class ShieldArgs:
    """The environment's protections; Shield is global and belongs to the home region's provider."""

    context: RegionContext
    """The home region's."""
    settings: ShieldSettings
    load_balancers: Mapping[str, Input[str]]
    """ARNs by region."""
    health_check_arns: Mapping[str, Input[str]]
    """Route 53 health checks by region: the response team engages when one fails during an attack."""
    associations: Sequence[Resource]
    """The web ACLs' associations: automatic mitigation writes into a web ACL that must be there."""
    others: Mapping[str, Input[str]] = field(default_factory=dict)
    """Further ARNs by name: an accelerator, elastic addresses."""


class Shield(Component, token="zerotrust:edge:Shield"):
    """Subscription, protections, automatic mitigation, response team. Make it only when `settings.advanced`."""

    protection_ids: dict[str, pulumi.Output[str]]
    """Of the load balancers, by region."""

    def __init__(self, name: str, args: ShieldArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        subscription = aws.shield.Subscription(
            f"{name}-subscription", auto_renew="ENABLED", skip_destroy=True, opts=self.child(retain_on_delete=True)
        )
        self.protection_ids = {}
        checks: list[Resource] = []
        for region, arn in sorted(args.load_balancers.items()):
            protection = self._protection(f"{name}-alb-{region}", args, arn, subscription)
            self.protection_ids[region] = protection.id
            checks.append(
                aws.shield.ProtectionHealthCheckAssociation(
                    f"{name}-health-{region}",
                    shield_protection_id=protection.id,
                    health_check_arn=args.health_check_arns[region],
                    opts=self.child(),
                )
            )
            aws.shield.ApplicationLayerAutomaticResponse(
                f"{name}-response-{region}",
                resource_arn=arn,
                action="BLOCK",
                opts=self.child(depends_on=[protection, *args.associations]),
            )
        for key, arn in sorted(args.others.items()):
            self._protection(f"{name}-{key}", args, arn, subscription)
        self._response_team(name, args, [subscription, *checks])
        self.register_outputs({"protectionIds": self.protection_ids})

    def _protection(
        self, name: str, args: ShieldArgs, arn: Input[str], subscription: aws.shield.Subscription
    ) -> aws.shield.Protection:
        return aws.shield.Protection(
            name,
            name=args.context.physical(name, limit=128),
            resource_arn=arn,
            tags=args.context.tagged(name),
            opts=self.child(depends_on=[subscription]),
        )

    def _response_team(self, name: str, args: ShieldArgs, after: Sequence[Resource]) -> None:
        role = aws.iam.Role(
            f"{name}-response-team",
            description="Shield's response team, during an attack",
            assume_role_policy=pulumi.Output.json_dumps(response_team_trust()),
            max_session_duration=SESSION_SECONDS,
            permissions_boundary=args.context.permissions_boundary,
            tags=args.context.tagged(f"{name}-response-team"),
            opts=self.child(),
        )
        policy = aws.iam.RolePolicyAttachment(
            f"{name}-response-team", role=role.name, policy_arn=RESPONSE_TEAM_POLICY, opts=self.child()
        )
        access = aws.shield.DrtAccessRoleArnAssociation(
            f"{name}-response-team", role_arn=role.arn, opts=self.child(depends_on=[policy, *after])
        )
        aws.shield.ProactiveEngagement(
            f"{name}-engagement",
            enabled=True,
            emergency_contacts=emergency_contacts(args.settings),
            opts=self.child(depends_on=[access]),
        )
