"""A trail proves that its files were not changed."""

from policy.checks import require_true
from policy.model import Findings, Params, Resource


def validate(resource: Resource, _params: Params) -> Findings:
    """Digest files are on; absent is off."""
    yield from require_true(resource, "enableLogFileValidation", "nobody could tell that a log file was changed")
