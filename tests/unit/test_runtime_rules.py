"""Falco's rules: held to the recorded facts of its release, and tried on a table of events.

What fires is decided by our reading of the published grammar and field documentation (sandbox/falco_conditions.py). Falco itself
is not run here: that it reads the same, and that the kernel's events look as in the table, is not proven.
"""

import dataclasses
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.graph.model import Graph
from components.runtime.rules import MODEL_FILE, executable, macro_of, rules
from components.settings import CONFIG_KEY, load, load_file
from sandbox.falco_conditions import All, Condition, Event, Not, holds
from sandbox.falco_conditions import Any as AnyOf
from sandbox.falco_rules import RuleError, RuleSet
from sandbox.falco_rules import load as load_rules

ROOT = Path(__file__).parents[2]
FALCO = ROOT / "tests" / "data" / "falco"
REGION = "eu-west-1"
STOCK_CASES = {
    "reverse shell": "Standard streams bound to the network",
    "crypto miner": "Crypto miner started",
    "drop and execute": "Dropped file executed",
    "memfd": "Program executed from memory",
    "release_agent": "Write to release_agent",
    "ptrace": "Process attached to another",
    "/proc environ": "Environment of a process read",
}
"""The cases that only detection at run time can answer → our rule."""


@cache
def facts() -> dict[str, Any]:
    return yaml.safe_load((FALCO / "facts.yaml").read_text(encoding="utf-8"))


@cache
def graph() -> Graph:
    """The dev stack, and a service whose name is that of a store's container and that declares tools."""
    document = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text(encoding="utf-8"))["config"][CONFIG_KEY]
    services = document["tenants"]["shared"]["services"]
    services["valkey"] = {**services["notifications"], "processes": ["node", "ash", "curl", "npm", "helm"], "replicas": 2}
    return Graph.of(load(document))


@cache
def rule_set() -> RuleSet:
    return load_rules(rules(graph(), REGION), facts())


@cache
def table() -> dict[str, tuple[Event, frozenset[str]]]:
    document = yaml.safe_load((FALCO / "events.yaml").read_text(encoding="utf-8"))
    found = {}
    for name, (base, changes, fires) in document["events"].items():
        event = {key: value for key, value in {**document["bases"][base], **changes}.items() if value is not None}
        found[name] = (event, frozenset(fires))
    return found


@pytest.mark.parametrize("name", table())
def test_an_event_fires_exactly_the_rules_that_the_table_says(name):
    event, fires = table()[name]
    assert rule_set().fired(event) == fires


def distance(one: Event, other: Event) -> int:
    return sum(one.get(key) != other.get(key) for key in {*one, *other})


@pytest.mark.parametrize("rule", rule_set().rules)
def test_every_rule_fires_on_one_event_and_not_on_another_that_differs_in_one_field(rule):
    firing = [event for event, fires in table().values() if rule in fires]
    silent = [event for event, fires in table().values() if rule not in fires]
    assert firing
    assert any(distance(one, other) == 1 for one in firing for other in silent)


def weakened(condition: Condition) -> Iterator[Condition]:
    """The condition with one clause, alternative or negation fewer, at every depth; macros stay closed."""
    match condition:
        case All(parts=parts) | AnyOf(parts=parts):
            kind = type(condition)
            for place, part in enumerate(parts):
                rest = (*parts[:place], *parts[place + 1 :])
                yield rest[0] if len(rest) == 1 else kind(rest)
                yield from (kind((*parts[:place], other, *parts[place + 1 :])) for other in weakened(part))
        case Not(one=one):
            yield one
            yield from map(Not, weakened(one))


@pytest.mark.parametrize("name", rule_set().rules)
def test_a_rule_that_lost_a_clause_gives_another_answer_somewhere_in_the_table(name):
    rule, macros = rule_set().rules[name], rule_set().macros
    for number, condition in enumerate(weakened(rule.condition)):
        said = [holds(condition, event, macros) == (name in fires) for event, fires in table().values()]
        assert not all(said), (number, condition)


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_the_rules_of_every_region_of_every_stack_are_in_order(stack):
    found = Graph.of(load_file(ROOT / f"Pulumi.{stack}.yaml"))
    for region in found.regions:
        loaded = load_rules(rules(found, region), facts())
        here = {workload.ref for workload in found.workloads.values() if region in workload.regions}
        assert {
            name.removeprefix("Unexpected process in ") for name in loaded.rules if name.startswith("Unexpected process in ")
        } == here


