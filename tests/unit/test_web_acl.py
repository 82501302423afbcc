"""The web ACL's rules as values: priorities that stay, capacity that is paid for, paths that mean what they say."""

import re
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from components.edge.web_acl_rules import (
    GROUPS,
    INCLUDED_CAPACITY,
    PRIORITIES,
    URI_RATE_SLOTS,
    Rule,
    capacity_units,
    path_pattern,
    uri_rate_priority,
    web_acl_rules,
)
from components.settings import load_file
from components.settings.edge import URI_RATE_PREFIX, WAF_RULES, UriRateSettings, WafSettings
from tests.support.program import ROOT, STACKS

SHIELD_PRIORITY = 10_000_000
ALWAYS_ON = {"managed-common", "managed-known-bad-inputs", "managed-sqli", "managed-linux", "managed-ip-reputation"}
RATES = {"transfer": UriRateSettings(path="/bank-b/transfer", requests_per_5_minutes=300)}
FULL = WafSettings(
    blocked_countries=("KP",),
    blocked_cidrs=("198.51.100.0/24",),
    bot_control=True,
    account_takeover_path="/realms/clearing/login-actions/authenticate",
    uri_rates=RATES,
)
keys = st.from_regex(r"[a-z][a-z0-9-]{0,12}[a-z0-9]", fullmatch=True)


def rules(settings: WafSettings) -> dict[str, Rule]:
    found = web_acl_rules(settings, health_path="/healthz/mesh", blocked_addresses_arn="arn:set")
    assert [rule["priority"] for rule in found] == sorted(rule["priority"] for rule in found)
    return {rule["name"]: rule for rule in found}


def rated(names: list[str]) -> WafSettings:
    return WafSettings(uri_rates={name: UriRateSettings(path=f"/{name}", requests_per_5_minutes=100) for name in names})


@given(st.lists(keys, unique=True, max_size=8), keys)
def test_adding_a_rate_renumbers_no_rule(names: list[str], added: str):
    assume(len({uri_rate_priority(name) for name in {*names, added}}) == len({*names, added}))
    before, after = rules(rated(names)), rules(rated([added, *names]))
    assert all(after[name] == rule for name, rule in before.items())
    assert after.keys() - before.keys() <= {f"{URI_RATE_PREFIX}{added}"}


def test_turning_optional_rules_on_renumbers_no_rule():
    few, all_of_them = rules(WafSettings(anonymous_ip=False)), rules(FULL)
    assert few.keys() < all_of_them.keys()
    assert {name: all_of_them[name]["priority"] for name in few} == {name: rule["priority"] for name, rule in few.items()}


def test_two_rates_in_one_slot_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("components.edge.web_acl_rules.uri_rate_priority", lambda _key: 1_500_000)
    with pytest.raises(ValueError, match="rename"):
        rules(rated(["a1", "b1"]))


def test_the_settings_and_the_priorities_know_the_same_rules():
    assert set(WAF_RULES) == set(PRIORITIES)
    assert set(rules(FULL)) == {*WAF_RULES, "uri-rate-transfer"}
    assert len(set(PRIORITIES.values())) == len(PRIORITIES)


@given(keys)
def test_a_rate_stays_in_its_slots(key: str):
    assert URI_RATE_SLOTS <= uri_rate_priority(key) < 2 * URI_RATE_SLOTS


def test_no_priority_touches_the_rates_slots_or_shields():
    assert all(not URI_RATE_SLOTS <= value < 2 * URI_RATE_SLOTS and value < SHIELD_PRIORITY for value in PRIORITIES.values())


def test_the_groups_that_are_promised_are_always_on():
    assert rules(WafSettings(anonymous_ip=False)).keys() >= ALWAYS_ON
    assert {"managed-bot-control", "managed-account-takeover"}.isdisjoint(rules(WafSettings()))


@pytest.mark.parametrize("name", [*WAF_RULES, "uri-rate-transfer"])
def test_a_rule_only_counts_when_it_is_named_and_no_other_does(name: str):
    counting = rules(FULL.model_copy(update={"count_only": (name,)}))
    for other, rule in counting.items():
        decision = rule.get("overrideAction") or rule["action"]
        assert ("count" in decision) == (other == name)
        assert ("overrideAction" in rule) == other.startswith("managed-")


