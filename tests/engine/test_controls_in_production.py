"""The pack on the real engine: production as shipped is clean, and one planted mistake per control fails its preview.

Two planted previews, one for resource controls and one for stack controls: the engine analyses the stack only when no resource
was refused.
"""

import datetime as dt
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest
import yaml
from rich.console import Console

from policy import catalogue
from sandbox.preview import Result, run
from sandbox.session import ROOT, Place, program_of
from tests.policy.mutations import BY_OTHER_MEANS

pytestmark = pytest.mark.engine
REGION = "eu-west-1"
GONE = object()
CONTROLS = {control.id: control for control in catalogue.load()}


@dataclass(frozen=True)
class Plant:
    """A value set, or taken away, on the one resource of this type whose name ends so."""

    type: str
    name: str
    path: str
    value: Any = GONE


def of(kind: str, name: str, path: str, value: Any = GONE) -> Plant:
    return Plant(kind, f"{REGION}-{name}", path, value)


EVERYTHING = '{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}'
PLANTS = {
    "NET-01": of("aws:ec2/flowLog:FlowLog", "network-flow-logs-log", "trafficType", "REJECT"),
    "NET-02": of("aws:ec2/subnet:Subnet", "network-private-a", "mapPublicIpOnLaunch", True),
    "NET-03": of(
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
        "network-default-group",
        "ingress",
        [{"protocol": "-1", "fromPort": 0, "toPort": 0, "self": True}],
    ),
    "NET-04": of("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "endpoints-from-vpc", "toPort", 65535),
    # Without any policy it "could not run": AWS attaches one, which a preview cannot know.
    "NET-06": of("aws:ec2/vpcEndpoint:VpcEndpoint", "endpoints-kms", "policy", EVERYTHING),
    "NET-07": of("aws:route53/resolverFirewallRule:ResolverFirewallRule", "network-dns-everything-rule", "action", "ALERT"),
    "EKS-01": of("aws:eks/cluster:Cluster", "cluster-eks-eksCluster", "vpcConfig.endpointPublicAccess", True),
    "EKS-02": of("aws:eks/cluster:Cluster", "cluster-eks-eksCluster", "encryptionConfig"),
    "EKS-03": of("aws:eks/cluster:Cluster", "cluster-eks-eksCluster", "enabledClusterLogTypes", ["api"]),
    "EKS-04": of("aws:eks/cluster:Cluster", "cluster-eks-eksCluster", "upgradePolicy.supportType", "EXTENDED"),
    "EKS-05": of("aws:eks/cluster:Cluster", "cluster-eks-eksCluster", "accessConfig.authenticationMode", "CONFIG_MAP"),
    "EKS-07": of("aws:eks/accessEntry:AccessEntry", "cluster-eks-auditors", "kubernetesGroups", ["system:masters"]),
    "EKS-08": of("aws:ec2/launchTemplate:LaunchTemplate", "nodes-system-template", "metadataOptions.httpTokens", "optional"),
    "EKS-09": of("aws:ec2/launchTemplate:LaunchTemplate", "nodes-workload-template", "keyName", "operator"),
    "EKS-10": of(
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        "node-role-pull",
        "policyArn",
        "arn:aws:iam::aws:policy/PowerUserAccess",
    ),
    "KMS-01": of("aws:kms/key:Key", "data-key-key", "enableKeyRotation", False),
    "KMS-02": of("aws:kms/key:Key", "logs-key-key", "bypassPolicyLockoutSafetyCheck", True),
    "LB-01": of("aws:lb/listener:Listener", "front-https", "protocol", "HTTP"),
    "LB-02": of("aws:lb/listener:Listener", "api-mesh-https", "sslPolicy", "ELBSecurityPolicy-2016-08"),
    "LB-03": of("aws:lb/loadBalancer:LoadBalancer", "api-mesh-alb", "dropInvalidHeaderFields", False),
    "LB-04": of("aws:lb/loadBalancer:LoadBalancer", "front-alb", "enableWafFailOpen", True),
    "WAF-01": of("aws:wafv2/webAcl:WebAcl", "web-acl-acl", "visibilityConfig.cloudwatchMetricsEnabled", False),
    "WAF-02": of("aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration", "web-acl-log", "redactedFields", []),
    "API-03": of("aws:apigateway/stage:Stage", "api-bank-a-rest-stage", "accessLogSettings"),
    "API-04": of("aws:apigateway/domainName:DomainName", "api-domain-name", "securityPolicy", "TLS_1_0"),
    "S3-01": of(
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "evidence-worm-public-access-block", "blockPublicAcls", False
    ),
    "S3-03": of(
        "aws:s3/bucketVersioning:BucketVersioning", "evidence-worm-versioning", "versioningConfiguration.status", "Suspended"
    ),
    "S3-04": of("aws:s3/bucketPolicy:BucketPolicy", "evidence-alb-policy", "policy", '{"Statement":[]}'),
    "S3-05": of(
        "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
        "evidence-worm-lock",
        "rule.defaultRetention.mode",
        "GOVERNANCE",
    ),
    "S3-07": of("aws:s3/bucket:Bucket", "evidence-alb-bucket", "forceDestroy", True),
    "AUD-01": Plant("aws:cloudtrail/trail:Trail", "prod-guards-trail", "isMultiRegionTrail", False),
    "AUD-02": Plant("aws:cloudtrail/trail:Trail", "prod-guards-trail", "enableLogFileValidation", False),
    "AUD-04": of("aws:cloudwatch/logGroup:LogGroup", "network-flow-logs-group", "kmsKeyId"),
    "IAM-01": of(
        "aws:iam/rolePolicy:RolePolicy",
        "network-flow-logs-role-policy",
        "policy",
        '{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}',
    ),
}


def additions() -> None:
    """What no edit of the program's own resources can plant."""
    own = pulumi.ResourceOptions(provider=aws.Provider("planted", region=REGION, allowed_account_ids=["444455556666"]))
    abroad = aws.Provider("planted-abroad", region="us-east-1", allowed_account_ids=["444455556666"])
    aws.iam.User("planted-iam-04", opts=own)
    aws.sqs.Queue("planted-gen-02", opts=pulumi.ResourceOptions(provider=abroad))
    aws.vpc.SecurityGroupEgressRule("planted-net-05", security_group_id="sg-1", ip_protocol="-1", cidr_ipv4="0.0.0.0/0", opts=own)
    aws.apigateway.Method("planted-api-01", rest_api="a", resource_id="r", http_method="GET", authorization="NONE", opts=own)
    aws.iam.RolePolicy(
        "planted-iam-02",
        role="r",
        policy='{"Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"arn:aws:kms:eu-west-1:444455556666:key/1"}]}',
        opts=own,
    )


NAMED = {"NET-07": f"{REGION}-network-dns-firewall"}
"""Where another resource than the edited one is at fault: the group that is left without a blocking rule."""
ADDED = {control: f"planted-{control.lower()}" for control in ("IAM-02", "IAM-04", "GEN-02", "NET-05", "API-01")}


def put(props: Any, path: str, value: Any) -> dict[str, Any]:
    """A copy with the value at the path, copied along the path only: elsewhere may be outputs."""
    key, _, rest = path.partition(".")
    copied = dict(props)
    if rest:
        copied[key] = put(copied.get(key) or {}, rest, value)
    elif value is GONE:
        copied.pop(key, None)
    else:
        copied[key] = value
    return copied


def planted(plants: dict[str, Plant], found: set[str], more: Callable[[], None]) -> Callable[[], None]:
    main = program_of(ROOT / "__main__.py")

    def transform(args: pulumi.ResourceTransformArgs) -> pulumi.ResourceTransformResult | None:
        props = args.props
        for control, plant in plants.items():
            if args.type_ == plant.type and args.name.endswith(plant.name):
                found.add(control)
                props = put(props, plant.path, plant.value)
                if control == "NET-04":
                    props = put(put(props, "cidrIpv4", "0.0.0.0/0"), "fromPort", 0)
        return pulumi.ResourceTransformResult(props=props, opts=args.opts) if props is not args.props else None

    def program() -> None:
        pulumi.runtime.register_resource_transform(transform)
        main()
        more()

    return program


def preview(program: Callable[[], None], build: Path, pack: Path = ROOT / "policy") -> Result:
    place = Place.of("prod", ROOT, build)
    return run("prod", program, place=place, policy_pack=pack, console=Console(quiet=True))


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return preview(program_of(ROOT / "__main__.py"), tmp_path_factory.mktemp("shipped"))


@dataclass
class Planted:
    found: set[str]
    results: dict[str, Result]


@pytest.fixture(scope="module")
def mistaken(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    found: set[str] = set()
    results = {}
    for kind, more in (("resource", additions), ("stack", lambda: None)):
        plants = {control: plant for control, plant in PLANTS.items() if CONTROLS[control].kind == kind}
        results[kind] = preview(planted(plants, found, more), tmp_path_factory.mktemp(kind))
    return Planted(found, results)


def test_production_as_shipped_has_no_violation(shipped):
    assert not shipped.failed
    assert shipped.observed.violations == []
    assert len(shipped.observed.policies_run) == len(CONTROLS)


def test_what_a_preview_cannot_know_is_listed_with_control_resource_and_property(shipped):
    assert shipped.observed.could_not_run
    for verdict in shipped.observed.could_not_run:
        control, path = verdict.message.removeprefix("could not run: ").split(": ", 1)
        assert control in CONTROLS
        assert path.endswith("is unknown until the update")
        assert verdict.urn.startswith("urn:pulumi:prod::zerotrust::")


def test_every_control_has_its_mistake():
    assert set(PLANTS) | set(ADDED) | BY_OTHER_MEANS == set(CONTROLS)


def test_every_mistake_met_its_resource(mistaken):
    assert mistaken.found == set(PLANTS)


@pytest.mark.parametrize("kind", ["resource", "stack"])
def test_a_planted_mistake_fails_the_preview(mistaken, kind):
    assert mistaken.results[kind].failed
    assert mistaken.results[kind].observed.mandatory


@pytest.mark.parametrize("control", sorted(set(PLANTS) | set(ADDED)))
def test_a_planted_mistake_is_named_with_resource_control_and_remedy(mistaken, control):
    expected = CONTROLS[control]
    name = NAMED.get(control) or ADDED.get(control) or PLANTS[control].name
    seen = mistaken.results[expected.kind].observed.violations
    mine = [one for one in seen if one.policy == expected.policy and name in f"{one.urn} {one.message}"]
    assert mine, sorted({(one.policy, one.urn.rsplit("::", 1)[-1]) for one in seen})
    assert all(one.level == "mandatory" for one in mine)
    assert all(control in one.message and one.remedy for one in mine)


def test_an_expired_exemption_fails_the_preview_and_names_itself(tmp_path):
    # The engine starts a pack as a folder; the modules of this copy import each other, not the tree's.
    pack = tmp_path / "policy"
    shutil.copytree(ROOT / "policy", pack, ignore=shutil.ignore_patterns("__pycache__"))
    exemption = {
        "control": "IAM-04",
        "urn": "urn:pulumi:prod::zerotrust::aws:iam/user:User::break-glass",
        "approver": "head of platform security",
        "reason": "planted, and long over",
        "expires": dt.date(2020, 1, 31),
    }
    (pack / "exemptions.yaml").write_text(yaml.safe_dump([exemption]))
    result = preview(additions_only, tmp_path / "build", pack)
    assert result.failed
    mine = [one for one in result.observed.violations if one.policy == CONTROLS["GEN-05"].policy]
    assert mine
    assert all(one.level == "mandatory" and "GEN-05" in one.message and one.remedy for one in mine)
    assert any("expired" in one.message or "2020-01-31" in one.message for one in mine), [one.message for one in mine]


def additions_only() -> None:
    """One harmless resource: what is judged is the register."""
    provider = aws.Provider("own", region=REGION, allowed_account_ids=["444455556666"])
    aws.sqs.Queue("queue", opts=pulumi.ResourceOptions(provider=provider))
