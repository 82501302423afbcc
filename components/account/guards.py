"""What watches and bounds a whole account, once per environment, in the home region (AUD-01 to AUD-03, S3-01).

Guarantees, each by its setting: no bucket of the account can be public; every API call of every region is recorded, with
digests, under a customer key, in a WORM bucket and in a log group that alarms read.
Relies on: a WORM bucket with `cloudtrail_delivery(context, trail_arn(context))` and a key with `logs_grants`.
"""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.account.trail import INSIGHTS, event_selectors, role_policy, role_trust, trail_log_group, trail_name
from components.base import Component
from components.context import RegionContext
from components.settings.account import AuditSettings, GuardSettings

CONFIG_SERVICE = "config.amazonaws.com"


@dataclass(frozen=True, kw_only=True)
class GuardsArgs:
    """Where the trail goes and which guards the program owns."""

    context: RegionContext
    """The home region."""
    guards: GuardSettings
    audit: AuditSettings
    key_arn: pulumi.Input[str]
    """The logs key of the home region."""
    trail_bucket: pulumi.Input[str]
    """Name of the WORM bucket."""
    trail_bucket_arn: pulumi.Input[str]
    unrecorded_buckets: tuple[pulumi.Input[str], ...] = ()
    """ARNs of buckets whose object access is not worth a record: the landing places."""
    protect: bool = True


class Guards(Component, token="zerotrust:account:Guards"):
    """The account's guards."""

    trail_arn: pulumi.Output[str] | None
    trail_log_group: pulumi.Output[str] | None
    """Name of the log group that alarms read."""
    config_role_arn: pulumi.Output[str] | None
    """The service-linked role that every region's recorder takes."""

    def __init__(self, name: str, args: GuardsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self.trail_arn = self.trail_log_group = self.config_role_arn = None
        if args.guards.s3_public_access_block:
            aws.s3.AccountPublicAccessBlock(
                f"{name}-s3-public-access-block",
                account_id=args.context.account,
                block_public_acls=True,
                block_public_policy=True,
                ignore_public_acls=True,
                restrict_public_buckets=True,
                opts=self.child(),
            )
        # IAM users are forbidden (IAM-04); the policy bounds the ones that somebody makes beside the program (CIS 1.7, 1.8).
        aws.iam.AccountPasswordPolicy(
            f"{name}-password-policy",
            minimum_password_length=14,
            password_reuse_prevention=24,
            max_password_age=90,
            require_lowercase_characters=True,
            require_uppercase_characters=True,
            require_numbers=True,
            require_symbols=True,
            allow_users_to_change_password=True,
            opts=self.child(),
        )
        if args.guards.config_recorder:
            # Security Hub's Config.1 asks for this very role. One per account: where it exists, import it.
            role = aws.iam.ServiceLinkedRole(
                f"{name}-config-role",
                aws_service_name=CONFIG_SERVICE,
                tags=args.context.tagged(f"{name}-config"),
                opts=self.child(),
            )
            self.config_role_arn = role.arn
        if args.guards.cloudtrail:
            self._trail(name, args)
        self.register_outputs(
            {
                "trail_arn": self.trail_arn,
                "trail_log_group": self.trail_log_group,
                "config_role_arn": self.config_role_arn,
            }
        )

    def _trail(self, name: str, args: GuardsArgs) -> None:
        context = args.context
        group = aws.cloudwatch.LogGroup(
            f"{name}-trail-logs",
            name=trail_log_group(context),
            kms_key_id=args.key_arn,
            retention_in_days=args.audit.log_retention_days,
            deletion_protection_enabled=True,
            tags=context.tagged(f"{name}-trail", purpose="audit"),
            opts=self.child(protect=args.protect),
        )
        role = aws.iam.Role(
            f"{name}-trail-role",
            assume_role_policy=pulumi.Output.json_dumps(role_trust(context)),
            max_session_duration=3600,
            permissions_boundary=context.permissions_boundary,
            tags=context.tagged(f"{name}-trail"),
            opts=self.child(),
        )
        permissions = aws.iam.RolePolicy(
            f"{name}-trail-permissions",
            role=role.name,
            policy=pulumi.Output.json_dumps(role_policy(context, group.arn)),
            opts=self.child(),
        )
        trail = aws.cloudtrail.Trail(
            f"{name}-trail",
            name=trail_name(context),
            s3_bucket_name=args.trail_bucket,
            kms_key_id=args.key_arn,
            is_multi_region_trail=True,
            include_global_service_events=True,
            enable_logging=True,
            enable_log_file_validation=True,
            cloud_watch_logs_group_arn=group.arn.apply(lambda arn: f"{arn}:*"),
            cloud_watch_logs_role_arn=role.arn,
            advanced_event_selectors=event_selectors(args.trail_bucket_arn, args.unrecorded_buckets),
            insight_selectors=[aws.cloudtrail.TrailInsightSelectorArgs(insight_type=kind) for kind in sorted(INSIGHTS)],
            tags=context.tagged(trail_name(context), purpose="audit"),
            opts=self.child(depends_on=[permissions], protect=args.protect),
        )
        self.trail_arn, self.trail_log_group = trail.arn, group.name
