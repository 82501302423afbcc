"""What a preview does not know is reported as its own result: never passed, never in place of a known violation."""

import dataclasses
import json

import pytest

from policy import catalogue
from policy.client import Pack, Recorded
from policy.engine import COULD_NOT_RUN
from policy.values import UNKNOWN, UNKNOWN_STRING
from tests.policy import harness
from tests.policy.harness import Edit

IDS = {control.policy: control.id for control in catalogue.load()}
EC2 = "aws:ec2/"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
CLUSTER = "aws:eks/cluster:Cluster"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
LISTENER = "aws:lb/listener:Listener"
BALANCER = "aws:lb/loadBalancer:LoadBalancer"
ACCESS = "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"

# Control, type, resource, the property made unknown, the property reported.
CASES = [
    ("NET-01", "aws:ec2/flowLog:FlowLog", "*", "trafficType", "trafficType"),
    ("NET-02", "aws:ec2/subnet:Subnet", "private-a", "mapPublicIpOnLaunch", "mapPublicIpOnLaunch"),
    ("NET-03", "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", "*", "ingress", "ingress"),
    ("NET-04", GROUP, "*", "ingress", "ingress"),
    ("NET-04", GROUP, "*", "ingress[1].cidrBlocks", "ingress[1].cidrBlocks"),
    ("NET-04", GROUP, "*", "ingress[1].cidrBlocks[0]", "ingress[1].cidrBlocks[0]"),
    ("NET-04", GROUP, "*", "ingress[0].toPort", "ingress[0].toPort"),
    ("NET-04", "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "*", "cidrIpv4", "cidrIpv4"),
    ("NET-04", "aws:ec2/managedPrefixList:ManagedPrefixList", "*", "entries[0]", "entries[0]"),
    ("NET-05", GROUP, "*", "egress[0].cidrBlocks", "egress[0].cidrBlocks"),
    ("NET-05", GROUP, "*", "egress[1].protocol", "egress[1].protocol"),
    ("NET-06", "aws:ec2/vpcEndpoint:VpcEndpoint", "endpoint-kms", "policy", "policy"),
    ("NET-06", "aws:ec2/vpcEndpoint:VpcEndpoint", "endpoint-kms", "serviceName", "serviceName"),
    ("NET-07", "aws:route53/resolverFirewallRule:ResolverFirewallRule", "*", "action", "action"),
    ("EKS-01", CLUSTER, "*", "vpcConfig", "vpcConfig.endpointPublicAccess"),
    ("EKS-02", CLUSTER, "*", "encryptionConfig.resources", "encryptionConfig.resources"),
    ("EKS-02", CLUSTER, "*", "encryptionConfig.resources[0]", "encryptionConfig.resources"),
    ("EKS-03", CLUSTER, "*", "enabledClusterLogTypes[2]", "enabledClusterLogTypes"),
    ("EKS-04", CLUSTER, "*", "version", "version"),
    ("EKS-05", CLUSTER, "*", "accessConfig.authenticationMode", "accessConfig.authenticationMode"),
    ("EKS-07", ACCESS, "break-glass", "principalArn", "principalArn"),
    ("EKS-07", ACCESS, "tenant-access", "policyArn", "policyArn"),
    ("EKS-08", TEMPLATE, "*", "metadataOptions.httpTokens", "metadataOptions.httpTokens"),
    ("EKS-09", TEMPLATE, "*", "blockDeviceMappings[0].ebs.encrypted", "blockDeviceMappings[0].ebs.encrypted"),
    ("EKS-10", "aws:iam/rolePolicyAttachment:RolePolicyAttachment", "*", "policyArn", "policyArn"),
    ("KMS-01", "aws:kms/key:Key", "key", "enableKeyRotation", "enableKeyRotation"),
    ("KMS-01", "aws:kms/key:Key", "key", "keyUsage", "keyUsage"),
    ("KMS-02", "aws:kms/key:Key", "key", "policy", "policy"),
    ("LB-01", LISTENER, "https", "protocol", "protocol"),
    ("LB-02", LISTENER, "https", "sslPolicy", "sslPolicy"),
    ("LB-03", BALANCER, "*", "dropInvalidHeaderFields", "dropInvalidHeaderFields"),
    ("LB-04", BALANCER, "*", "enableWafFailOpen", "enableWafFailOpen"),
    ("WAF-01", "aws:wafv2/webAcl:WebAcl", "*", "rules[2]", "rules[2]"),
    ("WAF-02", "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration", "*", "redactedFields[0]", "redactedFields"),
    ("API-01", "aws:apigatewayv2/route:Route", "*", "authorizationType", "authorizationType"),
    (
        "API-03",
        "aws:apigateway/methodSettings:MethodSettings",
        "*",
        "settings.throttlingRateLimit",
        "settings.throttlingRateLimit",
    ),
    ("API-04", "aws:apigatewayv2/api:Api", "*", "disableExecuteApiEndpoint", "disableExecuteApiEndpoint"),
    ("S3-01", "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "*", "blockPublicAcls", "blockPublicAcls"),
    ("S3-03", "aws:s3/bucketVersioning:BucketVersioning", "*", "versioningConfiguration", "versioningConfiguration.status"),
    ("S3-04", "aws:s3/bucketPolicy:BucketPolicy", "*", "policy", "policy"),
    ("S3-05", "aws:s3/bucket:Bucket", "audit", "tags", "tags.purpose"),
    (
        "S3-05",
        "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
        "*",
        "rule.defaultRetention.days",
        "rule.defaultRetention.days",
    ),
    ("S3-07", "aws:s3/bucket:Bucket", "*", "forceDestroy", "forceDestroy"),
    ("AUD-01", "aws:cloudtrail/trail:Trail", "*", "isMultiRegionTrail", "isMultiRegionTrail"),
    ("AUD-01", "aws:cloudtrail/trail:Trail", "*", "eventSelectors", "eventSelectors"),
    ("AUD-02", "aws:cloudtrail/trail:Trail", "*", "enableLogFileValidation", "enableLogFileValidation"),
    ("AUD-04", "aws:cloudwatch/logGroup:LogGroup", "logs", "retentionInDays", "retentionInDays"),
    ("IAM-01", "aws:iam/policy:Policy", "reader", "policy", "policy"),
    ("IAM-01", "aws:iam/role:Role", "app-role", "inlinePolicies", "inlinePolicies.policy"),
    ("IAM-02", "aws:iam/policy:Policy", "reader", "policy", "policy"),
    ("GEN-02", "aws:ec2/vpc:Vpc", "*", "region", "region"),
]
# Controls that read no value of a resource that a preview could leave unknown.
WITHOUT_UNKNOWN = {"IAM-04", "GEN-05"}


@pytest.mark.parametrize(("control", "kind", "name", "path", "reported"), CASES)
def test_an_unknown_property_is_one_advisory_line_of_its_own(  # noqa: PLR0917 a table's columns
    pack: Pack, resources: list[Recorded], control: str, kind: str, name: str, path: str, reported: str
) -> None:
    edited = harness.apply(resources, [Edit(type=kind, match=name, path=path, value=UNKNOWN)])
    lines = [line for line in harness.changed(pack, resources, edited) if IDS[line.policy] == control]
    exact = f"{COULD_NOT_RUN} {control}: {reported} is unknown until the update"
    assert [line.message for line in lines].count(exact) == 1, lines
    assert {line.level for line in lines} == {"advisory"}
    assert all(line.urn for line in lines)
    assert len({(line.urn, line.message) for line in lines}) == len(lines)


def test_every_control_has_a_case_of_an_unknown() -> None:
    assert {case[0] for case in CASES} | WITHOUT_UNKNOWN == set(IDS.values())


def test_known_violations_are_still_reported_beside_an_unknown(pack: Pack, resources: list[Recorded]) -> None:
    edits = [
        Edit(type=CLUSTER, path="vpcConfig.endpointPrivateAccess", value=UNKNOWN),
        Edit(type=CLUSTER, path="vpcConfig.endpointPublicAccess", value=True),
    ]
    edited = harness.apply(resources, edits)
    lines = [line for line in harness.changed(pack, resources, edited) if IDS[line.policy] == "EKS-01"]
    assert [line.level for line in lines] == ["advisory", "mandatory"]


def test_an_unknown_member_does_not_hide_a_known_one_that_decides(pack: Pack, resources: list[Recorded]) -> None:
    edit = Edit(type=GROUP, path="ingress[1].cidrBlocks", value=[UNKNOWN, "0.0.0.0/0"])
    lines = harness.changed(pack, resources, harness.apply(resources, [edit]))
    assert any("lets the whole world in" in line.message for line in lines)
    assert any(line.message.startswith(COULD_NOT_RUN) for line in lines)


def test_an_unknown_member_cannot_excuse_more_missing_ones_than_there_are(pack: Pack, resources: list[Recorded]) -> None:
    edit = Edit(type=CLUSTER, path="enabledClusterLogTypes", value=["api", UNKNOWN])
    lines = harness.changed(pack, resources, harness.apply(resources, [edit]))
    assert [line.level for line in lines] == ["mandatory"]


def test_a_sentinel_inside_a_policy_document_is_an_unknown(pack: Pack, resources: list[Recorded]) -> None:
    text = json.dumps(
        {"Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{UNKNOWN_STRING}/*"}}
    )
    edit = Edit(type="aws:iam/policy:Policy", match="reader", path="policy", value=text)
    assert harness.changed(pack, resources, harness.apply(resources, [edit])) == []
    whole = text.replace("s3:GetObject", UNKNOWN_STRING)
    edit = dataclasses.replace(edit, value=whole)
    lines = harness.changed(pack, resources, harness.apply(resources, [edit]))
    assert {IDS[line.policy] for line in lines} == {"IAM-01", "IAM-02"}
    assert all(line.message.startswith(COULD_NOT_RUN) for line in lines)


def first_preview(resources: list[Recorded]) -> list[Recorded]:
    """The same stack before anything exists: no id is known, and so no property that takes one."""
    result = []
    for one in resources:
        props = {key: value for key, value in one.props.items() if key not in ("id", "arn")}
        props.update(dict.fromkeys(one.property_dependencies, UNKNOWN))
        result.append(dataclasses.replace(one, props=props))
    return result


def test_stack_controls_run_in_a_first_preview_by_dependencies_alone(pack: Pack, resources: list[Recorded]) -> None:
    assert pack.judge(first_preview(resources)) == []


@pytest.mark.parametrize(
    ("control", "kind"),
    [
        ("NET-01", "aws:ec2/flowLog:FlowLog"),
        ("NET-03", "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"),
        ("LB-04", "aws:wafv2/webAclAssociation:WebAclAssociation"),
        ("WAF-02", "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration"),
        ("API-03", "aws:apigateway/methodSettings:MethodSettings"),
        ("S3-01", "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"),
        ("S3-04", "aws:s3/bucketPolicy:BucketPolicy"),
    ],
)
def test_what_is_missing_is_missing_in_a_first_preview_too(
    pack: Pack, resources: list[Recorded], control: str, kind: str
) -> None:
    edited = harness.apply(first_preview(resources), [Edit(type=kind)])
    lines = [line for line in pack.analyze_stack(edited) if IDS[line.policy] == control]
    assert lines
    assert {line.level for line in lines} == {"mandatory"}


def test_a_reference_without_a_trace_is_reported_and_not_guessed(pack: Pack, resources: list[Recorded]) -> None:
    edited = [
        dataclasses.replace(one, property_dependencies={}) if one.type == "aws:ec2/flowLog:FlowLog" else one
        for one in first_preview(resources)
    ]
    lines = [line for line in pack.analyze_stack(edited) if IDS[line.policy] == "NET-01"]
    assert [line.message for line in lines] == [f"{COULD_NOT_RUN} NET-01: vpcId is unknown until the update"]


def test_a_node_group_in_a_public_subnet_is_found_in_a_first_preview(pack: Pack, resources: list[Recorded]) -> None:
    public = next(one for one in resources if one.name == "public-a")
    edited = [
        dataclasses.replace(one, property_dependencies={**one.property_dependencies, "subnetIds": (public.urn,)})
        if one.type == "aws:eks/nodeGroup:NodeGroup"
        else dataclasses.replace(one, props={k: v for k, v in one.props.items() if k != "tags"})
        if one.name == "public-a"
        else one
        for one in first_preview(resources)
    ]
    lines = [line for line in pack.analyze_stack(edited) if IDS[line.policy] == "EKS-10"]
    assert any("into the public subnet public-a" in line.message for line in lines)
