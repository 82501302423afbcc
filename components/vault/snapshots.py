"""Snapshots of Vault's data: a job of its own account saves one and carries it to the locked bucket.

No static credential: the job shows Vault a token that the API server made for it, for the audience `vault` and ten minutes, and
AWS one of the pod identity agent. Vault's policy gives it the snapshot and nothing else, AWS's role may add objects below one
prefix and read none. A snapshot is encrypted by Vault itself, its root key by the seal's: without that KMS key it is noise. This
login does not stand on SPIRE, so snapshots go on when SPIRE does not. Relies on: the bucket with Object Lock, which asks for a
checksum; Vault, configured.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pulumi
import pulumi_vault as vault

from components.base import Component
from components.graph.names import SERVICE_LABEL, VAULT_NAMESPACE, VAULT_PORT
from components.manifests import Manifest, manifest
from components.pods import container_security, pod_resources, pod_security, system_placement
from components.vault.server import USER
from components.vault.tls import ACTIVE_SERVICE, TRUST_CERTIFICATE, service_name

ACCOUNT: Final = "vault-snapshot"
LABELS: Final = {SERVICE_LABEL: ACCOUNT}
ROLE: Final = "snapshot"
MOUNT: Final = "kubernetes"
AUDIENCE: Final = "vault"
PREFIX: Final = "vault/"
"""Of the objects in the region's bucket for backups."""
TOKEN_SECONDS: Final = 600
DEADLINE_SECONDS: Final = 1800
SCRATCH: Final = "/scratch"
"""In the pod: where the snapshot lies between the two containers."""
FOLDER: Final = Path(__file__).parent / "files"
POLICY: Final = FOLDER / "snapshot.hcl"
SAVE: Final = FOLDER / "snapshot-save.sh"
CARRY: Final = FOLDER / "snapshot-carry.sh"


@dataclass(frozen=True, kw_only=True)
class SnapshotJob:
    """The job of one region."""

    region: str
    hours: int
    """Between two snapshots; a divisor of 24."""
    vault_image: str
    aws_image: str
    bucket: pulumi.Input[str]


def schedule(hours: int) -> str:
    """Cron: at minute 17, which is nobody else's; every `hours` hours, counted from midnight."""
    return "17 0 * * *" if hours == 24 else f"17 */{hours} * * *"  # noqa: PLR2004 - a day


