"""Vault's role in AWS: with one KMS key it wraps and unwraps the root key, and it takes the roles that services declare.

The seal takes its credentials from a web identity token (IRSA), the only account of the cluster that does: it finds none at the
pod identity agent. The trust policy names the cluster's own issuer, the one service account and the one audience, each to the
letter. Relies on: the cluster's OIDC provider; the interface endpoints of KMS and STS.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from components.base import Component
from components.context import RegionContext
from components.graph.names import VAULT_NAMESPACE, VAULT_SERVICE

ROLE: Final = "vault"
AUDIENCE: Final = "sts.amazonaws.com"
LONGEST_SESSION_SECONDS: Final = 3600
SCHEME: Final = "https://"


def role_name(context: RegionContext) -> str:
    """The role's name: the key's policy knows it before the role stands."""
    return context.physical(context.region, ROLE)


def role_arn(context: RegionContext) -> str:
    """The role's ARN."""
    return context.arn("iam", f"role/{role_name(context)}", regional=False)


def trust_document(provider_arn: str, issuer: str) -> dict[str, Any]:
    """Who may take the role: Vault's service account of the cluster that this issuer belongs to.

    Args:
        provider_arn: ARN of the account's OIDC provider for the cluster.
        issuer: the cluster's issuer, with or without `https://`; IAM's condition keys carry it without.

    Source: EKS user guide, "Assign IAM roles to Kubernetes service accounts".
    """
    host = issuer.removeprefix(SCHEME)
    subject = f"system:serviceaccount:{VAULT_NAMESPACE}:{VAULT_SERVICE}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "OnlyVault",
                "Effect": "Allow",
                "Principal": {"Federated": provider_arn},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {"StringEquals": {f"{host}:sub": subject, f"{host}:aud": AUDIENCE}},
            }
        ],
    }


def key_document(key_arn: pulumi.Input[str]) -> dict[str, Any]:
    """What the seal does with its key (Vault, awskms seal: required permissions)."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Unseal",
                "Effect": "Allow",
                "Action": ["kms:Encrypt", "kms:Decrypt", "kms:DescribeKey"],
                "Resource": key_arn,
            }
        ],
    }


def assume_document(arns: Sequence[str]) -> dict[str, Any]:
    """Whose credentials Vault's `aws` engines may ask STS for: the roles that the settings declare, each by its ARN in full.

    Raises:
        ValueError: for no role, and for one that is a pattern: either would be more than the settings say.
    """
    if not arns or any("*" in arn or "?" in arn for arn in arns):
        msg = f"{sorted(arns)}: name the roles that Vault gives credentials of, each in full"
        raise ValueError(msg)
    statement = {"Sid": "DeclaredRoles", "Effect": "Allow", "Action": "sts:AssumeRole", "Resource": sorted(set(arns))}
    return {"Version": "2012-10-17", "Statement": [statement]}


class SealRole(Component, token="zerotrust:vault:SealRole"):
    """The role. `ready` gates the release: a server without the key does not start."""

    arn: pulumi.Output[str]
    ready: tuple[pulumi.Resource, ...]

    def __init__(
        self,
        name: str,
        *,
        context: RegionContext,
        oidc_provider_arn: pulumi.Input[str],
        oidc_issuer: pulumi.Input[str],
        key_arn: pulumi.Input[str],
        assumes: Sequence[str] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(name, opts)
        trust = pulumi.Output.all(oidc_provider_arn, oidc_issuer).apply(
            lambda known: trust_document(str(known[0]), str(known[1]))
        )
        role = aws.iam.Role(
            f"{name}-role",
            name=role_name(context),
            description=f"Unseals Vault in {context.region}",
            assume_role_policy=pulumi.Output.json_dumps(trust),
            permissions_boundary=context.permissions_boundary,
            max_session_duration=LONGEST_SESSION_SECONDS,
            tags=context.tagged(role_name(context)),
            opts=self.child(),
        )
        policy = aws.iam.RolePolicy(
            f"{name}-policy",
            name="unseal",
            role=role.name,
            policy=pulumi.Output.json_dumps(key_document(key_arn)),
            opts=self.child(),
        )
        self.arn = role.arn
        self.ready = (policy,)
        if assumes:
            credentials = aws.iam.RolePolicy(
                f"{name}-credentials",
                name="credentials",
                role=role.name,
                policy=json.dumps(assume_document(assumes)),
                opts=self.child(),
            )
            self.ready = (policy, credentials)
        self.register_outputs({"arn": self.arn})
