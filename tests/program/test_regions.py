"""The whole program, as it registers: regions are symmetric, names are stable, nothing uses a default provider."""

import re

import pytest

from tests.support.ledger import committed, lines
from tests.support.monitor import Recording, Registered, plain
from tests.support.program import STACKS, changed, record_settings, record_stack

HOME_ONLY = ("certificate-validation-domain",)
"""Roles of what only the home region has: records that several regions' certificates share."""


def region_of(resource: Registered, code: str) -> bool:
    return resource.name == code or resource.name.startswith(f"{code}-")


def inside(recording: Recording, code: str) -> set[tuple[str, str]]:
    """Type and role of everything in a region."""
    return {
        (resource.urn.split("::")[2], resource.name.removeprefix(f"{code}-"))
        for resource in recording.resources
        if region_of(resource, code) and resource.name not in {code, *(f"{code}-{role}" for role in HOME_ONLY)}
    }


@pytest.mark.parametrize("stack", STACKS)
def test_regions_are_symmetric(stack):
    recording = record_stack(stack)
    first, second = (inside(recording, code) for code in changed(stack)["regions"])
    assert first
    assert first == second


@pytest.mark.parametrize("stack", STACKS)
def test_the_ledger_names_every_urn(stack):
    assert lines(stack) == committed(stack), "a URN moved: argue for it in the pull request, then run make ledger"


@pytest.mark.parametrize("stack", STACKS)
def test_a_third_region_touches_nothing_that_exists(stack):
    before = record_stack(stack)
    settings = changed(stack)
    settings["regions"]["eu-north-1"] = {"vpc_cidr": "10.99.0.0/16", "service_cidr": "172.29.0.0/20"}
    assert_untouched(before, record_settings(settings, stack), "eu-north-1")


def test_removing_a_region_touches_nothing_of_the_others():
    after = record_stack("dev")
    settings = changed("dev")
    del settings["regions"]["eu-central-1"]
    assert_untouched(record_settings(settings, "dev"), after, "eu-central-1")


def assert_untouched(fewer: Recording, more: Recording, code: str) -> None:
    """Every resource of the smaller program is in the larger one with the same inputs; what is new names the region."""
    larger = {resource.urn: resource for resource in more.resources}
    gone = sorted(fewer.urns() - set(larger))
    assert not gone
    moved = [resource.urn for resource in fewer.resources if plain(resource.inputs) != plain(larger[resource.urn].inputs)]
    assert not moved
    strangers = sorted(urn for urn in set(larger) - fewer.urns() if code not in urn.rsplit("::", 1)[1])
    assert not strangers


@pytest.mark.parametrize("stack", STACKS)
def test_a_zone_added_moves_no_subnet(stack):
    before = record_stack(stack)
    settings = changed(stack)
    settings["regions"]["eu-west-1"]["zones"] = ["a", "b", "c", "d"]
    after = {resource.urn: resource for resource in record_settings(settings, stack).resources}
    subnets = before.of("aws:ec2/subnet:Subnet")
    assert subnets
    for subnet in subnets:
        assert after[subnet.urn].inputs == subnet.inputs


@pytest.mark.parametrize("stack", STACKS)
def test_settings_in_another_order_make_the_same_program(stack):
    settings = changed(stack)
    for key in ("regions", "tenants"):
        settings[key] = dict(reversed(settings[key].items()))
    for key in settings["access"]:
        settings["access"][key] = dict(reversed(settings["access"][key].items()))
    before, after = record_stack(stack), record_settings(settings, stack)
    assert before.urns() == after.urns()
    by_urn = {resource.urn: plain(resource.inputs) for resource in after.resources}
    assert [r.urn for r in before.resources if plain(r.inputs) != by_urn[r.urn]] == []


@pytest.mark.parametrize("stack", STACKS)
def test_no_resource_uses_a_default_provider(stack):
    bare = [
        resource.urn
        for resource in record_stack(stack).resources
        if resource.custom and not resource.type.startswith("pulumi:providers:") and not resource.provider
    ]
    assert not bare


@pytest.mark.parametrize("stack", STACKS)
def test_a_region_is_built_by_its_own_provider(stack):
    for code in changed(stack)["regions"]:
        strays = [
            resource.urn
            for resource in record_stack(stack).resources
            if resource.custom
            and region_of(resource, code)
            and resource.type.startswith("aws:")
            and not resource.provider.endswith(f"::{code}-aws")
        ]
        assert not strays


@pytest.mark.parametrize("stack", STACKS)
def test_every_child_is_named_for_its_component(stack):
    recording = record_stack(stack)
    names = {resource.urn: resource.name for resource in recording.resources}
    strays = [
        resource.urn
        for resource in recording.resources
        if resource.parent in names and not resource.name.startswith(f"{names[resource.parent]}-")
        and not re.match(r"^[a-z]{2}-[a-z]+-\d", resource.name)
    ]  # fmt: skip
    assert not strays


def test_production_protects_what_cannot_be_made_again():
    recording = record_stack("prod")
    for type_ in ("aws:kms/key:Key", "aws:s3/bucket:Bucket", "aws:ec2/vpc:Vpc"):
        found = recording.of(type_)
        assert found, type_
        assert all(resource.protect for resource in found), type_


def test_a_tenant_added_changes_nothing_of_the_others():
    before = record_stack("dev")
    settings = changed("dev")
    settings["tenants"]["bank-c"] = {
        "display_name": "Bank C",
        "services": {"api-ms": settings["tenants"]["bank-a"]["services"]["api-ms"]},
        "clients": {"web": {"grant": "authorization_code", "scopes": ["accounts.read"]}},
        "usage": {"requests_per_second": 10, "burst": 20, "requests_per_day": 1000},
    }
    settings["access"]["routes"]["bank-c-web"] = {
        "clients": ["bank-c/web"],
        "service": "bank-c/api-ms",
        "operations": [{"methods": ["GET"], "paths": ["/accounts"]}],
        "scopes": ["accounts.read"],
    }
    after = {resource.urn: resource for resource in record_settings(settings, "dev").resources}
    assert not before.urns() - set(after)
    strangers = sorted(urn for urn in set(after) - before.urns() if "bank-c" not in urn)
    assert not strangers
