"""The grants of the standard keys: logs, data, cluster, backup, vault. Pure; each names exactly who needs the key."""

from components.context import RegionContext
from components.keys.policy import DATA_SERVICES, DISK, ENVELOPE, WRITE, WRITE_AND_READ, KeyGrant, service_grant, via_services


def logs_grants(context: RegionContext) -> tuple[KeyGrant, ...]:
    """Log groups of this region, the trail, deliverers, AWS Config, alarms; through S3 readers and the stores of telemetry."""
    return (
        service_grant(
            context,
            "LogGroups",
            f"logs.{context.region}.amazonaws.com",
            ENVELOPE,
            # CloudWatch Logs sends no aws:SourceAccount; its encryption context names the group and with it the account.
            {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": context.arn("logs", "log-group:*")}},
        ),
        service_grant(
            context,
            "TrailEncrypts",
            "cloudtrail.amazonaws.com",
            ("kms:GenerateDataKey",),
            {
                "StringEquals": {"aws:SourceAccount": context.account},
                # The trail is multi-region and may stand in another region than a bucket of it.
                "ArnLike": {"aws:SourceArn": f"arn:aws:cloudtrail:*:{context.account}:trail/*"},
                "StringLike": {"kms:EncryptionContext:aws:cloudtrail:arn": f"arn:aws:cloudtrail:*:{context.account}:trail/*"},
            },
        ),
        # CloudTrail describes the key when the trail is made and sends no encryption context with that.
        service_grant(context, "TrailDescribes", "cloudtrail.amazonaws.com", ("kms:DescribeKey",)),
        service_grant(context, "DeliveredLogs", "delivery.logs.amazonaws.com", WRITE_AND_READ),
        service_grant(context, "ConfigDelivers", "config.amazonaws.com", WRITE_AND_READ),
        service_grant(context, "AlarmsPublish", "cloudwatch.amazonaws.com", WRITE_AND_READ),
        via_services(context, "ThroughStorage", ("s3", "sns")),
    )


def data_grants(context: RegionContext) -> tuple[KeyGrant, ...]:
    """Volumes that Auto Scaling attaches, the data services, and GuardDuty's malware scan of volume copies.

    The Auto Scaling service-linked role must exist: AWS makes it with an account's first Auto Scaling group, or
    `aws iam create-service-linked-role --aws-service-name autoscaling.amazonaws.com` does.
    """
    autoscaling = context.arn(
        "iam", "role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling", regional=False
    )
    scanner = context.arn(
        "iam",
        "role/aws-service-role/malware-protection.guardduty.amazonaws.com/AWSServiceRoleForAmazonGuardDutyMalwareProtection",
        regional=False,
    )
    for_resources = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
    return (
        KeyGrant(sid="NodeVolumes", kind="AWS", principals=(autoscaling,), actions=DISK),
        KeyGrant(
            sid="NodeVolumeGrants",
            kind="AWS",
            principals=(autoscaling,),
            actions=("kms:CreateGrant",),
            conditions=for_resources,
        ),
        via_services(context, "ThroughDataServices", DATA_SERVICES),
        KeyGrant(
            sid="MalwareScan",
            kind="AWS",
            # The account with a condition on the caller: GuardDuty makes its role only when the feature goes on.
            principals=(context.arn("iam", "root", regional=False),),
            actions=(*WRITE, "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:CreateGrant"),
            conditions={"ArnEquals": {"aws:PrincipalArn": scanner}},
        ),
    )


def cluster_grants(context: RegionContext, *, cluster_role: str, creator: str) -> tuple[KeyGrant, ...]:
    """Envelope encryption of Kubernetes secrets by EKS.

    Args:
        context: the region.
        cluster_role: ARN of the cluster's IAM role, which encrypts and decrypts. It need not exist yet: the condition
            compares text, and the cluster's key stands before its role.
        creator: ARN of the role that calls CreateCluster. It needs kms:CreateGrant, and EKS does not support
            kms:GrantIsForAWSResource there (Amazon EKS, envelope encryption), so that role could grant itself use of this
            one key; the trail records CreateGrant.
    """
    return (
        KeyGrant(
            sid="ClusterSecrets",
            kind="AWS",
            principals=(context.arn("iam", "root", regional=False),),
            actions=ENVELOPE,
            conditions={"ArnEquals": {"aws:PrincipalArn": cluster_role}},
        ),
        KeyGrant(
            sid="ClusterCreation",
            kind="AWS",
            principals=(context.arn("iam", "root", regional=False),),
            actions=("kms:CreateGrant",),
            conditions={"ArnEquals": {"aws:PrincipalArn": creator}},
        ),
    )


def backup_grants(context: RegionContext) -> tuple[KeyGrant, ...]:
    """Backups: through S3 for what pods write, through AWS Backup for recovery points, through EC2 for copies of volumes.

    A recovery point of a volume is a snapshot: EC2 makes its copy, encrypted with the key of the vault it goes to.
    """
    return (via_services(context, "ThroughBackupServices", ("backup", "ec2", "s3")),)


def vault_grants(context: RegionContext, *, vault_role: str) -> tuple[KeyGrant, ...]:
    """Vault's seal: the role wraps and unwraps Vault's root key, nobody else uses this key (Vault, awskms seal).

    Args:
        context: the region.
        vault_role: ARN of Vault's own role; it need not exist yet, the condition compares text.
    """
    return (
        KeyGrant(
            sid="VaultUnseals",
            kind="AWS",
            principals=(context.arn("iam", "root", regional=False),),
            actions=("kms:Encrypt", "kms:Decrypt", "kms:DescribeKey"),
            conditions={"ArnEquals": {"aws:PrincipalArn": vault_role}},
        ),
    )
