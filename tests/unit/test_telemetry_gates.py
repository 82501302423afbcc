"""No gate is narrower than a rule behind it: texts made from each rule's own pattern, and every planted secret, open it.

The texts are made by Hypothesis from the rule as Python reads it, in any case and with the letters that `(?i)` takes for others.
The real engine's word on the same is the redaction's test, where nothing leaks.
"""

import random
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.observability.telemetry.patterns import RULES, Gate, Rule
from components.observability.telemetry.redaction import _LONG, _RUN, _START  # pyright: ignore[reportPrivateUsage]
from tests.support.telemetry_secrets import secrets

GATED = [rule for rule in RULES if rule.gate is not None]


def readable(pattern: str) -> str:
    """RE2's spelling as Python's."""
    made = re.sub(r"\\x\{([0-9A-F]{4})\}", lambda found: f"\\u{found.group(1)}", pattern)
    return made.replace(r"\p{L}\p{N}", r"\w").replace(r"\p{L}", r"[^\W\d_]").replace(r"\z", r"\Z")


def folded(text: str) -> str:
    return text.lower().upper()


def opens(gate: Gate, text: str) -> bool:
    asked = folded(text) if gate.folded else text
    return any(re.search(readable(one), asked) for one in gate.patterns)


@pytest.mark.parametrize("rule", GATED, ids=lambda rule: rule.name)
def test_whatever_a_rule_takes_out_opens_its_gate(rule: Rule):
    assert rule.gate is not None
    gate, pattern = rule.gate, readable(rule.pattern)

    @settings(max_examples=60, suppress_health_check=list(HealthCheck))
    @given(st.from_regex(pattern))
    def opened(text: str) -> None:
        assert opens(gate, text), text

    opened()


@settings(max_examples=200)
@given(st.from_regex(readable(f"{_START}(?:{_RUN})")))
def test_whatever_may_be_a_card_is_long_enough_to_be_looked_at(text: str):
    assert re.search(readable(_LONG), text)


def test_every_planted_secret_that_a_rule_matches_opens_its_gate():
    phrases = [one.phrase for seed in range(20) for one in secrets(random.Random(seed))]  # noqa: S311
    for rule in GATED:
        matched = [phrase for phrase in phrases if re.search(readable(rule.pattern), phrase)]
        assert [phrase for phrase in matched if rule.gate is None or not opens(rule.gate, phrase)] == []
        assert matched or rule.name == "named-escaped", rule.name


@pytest.mark.parametrize(
    ("name", "text"), [("named", "pa\u017f\u017fword=x"), ("named", "to\u212aen: x"), ("authorization", "nEGOTiate abcdefghijkl")]
)
def test_letters_that_only_case_folding_knows_open_a_gate_too(name: str, text: str):
    (rule,) = (one for one in GATED if one.name == name)
    assert rule.gate is not None
    assert opens(rule.gate, text)


def test_a_gate_that_asks_for_too_much_is_found_out():
    (rule,) = (one for one in GATED if one.name == "jwt")
    assert not opens(Gate(name="jwt", patterns=("eyJhbGci",)), "eyJ0eXAiOiJKV1QifQ")
    assert rule.gate is not None
    assert opens(rule.gate, "eyJ0eXAiOiJKV1QifQ")
