"""The web ACL as the program asks for it, held to AWS WAF's own API model."""

import re
from typing import Any

import pytest
from pulumi_aws.wafv2 import _inputs

from components.context import RegionContext
from components.edge.web_acl import WebAcl, WebAclArgs
from components.settings.edge import UriRateSettings, WafSettings
from policy.model import Resource, Stack, Violation
from policy.rules import waf_01, waf_02
from tests.support.aws_model import tag_list, violations
from tests.support.monitor import Recording, record

ACL = "aws:wafv2/webAcl:WebAcl"
LOGGING = "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration"
ARN = "arn:aws:wafv2:eu-west-1:111122223333:{}"
CONTEXT = RegionContext(
    organization="clearing", environment="dev", region="eu-west-1", account="111122223333", tags={"owner": "security"}
)
FULL = WafSettings(
    blocked_countries=("KP",),
    blocked_cidrs=("198.51.100.0/24",),
    bot_control=True,
    account_takeover_path="/realms/clearing/login-actions/authenticate",
    uri_rates={"transfer": UriRateSettings(path="/bank-b/transfer", requests_per_5_minutes=300)},
)
SPELLED = {
    "arn": "ARN",
    "cloudwatchMetricsEnabled": "CloudWatchMetricsEnabled",
    "ipSetReferenceStatement": "IPSetReferenceStatement",
    "awsManagedRulesAtpRuleSet": "AWSManagedRulesATPRuleSet",
    "awsManagedRulesBotControlRuleSet": "AWSManagedRulesBotControlRuleSet",
}


def acl(settings: WafSettings) -> Recording:
    return record(
        lambda: WebAcl(
            "edge-waf",
            WebAclArgs(
                context=CONTEXT,
                settings=settings,
                health_path="/healthz/mesh",
                load_balancer_arn="arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/app/edge/1",
                log_destination_arn="arn:aws:s3:::aws-waf-logs-clearing",
            ),
        )
    )


def as_api(value: Any) -> Any:
    """Pulumi's camelCase in AWS WAF's names; a NOT takes one statement there and a list of one here."""
    if isinstance(value, list):
        return [as_api(item) for item in value]
    if not isinstance(value, dict):
        return int(value) if isinstance(value, float) and value.is_integer() else value
    result: dict[str, Any] = {}
    for key, item in value.items():
        if key == "notStatement":
            result["NotStatement"] = {"Statement": as_api(item["statement"])}
        else:
            result[SPELLED.get(key, key[:1].upper() + key[1:])] = as_api(item)
    return result


@pytest.mark.parametrize("settings", [WafSettings(), FULL, FULL.model_copy(update={"count_only": ("managed-common",)})])
def test_aws_wafs_own_model_accepts_the_requests(settings: WafSettings):
    recording = acl(settings)
    inputs = dict(recording.one(ACL).inputs)
    member, tags = tag_list()(inputs.pop("tags"))
    protection = as_api(inputs.pop("dataProtectionConfig"))
    request = {"Name": "edge", **as_api(inputs), member: tags, "DataProtectionConfig": protection}
    assert violations("wafv2", "CreateWebACL", request) == []
    addresses = dict(recording.one("aws:wafv2/ipSet:IpSet").inputs)
    member, tags = tag_list()(addresses.pop("tags"))
    named = {"IPAddressVersion" if key == "IpAddressVersion" else key: value for key, value in as_api(addresses).items()}
    assert violations("wafv2", "CreateIPSet", {"Name": "blocked", **named, member: tags}) == []
    logging = as_api(recording.one(LOGGING).inputs)
    assert violations("wafv2", "PutLoggingConfiguration", {"LoggingConfiguration": logging}) == []


def strangers(value: Any, kind: str) -> list[str]:
    """Keys that the SDK's own types do not have: it would pass them on, and the provider would drop or refuse them."""
    known = getattr(_inputs, kind).__annotations__
    found: list[str] = []
    for key, item in value.items():
        name = re.sub(r"([A-Z])", lambda letter: f"_{letter[1].lower()}", key)
        if name not in known:
            found.append(f"{kind}.{key}")
            continue
        nested = re.search(r"WebAcl\w+ArgsDict", str(known[name]))
        for one in item if isinstance(item, list) else [item]:
            if nested and isinstance(one, dict):
                found += strangers(one, nested[0])
    return found


def test_every_key_is_one_of_the_sdks():
    for rule in acl(FULL).one(ACL).inputs["rules"]:
        assert strangers(rule, "WebAclRuleArgsDict") == []
    assert strangers({"statement": {"notStatement": {"statements": []}}}, "WebAclRuleArgsDict") != []


def test_nothing_is_registered_in_place_of_the_settings():
    rules = acl(FULL).one(ACL).inputs["rules"]
    managed = [rule["statement"].get("managedRuleGroupStatement") for rule in rules]
    assert sum(group is not None for group in managed) == 8
    assert acl(FULL).one("aws:wafv2/ipSet:IpSet").inputs["addresses"] == ["198.51.100.0/24"]


def test_no_credential_reaches_the_log_or_a_sample():
    recording = acl(WafSettings())
    redacted = {field["singleHeader"]["name"] for field in recording.one(LOGGING).inputs["redactedFields"]}
    protected = {
        key for one in recording.one(ACL).inputs["dataProtectionConfig"]["dataProtections"] for key in one["field"]["fieldKeys"]
    }
    assert {"authorization", "cookie", "x-api-key"} <= redacted & protected


def test_the_acl_stands_before_the_load_balancer_and_logs():
    recording = acl(WafSettings())
    arn = recording.one(LOGGING).inputs["resourceArn"]
    association = recording.one("aws:wafv2/webAclAssociation:WebAclAssociation").inputs
    assert association["webAclArn"] == arn
    assert association["resourceArn"].endswith("loadbalancer/app/edge/1")


def test_the_policy_packs_own_rules_pass_and_see_a_counting_group():
    params = {"managedRuleGroups": ["AWSManagedRulesCommonRuleSet", "AWSManagedRulesKnownBadInputsRuleSet"]}

    def found(settings: WafSettings) -> list[Violation]:
        resources = [
            Resource(type=one.type, urn=one.urn, name=one.name, props={"arn": ARN.format(one.name), **one.inputs})
            for one in acl(settings).resources
        ]
        (web_acl,) = [one for one in resources if one.type == ACL]
        return [*waf_01.validate(web_acl, params), *waf_02.validate(Stack(resources=resources), {})]

    assert found(FULL) == []
    assert found(FULL.model_copy(update={"count_only": ("managed-common",)})) != []
