"""The real program's life on the stand-ins: up, unchanged, drifted, found, taken down in order. Not what AWS accepts."""

from collections.abc import Iterator

import pytest

from tests.support.program import STACKS, record_stack
from tests.support.rehearsal import Rehearsal, rehearsed

# A whole life of four thousand resources is one fixture: five phases of half a minute to a minute each on a busy core. The
# limit is no figure of speed; it ends what would not end (an engine that walks the graph's paths after a refused deletion).
pytestmark = pytest.mark.timeout(900)

KINDS = {
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": {"cidrIpv4": "0.0.0.0/0"},
    "aws:s3/bucketVersioning:BucketVersioning": {"versioningConfiguration": {"status": "Suspended"}},
    "aws:eks/cluster:Cluster": {"version": "1.21"},
}


@pytest.fixture(scope="session")
def dev(tmp_path_factory) -> Iterator[Rehearsal]:
    with rehearsed("dev", tmp_path_factory.mktemp("dev")) as rehearsal:
        yield rehearsal


@pytest.fixture(scope="session")
def story(dev):
    """Everything that happens to the stack, in order, so that each case may judge it in any order."""
    drift = {
        next(one["urn"] for one in dev.resources if one["type"] == kind and set(change) <= set(one["inputs"])): change
        for kind, change in KINDS.items()
    }
    told = {"drift": drift, "unchanged": dev.life.preview()}
    dev.life.plant_drift(drift)
    dev.life.refresh()
    told["refreshed"] = {one["urn"]: one["outputs"] for one in dev.life.state() if one["urn"] in drift}
    dev.life.plant_drift({})
    told["repair"] = dev.life.preview()
    told["destroyed"] = dev.life.destroy()
    told["left"] = dev.life.state()
    return told


@pytest.fixture(scope="session")
def unchanged(request, tmp_path_factory):
    """The preview that follows an update: of dev the one in the story, of any other stack one of its own."""
    if request.param == "dev":
        return request.getfixturevalue("story")["unchanged"]
    with rehearsed(request.param, tmp_path_factory.mktemp(request.param)) as rehearsal:
        return rehearsal.life.preview()


@pytest.mark.engine
@pytest.mark.parametrize("unchanged", STACKS, indirect=True)
def test_the_second_preview_is_empty(unchanged):
    assert len(unchanged.steps) > 1000
    assert unchanged.changed == []


@pytest.mark.engine
def test_a_refresh_finds_the_drift_and_the_next_preview_repairs_it(story):
    for urn, change in story["drift"].items():
        for key, value in change.items():
            assert story["refreshed"][urn][key] == value
    assert {urn for _, urn in story["repair"].changed} >= set(story["drift"])


@pytest.mark.engine
def test_destroying_takes_dependents_before_what_they_stand_on_and_leaves_nothing(dev, story):
    order = {urn: index for index, (step, urn) in enumerate(story["destroyed"].steps) if step == "delete"}
    read_only = {one["urn"] for one in dev.resources if one.get("external")}
    assert len(order) == len(dev.resources) - len(read_only)
    wrong = [
        (one["urn"], dependency)
        for one in dev.resources
        for dependency in one.get("dependencies") or ()
        if not {one["urn"], dependency} & read_only and order[one["urn"]] > order[dependency]
    ]
    assert wrong == []
    assert story["left"] == []


@pytest.mark.parametrize("stack", STACKS)
def test_only_what_cannot_be_made_again_is_protected_and_only_in_production(stack):
    """A component that is protected would protect every child, and no tenant could be taken out."""
    protected = [one for one in record_stack(stack).resources if one.protect]
    assert bool(protected) == (stack == "prod")
    assert [one.urn for one in protected if not one.custom] == []
    assert len(protected) < len(record_stack(stack).resources) / 4
