import json

from components.context import RegionContext
from components.keys.key import Key, KeyArgs
from components.keys.purposes import logs_grants
from components.settings.account import KeySettings
from tests.support.aws_model import request, tag_list, violations
from tests.support.monitor import Recording, record

CONTEXT = RegionContext(
    organization="clearing", environment="test", region="eu-west-1", account="111122223333", tags={"owner": "security"}
)


def recorded() -> Recording:
    def program() -> None:
        Key(
            "eu-west-1-logs-key",
            KeyArgs(
                context=CONTEXT,
                settings=KeySettings(rotation_days=180),
                purpose="logs",
                administrators=("arn:aws:iam::111122223333:role/break-glass",),
                grants=logs_grants(CONTEXT),
            ),
        )

    return record(program)


def test_a_key_rotates_waits_the_full_period_and_is_protected() -> None:
    key = recorded().one("aws:kms/key:Key")
    assert key.inputs["enableKeyRotation"] is True
    assert key.inputs["rotationPeriodInDays"] == 180
    assert key.inputs["deletionWindowInDays"] == 30
    assert key.protect
    assert "bypassPolicyLockoutSafetyCheck" not in key.inputs


def test_the_alias_names_environment_and_purpose_and_follows_the_key() -> None:
    recording = recorded()
    key, alias = recording.one("aws:kms/key:Key"), recording.one("aws:kms/alias:Alias")
    assert alias.inputs["name"] == "alias/clearing-test-logs"
    assert alias.property_dependencies["targetKeyId"] == {key.urn}
    assert key.parent == alias.parent == recording.one("zerotrust:keys:Key").urn


def test_the_key_is_a_request_that_kms_takes() -> None:
    inputs = recorded().one("aws:kms/key:Key").inputs
    names = {
        "enableKeyRotation": None,
        "rotationPeriodInDays": None,
        "deletionWindowInDays": None,
        "tags": lambda tags: ("Tags", [{"TagKey": key, "TagValue": value} for key, value in tags.items()]),
    }
    assert violations("kms", "CreateKey", request(inputs, names, capital=True)) == []
    rotation = {"KeyId": "some-key", "RotationPeriodInDays": inputs["rotationPeriodInDays"]}
    assert violations("kms", "EnableKeyRotation", rotation) == []
    removal = {"KeyId": "some-key", "PendingWindowInDays": inputs["deletionWindowInDays"]}
    assert violations("kms", "ScheduleKeyDeletion", removal) == []
    assert json.loads(inputs["policy"])["Version"] == "2012-10-17"
    wrong = request(inputs, {**names, "tags": tag_list()}, capital=True)
    assert violations("kms", "CreateKey", wrong), "KMS spells its tags unlike other services"
