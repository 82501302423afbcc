"""Vault in the program: who waits for whom around it, and what is left out before the ceremony.

From the record of the whole program; that a real server takes what is declared inside is `tests/engine/test_vault_*`.
"""

import functools
from typing import Any

import pytest

from tests.support.monitor import Recording, Registered
from tests.support.order import reached
from tests.support.program import changed, record_settings, record_stack

HOME = "eu-west-1"
DEVICE = "vault:index/audit:Audit"
LOGIN = "vault:jwt/authBackend:AuthBackend"
ROLE = "vault:jwt/authBackendRole:AuthBackendRole"


@functools.cache
def before_the_ceremony() -> Recording:
    wanted = changed("dev")
    wanted["vault"]["configured"] = False
    wanted["siem"] = {"sinks": {"archive": {"kind": "http", "url": "https://siem.example.org/v1/logs"}}}
    return record_settings(wanted, "dev")


def inside(recording: Recording) -> list[Registered]:
    """What is declared inside the home region's Vault."""
    return [each for each in recording.resources if each.type.startswith("vault:") and each.name.startswith(HOME)]


def role(recording: Recording, name: str) -> Registered:
    (found,) = [each for each in inside(recording) if each.type == ROLE and each.inputs["roleName"] == name]
    return found


def test_nothing_secret_is_declared_before_both_audit_devices_stand():
    recording = record_stack("dev")
    behind, devices = reached(recording), {each.urn for each in inside(recording) if each.type == DEVICE}
    assert len(devices) == 2
    others = [each for each in inside(recording) if each.type != DEVICE]
    assert len(others) > 20
    # What names its parent by an input waits for it, and the parent for the devices.
    assert [each.name for each in others if not devices <= behind[each.urn]] == []


def test_every_role_waits_for_its_login_and_every_login_is_by_somebodys_published_keys():
    recording = record_stack("dev")
    behind = reached(recording)
    logins = {each.inputs["path"]: each for each in inside(recording) if each.type == LOGIN}
    assert set(logins) == {"spire", "writers"}
    for each in inside(recording):
        if each.type == ROLE:
            assert logins[each.inputs["backend"]].urn in behind[each.urn], each.name


@pytest.mark.parametrize(
    ("part", "account"),
    [
        ("kubernetes:helm.sh/v3:Release monitoring", "observability.alertmanager"),
        ("kubernetes:apps/v1:Deployment falcosidekick", "security.falcosidekick"),
    ],
)
def test_a_part_of_the_platform_is_made_when_it_may_log_in_and_no_tenant_stands_between(part, account):
    recording = record_stack("dev")
    behind = reached(recording)
    type_, _, name = part.partition(" ")
    (made,) = [
        each
        for each in recording.of(type_)
        if each.name.startswith(HOME) and name in {each.inputs.get("name"), each.inputs.get("metadata", {}).get("name")}
    ]
    wanted = role(recording, f"platform.{account}")
    assert wanted.urn in behind[made.urn]
    tenants = {each.urn for each in recording.resources if f"{HOME}-" in each.name and "-tenant-" in each.name}
    assert tenants
    assert not tenants & behind[wanted.urn]


def containers(recording: Recording) -> list[dict[str, Any]]:
    (release,) = [
        each
        for each in recording.of("kubernetes:helm.sh/v3:Release")
        if each.name.startswith(HOME) and each.inputs["name"] == "monitoring"
    ]
    spec: dict[str, Any] = release.inputs["values"]["alertmanager"]
    return [*spec["alertmanagerSpec"]["initContainers"], *spec["config"]["receivers"]]


def test_before_the_ceremony_nothing_is_declared_inside_and_no_receiver_waits_for_a_key():
    recording = before_the_ceremony()
    assert inside(recording) == []
    assert [each["name"] for each in containers(recording)] == ["nobody"]
    configured = [each["name"] for each in containers(record_stack("dev"))]
    assert configured[:2] == ["spiffe-helper", "vault-agent"]
    assert {"pager", "channel"} <= set(configured)
