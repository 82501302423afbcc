from typing import Any

import pulumi_aws as aws
import pytest

from components.audit.landing import LandingBucket, LandingBucketArgs
from components.audit.statements import alb_log_delivery, config_delivery
from components.audit.worm import WormBucket, WormBucketArgs
from components.context import RegionContext
from components.settings.account import AuditSettings
from tests.support.aws_model import request, violations
from tests.support.monitor import Recording, record

CONTEXT = RegionContext(
    organization="clearing", environment="test", region="eu-west-1", account="111122223333", tags={"owner": "security"}
)
KEY = "arn:aws:kms:eu-west-1:111122223333:key/logs"
CUSTODIANS = ("arn:aws:iam::111122223333:role/break-glass",)


def worm() -> Recording:
    def program() -> None:
        bucket = WormBucket(
            "eu-west-1-audit",
            WormBucketArgs(context=CONTEXT, settings=AuditSettings(), purpose="audit", key_arn=KEY, custodians=CUSTODIANS),
        )
        aws.sns.Topic("reader", name=bucket.name, display_name=bucket.arn)

    return record(program)


def landing(logs: str = "config", *, customer_key: bool = True) -> Recording:
    def program() -> None:
        LandingBucket(
            f"eu-west-1-{logs}",
            LandingBucketArgs(
                context=CONTEXT,
                logs=logs,
                deliveries=(config_delivery(CONTEXT) if customer_key else alb_log_delivery(CONTEXT),),
                worm_arn="arn:aws:s3:::worm",
                key_arn=KEY,
                custodians=CUSTODIANS,
                customer_key=customer_key,
            ),
        )

    return record(program)


def test_an_audit_bucket_is_born_locked_and_holds_for_the_settings_days() -> None:
    recording = worm()
    bucket = recording.one("aws:s3/bucket:Bucket")
    assert bucket.inputs["objectLockEnabled"] is True
    assert bucket.inputs["forceDestroy"] is False
    assert bucket.inputs["tags"]["purpose"] == "audit"
    assert bucket.protect
    lock = recording.one("aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration")
    assert lock.inputs["rule"] == {"defaultRetention": {"mode": "COMPLIANCE", "days": 365}}
    assert lock.protect


def test_the_lock_is_a_request_that_s3_takes() -> None:
    lock = worm().one("aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration")
    body: dict[str, Any] = {"ObjectLockEnabled": "Enabled", **request({"rule": lock.inputs["rule"]}, capital=True)}
    params = {"Bucket": lock.inputs["bucket"], "ObjectLockConfiguration": body}
    assert violations("s3", "PutObjectLockConfiguration", params) == []
    body["Rule"]["DefaultRetention"]["Mode"] = "FOREVER"
    assert violations("s3", "PutObjectLockConfiguration", params)


@pytest.mark.parametrize("recording", [worm, landing])
def test_every_evidence_bucket_is_private_versioned_and_owned(recording: Any) -> None:
    seen: Recording = recording()
    block = seen.one("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock").inputs
    for flag in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"):
        assert block[flag] is True
    versions = seen.one("aws:s3/bucketVersioning:BucketVersioning").inputs
    assert versions["versioningConfiguration"] == {"status": "Enabled"}
    owner = seen.one("aws:s3/bucketOwnershipControls:BucketOwnershipControls").inputs
    assert owner["rule"] == {"objectOwnership": "BucketOwnerEnforced"}
    bucket = seen.one("aws:s3/bucket:Bucket")
    for kind in ("bucketPublicAccessBlock:BucketPublicAccessBlock", "bucketVersioning:BucketVersioning"):
        assert bucket.urn in seen.one(f"aws:s3/{kind}").property_dependencies["bucket"]


@pytest.mark.parametrize(("customer_key", "algorithm"), [(True, "aws:kms"), (False, "AES256")])
def test_a_landing_place_is_encrypted_as_its_deliverer_can(algorithm: str, *, customer_key: bool) -> None:
    rules = (
        landing("alb", customer_key=customer_key)
        .one("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration")
        .inputs["rules"]
    )
    assert rules[0]["applyServerSideEncryptionByDefault"]["sseAlgorithm"] == algorithm
    assert rules[0]["bucketKeyEnabled"] is customer_key


def test_what_lands_is_copied_under_the_customer_key_and_deletions_are_not() -> None:
    seen = landing("alb", customer_key=False)
    [rule] = seen.one("aws:s3/bucketReplicationConfig:BucketReplicationConfig").inputs["rules"]
    assert rule["status"] == "Enabled"
    assert rule["destination"]["bucket"] == "arn:aws:s3:::worm"
    assert rule["destination"]["encryptionConfiguration"] == {"replicaKmsKeyId": KEY}
    assert rule["deleteMarkerReplication"] == {"status": "Disabled"}
    assert not seen.of("aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration")


def test_replication_waits_for_versions_and_for_its_permissions() -> None:
    seen = landing()
    replication = seen.one("aws:s3/bucketReplicationConfig:BucketReplicationConfig")
    assert seen.one("aws:s3/bucketVersioning:BucketVersioning").urn in replication.dependencies
    assert seen.one("aws:iam/rolePolicy:RolePolicy").urn in replication.dependencies


def test_what_uses_the_name_waits_for_policy_and_lock() -> None:
    seen = worm()
    reader = seen.one("aws:sns/topic:Topic")
    assert reader.inputs["name"] == "clearing-test-audit-eu-west-1-111122223333"
    assert reader.inputs["displayName"] == f"arn:aws:s3:::{reader.inputs['name']}"
    waited = reader.property_dependencies["name"]
    assert seen.one("aws:s3/bucketPolicy:BucketPolicy").urn in waited
    assert seen.one("aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration").urn in waited


@pytest.mark.parametrize("recording", [worm, landing])
def test_every_part_is_a_child_of_its_component(recording: Any) -> None:
    seen: Recording = recording()
    [component] = [r for r in seen.resources if not r.custom]
    assert {r.parent for r in seen.resources if r.custom and r.name != "reader"} == {component.urn}
