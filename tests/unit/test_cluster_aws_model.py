"""The walk over AWS's models finds what botocore's own validator lets pass."""

import botocore.session
import pytest

from tests.support.aws_model import _pattern, request, tag_list, verbatim, violations

GOOD = {
    "name": "clearing-dev",
    "roleArn": "arn:aws:iam::111122223333:role/r",
    "resourcesVpcConfig": {"subnetIds": ["subnet-1"]},
    "logging": {"clusterLogging": [{"types": ["api", "audit"], "enabled": True}]},
}


def test_a_good_request_has_no_violation():
    assert violations("eks", "CreateCluster", GOOD) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": None}, "required"),
        ({"name": "_x"}, "does not match"),
        ({"name": "x" * 101}, "at most 100"),
        ({"nme": "x"}, "no such member"),
        ({"roleArn": 3}, "wants string"),
        ({"resourcesVpcConfig": []}, "wants a structure"),
        ({"resourcesVpcConfig": {"subnetIds": "subnet-1"}}, "wants a list"),
        ({"resourcesVpcConfig": {"endpointPublicAccess": "no"}}, "wants boolean"),
        ({"logging": {"clusterLogging": [{"types": ["apis"]}]}}, "is none of"),
        ({"tags": {"k": "v" * 257}}, "at most 256"),
        ({"tags": {"k" * 129: "v"}}, "at most 128"),
    ],
)
def test_each_kind_of_break_is_found(change: dict[str, object], said: str):
    found = violations("eks", "CreateCluster", {**GOOD, **change})
    assert len(found) == 1
    assert said in found[0]


def test_numbers_are_held_to_their_range():
    assert violations("eks", "CreateNodegroup", {
        "clusterName": "c", "nodegroupName": "n", "subnets": [], "nodeRole": "r", "scalingConfig": {"minSize": -1},
    })  # fmt: skip


def test_a_union_takes_one_member():
    both = {"InstanceProfile": "x", "IamRole": "y"}
    assert violations("ec2", "CreateLaunchTemplate", {"LaunchTemplateName": "abc", "LaunchTemplateData": both})


@pytest.mark.parametrize(
    "service", ["eks", "wafv2", "elbv2", "apigateway", "ec2", "iam", "sqs", "events", "logs", "kms", "route53"]
)
def test_every_pattern_of_the_services_in_use_can_be_checked(service: str):
    model = botocore.session.Session().get_service_model(service)
    patterns = {model.shape_for(name).metadata.get("pattern") for name in model.shape_names} - {None}
    assert [pattern for pattern in patterns if _pattern(pattern) is None] == []


def test_a_recorded_input_is_renamed_by_an_explicit_mapping():
    recorded = {"tags": {"a": "b"}, "metadataOptions": {"httpTokens": "required"}, "namePrefix": "x", "labels": {"fooBar": "1"}}
    names = {"tags": tag_list(), "namePrefix": None, "labels": verbatim("Labels")}
    assert request(recorded, names, capital=True) == {
        "Tags": [{"Key": "a", "Value": "b"}],
        "MetadataOptions": {"HttpTokens": "required"},
        "Labels": {"fooBar": "1"},
    }
