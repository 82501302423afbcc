"""What a stack on stand-ins goes through on the real engine. Says nothing about what the cloud would accept."""

import pytest

from sandbox.lifecycle import ProtectedError
from sandbox.session import Place
from tests.engine import programs
from tests.engine.conftest import Open

pytestmark = pytest.mark.engine
VPC = "urn:pulumi:dev::fixture::aws:ec2/vpc:Vpc::vpc"
SUBNET = "urn:pulumi:dev::fixture::aws:ec2/subnet:Subnet::subnet"


def test_an_update_creates_what_the_preview_announced_and_the_next_preview_is_empty(rehearse: Open) -> None:
    stack = rehearse(programs.network())
    announced = {step for step in stack.preview().changed if "default" not in step[1]}
    made = {step for step in stack.up().changed if "default" not in step[1]}
    assert ("create", VPC) in announced
    assert announced == made
    assert stack.preview().changed == []


def test_outputs_have_the_form_of_real_ones_and_settings_reach_the_program(rehearse: Open) -> None:
    stack = rehearse(programs.network())
    stack.up()
    outputs = stack.outputs()
    assert outputs["vpc"].startswith("vpc-0")
    assert outputs["arn"] == f"arn:aws:ec2:eu-west-1:123456789012:vpc/{outputs['vpc']}"
    assert outputs["bucket"].startswith("logs-")
    assert outputs["tier"] == "gold"


def test_what_only_the_provider_learns_is_unknown_in_a_preview(rehearse: Open) -> None:
    subnet = rehearse(programs.network()).preview().inputs[SUBNET]
    assert subnet["vpcId"] == "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
    assert subnet["tags"] == {"vpc": "04da6b54-80e4-46f7-96ec-b56ff0331ba9"}
    assert subnet["cidrBlock"] == "10.0.0.0/24"


def test_a_changed_tag_updates_and_a_changed_range_replaces(rehearse: Open) -> None:
    rehearse(programs.network()).up()
    tagged = rehearse(programs.network(tags={"owner": "platform"})).preview().changed
    assert tagged == [("update", VPC)]
    moved = rehearse(programs.network("10.9.0.0/16")).preview().changed
    assert ("create-replacement", VPC) in moved
    assert any(operation == "replace" and urn == SUBNET for operation, urn in moved)


def test_a_refresh_finds_planted_drift_and_the_next_preview_undoes_it(rehearse: Open) -> None:
    stack = rehearse(programs.network())
    stack.up()
    stack.plant_drift({VPC: {"enableDnsSupport": False}})
    stack.refresh()
    state = {resource["urn"]: resource for resource in stack.state()}
    assert state[VPC]["outputs"]["enableDnsSupport"] is False
    stack.plant_drift({})
    assert stack.preview().changed == [("update", VPC)]


def test_a_refresh_notices_that_a_resource_is_gone(rehearse: Open) -> None:
    stack = rehearse(programs.network())
    stack.up()
    stack.plant_drift({SUBNET: None})
    stack.refresh()
    assert SUBNET not in {resource["urn"] for resource in stack.state()}
    assert ("create", SUBNET) in stack.preview().changed


def test_destroying_removes_dependents_before_what_they_stand_on(rehearse: Open) -> None:
    stack = rehearse(programs.network())
    stack.up()
    deleted = [urn for operation, urn in stack.destroy().steps if operation == "delete"]
    assert deleted.index(SUBNET) < deleted.index(VPC)
    assert stack.state() == []


def test_a_stack_that_holds_something_protected_is_not_taken_down_and_nothing_of_it_is(rehearse: Open) -> None:
    stack = rehearse(programs.network(protect=True))
    stack.up()
    before = {resource["urn"] for resource in stack.state()}
    with pytest.raises(ProtectedError, match=f"1 protected .* {VPC}"):
        stack.destroy()
    assert {resource["urn"] for resource in stack.state()} == before


def test_the_stand_ins_say_that_they_stand_in(rehearse: Open) -> None:
    said = "".join(rehearse(programs.network()).preview().said)
    assert "aws: a stand-in answers for this provider" in said
    assert "random: a stand-in answers for this provider" in said


def test_a_run_writes_nothing_into_the_project(rehearse: Open, place: Place) -> None:
    before = {path.name: path.read_bytes() for path in place.project.iterdir()}
    rehearse(programs.network()).up()
    assert {path.name: path.read_bytes() for path in place.project.iterdir()} == before


def test_credentials_of_the_shell_do_not_reach_the_program(rehearse: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    import os  # noqa: PLC0415  read inside the program, as a careless one would

    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "leaked")
    stack = rehearse(programs.asks(lambda: os.environ.get("AWS_SECRET_ACCESS_KEY", "scrubbed")))
    stack.up()
    assert stack.outputs()["answer"] == "scrubbed"
