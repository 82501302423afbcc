"""The AWS account an environment lives in, who may act there, and the guards that watch all of it."""

from typing import Literal

from pydantic import Field

from components.settings.base import Model
from components.types import AccountId, Arn, Days, LogRetentionDays, Name, RoleArn


class GuardSettings(Model):
    """Account-level guards. Turn one off only where the organisation's management account already runs it."""

    cloudtrail: bool = True
    """A multi-region trail with log file validation, to the WORM audit bucket."""
    guardduty: bool = True
    """A detector per region with the EKS audit-log and runtime features."""
    config_recorder: bool = True
    """An AWS Config recorder and delivery channel per region."""
    security_hub: bool = True
    """Security Hub per region with the foundational and NIST 800-53 standards."""
    access_analyzer: bool = True
    """An IAM Access Analyzer per region."""
    s3_public_access_block: bool = True
    """The account-wide S3 public access block."""


class AccountSettings(Model):
    """One AWS account: one environment."""

    id: AccountId
    """The 12-digit id; the providers refuse any other account."""
    deployer_role: RoleArn
    """The role that runs `pulumi up`; the only principal the key policies name besides the account's administrators."""
    security_contact_role: RoleArn
    """The break-glass role: the only one that may administer keys and locked backups."""
    permissions_boundary: Arn | None = None
    """A boundary policy set on every role the program creates."""
    guards: GuardSettings = GuardSettings()
    """Which account-level guards the program owns."""


class TagSettings(Model):
    """Tags on every resource that can carry them."""

    owner: Name
    """The owning team."""
    cost_center: Name
    """Whom the bill goes to."""
    data_class: Name = "restricted"
    """The highest data class held."""


class KeySettings(Model):
    """Customer managed KMS keys."""

    rotation_days: int = Field(default=365, ge=90, le=365)
    """Days between rotations of the key material."""
    deletion_window_days: Literal[30] = 30
    """Days a deleted key can still be brought back: the longest AWS has (KMS-01)."""


class AuditSettings(Model):
    """How long evidence is kept, and how hard it is to remove."""

    log_retention_days: LogRetentionDays = 365
    """Days that CloudWatch log groups keep their events."""
    worm_retention_days: Days = 365
    """Days during which nobody can delete an object from an audit bucket (S3 Object Lock)."""
    worm_mode: str = Field(default="COMPLIANCE", pattern="^(COMPLIANCE|GOVERNANCE)$")
    """COMPLIANCE: not even root can delete, and `pulumi destroy` waits for the end; GOVERNANCE: a permission can."""
