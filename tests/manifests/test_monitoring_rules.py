"""Alerts and recording rules as promtool judges them: each file parses, each alert fires when it should and not otherwise."""

from pathlib import Path

import pytest
import yaml

from components.observability.alert_rules import FOLDER, rule_files
from sandbox.promtool import check_rules, judge_tests, refused_queries

TESTS = Path(__file__).parents[1] / "data/alerts"
SYSTEMS = sorted(rule_files())


@pytest.mark.parametrize("system", SYSTEMS)
def test_prometheus_accepts_every_rule(system):
    good, said = check_rules(FOLDER / f"{system}.yaml")
    assert good, said


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_alert_fires_and_is_silent_as_its_tests_say(system):
    good, said = judge_tests(TESTS / f"{system}_test.yaml")
    assert good, said


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_tests_fail_when_the_alerts_never_fire(system, tmp_path):
    """The same cases against the same rules with expressions that give nothing."""
    rules, cases = rule_files()[system], yaml.safe_load((TESTS / f"{system}_test.yaml").read_text())
    dead = {
        "groups": [
            {**group, "rules": [{**rule, "expr": "vector(1) > 2"} for rule in group["rules"]]} for group in rules["groups"]
        ]
    }
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(dead))
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump({**cases, "rule_files": ["rules.yaml"]}))
    good, _ = judge_tests(tmp_path / "tests.yaml")
    assert not good


def test_a_query_that_prometheus_cannot_read_is_found_among_good_ones():
    assert set(refused_queries(["up", "sum(rate(up[5m])", "vector(1)"])) == {"sum(rate(up[5m])"}
    assert refused_queries(["up", "vector(1)"]) == {}
