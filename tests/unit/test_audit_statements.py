"""Holds the policy documents to what AWS asks of each deliverer. Does not prove that AWS evaluates them so."""

import json
from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from components.audit.hardened import lifecycle_rules
from components.audit.landing import landing_name, replication_policy
from components.audit.statements import (
    Delivery,
    access_log_delivery,
    alb_log_delivery,
    bucket_policy,
    cloudtrail_delivery,
    config_delivery,
    waf_log_delivery,
)
from components.context import RegionContext
from tests.support.monitor import record

CONTEXT = RegionContext(
    organization="clearing", environment="test", region="eu-west-1", account="111122223333", tags={"owner": "security"}
)
BUCKET = "arn:aws:s3:::some-bucket"
KEY = "arn:aws:kms:eu-west-1:111122223333:key/logs"
CUSTODIAN = "arn:aws:iam::111122223333:role/break-glass"
TRAIL = "arn:aws:cloudtrail:eu-west-1:111122223333:trail/clearing-test-trail"
DELIVERIES: dict[str, Delivery] = {
    "access": access_log_delivery(CONTEXT, "access/"),
    "alb": alb_log_delivery(CONTEXT, "edge"),
    "cloudtrail": cloudtrail_delivery(CONTEXT, TRAIL),
    "config": config_delivery(CONTEXT),
    "waf": waf_log_delivery(CONTEXT),
}
PATHS = {
    "access": ("logging.s3.amazonaws.com", "access/*"),
    "alb": ("logdelivery.elasticloadbalancing.amazonaws.com", "edge/AWSLogs/111122223333/*"),
    "cloudtrail": ("cloudtrail.amazonaws.com", "AWSLogs/111122223333/*"),
    "config": ("config.amazonaws.com", "AWSLogs/111122223333/Config/*"),
    "waf": ("delivery.logs.amazonaws.com", "AWSLogs/111122223333/*"),
}


def resolved(make: Callable[[], dict[str, Any]]) -> list[dict[str, Any]]:
    """The statements of a document with its outputs resolved, as the provider would get it."""
    seen: list[str] = []
    record(lambda: pulumi.Output.json_dumps(make()).apply(seen.append) and None)
    [text] = seen
    listed: list[dict[str, Any]] = json.loads(text)["Statement"]
    return listed


def document(*deliveries: Delivery, key: str | None = KEY) -> list[dict[str, Any]]:
    return resolved(lambda: bucket_policy(BUCKET, (CUSTODIAN,), key, deliveries))


def refusal(sid: str, *, key: str | None = KEY) -> dict[str, Any]:
    [one] = [s for s in document(key=key) if s["Sid"] == sid]
    return one


def test_everything_without_tls_is_refused_to_everybody_with_no_further_condition() -> None:
    one = refusal("RefusePlaintext")
    assert (one["Effect"], one["Principal"], one["Action"]) == ("Deny", "*", ["s3:*"])
    assert one["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert one["Resource"] == [BUCKET, f"{BUCKET}/*"]


def test_tls_older_than_1_2_is_refused() -> None:
    assert refusal("RefuseOldTls")["Condition"] == {"NumericLessThan": {"s3:TlsVersion": "1.2"}}


def test_only_the_custodians_may_remove_an_object_or_touch_its_retention() -> None:
    one = refusal("RefuseRemoval")
    assert {"s3:DeleteObjectVersion", "s3:BypassGovernanceRetention", "s3:PutObjectRetention"} <= set(one["Action"])
    assert one["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": [CUSTODIAN]}}


def test_an_upload_that_names_another_key_is_refused_and_one_that_names_none_is_not() -> None:
    header = "s3:x-amz-server-side-encryption-aws-kms-key-id"
    assert refusal("RefuseForeignKey")["Condition"] == {"Null": {header: "false"}, "StringNotEquals": {header: KEY}}
    assert refusal("RefuseForeignKey", key=None)["Condition"] == {"Null": {header: "false"}}


@pytest.mark.parametrize("name", sorted(DELIVERIES))
def test_each_deliverer_writes_below_its_own_path_for_this_account_only(name: str) -> None:
    service, path = PATHS[name]
    allowed = [s for s in document(DELIVERIES[name]) if s["Effect"] == "Allow"]
    assert {s["Principal"]["Service"] for s in allowed} == {service}
    assert [s["Resource"] for s in allowed if s["Action"] == "s3:PutObject"] == [f"{BUCKET}/{path}"]
    for one in allowed:
        assert CONTEXT.account in json.dumps(one["Condition"]) or name == "access", one["Sid"]
        assert "aws:SourceAccount" in json.dumps(one["Condition"]) or "aws:SourceArn" in json.dumps(one["Condition"])


def test_sids_of_one_policy_are_distinct_with_every_deliverer() -> None:
    sids = [s["Sid"] for s in document(*DELIVERIES.values())]
    assert len(set(sids)) == len(sids)


def test_only_the_named_trail_writes() -> None:
    for one in document(DELIVERIES["cloudtrail"]):
        if one["Effect"] == "Allow":
            assert one["Condition"]["StringEquals"]["aws:SourceArn"] == TRAIL


@pytest.mark.parametrize(("days", "cold"), [(30, False), (179, False), (180, True), (395, True)])
def test_cold_storage_is_used_only_where_its_least_period_is_over_before_expiry(days: int, *, cold: bool) -> None:
    [rule] = lifecycle_rules(days)
    assert bool(rule.transitions) is cold
    assert rule.expiration is not None


def test_waf_gets_the_name_it_asks_for_and_every_landing_place_its_own() -> None:
    names = [landing_name(CONTEXT, logs) for logs in ("access", "alb", "config", "waf")]
    assert names[-1].startswith("aws-waf-logs-")
    assert len(set(names)) == len(names)
    assert all(len(name) <= 63 for name in names)


def test_replication_neither_deletes_nor_lifts_retention_and_uses_the_key_through_s3_only() -> None:
    statements = resolved(lambda: replication_policy(BUCKET, f"{BUCKET}-worm", KEY, "eu-west-1"))
    actions = [a for s in statements for a in ([s["Action"]] if isinstance(s["Action"], str) else s["Action"])]
    assert not [a for a in actions if "Delete" in a or "Retention" in a or "*" in a]
    [keyed] = [s for s in statements if s["Resource"] == KEY]
    assert keyed["Condition"] == {"StringEquals": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}}
