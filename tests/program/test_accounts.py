"""A service account is one owner's: the database operator makes one of each database's name, and its pods run as it."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.program import STACKS, record_stack

CLUSTER = "kubernetes:postgresql.cnpg.io/v1:Cluster"
RELEASE = "kubernetes:helm.sh/v3:Release"


def _named(values: Any) -> Iterator[str]:
    """Service accounts that a release's values name, at any depth."""
    for key, value in values.items() if isinstance(values, dict) else ():
        if key == "serviceAccount" and isinstance(value, dict) and "name" in value:
            yield value["name"]
        elif key == "serviceAccountName":
            yield value
        yield from _named(value)


def _accounts(resource) -> Iterator[tuple[str, str]]:
    if resource.type == RELEASE:
        yield from ((resource.inputs["namespace"], name) for name in _named(resource.inputs.get("values", {})))
    elif resource.inputs.get("kind") == "ServiceAccount":
        yield resource.inputs["metadata"]["namespace"], resource.inputs["metadata"]["name"]
    elif resource.type != CLUSTER and "metadata" in resource.inputs:
        yield from ((resource.inputs["metadata"].get("namespace"), name) for name in _named(resource.inputs.get("spec")))


@pytest.mark.parametrize("stack", STACKS)
def test_no_account_is_a_databases_and_somebody_elses(stack):
    resources = record_stack(stack).resources
    databases = {
        (each.inputs["metadata"]["namespace"], each.inputs["metadata"]["name"]) for each in resources if each.type == CLUSTER
    }
    others = {account for each in resources for account in _accounts(each)}
    assert databases
    assert ("keycloak", "keycloak") in others
    assert not databases & others
