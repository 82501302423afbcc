"""AWS Backup of a region's volumes: a locked vault, the plan that fills it and the other region's, and a monthly trial restore.

Guarantees: recovery points go neither early nor by anybody's hand (BKP-01, BKP-02, BKP-06); each has a copy in another region's
locked vault (BKP-03); a restore is tried every month (BKP-04). Relies on: the region's backup key, and the tag that the EBS
driver puts on every volume it makes for a claim. Databases have their own archive; their volumes are kept besides, for the day
the archive is what is broken.
"""

from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from components.base import Component
from components.context import RegionContext
from components.settings.account import AuditSettings
from components.settings.backup import BackupSettings

CLAIMED: Final = ("ebs.csi.aws.com/cluster", "true")
"""The tag of every volume that the EBS CSI driver made (driver's documentation, tagging)."""
LONGEST_DAYS: Final = 3650
MINUTES_TO_START: Final = 60
MINUTES_TO_COMPLETE: Final = 360
HELD: Final = (
    "backup:DeleteBackupVault",
    "backup:DeleteBackupVaultAccessPolicy",
    "backup:DeleteRecoveryPoint",
    "backup:PutBackupVaultAccessPolicy",
    "backup:UpdateRecoveryPointLifecycle",
)


def vault_name(context: RegionContext) -> str:
    """The vault's name: 50 characters at most (AWS Backup, CreateBackupVault)."""
    return context.physical(context.region, "volumes", limit=50)


def vault_policy(vault_arn: pulumi.Input[str], custodians: tuple[str, ...], deployer: str) -> dict[str, Any]:
    """Nobody removes or shortens a recovery point but the custodians; who deploys may still write this policy.

    The lock refuses it to everybody besides: this is what stands before a lock is final.
    """

    def refuse(sid: str, actions: list[str], allowed: list[str]) -> dict[str, Any]:
        return {
            "Sid": sid,
            "Effect": "Deny",
            "Principal": "*",
            "Action": actions,
            "Resource": vault_arn if sid == "RefuseChange" else "*",
            "Condition": {"ArnNotEquals": {"aws:PrincipalArn": allowed}},
        }

    written = [action for action in HELD if "AccessPolicy" in action or action.endswith("DeleteBackupVault")]
    removed = [action for action in HELD if action not in written]
    return {
        "Version": "2012-10-17",
        "Statement": [
            # A vault policy's "*" is the vault's own recovery points (AWS Backup, access policies on vaults).
            refuse("RefuseRemoval", removed, sorted(custodians)),
            refuse("RefuseChange", written, sorted({*custodians, deployer})),
        ],
    }


