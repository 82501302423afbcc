"""The rarer ways to a finding: an unknown beside another property, a second spelling of a resource."""

import json
from typing import Any

import pytest

from policy import catalogue
from policy.client import Pack, Recorded
from policy.values import UNKNOWN
from tests.policy import harness
from tests.policy.harness import DELETE, Edit

IDS = {control.policy: control.id for control in catalogue.load()}
OPEN = {"protocol": "-1", "fromPort": 0, "toPort": 0, "cidrBlocks": ["0.0.0.0/0"]}
RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"
ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
SEPARATE = "aws:ec2/vpcEndpointPolicy:VpcEndpointPolicy"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
KEY = "aws:kms/key:Key"
ACL = "aws:wafv2/webAcl:WebAcl"
STAGE = "aws:apigatewayv2/stage:Stage"
BUCKET = "aws:s3/bucket:Bucket"
BUCKET_POLICY = "aws:s3/bucketPolicy:BucketPolicy"
IAM = "aws:iam/policy:Policy"
UNSURE = "could not run: {}: {} is unknown until the update"


def unsure(control: str, path: str) -> str:
    return UNSURE.format(control, path)


def planted(kind: str, **props: Any) -> list[Edit]:
    return [Edit(type=kind, add=True, value=props)]


def document(**parts: Any) -> dict[str, Any]:
    return {"Statement": [{"Effect": "Allow", **parts}]}


def at(kind: str, path: str, value: Any = DELETE, match: str = "*") -> Edit:
    return Edit(type=kind, path=path, value=value, match=match)


BY_ORG = {"StringEquals": {"aws:PrincipalOrgID": UNKNOWN}}
CASES: list[tuple[str, list[Edit], str]] = [
    ("NET-04", planted(RULE, type=UNKNOWN, **OPEN), unsure("NET-04", "type")),
    ("NET-05", planted(RULE, type=UNKNOWN, **OPEN), unsure("NET-05", "type")),
    ("NET-06", [at(ENDPOINT, "policy", "{")], "is no JSON"),
    (
        "NET-06",
        [
            at(ENDPOINT, "policy", match="endpoint-kms"),
            *planted(
                SEPARATE,
                vpcEndpointId="endpoint-kms-id",
                policy=json.dumps(document(Principal="*", Action="*", Resource="*")),
            ),
        ],
        "allows everybody everything",
    ),
    (
        "NET-06",
        [at(ENDPOINT, "policy", match="endpoint-kms"), *planted(SEPARATE, vpcEndpointId=UNKNOWN)],
        unsure("NET-06", "policy"),
    ),
    (
        "EKS-07",
        planted("aws:eks/accessEntry:AccessEntry", kubernetesGroups=[UNKNOWN]),
        unsure("EKS-07", "kubernetesGroups[0]"),
    ),
    ("EKS-09", [at(TEMPLATE, "blockDeviceMappings[0]", UNKNOWN)], unsure("EKS-09", "blockDeviceMappings[0]")),
    (
        "EKS-09",
        [at(TEMPLATE, "networkInterfaces[0].associatePublicIpAddress", UNKNOWN)],
        unsure("EKS-09", "networkInterfaces[0].associatePublicIpAddress"),
    ),
    (
        "EKS-10",
        planted("aws:iam/rolePolicyAttachment:RolePolicyAttachment", role=UNKNOWN, policyArn="a"),
        unsure("EKS-10", "role"),
    ),
    ("KMS-02", [at(KEY, "policy", document(Principal=UNKNOWN))], unsure("KMS-02", "policy.Statement[0].Principal")),
    (
        "KMS-02",
        [at(KEY, "policy", document(Principal="*", Condition=BY_ORG))],
        unsure("KMS-02", "policy.Statement[0].Condition"),
    ),
    (
        "LB-01",
        [at("aws:alb/listener:Listener", "defaultActions[0].type", UNKNOWN)],
        unsure("LB-01", "defaultActions[0].type"),
    ),
    (
        "LB-01",
        planted("aws:lb/listenerRule:ListenerRule", listenerArn=UNKNOWN),
        unsure("LB-01", "listenerArn"),
    ),
    (
        "LB-03",
        planted("aws:lb/loadBalancer:LoadBalancer", loadBalancerType=UNKNOWN),
        unsure("LB-03", "loadBalancerType"),
    ),
    ("LB-04", planted("aws:lb/loadBalancer:LoadBalancer", internal=UNKNOWN), unsure("LB-04", "internal")),
    (
        "WAF-01",
        [at(ACL, "rules[0].statement.managedRuleGroupStatement.name", UNKNOWN)],
        unsure("WAF-01", "rules[0]"),
    ),
    (
        "WAF-01",
        [at(ACL, "rules[0].statement.managedRuleGroupStatement.ruleActionOverrides", UNKNOWN)],
        unsure("WAF-01", "rules[0].statement.managedRuleGroupStatement.ruleActionOverrides"),
    ),
    (
        "API-01",
        planted("aws:apigatewayv2/route:Route", routeKey=UNKNOWN, authorizationType="NONE"),
        unsure("API-01", "routeKey"),
    ),
    ("API-03", [at(STAGE, "routeSettings", [{"dataTraceEnabled": True}])], "routeSettings[0].dataTraceEnabled"),
    ("API-03", [at(STAGE, "routeSettings", [UNKNOWN])], unsure("API-03", "routeSettings[0]")),
    (
        "API-03",
        planted("aws:apigateway/methodSettings:MethodSettings", methodPath="a/GET", settings={"dataTraceEnabled": True}),
        "writes payloads",
    ),
    (
        "API-04",
        planted("aws:apigateway/restApi:RestApi", endpointConfiguration={"types": UNKNOWN}),
        unsure("API-04", "endpointConfiguration.types"),
    ),
    ("S3-01", [at("aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock", "blockPublicAcls")], "is not true"),
    (
        "S3-04",
        [at(BUCKET_POLICY, "policy", document(Principal="*", Condition=BY_ORG))],
        unsure("S3-04", "policy.Statement[0].Condition"),
    ),
    (
        "S3-04",
        [at(BUCKET_POLICY, "policy", document(Principal={"AWS": UNKNOWN}))],
        unsure("S3-04", "policy.Statement[0].Principal.AWS"),
    ),
    (
        "S3-04",
        [Edit(type=BUCKET_POLICY, every=True), at(BUCKET, "policy", document(Principal="*"))],
        "lets everybody in",
    ),
    (
        "S3-04",
        [Edit(type=BUCKET_POLICY, every=True), *planted(BUCKET_POLICY, bucket=UNKNOWN, policy=UNKNOWN)],
        unsure("S3-04", "policy"),
    ),
    (
        "AUD-04",
        planted("aws:cloudwatch/logGroup:LogGroup", kmsKeyId="k", tags=UNKNOWN),
        unsure("AUD-04", "tags.purpose"),
    ),
    (
        "IAM-01",
        planted(IAM, policy=document(Action="*", Resource=UNKNOWN)),
        unsure("IAM-01", "policy.Statement[0].Resource"),
    ),
    (
        "IAM-01",
        planted(IAM, policy=document(Action=UNKNOWN, Resource=UNKNOWN)),
        unsure("IAM-01", "policy.Statement[0].Action"),
    ),
    (
        "IAM-02",
        planted(IAM, policy=document(Action=UNKNOWN, Resource="arn:aws:s3:::a")),
        unsure("IAM-02", "policy.Statement[0].Action"),
    ),
]


