"""The command that judges a recorded state, as a process and through its parser of states."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from policy import judge, state
from policy.client import Recorded
from policy.values import SECRET_SIGNATURE, SIGNATURE_KEY, UNKNOWN
from tests.policy import harness
from tests.policy.harness import Edit

ROOT = Path(judge.__file__).parent.parent


def exported(resources: list[Recorded]) -> dict[str, Any]:
    """The form of ``pulumi stack export``."""
    providers = {one.provider.urn: one.provider for one in resources if one.provider}
    listed = [{"urn": p.urn, "type": p.type, "id": "provider-id", "custom": True, "inputs": p.props} for p in providers.values()]
    listed += [
        {
            "urn": one.urn,
            "type": one.type,
            "id": one.props.get("id"),
            "parent": one.parent,
            "inputs": {key: value for key, value in one.props.items() if key != "id"},
            "outputs": dict(one.props),
            "propertyDependencies": one.property_dependencies,
            "provider": f"{one.provider.urn}::provider-id" if one.provider else "",
        }
        for one in resources
    ]
    return {"version": 3, "deployment": {"resources": listed}}


def run(tmp_path: Path, data: Any, *more: str) -> "subprocess.CompletedProcess[str]":
    file = tmp_path / "state.json"
    file.write_text(data if isinstance(data, str) else json.dumps(data))
    command = [sys.executable, "-m", "policy.judge", "--stack", "prod", "--state", str(file), *more]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_compliant_state_passes(tmp_path: Path, resources: list[Recorded]) -> None:
    done = run(tmp_path, exported(resources))
    assert (done.returncode, done.stderr) == (0, "")
    assert "40 controls: 0 violation, 0 could not run, 0 exempt" in done.stdout


def test_a_violation_fails_and_is_in_the_table(tmp_path: Path, resources: list[Recorded]) -> None:
    edit = Edit(type="aws:ec2/flowLog:FlowLog", path="trafficType", value="REJECT")
    done = run(tmp_path, exported(harness.apply(resources, [edit])))
    assert done.returncode == 1
    assert "NET-01   mandatory  violation  flow-log  flow-log: trafficType: records only part" in done.stdout


def test_only_mandatory_findings_fail(tmp_path: Path, resources: list[Recorded]) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"all": "advisory"}))
    edit = Edit(type="aws:ec2/flowLog:FlowLog")
    done = run(tmp_path, exported(harness.apply(resources, [edit])), "--config", str(file))
    assert done.returncode == 0
    assert "1 violation" in done.stdout


def test_an_encrypted_value_is_not_taken_for_a_pass(tmp_path: Path, resources: list[Recorded]) -> None:
    sealed = {SIGNATURE_KEY: SECRET_SIGNATURE, "ciphertext": "v1:abc"}
    edit = Edit(type="aws:iam/policy:Policy", path="policy", value=sealed)
    done = run(tmp_path, exported(harness.apply(resources, [edit])))
    assert done.returncode == 1
    assert "could not run: IAM-01: policy is unknown" in done.stdout


@pytest.mark.parametrize("data", ["{", "[]", "{}", '{"deployment": {"resources": [1]}}'])
def test_what_is_no_state_is_refused(tmp_path: Path, data: str) -> None:
    done = run(tmp_path, data)
    assert done.returncode == 2
    assert done.stderr.startswith("policy: ")


def test_an_environment_without_a_configuration_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert judge.main(["--stack", "nowhere", "--state", "none.json"]) == 2
    assert "nowhere.json" in capsys.readouterr().err


def test_a_checkpoint_is_read_like_an_export_and_leaves_out_what_is_not_the_stacks() -> None:
    listed = [
        {"urn": "urn:pulumi:prod::p::a:b:C::kept", "type": "a:b:C", "inputs": {"x": 1}, "id": "i"},
        {"urn": "urn:pulumi:prod::p::a:b:C::going", "type": "a:b:C", "delete": True},
        {"urn": "urn:pulumi:prod::p::a:b:C::read", "type": "a:b:C", "external": True},
    ]
    (one,) = state.parse({"version": 3, "checkpoint": {"latest": {"resources": listed}}})
    assert (one.name, one.outputs) == ("kept", {"x": 1, "id": "i"})


def test_secrets_in_plain_text_are_opened_and_sealed_ones_are_unknown() -> None:
    opened = {SIGNATURE_KEY: SECRET_SIGNATURE, "plaintext": '"text"'}
    sealed = {SIGNATURE_KEY: SECRET_SIGNATURE, "ciphertext": "v1:abc"}
    listed = [{"urn": "urn:pulumi:prod::p::a:b:C::n", "type": "a:b:C", "inputs": {"a": opened, "b": [sealed]}}]
    (one,) = state.parse({"deployment": {"resources": listed}})
    assert one.props == {"a": "text", "b": [UNKNOWN]}
