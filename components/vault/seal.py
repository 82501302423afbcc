"""Vault's role in AWS, by the name that its key's policy knows before the role stands."""

from typing import Final

from components.context import RegionContext

ROLE: Final = "vault"


def role_name(context: RegionContext) -> str:
    """The role's name."""
    return context.physical(context.region, ROLE)


def role_arn(context: RegionContext) -> str:
    """The role's ARN."""
    return context.arn("iam", f"role/{role_name(context)}", regional=False)
