"""A customer managed KMS key of one purpose in one region (KMS-01, KMS-02).

Guarantees: yearly rotation or faster, the full waiting period, a policy of its own from birth.
Relies on: `components.keys.policy` for the document.
"""

from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_aws as aws

from components.base import Component
from components.context import RegionContext
from components.keys.policy import KeyGrant, key_policy
from components.settings.account import KeySettings

Purpose = Literal["cluster", "data", "logs", "api", "backup", "vault"]


@dataclass(frozen=True, kw_only=True)
class KeyArgs:
    """What a key is for and who may do what with it."""

    context: RegionContext
    settings: KeySettings
    purpose: Purpose
    administrators: tuple[str, ...]
    """Role ARNs that manage the key and cannot use it: the break-glass role and the deployer."""
    grants: tuple[KeyGrant, ...]
    protect: bool = True


class Key(Component, token="zerotrust:keys:Key"):
    """A symmetric key and its alias `alias/<organization>-<environment>-<purpose>`."""

    arn: pulumi.Output[str]
    key_id: pulumi.Output[str]
    alias: pulumi.Output[str]

    def __init__(self, name: str, args: KeyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        context = args.context
        label = context.physical(args.purpose)
        key = aws.kms.Key(
            f"{name}-key",
            description=f"{args.purpose} key of {context.organization} {context.environment} in {context.region}",
            enable_key_rotation=True,
            rotation_period_in_days=args.settings.rotation_days,
            deletion_window_in_days=args.settings.deletion_window_days,
            policy=pulumi.Output.json_dumps(key_policy(context, args.administrators, args.grants)),
            tags=context.tagged(label, purpose=args.purpose),
            opts=self.child(protect=args.protect),
        )
        alias = aws.kms.Alias(f"{name}-alias", name=f"alias/{label}", target_key_id=key.id, opts=self.child())
        self.arn, self.key_id, self.alias = key.arn, key.id, alias.name
        self.register_outputs({"arn": self.arn, "key_id": self.key_id, "alias": self.alias})
