"""A bucket cannot be destroyed together with what is in it."""

from policy.checks import forbid_true
from policy.model import Findings, Params, Resource


def validate(resource: Resource, _params: Params) -> Findings:
    """The flag is off or absent."""
    yield from forbid_true(resource, "forceDestroy", "deletes the objects together with the bucket")
