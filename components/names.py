"""Physical names and tags: pure, bounded, and the same on every run."""

import hashlib
from collections.abc import Mapping

S3_NAME_LIMIT = 63
LOAD_BALANCER_NAME_LIMIT = 32
HASH_LENGTH = 6


def bounded(limit: int, *parts: str) -> str:
    """Join parts with hyphens; over `limit` characters, cut and end in a hash of the whole, so that names stay distinct."""
    whole = "-".join(part for part in parts if part)
    if len(whole) <= limit:
        return whole
    digest = hashlib.sha256(whole.encode()).hexdigest()[:HASH_LENGTH]
    return f"{whole[: limit - HASH_LENGTH - 1].rstrip('-')}-{digest}"


def bucket_name(organization: str, environment: str, region: str, purpose: str, account: str) -> str:
    """A globally unique bucket name: the account id keeps it out of others' reach. Raises ValueError past S3's 63 characters."""
    name = f"{organization}-{environment}-{purpose}-{region}-{account}"
    if len(name) > S3_NAME_LIMIT:
        msg = f"bucket name {name} has {len(name)} characters, S3 takes {S3_NAME_LIMIT}; shorten organization or environment"
        raise ValueError(msg)
    return name


def tagged(base: Mapping[str, str], name: str, **more: str) -> dict[str, str]:
    """The environment's tags with a resource's `Name` and what else it is known by."""
    return {**base, "Name": name, **more}
