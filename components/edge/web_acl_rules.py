"""The rules of the web ACL: a pure function of the settings, in the provider's own letter case.

Keys in that letter case go through the SDK unchanged at every depth; a test holds them to the SDK's own types.

Guarantees: a rule's priority depends on its name alone, so adding one renumbers none; every rule has a metric of its name; a
rule in `count_only` counts instead of blocking, whatever its kind. The order: what costs nothing first, AWS's groups after the
rates, so that a flood is cut before it is inspected (and charged) any further.
"""

import hashlib
import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pulumi import Input

from components.settings.edge import URI_RATE_PREFIX, UriRateSettings, WafSettings

Rule = dict[str, Any]

PRIORITIES: Mapping[str, int] = {
    "blocked-addresses": 10,
    "blocked-countries": 20,
    "body-size": 30,
    "required-headers": 40,
    "rate-per-address": 50,
    # 1_000_000 to 1_999_999 belong to the rates per path
    "managed-ip-reputation": 2_000_010,
    "managed-anonymous-ip": 2_000_020,
    "managed-known-bad-inputs": 2_000_030,
    "managed-common": 2_000_040,
    "managed-sqli": 2_000_050,
    "managed-linux": 2_000_060,
    "managed-account-takeover": 2_000_070,
    "managed-bot-control": 2_000_080,
}
"""Shield's automatic mitigation takes 10,000,000 for itself: everything here stays below."""
URI_RATE_SLOTS = 1_000_000

GROUPS: Mapping[str, tuple[str, int]] = {
    "managed-ip-reputation": ("AWSManagedRulesAmazonIpReputationList", 25),
    "managed-anonymous-ip": ("AWSManagedRulesAnonymousIpList", 50),
    "managed-known-bad-inputs": ("AWSManagedRulesKnownBadInputsRuleSet", 200),
    "managed-common": ("AWSManagedRulesCommonRuleSet", 700),
    "managed-sqli": ("AWSManagedRulesSQLiRuleSet", 200),
    "managed-linux": ("AWSManagedRulesLinuxRuleSet", 200),
    "managed-account-takeover": ("AWSManagedRulesATPRuleSet", 50),
    "managed-bot-control": ("AWSManagedRulesBotControlRuleSet", 50),
}
"""AWS's rule groups with their capacity units (AWS WAF guide, "AWS Managed Rules rule groups list")."""
INCLUDED_CAPACITY = 1500
"""Capacity units within the basic price; up to 5,000 are possible and charged for (AWS WAF pricing)."""

RATE_WINDOW_SECONDS = 300
PLAIN = [{"priority": 0, "type": "NONE"}]
DECODED = [{"priority": 0, "type": "URL_DECODE"}, {"priority": 1, "type": "NORMALIZE_PATH"}]
"""%74ransfer and /x/../transfer are the same path to what stands behind."""


def uri_rate_priority(key: str) -> int:
    """A slot of the paths' range from the rate's key alone. Which of two rates is judged first makes no difference."""
    return URI_RATE_SLOTS + int(hashlib.sha256(key.encode()).hexdigest(), 16) % URI_RATE_SLOTS


def path_pattern(path: str) -> str:
    """A regular expression for a path prefix of the settings: whole segments, `{name}` for one of them."""
    segments = [segment for segment in path.removesuffix("/*").split("/") if segment]
    parts = ["[^/]+" if segment.startswith("{") else re.escape(segment) for segment in segments]
    return f"^/{'/'.join(parts)}(/|$)" if parts else "^/"


def web_acl_rules(settings: WafSettings, *, health_path: str, blocked_addresses_arn: Input[str]) -> list[Rule]:
    """Every rule of the web ACL, by priority.

    Args:
        settings: the operator's decisions.
        health_path: Route 53's checkers call it from AWS's own networks: countries and bot detection leave it alone.
        blocked_addresses_arn: the IP set of `settings.blocked_cidrs`.

    Raises:
        ValueError: two rates fall into one slot; another key for one of them helps.
    """
    statements = {
        "blocked-addresses": {"ipSetReferenceStatement": {"arn": blocked_addresses_arn}},
        "body-size": _body_larger_than(settings.body_limit_kib),
        "rate-per-address": _rate(settings.requests_per_5_minutes),
        **{name: _group(name) for name in GROUPS if name not in _optional(settings)},
    }
    if settings.blocked_countries:
        countries = {"geoMatchStatement": {"countryCodes": list(settings.blocked_countries)}}
        statements["blocked-countries"] = {"andStatement": {"statements": [countries, _elsewhere(health_path)]}}
    if settings.required_headers:
        statements["required-headers"] = _missing_any(settings.required_headers)
    if settings.anonymous_ip:
        # Partners' machines call from hosting providers, and so do Route 53's checkers; proxies and anonymisers stay refused.
        statements["managed-anonymous-ip"] = _group("managed-anonymous-ip", counted=("HostingProviderIPList",))
    if settings.account_takeover_path is not None:
        statements["managed-account-takeover"] = _account_takeover(settings.account_takeover_path)
    if settings.bot_control:
        statements["managed-bot-control"] = _bot_control(health_path)
    rules = [_rule(name, PRIORITIES[name], statement, settings.count_only) for name, statement in statements.items()]
    rules += [_uri_rate(key, rate, settings.count_only) for key, rate in settings.uri_rates.items()]
    rules.sort(key=lambda rule: int(rule["priority"]))
    for rule, following in itertools.pairwise(rules):
        if rule["priority"] == following["priority"]:
            msg = f"{rule['name']} and {following['name']} fall into one priority; rename one of them"
            raise ValueError(msg)
    return rules


