"""No rule fails, whatever a resource looks like: an exception in one control would stop every deployment."""

import copy
import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy import catalogue
from policy.client import Recorded
from policy.model import CouldNotRun, NotApplicable, Provider, Resource, Stack, Violation
from policy.values import UNKNOWN
from tests.policy import corpus

CONTROLS = catalogue.load()
ODD: tuple[Any, ...] = (None, "", "x", "*", 0, -1, 3.5, True, False, [], [None], ["x", UNKNOWN], [[]], {}, {"a": None}, UNKNOWN)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just(UNKNOWN),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def resource(one: Recorded, props: Any = None) -> Resource:
    given_by = one.provider
    provider = Provider(**vars(given_by)) if given_by else None
    return Resource(
        type=one.type,
        urn=one.urn,
        name=one.name,
        props=dict(one.props if props is None else props),
        provider=provider,
        property_dependencies={key: tuple(urns) for key, urns in one.property_dependencies.items()},
    )


def paths(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*at, key)
        yield from paths(item, (*at, key))


def replaced(props: Any, path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    result = copy.deepcopy(dict(props))
    at: Any = result
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return result


def assert_sound(findings: Any, control: str) -> None:
    for finding in findings:
        assert isinstance(finding, Violation | CouldNotRun | NotApplicable), control


@pytest.mark.parametrize("control", [c for c in CONTROLS if c.kind == "resource"], ids=lambda c: c.id)
def test_a_resource_rule_takes_any_value_at_any_path(control: catalogue.Control) -> None:
    rule, seen = control.rule(), 0
    for one in corpus.build():
        if one.type in control.tokens or control.tokens == ("*",):
            for path in [("stranger",), *paths(dict(one.props))]:
                for odd in ODD:
                    assert_sound(rule(resource(one, replaced(one.props, path, odd)), control.defaults), control.id)
                    seen += 1
        assert_sound(rule(resource(one, {}), {}), control.id)
    assert seen or control.id == "IAM-04"


@pytest.mark.parametrize("control", [c for c in CONTROLS if c.kind == "stack"], ids=lambda c: c.id)
def test_a_stack_rule_takes_any_value_at_any_path(control: catalogue.Control) -> None:
    rule, recorded = control.rule(), corpus.build()
    whole = [resource(one) for one in recorded]
    for index, one in enumerate(recorded):
        if one.type in control.tokens:
            for path in paths(dict(one.props)):
                for odd in ODD:
                    changed = dataclasses.replace(whole[index], props=replaced(one.props, path, odd))
                    stack = Stack(resources=[*whole[:index], changed, *whole[index + 1 :]])
                    assert_sound(rule(stack, control.defaults), control.id)
    assert_sound(rule(Stack(resources=[]), {}), control.id)


@settings(max_examples=150)
@given(
    props=st.dictionaries(st.sampled_from(["policy", "ingress", "rules", "tags", "vpcConfig", "type"]), JSON),
    params=st.dictionaries(st.sampled_from(["publicPorts", "versions", "regions", "retentionDays"]), JSON),
)
def test_no_rule_fails_on_any_json(props: dict[str, Any], params: dict[str, Any]) -> None:
    for control in CONTROLS:
        for token in control.tokens:
            one = Resource(type=token, urn=f"urn:pulumi:a::b::{token}::c", name="c", props=props)
            subject = one if control.kind == "resource" else Stack(resources=[one, one])
            assert_sound(control.rule()(subject, {**control.defaults, **params}), control.id)


@pytest.mark.parametrize("control", CONTROLS, ids=lambda c: c.id)
def test_a_rule_is_pure(control: catalogue.Control) -> None:
    whole = [resource(one) for one in corpus.build()]
    before = copy.deepcopy([one.props for one in whole])
    subjects = [Stack(resources=whole)] if control.kind == "stack" else [o for o in whole if o.type in control.tokens]
    for subject in subjects:
        assert list(control.rule()(subject, control.defaults)) == list(control.rule()(subject, control.defaults))
    assert [one.props for one in whole] == before