def service_trust(account: str) -> dict[str, Any]:
    """AWS Backup may take the role for this account's plans."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "backup.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": account}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def service_policy(context: RegionContext, regions: tuple[str, ...], keys: tuple[pulumi.Input[str], ...]) -> dict[str, Any]:
    """Snapshots of claimed volumes, their copies in the named regions, trial restores; nothing else of EC2 and no other service.

    The managed policies for this cover every service that AWS Backup knows. Looking at volumes and snapshots has no resource
    in EC2. Source: AWS Backup, managed policies AWSBackupServiceRolePolicyForBackup and …ForRestores, their EBS parts.
    """
    snapshots = [f"arn:aws:ec2:{region}::snapshot/*" for region in regions]
    volumes = context.arn("ec2", "volume/*")
    key, value = CLAIMED
    vaults = [f"arn:aws:backup:{region}:{context.account}:backup-vault:*" for region in regions]
    # Only what AWS Backup made bears this tag.
    own = {"Null": {"aws:ResourceTag/aws:backup:source-resource": "false"}}
    through = [f"{service}.{region}.amazonaws.com" for region in regions for service in ("backup", "ec2")]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Look",
                "Effect": "Allow",
                "Action": ["ec2:DescribeSnapshots", "ec2:DescribeVolumes", "tag:GetResources"],
                "Resource": "*",
            },
            {
                "Sid": "TakeFromVolumes",
                "Effect": "Allow",
                "Action": "ec2:CreateSnapshot",
                "Resource": volumes,
                "Condition": {"StringEquals": {f"aws:ResourceTag/{key}": value}},
            },
            {
                "Sid": "TakeAndCopy",
                "Effect": "Allow",
                "Action": ["ec2:CopySnapshot", "ec2:CreateSnapshot", "ec2:CreateTags"],
                "Resource": snapshots,
            },
            {"Sid": "Expire", "Effect": "Allow", "Action": "ec2:DeleteSnapshot", "Resource": snapshots, "Condition": own},
            {
                "Sid": "TrialRestore",
                "Effect": "Allow",
                "Action": ["ec2:CreateTags", "ec2:CreateVolume"],
                "Resource": [volumes, *snapshots],
            },
            {
                "Sid": "EndTrial",
                "Effect": "Allow",
                "Action": "ec2:DeleteVolume",
                "Resource": volumes,
                "Condition": {"Null": {"aws:ResourceTag/awsbackup-restore-test": "false"}},
            },
            {
                "Sid": "Vaults",
                "Effect": "Allow",
                "Action": ["backup:CopyFromBackupVault", "backup:CopyIntoBackupVault", "backup:DescribeBackupVault"],
                "Resource": vaults,
            },
            {
                "Sid": "Keys",
                "Effect": "Allow",
                "Action": [
                    "kms:CreateGrant",
                    "kms:Decrypt",
                    "kms:DescribeKey",
                    "kms:GenerateDataKeyWithoutPlaintext",
                    "kms:ReEncryptFrom",
                    "kms:ReEncryptTo",
                ],
                "Resource": list(keys),
                "Condition": {"StringEquals": {"kms:ViaService": through}},
            },
        ],
    }


def every(hours: int) -> str:
    """AWS Backup's cron for a recovery point every so many hours, in UTC; 24 is four in the morning."""
    return "cron(0 4 * * ? *)" if hours == 24 else f"cron(0 0/{hours} * * ? *)"  # noqa: PLR2004 - a day


@dataclass(frozen=True, kw_only=True)
class VolumeVaultArgs:
    """Where recovery points lie, and for how long."""

    context: RegionContext
    settings: BackupSettings
    audit: AuditSettings
    key_arn: pulumi.Input[str]
    custodians: tuple[str, ...]
    deployer: str
    """ARN of the role that runs the program."""
    protect: bool


