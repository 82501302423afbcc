"""Per control: the compliant stack passes, each edit that should fail fails with a message and the resource's URN."""

import pytest

from policy import catalogue
from policy.client import Line, Pack, Recorded
from policy.engine import RULE_FAILED
from tests.policy import harness
from tests.policy.mutations import BY_OTHER_MEANS, MUTATIONS

IDS = {control.policy: control.id for control in catalogue.load()}


def of(control: str, lines: list[Line]) -> list[Line]:
    return [line for line in lines if IDS[line.policy] == control]


def test_the_compliant_stack_has_no_finding(pack: Pack, resources: list[Recorded]) -> None:
    assert pack.judge(resources) == []


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: f"{m.control}-{m.says}")
def test_each_mutation_is_caught_by_its_control_and_no_unrelated_one(
    pack: Pack, resources: list[Recorded], mutation: harness.Mutation
) -> None:
    edited = harness.apply(resources, mutation.edits)
    lines = harness.changed(pack, resources, edited)
    caught = [line for line in of(mutation.control, lines) if mutation.says in line.message]
    assert caught, [line.message for line in lines]
    urns = {resource.urn for resource in edited}
    for line in caught:
        assert line.level == "mandatory"
        assert line.urn in urns
        assert f"{mutation.control}: {line.urn.rsplit('::', maxsplit=1)[-1]}: " in line.message
        assert "Remedy: " in line.message
        assert RULE_FAILED not in line.message
    assert {IDS[line.policy] for line in lines} <= {mutation.control, *mutation.also}


def test_every_control_has_a_mutation() -> None:
    assert {mutation.control for mutation in MUTATIONS} | BY_OTHER_MEANS == {control.id for control in catalogue.load()}


def test_the_harness_reports_a_mutation_that_nothing_catches(pack: Pack, resources: list[Recorded]) -> None:
    harmless = harness.Edit(type="aws:ec2/vpc:Vpc", path="tags.owner", value="network")
    missed = harness.Mutation(control="NET-01", says="has no flow log", edits=(harmless,))
    nowhere = harness.Edit(type="aws:rds/cluster:Cluster", path="a", value=1)
    adrift = harness.Mutation(control="NET-01", says="has no flow log", edits=(nowhere,))
    assert len(harness.survivors(pack, resources, [missed, adrift])) == 2
    assert harness.survivors(pack, resources, MUTATIONS[:3]) == []


def test_a_default_provider_is_refused_in_every_form(pack: Pack, resources: list[Recorded]) -> None:
    vpc = next(one for one in resources if one.type == "aws:ec2/vpc:Vpc")
    assert vpc.provider is not None
    none = harness.with_provider(vpc, None)
    default = harness.with_provider(vpc, {"name": "default_7_51_1", "props": {"region": "eu-west-1"}})
    placeless = harness.with_provider(vpc, {"props": {}})
    abroad = harness.with_provider(vpc, {"props": {"region": "us-east-1"}})
    says = ["default provider", "default provider", "whoever runs the update", "outside the regions"]
    for edited, problem in zip((none, default, placeless, abroad), says, strict=True):
        (line,) = of("GEN-02", pack.analyze(edited))
        assert problem in line.message


@pytest.mark.parametrize(
    ("kind", "name", "props", "clean"),
    [
        ("kubernetes:core/v1:Namespace", "cluster", {"kubeconfig": "secret"}, True),
        ("kubernetes:core/v1:Namespace", "cluster", {}, False),
        ("kubernetes:helm.sh/v3:Chart", "", {}, True),
        ("vault:index/policy:Policy", "vault", {"address": "https://vault.example"}, True),
        ("vault:index/policy:Policy", "vault", {"token": "x"}, False),
        ("zerotrust:network:Vpc", "", {}, True),
    ],
)
def test_other_packages_name_their_place_too(
    pack: Pack, resources: list[Recorded], kind: str, name: str, props: dict[str, str], *, clean: bool
) -> None:
    vpc = next(one for one in resources if one.type == "aws:ec2/vpc:Vpc")
    one = Recorded(type=kind, urn=f"urn:pulumi:prod::zerotrust::{kind}::one", props={})
    given = harness.with_provider(harness.moved(vpc, one), {"name": name, "props": props} if name else None)
    assert (of("GEN-02", pack.analyze(given)) == []) is clean


def test_a_key_that_cannot_rotate_is_not_applicable_rather_than_clean(pack: Pack, resources: list[Recorded]) -> None:
    key = next(one for one in resources if one.urn.endswith("::signing-key"))
    reasons = {one.policy_name: one.reason for one in pack.response(key).not_applicable}
    assert reasons == {"aws-kms-key-require-rotation": "KMS rotates symmetric encryption keys only"}


def test_a_secret_value_never_reaches_a_message(pack: Pack) -> None:
    secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "value": "hunter2-{"}
    urn = "urn:pulumi:prod::zerotrust::aws:kms/key:Key::key"
    lines = pack.analyze(Recorded(type="aws:kms/key:Key", urn=urn, props={"policy": secret}))
    assert any("is no JSON" in line.message for line in lines)
    assert not any("hunter2" in line.message for line in lines)
