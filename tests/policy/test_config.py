"""Levels and parameters per environment, and that production lowers nothing."""

import json
from pathlib import Path

import jsonschema
import pytest

from policy import catalogue, config
from policy.client import Pack, Recorded
from tests.policy import harness
from tests.policy.harness import Edit

CONTROLS = catalogue.load()
FILES = sorted(config.FOLDER.glob("*.json"))


def lowered(resolved: dict[str, config.PolicyConfig]) -> list[str]:
    return [c.id for c in CONTROLS if c.level == "mandatory" and resolved[c.policy].level != "mandatory"]


def test_there_is_a_file_per_environment_with_the_same_keys() -> None:
    assert [path.stem for path in FILES] == ["dev", "local", "prod"]
    shapes = [{name: sorted(entry) for name, entry in json.loads(path.read_text()).items()} for path in FILES]
    assert shapes[0] == shapes[1] == shapes[2]
    assert set(shapes[0]) == {control.policy for control in CONTROLS}


@pytest.mark.parametrize("path", [p for p in FILES if p.stem.startswith("prod")], ids=lambda p: p.stem)
def test_no_production_file_lowers_a_mandatory_control(path: Path) -> None:
    assert lowered(config.load(path, CONTROLS)) == []


@pytest.mark.parametrize("level", ["advisory", "disabled"])
def test_lowering_is_seen_by_name_by_object_and_by_all(level: str) -> None:
    policy = CONTROLS[0].policy
    everything = [control.id for control in CONTROLS]
    assert lowered(config.resolve({policy: level}, CONTROLS)) == [CONTROLS[0].id]
    assert lowered(config.resolve({policy: {"enforcementLevel": level}}, CONTROLS)) == [CONTROLS[0].id]
    assert lowered(config.resolve({"all": level}, CONTROLS)) == everything
    assert lowered(config.resolve({"all": level, policy: "mandatory"}, CONTROLS)) == everything[1:]
    assert lowered(config.resolve({"all": {"enforcementLevel": level}}, CONTROLS)) == everything


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_parameters_fit_their_schema(path: Path) -> None:
    resolved = config.load(path, CONTROLS)
    for control in CONTROLS:
        for name, schema in control.parameters.items():
            jsonschema.validate(resolved[control.policy].params[name], dict(schema))


@pytest.mark.parametrize(
    "data",
    [[], {"aws-none": "advisory"}, {"all": "lenient"}, {"all": 3}, {CONTROLS[0].policy: {"stranger": 1}}],
    ids=str,
)
def test_what_means_nothing_is_refused(data: object) -> None:
    with pytest.raises(config.ConfigError):
        config.resolve(data, CONTROLS)


def test_files_that_are_missing_or_broken_are_refused(tmp_path: Path) -> None:
    with pytest.raises(config.ConfigError):
        config.file_for("staging")
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    with pytest.raises(config.ConfigError):
        config.load(broken, CONTROLS)


def test_levels_and_parameters_reach_the_running_pack(pack: Pack, resources: list[Recorded]) -> None:
    cluster = "aws:eks/cluster:Cluster"
    edited = harness.apply(resources, [Edit(type=cluster, path="version", value="9.99")])
    name = "aws-eks-cluster-require-supported-version"
    for data, expected in (
        ({name: {"enforcementLevel": "advisory", "versions": ["1.0"]}}, ["advisory"]),
        ({name: {"versions": ["9.99"]}}, []),
        ({name: "disabled"}, []),
        ({}, ["mandatory"]),
    ):
        pack.configure(config.resolve(data, CONTROLS))
        assert [line.level for line in harness.changed(pack, resources, edited)] == expected


def test_a_bootstrap_range_must_be_approved_and_narrow(pack: Pack, resources: list[Recorded]) -> None:
    name, cluster = "aws-eks-cluster-require-private-endpoint", "aws:eks/cluster:Cluster"
    opened = Edit(type=cluster, path="vpcConfig.endpointPublicAccess", value=True)
    ranges = "vpcConfig.publicAccessCidrs"
    pack.configure(config.resolve({name: {"publicAccessCidrs": ["192.0.2.0/28", "0.0.0.0/0"]}}, CONTROLS))
    for given, says in (
        (["192.0.2.0/28"], []),
        ([], ["no range given"]),
        (["0.0.0.0/0"], ["not approved"]),
        (["198.51.100.0/28"], ["not approved"]),
    ):
        edited = harness.apply(resources, [opened, Edit(type=cluster, path=ranges, value=given)])
        lines = harness.changed(pack, resources, edited)
        assert len(lines) == len(says)
        assert all(text in line.message for text, line in zip(says, lines, strict=True))


def test_partners_bring_a_client_certificate(pack: Pack, resources: list[Recorded]) -> None:
    name, domain = "aws-apigateway-domain-require-tls-and-no-bypass", "aws:apigatewayv2/domainName:DomainName"
    pack.configure(config.resolve({name: {"partnerDomains": ["*.bank.example"]}}, CONTROLS))
    (line,) = harness.changed(pack, resources, harness.apply(resources, [Edit(type=domain, path="tags.a", value="b")]))
    assert "without a client certificate" in line.message
    truststore = Edit(type=domain, path="mutualTlsAuthentication.truststoreUri", value="s3://partners/ca.pem")
    assert harness.changed(pack, resources, harness.apply(resources, [truststore])) == []
