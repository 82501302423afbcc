import json
from typing import Any

import pytest

from components.account.alarms import ALARMS, Alarms, AlarmsArgs
from components.account.guards import Guards, GuardsArgs
from components.account.region_guards import RegionGuards, RegionGuardsArgs
from components.account.trail import trail_arn
from components.context import RegionContext
from components.settings.account import AuditSettings, GuardSettings
from tests.support.aws_model import request, tag_list, verbatim, violations
from tests.support.monitor import Recording, record

CONTEXT = RegionContext(
    organization="clearing",
    environment="test",
    region="eu-west-1",
    account="111122223333",
    tags={"owner": "security"},
    permissions_boundary="arn:aws:iam::111122223333:policy/boundary",
)
KEY = "arn:aws:kms:eu-west-1:111122223333:key/logs"
EVIDENCE = "arn:aws:s3:::evidence"
TRAIL, RECORDER, DETECTOR = "aws:cloudtrail/trail:Trail", "aws:cfg/recorder:Recorder", "aws:guardduty/detector:Detector"
FEATURE = "aws:guardduty/detectorFeature:DetectorFeature"
ACCOUNT_KINDS = {
    "cloudtrail": TRAIL,
    "config_recorder": "aws:iam/serviceLinkedRole:ServiceLinkedRole",
    "s3_public_access_block": "aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock",
}
REGION_KINDS = {
    "guardduty": DETECTOR,
    "config_recorder": RECORDER,
    "security_hub": "aws:securityhub/account:Account",
    "access_analyzer": "aws:accessanalyzer/analyzer:Analyzer",
}


def account(**guards: bool) -> Recording:
    args = GuardsArgs(
        context=CONTEXT,
        guards=GuardSettings(**guards),
        audit=AuditSettings(),
        key_arn=KEY,
        trail_bucket="evidence",
        trail_bucket_arn=EVIDENCE,
        unrecorded_buckets=("arn:aws:s3:::landing",),
    )
    return record(lambda: Guards("account", args))


def region(*, home: bool = True, role: str | None = "arn:aws:iam::111122223333:role/config", **guards: bool) -> Recording:
    args = RegionGuardsArgs(
        context=CONTEXT,
        guards=GuardSettings(**guards),
        home=home,
        data_key_arn=f"{KEY}-data",
        logs_key_arn=KEY,
        config_bucket="landing",
        config_role_arn=role,
    )
    return record(lambda: RegionGuards("eu-west-1-guards", args))


@pytest.mark.parametrize("guard", sorted(ACCOUNT_KINDS))
def test_each_account_guard_stands_by_default_and_goes_with_its_setting(guard: str) -> None:
    assert len(account().of(ACCOUNT_KINDS[guard])) == 1
    off = account(**{guard: False})
    assert not off.of(ACCOUNT_KINDS[guard])
    assert all(len(off.of(kind)) == 1 for other, kind in ACCOUNT_KINDS.items() if other != guard)


@pytest.mark.parametrize("guard", sorted(REGION_KINDS))
def test_each_regional_guard_stands_by_default_and_goes_with_its_setting(guard: str) -> None:
    assert len(region().of(REGION_KINDS[guard])) == 1
    off = region(**{guard: False})
    assert not off.of(REGION_KINDS[guard])
    assert all(len(off.of(kind)) == 1 for other, kind in REGION_KINDS.items() if other != guard)


def test_the_trail_records_all_regions_with_digests_under_the_customer_key() -> None:
    trail = account().one(TRAIL)
    for flag in ("isMultiRegionTrail", "includeGlobalServiceEvents", "enableLogging", "enableLogFileValidation"):
        assert trail.inputs[flag] is True
    assert trail.inputs["kmsKeyId"] == KEY
    assert trail.inputs["cloudWatchLogsGroupArn"].endswith(":*")
    assert trail.protect


def test_the_trail_does_not_record_its_own_writing_and_does_record_who_reads_it() -> None:
    selectors = {one["name"]: one["fieldSelectors"] for one in account().one(TRAIL).inputs["advancedEventSelectors"]}
    fields = {name: {one["field"]: one for one in given} for name, given in selectors.items()}
    assert fields["management"]["eventCategory"]["equals"] == ["Management"]
    assert fields["objects"]["resources.ARN"]["notStartsWiths"] == [f"{EVIDENCE}/", "arn:aws:s3:::landing/"]
    assert fields["evidence"]["resources.ARN"]["startsWiths"] == [f"{EVIDENCE}/"]
    assert fields["evidence"]["eventName"]["notEquals"] == ["PutObject"]