def test_an_unknown_rule_name_does_not_load():
    for known in ("managed-common", "uri-rate-transfer"):
        assert WafSettings(uri_rates=RATES, count_only=(known,)).count_only == (known,)
    for unknown in ("AWSManagedRulesCommonRuleSet", "uri-rate-login", "managed-comon"):
        with pytest.raises(ValidationError):
            WafSettings(uri_rates=RATES, count_only=(unknown,))


@pytest.mark.parametrize(
    "change",
    [
        {"blocked_cidrs": ("0.0.0.0/0",)},
        {"blocked_cidrs": ("198.51.100.7/24",)},
        {"blocked_cidrs": ("198.51.100.7",)},
        {"blocked_cidrs": ("2001:db8::/32",)},
        {"required_headers": ("User-Agent",)},
        {"required_headers": ("user agent",)},
        {"body_limit_kib": 16},
    ],
)
def test_what_aws_waf_would_refuse_does_not_load(change: dict[str, Any]):
    with pytest.raises(ValidationError):
        WafSettings(**change)


def test_every_rule_has_a_metric_of_its_own():
    configs = [rule["visibilityConfig"] for rule in rules(FULL).values()]
    assert all(config["cloudwatchMetricsEnabled"] for config in configs)
    assert len({config["metricName"] for config in configs}) == len(configs)


def test_floods_are_told_to_wait():
    for name in ("rate-per-address", "uri-rate-transfer"):
        assert rules(FULL)[name]["action"]["block"]["customResponse"]["responseCode"] == 429


def test_a_body_too_large_to_inspect_is_refused():
    statement = rules(WafSettings())["body-size"]["statement"]["sizeConstraintStatement"]
    assert statement["size"] == 8192
    assert statement["fieldToMatch"]["body"]["oversizeHandling"] == "MATCH"


def test_health_checkers_pass_where_their_address_or_agent_would_speak_against_them():
    found = rules(FULL)
    geo = found["blocked-countries"]["statement"]["andStatement"]["statements"]
    assert [next(iter(statement)) for statement in geo] == ["geoMatchStatement", "notStatement"]
    bots = found["managed-bot-control"]["statement"]["managedRuleGroupStatement"]["scopeDownStatement"]
    assert bots == geo[1]
    assert bots["notStatement"]["statement"]["byteMatchStatement"]["searchString"] == "/healthz/mesh"
    anonymous = found["managed-anonymous-ip"]["statement"]["managedRuleGroupStatement"]["ruleActionOverrides"]
    assert [one["name"] for one in anonymous] == ["HostingProviderIPList"]


@pytest.mark.parametrize("stack", STACKS)
def test_a_shipped_stacks_capacity_is_within_the_basic_price(stack: str):
    settings = load_file(ROOT / f"Pulumi.{stack}.yaml").edge.waf
    assert sum(map(capacity_units, rules(settings).values())) <= INCLUDED_CAPACITY


def test_capacity_by_hand():
    # groups 700+200+200+200+25+50, IP set 1, body 1, two headers 1 each, rate 2
    assert sum(map(capacity_units, rules(WafSettings()).values())) == 1375 + 1 + 1 + 2 + 2
    # rate 2, regular expression 3, two transformations 10 each
    assert capacity_units(rules(FULL)["uri-rate-transfer"]) == 25
    assert all(capacity_units(rules(FULL)[name]) >= units for name, (_, units) in GROUPS.items())


@pytest.mark.parametrize(
    ("path", "hits", "misses"),
    [
        ("/bank-b/transfer", ["/bank-b/transfer", "/bank-b/transfer/7"], ["/bank-b/transfers", "/x/bank-b/transfer", "/bank-b"]),
        ("/accounts/{id}", ["/accounts/7", "/accounts/7/x"], ["/accounts", "/accounts/", "/accountsx/7"]),
        ("/a.b/*", ["/a.b", "/a.b/c"], ["/axb/c"]),
        ("/", ["/", "/anything"], []),
    ],
)
def test_a_path_prefix_means_whole_segments(path: str, hits: list[str], misses: list[str]):
    pattern = re.compile(path_pattern(path))
    assert all(pattern.search(hit) for hit in hits)
    assert not any(pattern.search(miss) for miss in misses)
