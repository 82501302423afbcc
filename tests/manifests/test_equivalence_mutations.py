"""The equivalence check can fail: every single edit of a compiled object that opens or closes something is noticed.

Each edit is made in one region of the development stack; the layer it belongs to must be among those that disagree.
"""

from functools import cache

import pytest

from tests.support.equivalence import check
from tests.support.equivalence_engines import Engines
from tests.support.equivalence_mutations import MUTATIONS
from tests.support.equivalence_world import worlds
from tests.support.program import stack_settings


@cache
def engines():
    return Engines()


@cache
def compiled():
    return worlds(stack_settings("dev"))


@pytest.mark.parametrize("name", MUTATIONS)
def test_an_edit_of_one_object_is_noticed_by_its_layer(name):
    mutation = MUTATIONS[name]
    changed = {**compiled(), mutation.region: compiled()[mutation.region].copied()}
    before = {key: repr(each) for key, each in changed[mutation.region].objects.items()}
    mesh = repr(changed[mutation.region].mesh)
    mutation.change(changed[mutation.region])
    after = {key: repr(each) for key, each in changed[mutation.region].objects.items()}
    edited = [key for key in before if before[key] != after.get(key)]
    assert len(edited) + (mesh != repr(changed[mutation.region].mesh)) == 1 or name == "another region at another address"
    report = check(stack_settings("dev"), changed, engines(), region="eu-west-1")
    assert mutation.noticed_by in report.layers, report.layers


def test_the_objects_as_compiled_are_not_noticed():
    assert not check(stack_settings("dev"), compiled(), engines(), region="eu-west-1").disagreements
