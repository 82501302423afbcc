"""Who may use a KMS key: grants as plain values, and the key policy they make.

The policy is the whole answer: the account is delegated to administer and to describe, never to encrypt or decrypt, so an
IAM policy alone opens nothing. What may use a key stands in a `KeyGrant`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pulumi

from components.context import RegionContext

ENVELOPE = ("kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:GenerateDataKey", "kms:DescribeKey")
DISK = (*ENVELOPE, "kms:GenerateDataKeyWithoutPlaintext")
WRITE = ("kms:GenerateDataKey", "kms:DescribeKey")
WRITE_AND_READ = ("kms:Decrypt", *WRITE)

READ_ABOUT = ("kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListGrants", "kms:ListKeyPolicies")
"""What AWS Config, Security Hub and an auditor need; none of it touches plaintext."""

ADMINISTER = (
    "kms:PutKeyPolicy",
    "kms:EnableKey",
    "kms:DisableKey",
    "kms:EnableKeyRotation",
    "kms:DisableKeyRotation",
    "kms:RotateKeyOnDemand",
    "kms:ListKeyRotations",
    "kms:ListResourceTags",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:CreateAlias",
    "kms:UpdateAlias",
    "kms:DeleteAlias",
    "kms:UpdateKeyDescription",
    "kms:RevokeGrant",
    "kms:ScheduleKeyDeletion",
    "kms:CancelKeyDeletion",
    *READ_ABOUT,
)

DATA_SERVICES = ("backup", "dynamodb", "ec2", "elasticache", "rds", "s3", "secretsmanager", "sqs")
"""Services that hold data of the platform; a caller reaches the key only through them (kms:ViaService)."""

Conditions = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class KeyGrant:
    """One party that may use a key, for named actions, under conditions."""

    sid: str
    """Statement id, letters and digits."""
    kind: Literal["AWS", "Service"]
    principals: tuple[pulumi.Input[str], ...]
    """Role ARNs or service names. A role must exist when the policy is written: KMS refuses unknown principals."""
    actions: tuple[str, ...]
    conditions: Conditions = field(default_factory=dict)

    def statement(self) -> dict[str, Any]:
        """The policy statement."""
        body: dict[str, Any] = {
            "Sid": self.sid,
            "Effect": "Allow",
            "Principal": {self.kind: list(self.principals)},
            "Action": list(self.actions),
            # In a key policy "*" means this key and nothing else (AWS KMS, key policies).
            "Resource": "*",
        }
        return {**body, "Condition": {key: dict(value) for key, value in self.conditions.items()}} if self.conditions else body


def key_policy(context: RegionContext, administrators: Sequence[str], grants: Sequence[KeyGrant]) -> dict[str, Any]:
    """The policy of a key (KMS-02): nobody is `*`, administrators administer, and only the grants use.

    The account's own principal must be named: a policy that names roles only is lost with the roles (KMS turns their ARNs
    into ids that no new role gets), and then not even AWS Support can change it. Its power to administer is confined by
    `aws:PrincipalArn` to the root user and the administrators; that compares text, so a role that is made anew fits again.

    Raises:
        ValueError: without an administrator, for two grants of one sid, or for a principal `*`.
    """
    if not administrators:
        msg = "a key needs an administrator"
        raise ValueError(msg)
    sids = [grant.sid for grant in grants]
    if len(set(sids)) != len(sids):
        msg = f"two grants share a sid: {', '.join(sorted(sids))}"
        raise ValueError(msg)
    if any(principal == "*" for grant in grants for principal in grant.principals):
        msg = "a grant to * opens the key to every account"
        raise ValueError(msg)
    root = context.arn("iam", "root", regional=False)
    delegated = KeyGrant(sid="AccountReadsAbout", kind="AWS", principals=(root,), actions=READ_ABOUT)
    administered = KeyGrant(
        sid="AdministratorsAdminister",
        kind="AWS",
        principals=(root,),
        actions=ADMINISTER,
        conditions={"ArnEquals": {"aws:PrincipalArn": sorted({root, *administrators})}},
    )
    return {"Version": "2012-10-17", "Statement": [grant.statement() for grant in (administered, delegated, *grants)]}


def service_grant(
    context: RegionContext, sid: str, service: str, actions: tuple[str, ...], conditions: Conditions | None = None
) -> KeyGrant:
    """A use by an AWS service on behalf of this account alone (confused deputy: aws:SourceAccount)."""
    narrowed = {"StringEquals": {"aws:SourceAccount": context.account}} if conditions is None else conditions
    return KeyGrant(sid=sid, kind="Service", principals=(service,), actions=actions, conditions=narrowed)


def via_services(context: RegionContext, sid: str, services: Sequence[str]) -> KeyGrant:
    """A use by callers of this account whom IAM allows it, and only through the named services of this region."""
    return KeyGrant(
        sid=sid,
        kind="AWS",
        principals=(context.arn("iam", "root", regional=False),),
        actions=(*DISK, "kms:CreateGrant"),
        conditions={
            "StringEquals": {
                "kms:CallerAccount": context.account,
                "kms:ViaService": [f"{service}.{context.region}.amazonaws.com" for service in sorted(services)],
            }
        },
    )