class VolumeVault(Component, token="zerotrust:backup:VolumeVault"):
    """A locked vault. `name` and `arn` are known once lock and policy stand."""

    name: pulumi.Output[str]
    arn: pulumi.Output[str]

    def __init__(self, name: str, args: VolumeVaultArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        physical = vault_name(args.context)
        vault = aws.backup.Vault(
            f"{name}-vault",
            name=physical,
            kms_key_arn=args.key_arn,
            force_destroy=False,
            tags=args.context.tagged(physical, purpose="backup"),
            opts=self.child(protect=args.protect),
        )
        policy = aws.backup.VaultPolicy(
            f"{name}-policy",
            backup_vault_name=vault.name,
            policy=pulumi.Output.json_dumps(vault_policy(vault.arn, args.custodians, args.deployer)),
            opts=self.child(),
        )
        lock = aws.backup.VaultLockConfiguration(
            f"{name}-lock",
            backup_vault_name=vault.name,
            min_retention_days=args.settings.lock_days,
            max_retention_days=LONGEST_DAYS,
            # With a number of days the lock becomes final after them (compliance); without, a permission lifts it.
            changeable_for_days=args.settings.volumes.changeable_days if args.audit.worm_mode == "COMPLIANCE" else None,
            opts=self.child(protect=args.protect),
        )
        self.name = pulumi.Output.all(policy.backup_vault_name, lock.backup_vault_name).apply(lambda names: str(names[0]))
        self.arn = pulumi.Output.all(vault.arn, self.name).apply(lambda known: str(known[0]))
        self.register_outputs({"name": self.name, "arn": self.arn})


@dataclass(frozen=True, kw_only=True)
class VolumePlanArgs:
    """What fills a region's vault."""

    context: RegionContext
    settings: BackupSettings
    vault: VolumeVault
    copy: VolumeVault | None
    """The other region's vault; None where there is one region, or copies are turned off."""
    copy_region: str | None
    keys: tuple[pulumi.Input[str], ...]
    """Of the volumes, of this region's backups, and of the other region's."""


class VolumePlan(Component, token="zerotrust:backup:VolumePlan"):
    """The plan of one region, its role, and its trial restores."""

    def __init__(self, name: str, args: VolumePlanArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        context, volumes = args.context, args.settings.volumes
        physical = vault_name(context)
        regions = (context.region, *((args.copy_region,) if args.copy_region else ()))
        role = aws.iam.Role(
            f"{name}-role",
            assume_role_policy=pulumi.Output.json_dumps(service_trust(context.account)),
            max_session_duration=43200,
            permissions_boundary=context.permissions_boundary,
            tags=context.tagged(f"{name}-volumes"),
            opts=self.child(),
        )
        allowed = aws.iam.RolePolicy(
            f"{name}-permissions",
            role=role.name,
            policy=pulumi.Output.json_dumps(service_policy(context, regions, args.keys)),
            opts=self.child(),
        )
        copies = [
            aws.backup.PlanRuleCopyActionArgs(
                destination_vault_arn=other.arn,
                lifecycle=aws.backup.PlanRuleCopyActionLifecycleArgs(delete_after=volumes.keep_days),
            )
            for other in (args.copy,)
            if other is not None
        ]
        plan = aws.backup.Plan(
            f"{name}-plan",
            name=physical,
            rules=[
                aws.backup.PlanRuleArgs(
                    rule_name="volumes",
                    target_vault_name=args.vault.name,
                    schedule=every(volumes.every_hours),
                    start_window=MINUTES_TO_START,
                    completion_window=MINUTES_TO_COMPLETE,
                    lifecycle=aws.backup.PlanRuleLifecycleArgs(delete_after=volumes.keep_days),
                    copy_actions=copies or None,
                )
            ],
            tags=context.tagged(physical),
            opts=self.child(),
        )
        key, value = CLAIMED
        aws.backup.Selection(
            f"{name}-selection",
            name="claimed-volumes",
            plan_id=plan.id,
            iam_role_arn=role.arn,
            selection_tags=[aws.backup.SelectionSelectionTagArgs(type="STRINGEQUALS", key=key, value=value)],
            opts=self.child(depends_on=[allowed]),
        )
        if volumes.restore_test:
            self._trial(name, args, role, allowed)
        self.register_outputs({})

    def _trial(self, name: str, args: VolumePlanArgs, role: aws.iam.Role, allowed: aws.iam.RolePolicy) -> None:
        # Restore testing takes letters, digits and underscores only.
        physical = vault_name(args.context).replace("-", "_")
        trial = aws.backup.RestoreTestingPlan(
            f"{name}-trial",
            name=physical,
            schedule_expression="cron(0 9 2 * ? *)",
            start_window_hours=8,
            recovery_point_selection=aws.backup.RestoreTestingPlanRecoveryPointSelectionArgs(
                algorithm="RANDOM_WITHIN_WINDOW",
                include_vaults=[args.vault.arn],
                recovery_point_types=["SNAPSHOT"],
                selection_window_days=args.settings.volumes.keep_days,
            ),
            tags=args.context.tagged(physical),
            opts=self.child(),
        )
        aws.backup.RestoreTestingSelection(
            f"{name}-trial-volumes",
            name="volumes",
            restore_testing_plan_name=trial.name,
            iam_role_arn=role.arn,
            protected_resource_type="EBS",
            protected_resource_arns=["*"],
            validation_window_hours=1,
            restore_metadata_overrides={"availabilityZone": f"{args.context.region}a"},
            opts=self.child(depends_on=[allowed]),
        )