def bucket_document(bucket_arn: pulumi.Input[str], key_arn: pulumi.Input[str]) -> dict[str, Any]:
    """What the job's role may do: add objects below the prefix, under the bucket's own key. It reads and removes nothing."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Add",
                "Effect": "Allow",
                "Action": ["s3:PutObject", "s3:AbortMultipartUpload"],
                "Resource": pulumi.Output.concat(bucket_arn, "/", PREFIX, "*"),
            },
            # A multipart upload decrypts its parts to join them (Amazon S3 user guide, multipart upload).
            {"Sid": "Encrypt", "Effect": "Allow", "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": key_arn},
        ],
    }


def snapshot_objects(job: SnapshotJob) -> tuple[Manifest, ...]:
    """The account and the job."""
    return (
        manifest("v1", "ServiceAccount", ACCOUNT, namespace=VAULT_NAMESPACE, labels=LABELS, automountServiceAccountToken=False),
        manifest(
            "batch/v1",
            "CronJob",
            ACCOUNT,
            namespace=VAULT_NAMESPACE,
            labels=LABELS,
            spec={
                "schedule": schedule(job.hours),
                "timeZone": "Etc/UTC",
                "concurrencyPolicy": "Forbid",
                "startingDeadlineSeconds": DEADLINE_SECONDS,
                "successfulJobsHistoryLimit": 1,
                "failedJobsHistoryLimit": 3,
                "jobTemplate": {
                    "spec": {
                        "backoffLimit": 3,
                        "activeDeadlineSeconds": DEADLINE_SECONDS,
                        "ttlSecondsAfterFinished": 86400,
                        "template": {"metadata": {"labels": dict(LABELS)}, "spec": _pod(job)},
                    }
                },
            },
        ),
    )


def _pod(job: SnapshotJob) -> dict[str, Any]:
    scratch = {"name": "scratch", "mountPath": SCRATCH}
    return {
        "serviceAccountName": ACCOUNT,
        "automountServiceAccountToken": False,
        "restartPolicy": "Never",
        "securityContext": pod_security(USER),
        "initContainers": [
            {
                "name": "save",
                "image": job.vault_image,
                "command": ["/bin/sh", "-eu", "-c", SAVE.read_text(encoding="utf-8")],
                "env": [
                    # The active server alone makes a snapshot; any other would hand the request on.
                    {"name": "VAULT_ADDR", "value": f"https://{service_name(ACTIVE_SERVICE)}:{VAULT_PORT}"},
                    {"name": "VAULT_CACERT", "value": "/trust/ca.crt"},
                    {"name": "HOME", "value": SCRATCH},
                    {"name": "MOUNT", "value": MOUNT},
                    {"name": "ROLE", "value": ROLE},
                    {"name": "JWT_FILE", "value": "/token/token"},
                    {"name": "SNAPSHOT", "value": f"{SCRATCH}/snapshot"},
                ],
                "securityContext": container_security(),
                "resources": pod_resources("50m", "256Mi"),
                "volumeMounts": [
                    scratch,
                    {"name": "token", "mountPath": "/token", "readOnly": True},
                    {"name": "trust", "mountPath": "/trust", "readOnly": True},
                ],
            }
        ],
        "containers": [
            {
                "name": "carry",
                "image": job.aws_image,
                "command": ["/bin/sh", "-eu", "-c", CARRY.read_text(encoding="utf-8")],
                "env": [
                    {"name": "AWS_REGION", "value": job.region},
                    {"name": "HOME", "value": SCRATCH},
                    {"name": "TARGET", "value": pulumi.Output.concat("s3://", job.bucket, "/", PREFIX)},
                    {"name": "SNAPSHOT", "value": f"{SCRATCH}/snapshot"},
                ],
                "securityContext": container_security(),
                "resources": pod_resources("50m", "256Mi"),
                "volumeMounts": [scratch],
            }
        ],
        "volumes": [
            {"name": "scratch", "emptyDir": {"sizeLimit": "20Gi"}},
            {
                "name": "token",
                "projected": {
                    "sources": [
                        {"serviceAccountToken": {"audience": AUDIENCE, "expirationSeconds": TOKEN_SECONDS, "path": "token"}}
                    ]
                },
            },
            {
                "name": "trust",
                "secret": {"secretName": TRUST_CERTIFICATE, "items": [{"key": "ca.crt", "path": "ca.crt"}], "defaultMode": 0o444},
            },
        ],
        **system_placement(),
    }


class SnapshotLogin(Component, token="zerotrust:vault:SnapshotLogin"):
    """In Vault: the login of the job's account, and the one thing it may do. The Vault provider is the caller's to give."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, *, after: tuple[pulumi.Resource, ...] = (), opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        backend = vault.AuthBackend(
            f"{name}-kubernetes",
            type="kubernetes",
            path=MOUNT,
            description="The platform's own accounts of this cluster, by their tokens",
            opts=self.child(depends_on=list(after)),
        )
        config = vault.kubernetes.AuthBackendConfig(
            f"{name}-cluster",
            backend=backend.path,
            kubernetes_host="https://kubernetes.default.svc.cluster.local",
            # Reviewer and authority are Vault's own account's: nothing of either is kept in Vault.
            disable_local_ca_jwt=False,
            opts=self.child(),
        )
        text = POLICY.read_text(encoding="utf-8")
        policy = vault.Policy(f"{name}-policy", name=ROLE, policy=text, opts=self.child(depends_on=list(after)))
        role = vault.kubernetes.AuthBackendRole(
            f"{name}-role",
            backend=backend.path,
            role_name=ROLE,
            bound_service_account_names=[ACCOUNT],
            bound_service_account_namespaces=[VAULT_NAMESPACE],
            audience=AUDIENCE,
            alias_name_source="serviceaccount_name",
            token_policies=[policy.name],
            token_no_default_policy=True,
            token_ttl=TOKEN_SECONDS,
            token_max_ttl=DEADLINE_SECONDS,
            token_type="batch",  # noqa: S106 - a kind of token
            opts=self.child(depends_on=[config]),
        )
        self.ready = (role,)
        self.register_outputs({})