def test_the_trail_is_a_request_that_cloudtrail_takes() -> None:
    inputs = account().one(TRAIL).inputs
    names: dict[str, Any] = {
        "advancedEventSelectors": None,
        "insightSelectors": None,
        "enableLogging": None,
        "cloudWatchLogsGroupArn": "CloudWatchLogsLogGroupArn",
        "tags": tag_list("TagsList"),
    }
    assert violations("cloudtrail", "CreateTrail", request(inputs, names, capital=True)) == []
    plural = {"startsWiths": "StartsWith", "notStartsWiths": "NotStartsWith"}
    given = {
        "advancedEventSelectors": inputs["advancedEventSelectors"],
    }
    deep = {f"advancedEventSelectors.fieldSelectors.{key}": member for key, member in plural.items()}
    selectors = {"TrailName": inputs["name"], **request(given, deep, capital=True)}
    assert violations("cloudtrail", "PutEventSelectors", selectors) == []
    insights = {"TrailName": inputs["name"], **request({"insightSelectors": inputs["insightSelectors"]}, capital=True)}
    assert violations("cloudtrail", "PutInsightSelectors", insights) == []


def test_only_this_trail_takes_the_role_that_writes_its_log_group() -> None:
    seen = account()
    role = seen.one("aws:iam/role:Role")
    [trust] = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
    assert trust["Condition"]["StringEquals"]["aws:SourceArn"] == trail_arn(CONTEXT)
    assert role.inputs["maxSessionDuration"] == 3600
    assert role.inputs["permissionsBoundary"] == CONTEXT.permissions_boundary
    [permission] = json.loads(seen.one("aws:iam/rolePolicy:RolePolicy").inputs["policy"])["Statement"]
    assert "111122223333_CloudTrail_eu-west-1" in permission["Resource"]


def test_the_trails_log_group_is_kept_encrypted_and_undeletable() -> None:
    group = account().one("aws:cloudwatch/logGroup:LogGroup")
    assert group.inputs["kmsKeyId"] == KEY
    assert group.inputs["retentionInDays"] == 365
    assert group.inputs["deletionProtectionEnabled"] is True
    assert group.inputs["tags"]["purpose"] == "audit"


def test_guardduty_watches_the_clusters_audit_log_and_their_nodes() -> None:
    seen = region()
    features = {one.inputs["name"]: one.inputs for one in seen.of(FEATURE)}
    assert {"EKS_AUDIT_LOGS", "RUNTIME_MONITORING", "S3_DATA_EVENTS", "EBS_MALWARE_PROTECTION"} <= set(features)
    assert all(one["status"] == "ENABLED" for one in features.values())
    runtime = features["RUNTIME_MONITORING"]["additionalConfigurations"]
    assert runtime == [{"name": "EKS_ADDON_MANAGEMENT", "status": "ENABLED"}]


def test_the_detector_is_a_request_that_guardduty_takes() -> None:
    seen = region()
    params = request(seen.one(DETECTOR).inputs, {"tags": verbatim("Tags")}, capital=True)
    features = [
        request(one.inputs, {"detectorId": None, "additionalConfigurations": "AdditionalConfiguration"}, capital=True)
        for one in seen.of(FEATURE)
    ]
    # The API's client spells its members in lower camel case on the wire and with capitals in the model.
    assert violations("guardduty", "CreateDetector", {**params, "Features": features}) == []


def test_the_recorder_starts_only_after_its_channel_and_counts_global_resources_once() -> None:
    seen = region()
    recorder, channel = seen.one(RECORDER), seen.one("aws:cfg/deliveryChannel:DeliveryChannel")
    status = seen.one("aws:cfg/recorderStatus:RecorderStatus")
    assert recorder.urn in channel.dependencies
    assert channel.urn in status.dependencies
    assert recorder.inputs["recordingGroup"]["includeGlobalResourceTypes"] is True
    assert region(home=False).one(RECORDER).inputs["recordingGroup"]["includeGlobalResourceTypes"] is False


def test_the_recorder_is_a_request_that_config_takes() -> None:
    seen = region()
    recorder = request(seen.one(RECORDER).inputs, {"roleArn": "roleARN"})
    assert violations("config", "PutConfigurationRecorder", {"ConfigurationRecorder": recorder}) == []
    names = {"snapshotDeliveryProperties": "configSnapshotDeliveryProperties"}
    channel = request(seen.one("aws:cfg/deliveryChannel:DeliveryChannel").inputs, names)
    assert violations("config", "PutDeliveryChannel", {"DeliveryChannel": channel}) == []