@pytest.mark.parametrize(("control", "edits", "says"), CASES)
def test_the_rarer_ways_lead_to_their_finding(
    pack: Pack, resources: list[Recorded], control: str, edits: list[Edit], says: str
) -> None:
    lines = harness.changed(pack, resources, harness.apply(resources, edits))
    assert any(says in line.message for line in lines if IDS[line.policy] == control), lines


@pytest.mark.parametrize(
    ("control", "edits"),
    [
        ("EKS-08", planted("aws:ec2/instance:Instance", launchTemplate={"id": UNKNOWN})),
        ("EKS-08", planted(TEMPLATE, metadataOptions={"httpEndpoint": "disabled"})),
        ("IAM-02", planted(IAM, policy=document(
            Action="ec2:RunInstances", Resource="*", Condition={"StringEquals": {"aws:RequestTag/tenant": "a"}}))),
        ("KMS-02", [at(KEY, "policy", document(
            Principal="*", Condition={"StringEquals": {"kms:CallerAccount": "111122223333"}}))]),
        ("S3-03", [Edit(type="aws:s3/bucketVersioning:BucketVersioning", every=True),
                   Edit(type=BUCKET, path="versioning.enabled", value=True, every=True)]),
        ("LB-01", planted("aws:lb/listener:Listener", protocol="TLS", port=443)),
        ("KMS-01", planted(KEY, customKeyStoreId="store")),
    ],
)  # fmt: skip
def test_what_is_right_in_another_way_passes(pack: Pack, resources: list[Recorded], control: str, edits: list[Edit]) -> None:
    lines = harness.changed(pack, resources, harness.apply(resources, edits))
    assert not [line.message for line in lines if IDS[line.policy] == control]
