import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.context import RegionContext
from components.keys.policy import KeyGrant, key_policy
from components.keys.purposes import backup_grants, cluster_grants, data_grants, logs_grants
from components.observability.stores import bucket_policy

CONTEXT = RegionContext(
    organization="clearing", environment="test", region="eu-west-1", account="111122223333", tags={"owner": "security"}
)
ROOT = "arn:aws:iam::111122223333:root"
ADMIN = "arn:aws:iam::111122223333:role/break-glass"
DEPLOYER = "arn:aws:iam::111122223333:role/deployer"
CLUSTER = "arn:aws:iam::111122223333:role/cluster"
USES = {
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:CreateGrant",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
}
PURPOSES = {
    "logs": logs_grants(CONTEXT),
    "data": data_grants(CONTEXT),
    "backup": backup_grants(CONTEXT),
    "cluster": cluster_grants(CONTEXT, cluster_role=CLUSTER, creator=DEPLOYER),
}
purposes = pytest.mark.parametrize("purpose", sorted(PURPOSES))


def statements(grants: Iterable[KeyGrant]) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(json.dumps(key_policy(CONTEXT, (ADMIN, DEPLOYER), tuple(grants))))["Statement"]
    return listed


@purposes
def test_every_key_lets_the_root_user_and_the_administrators_change_its_policy(purpose: str) -> None:
    [one] = [s for s in statements(PURPOSES[purpose]) if "kms:PutKeyPolicy" in s["Action"]]
    assert one["Principal"] == {"AWS": [ROOT]}
    assert one["Condition"] == {"ArnEquals": {"aws:PrincipalArn": sorted([ROOT, ADMIN, DEPLOYER])}}
    assert not USES & set(one["Action"])


@purposes
def test_no_use_is_delegated_to_iam_alone(purpose: str) -> None:
    for one in statements(PURPOSES[purpose]):
        if USES & set(one["Action"]) and one["Principal"] == {"AWS": [ROOT]}:
            keys = {key for operator in one["Condition"].values() for key in operator}
            assert keys & {"kms:ViaService", "aws:PrincipalArn"}, one["Sid"]


@purposes
def test_no_statement_opens_the_key_to_everybody_or_by_wildcard(purpose: str) -> None:
    for one in statements(PURPOSES[purpose]):
        assert "*" not in json.dumps(one["Principal"])
        assert not [action for action in one["Action"] if "*" in action]


@purposes
def test_every_service_acts_for_this_account_only(purpose: str) -> None:
    for one in statements(PURPOSES[purpose]):
        if "Service" in one["Principal"]:
            assert CONTEXT.account in json.dumps(one["Condition"]), one["Sid"]


def test_log_groups_of_another_region_do_not_use_the_key() -> None:
    [one] = [s for s in statements(logs_grants(CONTEXT)) if s["Sid"] == "LogGroups"]
    assert one["Principal"] == {"Service": ["logs.eu-west-1.amazonaws.com"]}
    assert one["Condition"]["ArnLike"] == {
        "kms:EncryptionContext:aws:logs:arn": "arn:aws:logs:eu-west-1:111122223333:log-group:*"
    }


def test_a_grant_to_everybody_a_repeated_sid_and_a_key_without_administrator_are_refused() -> None:
    everybody = KeyGrant(sid="All", kind="AWS", principals=("*",), actions=("kms:Decrypt",))
    one = KeyGrant(sid="One", kind="AWS", principals=(ROOT,), actions=("kms:Decrypt",))
    with pytest.raises(ValueError, match="every account"):
        key_policy(CONTEXT, (ADMIN,), (everybody,))
    with pytest.raises(ValueError, match="share a sid"):
        key_policy(CONTEXT, (ADMIN,), (one, one))
    with pytest.raises(ValueError, match="needs an administrator"):
        key_policy(CONTEXT, (), (one,))


ROLES = st.sets(st.from_regex(r"arn:aws:iam::111122223333:role/[a-z]{1,20}", fullmatch=True), min_size=1, max_size=5)


@given(roles=ROLES)
def test_the_policy_is_the_same_in_whatever_order_administrators_are_named(roles: set[str]) -> None:
    ordered = sorted(roles)
    assert key_policy(CONTEXT, ordered, ()) == key_policy(CONTEXT, ordered[::-1], ())


def test_every_policy_fits_into_what_kms_takes() -> None:
    assert all(len(json.dumps(key_policy(CONTEXT, (ADMIN, DEPLOYER), grants))) < 32 * 1024 for grants in PURPOSES.values())


def test_data_is_reached_only_through_named_services_of_this_region() -> None:
    [one] = [s for s in statements(data_grants(CONTEXT)) if s["Sid"] == "ThroughDataServices"]
    services = one["Condition"]["StringEquals"]["kms:ViaService"]
    assert {"s3.eu-west-1.amazonaws.com", "rds.eu-west-1.amazonaws.com", "ec2.eu-west-1.amazonaws.com"} <= set(services)
    assert all(service.endswith(".eu-west-1.amazonaws.com") for service in services)


def granted(grants: Iterable[KeyGrant], services: set[str]) -> set[str]:
    """Which of the services a role of this account, whom IAM allows it, reaches a key through to open and to close data."""
    found: set[str] = set()
    for one in statements(grants):
        through = one.get("Condition", {}).get("StringEquals", {}).get("kms:ViaService", [])
        if {"kms:Decrypt", "kms:GenerateDataKey"} <= set(one["Action"]) and one["Principal"] == {"AWS": [ROOT]}:
            found |= {service for service in services if f"{service}.eu-west-1.amazonaws.com" in through}
    return found


def test_a_copy_of_an_encrypted_volume_is_made_with_the_key_of_backups() -> None:
    assert granted(backup_grants(CONTEXT), {"ec2", "backup", "s3", "rds"}) == {"ec2", "backup", "s3"}
    [one] = [s for s in statements(backup_grants(CONTEXT)) if s["Sid"] == "ThroughBackupServices"]
    assert {"kms:CreateGrant", "kms:ReEncryptFrom", "kms:ReEncryptTo"} <= set(one["Action"])


def test_the_stores_of_logs_and_traces_use_the_key_of_logs_through_s3_alone() -> None:
    store = bucket_policy("arn:aws:s3:::logs", "arn:aws:kms:eu-west-1:111122223333:key/logs", region="eu-west-1")
    [asked] = [one for one in store["Statement"] if one["Resource"].endswith(":key/logs")]
    [service] = [asked["Condition"]["StringEquals"]["kms:ViaService"]]
    assert granted(logs_grants(CONTEXT), {"s3", "ec2", "rds"}) == {"s3"}
    assert service == "s3.eu-west-1.amazonaws.com"
    [one] = [s for s in statements(logs_grants(CONTEXT)) if s["Sid"] == "ThroughStorage"]
    assert set(asked["Action"]) <= set(one["Action"])
