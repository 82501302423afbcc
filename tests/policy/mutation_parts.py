"""What the tables of mutations are written with."""

import json
from collections.abc import Callable
from typing import Any

from policy.client import Recorded
from policy.values import look
from tests.policy.harness import DELETE, Edit, Mutation

WORLD = ["0.0.0.0/0"]
HALVES = ["0.0.0.0/1", "128.0.0.0/1"]
CLUSTER = "aws:eks/cluster:Cluster"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
ACL = "aws:wafv2/webAcl:WebAcl"
TRAIL = "aws:cloudtrail/trail:Trail"
BALANCER = "aws:lb/loadBalancer:LoadBalancer"
LISTENER = "aws:lb/listener:Listener"
POLICY = "aws:iam/policy:Policy"
ROLE = "aws:iam/role:Role"
BUCKET = "aws:s3/bucket:Bucket"
BUCKET_POLICY = "aws:s3/bucketPolicy:BucketPolicy"
KEY = "aws:kms/key:Key"
ALLOW_ALL = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}


def allow(**parts: Any) -> str:
    return json.dumps({"Statement": {"Effect": "Allow", **parts}})


def symmetric(resource: Recorded) -> bool:
    return resource.props.get("keyUsage") in (None, "ENCRYPT_DECRYPT") and resource.type == KEY


def facing(resource: Recorded) -> bool:
    return resource.props.get("internal") is not True


def encrypted(resource: Recorded) -> bool:
    return resource.props.get("protocol") in ("HTTPS", "TLS")


def parses_http(resource: Recorded) -> bool:
    return resource.props.get("loadBalancerType") in (None, "application")


def audited(resource: Recorded) -> bool:
    return look(resource.props, "tags.purpose") == "audit"


def managed(path: str) -> Callable[[Recorded], str]:
    """A path below the rule that runs AWS's common rule set, wherever it stands among the rules."""

    def of(resource: Recorded) -> str:
        names = [look(rule, "statement.managedRuleGroupStatement.name") for rule in resource.props["rules"]]
        return f"rules[{names.index('AWSManagedRulesCommonRuleSet')}].{path}"

    return of


def one(
    control: str, says: str, kind: str, path: str | Callable[[Recorded], str] = "", value: Any = DELETE, **more: Any
) -> Mutation:
    """A mutation of a single edit."""
    also = frozenset(more.pop("also", ()))
    return Mutation(control=control, says=says, edits=(Edit(type=kind, path=path, value=value, **more),), also=also)


def added(control: str, says: str, kind: str, *also: str, **props: Any) -> Mutation:
    """A mutation that plants a new resource."""
    return one(control, says, kind, value=props, add=True, also=also)