def capacity_units(rule: Rule) -> int:
    """Web ACL capacity units of a rule (AWS WAF guide, rule statements list): statement, transformations, scope-down."""
    return _units(rule["statement"])


def _units(statement: Mapping[str, Any]) -> int:
    ((kind, body),) = statement.items()
    transformations: int = 10 * sum(one["type"] != "NONE" for one in body.get("textTransformations", ()))
    nested: int = sum(_units(one) for one in body.get("statements", ()))
    nested += sum(_units(body[key]) for key in ("statement", "scopeDownStatement") if key in body)
    own = {
        "ipSetReferenceStatement": 1,
        "geoMatchStatement": 1,
        "sizeConstraintStatement": 1,
        "byteMatchStatement": 2,
        "regexMatchStatement": 3,
        "rateBasedStatement": 2,
        "managedRuleGroupStatement": next((units for group, units in GROUPS.values() if group == body.get("name")), 0),
    }
    return own.get(kind, 0) + transformations + nested


def _optional(settings: WafSettings) -> set[str]:
    off = {"managed-account-takeover", "managed-bot-control"}
    return off if settings.anonymous_ip else off | {"managed-anonymous-ip"}


def _rule(name: str, priority: int, statement: Rule, count_only: Sequence[str]) -> Rule:
    counts = name in count_only
    if "managedRuleGroupStatement" in statement:
        decision: Rule = {"overrideAction": {"count": {}} if counts else {"none": {}}}
    else:
        decision = {"action": {"count": {}} if counts else {"block": _refusal(name)}}
    return {
        "name": name,
        "priority": priority,
        **decision,
        "statement": statement,
        "visibilityConfig": {
            "cloudwatchMetricsEnabled": True,
            "metricName": name,
            "sampledRequestsEnabled": True,
        },
    }


def _refusal(name: str) -> Rule:
    """What the client is told: a rate is 429 with the time to wait, a body 413, a missing header 400, the rest AWS's 403."""
    if name == "rate-per-address" or name.startswith(URI_RATE_PREFIX):
        wait = {"name": "Retry-After", "value": str(RATE_WINDOW_SECONDS)}
        return {"customResponse": {"responseCode": 429, "responseHeaders": [wait]}}
    code = {"body-size": 413, "required-headers": 400}.get(name)
    return {"customResponse": {"responseCode": code}} if code else {}


def _uri_rate(key: str, rate: UriRateSettings, count_only: Sequence[str]) -> Rule:
    on_path = {
        "regexMatchStatement": {
            "regexString": path_pattern(rate.path),
            "fieldToMatch": {"uriPath": {}},
            "textTransformations": DECODED,
        }
    }
    statement = _rate(rate.requests_per_5_minutes, on_path)
    return _rule(f"{URI_RATE_PREFIX}{key}", uri_rate_priority(key), statement, count_only)


def _rate(limit: int, scope: Rule | None = None) -> Rule:
    body: Rule = {"aggregateKeyType": "IP", "limit": limit, "evaluationWindowSec": RATE_WINDOW_SECONDS}
    return {"rateBasedStatement": {**body, "scopeDownStatement": scope} if scope else body}


def _body_larger_than(kib: int) -> Rule:
    # MATCH: a body too large to inspect is refused, or an attack would hide behind padding.
    field = {"body": {"oversizeHandling": "MATCH"}}
    return {
        "sizeConstraintStatement": {
            "comparisonOperator": "GT",
            "size": kib * 1024,
            "fieldToMatch": field,
            "textTransformations": PLAIN,
        }
    }


def _missing_any(headers: Sequence[str]) -> Rule:
    missing = [_not(_header_set(header)) for header in headers]
    return missing[0] if len(missing) == 1 else {"orStatement": {"statements": missing}}


def _header_set(header: str) -> Rule:
    return {
        "sizeConstraintStatement": {
            "comparisonOperator": "GT",
            "size": 0,
            "fieldToMatch": {"singleHeader": {"name": header}},
            "textTransformations": PLAIN,
        }
    }


def _elsewhere(health_path: str) -> Rule:
    return _not(
        {
            "byteMatchStatement": {
                "positionalConstraint": "EXACTLY",
                "searchString": health_path,
                "fieldToMatch": {"uriPath": {}},
                "textTransformations": PLAIN,
            }
        }
    )


def _not(statement: Rule) -> Rule:
    return {"notStatement": {"statement": statement}}


def _group(name: str, counted: Sequence[str] = (), **more: Any) -> Rule:
    body: Rule = {"vendorName": "AWS", "name": GROUPS[name][0], **more}
    if counted:
        body["ruleActionOverrides"] = [{"name": rule, "actionToUse": {"count": {}}} for rule in counted]
    return {"managedRuleGroupStatement": body}


def _account_takeover(path: str) -> Rule:
    # The form of Keycloak's log-in page.
    inspection = {
        "payloadType": "FORM_ENCODED",
        "usernameField": {"identifier": "username"},
        "passwordField": {"identifier": "password"},
    }
    config = {"awsManagedRulesAtpRuleSet": {"loginPath": path, "requestInspection": inspection}}
    return _group("managed-account-takeover", managedRuleGroupConfigs=[config])


def _bot_control(health_path: str) -> Rule:
    # This is an API: HTTP libraries are its clients, and tokens tell good ones from bad.
    return _group(
        "managed-bot-control",
        counted=("CategoryHttpLibrary", "SignalNonBrowserUserAgent"),
        managedRuleGroupConfigs=[{"awsManagedRulesBotControlRuleSet": {"inspectionLevel": "COMMON"}}],
        scopeDownStatement=_elsewhere(health_path),
    )