def test_every_case_that_only_detection_answers_has_a_rule():
    assert set(STOCK_CASES.values()) <= set(rule_set().rules)


def test_every_output_names_who_it_was():
    for rule in rule_set().rules.values():
        assert f"spiffe://{graph().trust_domain(REGION)}/ns/%k8s.ns.name/sa/%k8s.pod.label[app.kubernetes.io/name]" in rule.output
        for wanted in ("%k8s.pod.name", "%container.name", "%proc.name", "%proc.cmdline"):
            assert wanted in rule.output


EDITS = {
    "a field that is not there": ("zt_spawned and zt_container", "zt_spawned and proc.nome = x", "there is no field proc.nome"),
    "an argument that a field does not take": (
        "zt_spawned and zt_container",
        "zt_spawned and proc.name[2] = x",
        "no field proc.name",
    ),
    "a macro that is not there": ("zt_spawned and zt_container", "zt_spawned and zt_containers", "no macro zt_containers"),
    "a list that is not there": ("(zt_miners)", "(zt_minors)", "no list zt_minors"),
    "an operator that does not fit": ("fd.sport in", "fd.sport startswith 3 or fd.sport in", "not compared by startswith"),
    "a number that is none": ("fd.num >= 0", "fd.num >= zero", "'zero' is none"),
    "a truth that is none": ("proc.is_exe_from_memfd = true", "proc.is_exe_from_memfd = yes", "not 'yes'"),
    "an event that is not there": ("evt.type = ptrace", "evt.type = ptraced", "no event ptraced"),
    "no event at all": ("evt.type = ptrace and", "", "names no event type"),
    "a parameter of another event": (
        "evt.arg.request contains PTRACE_SEIZE",
        "evt.arg.domain contains X",
        "has a parameter domain",
    ),
    "a priority that is none": ("priority: EMERGENCY", "priority: URGENT", "URGENT is no priority"),
    "a technique that is none": ("T1611", "T9999", "T9999 is not in ATT&CK"),
    "a technique of another tactic": ("mitre_privilege_escalation\n  - T1611", "mitre_impact\n  - T1611", "technique of each"),
    "a field in an output that is not there": ("%fd.name)", "%fd.nom)", "fd.nom, which is no field"),
    "a key that is none": ("priority: EMERGENCY", "priority: EMERGENCY\n  severity: 1", "severity is no key"),
    "a stock rule's name": ("rule: Write to release_agent", "rule: Fileless execution via memfd_create", "name of a stock one"),
    "a rule twice": ("rule: Write to release_agent", "rule: Process attached to another", "stands twice"),
    "an engine to come": ("required_engine_version: 0.57.0", "required_engine_version: 0.99.0", "newer than"),
    "a parenthesis too few": ("condition: (container.id != host)", "condition: (container.id != host", "is wanted"),
    "an operator that Falco does not have": ("container.id != host", "container.id like host", "no operator"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_rule_file_is_refused_for(edit):
    before, after, said = EDITS[edit]
    flat = {
        name: yaml.safe_dump(yaml.safe_load(text), sort_keys=False, width=100_000)
        for name, text in rules(graph(), REGION).items()
    }
    wrong = {name: text if name == MODEL_FILE else text.replace(before, after) for name, text in flat.items()}
    assert wrong != flat, "the edit changes nothing"
    with pytest.raises(RuleError, match=said):
        load_rules(wrong, facts())


def test_names_of_macros_never_meet():
    """`a-b/c` and `a/b-c` would be one where every hyphen became the same character as the joint."""
    workload = next(iter(graph().workloads.values()))
    first = dataclasses.replace(workload, tenant="a-b", name="c")
    second = dataclasses.replace(workload, tenant="a", name="c-b")
    assert macro_of(first) != macro_of(second)


def test_a_process_is_named_as_the_kernel_names_it():
    assert executable("notification-sender") == '"notification-se"'


@pytest.mark.parametrize("name", ['sh" or 1', "/bin/sh", "", "a b", "a)"])
def test_what_is_no_file_name_never_reaches_a_condition(name):
    with pytest.raises(ValueError, match="no name of an executable"):
        executable(name)
