"""Secrets of a cluster are encrypted with a key of the bank."""

from policy.checks import require_all_of, require_set
from policy.model import Findings, Params, Resource


def validate(resource: Resource, _params: Params) -> Findings:
    """Envelope encryption covers secrets and names a key."""
    yield from require_all_of(resource, "encryptionConfig.resources", ("secrets",), "secrets are not encrypted")
    yield from require_set(resource, "encryptionConfig.provider.keyArn", "no customer-managed key is named")