def test_a_recorder_without_its_role_is_refused() -> None:
    with pytest.raises(ValueError, match="config_role_arn"):
        region(role=None)


def test_security_hub_waits_for_the_recorder_and_brings_its_standards_itself() -> None:
    seen = region()
    hub = seen.one("aws:securityhub/account:Account")
    assert hub.inputs["enableDefaultStandards"] is False
    assert seen.one("aws:cfg/recorderStatus:RecorderStatus").urn in hub.dependencies
    standards = seen.of("aws:securityhub/standardsSubscription:StandardsSubscription")
    arns = {one.inputs["standardsArn"] for one in standards}
    assert arns == {
        "arn:aws:securityhub:eu-west-1::standards/aws-foundational-security-best-practices/v/1.0.0",
        "arn:aws:securityhub:eu-west-1::standards/nist-800-53/v/5.0.0",
    }


def test_a_regions_defaults_do_not_depend_on_settings() -> None:
    off = region(**dict.fromkeys(REGION_KINDS, False))
    assert off.one("aws:ebs/encryptionByDefault:EncryptionByDefault").inputs["enabled"] is True
    assert off.one("aws:ebs/defaultKmsKey:DefaultKmsKey").inputs["keyArn"] == f"{KEY}-data"
    metadata = off.one("aws:ec2/instanceMetadataDefaults:InstanceMetadataDefaults").inputs
    assert (metadata["httpTokens"], metadata["httpPutResponseHopLimit"]) == ("required", 1)
    params = request(metadata, capital=True)
    assert violations("ec2", "ModifyInstanceMetadataDefaults", params) == []
    snapshots = off.one("aws:ebs/snapshotBlockPublicAccess:SnapshotBlockPublicAccess").inputs
    assert violations("ec2", "EnableSnapshotBlockPublicAccess", request(snapshots, capital=True)) == []
    images = off.one("aws:ec2/imageBlockPublicAccess:ImageBlockPublicAccess").inputs
    assert violations("ec2", "EnableImageBlockPublicAccess", {"ImageBlockPublicAccessState": images["state"]}) == []
    assert off.one("aws:ec2/serialConsoleAccess:SerialConsoleAccess").inputs["enabled"] is False


def alarms() -> Recording:
    return record(lambda: Alarms("alarms", AlarmsArgs(context=CONTEXT, log_group="trail", key_arn=KEY)))


def test_every_alarm_of_the_table_reads_its_own_filter_and_tells_the_topic() -> None:
    seen = alarms()
    filters = {
        one.inputs["metricTransformation"]["name"]: one for one in seen.of("aws:cloudwatch/logMetricFilter:LogMetricFilter")
    }
    rung = {one.inputs["metricName"]: one for one in seen.of("aws:cloudwatch/metricAlarm:MetricAlarm")}
    assert set(filters) == set(rung) == set(ALARMS)
    topic = seen.one("aws:sns/topic:Topic")
    for key, alarm in rung.items():
        assert alarm.inputs["namespace"] == filters[key].inputs["metricTransformation"]["namespace"]
        assert alarm.property_dependencies["alarmActions"] == {topic.urn}


def test_alarms_and_filters_are_requests_that_cloudwatch_takes() -> None:
    seen = alarms()
    for alarm in seen.of("aws:cloudwatch/metricAlarm:MetricAlarm"):
        params = request(alarm.inputs, {"name": "AlarmName", "tags": tag_list()}, capital=True)
        assert violations("cloudwatch", "PutMetricAlarm", params) == []
    for one in seen.of("aws:cloudwatch/logMetricFilter:LogMetricFilter"):
        change = one.inputs["metricTransformation"]
        params = {
            "logGroupName": one.inputs["logGroupName"],
            "filterName": one.inputs["name"],
            "filterPattern": one.inputs["pattern"],
            "metricTransformations": [
                {
                    "metricName": change["name"],
                    "metricNamespace": change["namespace"],
                    "metricValue": change["value"],
                    "defaultValue": float(change["defaultValue"]),
                }
            ],
        }
        assert violations("logs", "PutMetricFilter", params) == []


def test_the_topic_is_encrypted_and_only_alarms_of_this_account_publish() -> None:
    seen = alarms()
    assert seen.one("aws:sns/topic:Topic").inputs["kmsMasterKeyId"] == KEY
    publish, plain = json.loads(seen.one("aws:sns/topicPolicy:TopicPolicy").inputs["policy"])["Statement"]
    assert publish["Condition"]["StringEquals"] == {"aws:SourceAccount": "111122223333"}
    assert plain["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
