"""A web ACL blocks common attacks and floods, and counts what it does."""

import json
from typing import Any

from policy.checks import require_true, strings
from policy.model import CouldNotRun, Findings, Params, Resource, Violation
from policy.values import UNKNOWN, elements, is_set, look


def _camel(value: Any) -> Any:
    if isinstance(value, dict):
        return {f"{key[:1].lower()}{key[1:]}": _camel(item) for key, item in value.items()}
    return [_camel(item) for item in value] if isinstance(value, list) else value


def _rules(resource: Resource) -> list[tuple[str, Any]]:
    """The rules as blocks or, in the API's own letter case, as JSON text."""
    text = resource.get("ruleJson")
    if text is UNKNOWN:
        return [("ruleJson", UNKNOWN)]
    if not is_set(text):
        return list(elements(resource.get("rules"), "rules"))
    try:
        return list(elements(_camel(json.loads(text)), "ruleJson"))
    except (TypeError, ValueError):
        return []


def _counts(path: str, rule: Any, group: str) -> Findings:
    if is_set(look(rule, "overrideAction.count")) or isinstance(look(rule, "overrideAction.count"), dict):
        yield Violation(path=f"{path}.overrideAction.count", problem=f"{group} only counts")
    where = f"{path}.statement.managedRuleGroupStatement"
    for key in ("ruleActionOverrides", "excludedRules"):
        for at, one in elements(look(rule, f"statement.managedRuleGroupStatement.{key}"), f"{where}.{key}"):
            if one is UNKNOWN:
                yield CouldNotRun(path=at)
            elif key == "excludedRules" or look(one, "actionToUse.count") is not None:
                yield Violation(path=at, problem=f"a rule of {group} only counts")


def _group(rules: list[tuple[str, Any]], group: str) -> Findings:
    for path, rule in rules:
        if look(rule, "statement.managedRuleGroupStatement.name") == group and look(
            rule, "statement.managedRuleGroupStatement.vendorName"
        ) in ("AWS", UNKNOWN):
            yield from _counts(path, rule, group)
            return
    unknown = [path for path, rule in rules if _opaque(rule, "statement.managedRuleGroupStatement.name")]
    if unknown:
        yield from (CouldNotRun(path=path) for path in unknown)
    else:
        yield Violation(path="rules", problem=f"{group} is missing")


def _opaque(rule: Any, path: str) -> bool:
    return look(rule, path) is UNKNOWN


def _rate(rules: list[tuple[str, Any]]) -> Findings:
    limits = [(path, rule) for path, rule in rules if isinstance(look(rule, "statement.rateBasedStatement"), dict)]
    blocking = [path for path, rule in limits if isinstance(look(rule, "action.block"), dict)]
    if blocking:
        return
    unknown = [path for path, rule in limits if _opaque(rule, "action.block")]
    unknown += [path for path, rule in rules if _opaque(rule, "statement.rateBasedStatement")]
    if unknown:
        yield from (CouldNotRun(path=path) for path in unknown)
    else:
        yield Violation(path="rules", problem="no rate-based rule blocks")


def validate(resource: Resource, params: Params) -> Findings:
    """The managed groups of the list in force, a rate limit that blocks, metrics on."""
    yield from require_true(resource, "visibilityConfig.cloudwatchMetricsEnabled", "keeps no metrics")
    rules = _rules(resource)
    for group in strings(params, "managedRuleGroups"):
        yield from _group(rules, group)
    yield from _rate(rules)
