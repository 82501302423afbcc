"""The pack over the whole program, every value resolved: nothing is found, and each planted edit by its own control.

The values the provider would answer are the stand-ins'; what AWS itself would answer is not proven here.
"""

from collections.abc import Iterator

import pytest

from policy import catalogue, config
from policy.client import Pack, Recorded
from tests.policy import harness
from tests.policy.mutations import MUTATIONS
from tests.support.program import STACKS
from tests.support.rehearsal import rehearsed

pytestmark = pytest.mark.engine
IDS = {control.policy: control.id for control in catalogue.load()}
# The stand-ins answer a bucket's own `policy`, so the rule objects to that text instead of its absence.
ANOTHER_SENTENCE = {("S3-04", "has no policy")}


@pytest.fixture(scope="session", params=STACKS)
def judged(request, tmp_path_factory) -> Iterator[tuple[Pack, list[Recorded]]]:
    with rehearsed(request.param, tmp_path_factory.mktemp(request.param)) as rehearsal, Pack() as pack:
        pack.configure(config.load(config.file_for(request.param), catalogue.load()))
        yield pack, rehearsal.recorded()


def test_the_program_has_no_finding_and_nothing_that_could_not_run(judged):
    pack, resources = judged
    assert len(resources) > 100
    assert pack.judge(resources) == []


# Production's parameters only: other stacks loosen some of them by name.
@pytest.mark.parametrize("judged", ["prod"], indirect=True)
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: f"{m.control}-{m.says}")
def test_each_edit_of_the_program_is_caught_by_its_control_and_no_other(judged, mutation):
    pack, resources = judged
    lines = harness.changed(pack, resources, harness.apply(resources, mutation.edits))
    mine = [line for line in lines if IDS[line.policy] == mutation.control]
    caught = [line for line in mine if mutation.says in line.message]
    assert caught or (mine and (mutation.control, mutation.says) in ANOTHER_SENTENCE), [line.message for line in lines]
    assert all(line.level == "mandatory" and "Remedy: " in line.message for line in mine if not harness.unnamed(line))
    assert {IDS[line.policy] for line in lines} <= {mutation.control, *mutation.also}
