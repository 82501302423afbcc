"""The stand-ins refuse what the SDK's own types refuse, and name resource and property. Ranges are beyond them."""

import json
from collections.abc import Callable
from typing import Any

import pulumi_aws as aws
import pytest
from pulumi.automation import errors

from tests.engine import programs
from tests.engine.conftest import Open

pytestmark = pytest.mark.engine
CLUSTER = {"roleArn": "arn:aws:iam::1:role/r"}


@pytest.mark.parametrize(
    ("token", "properties", "sentences"),
    [
        pytest.param(
            "aws:ec2/vpc:Vpc",
            {"cidrBlok": "10.0.0.0/16"},
            ["cidrBlok: aws:ec2/vpc:Vpc has no input 'cidrBlok' (did you mean 'cidrBlock'?)"],
            id="unknown property",
        ),
        pytest.param(
            "aws:eks/cluster:Cluster",
            CLUSTER,
            ["aws:eks/cluster:Cluster requires the input 'vpcConfig'"],
            id="missing required input",
        ),
        pytest.param(
            "aws:ec2/vpc:Vpc",
            {"enableDnsSupport": "yes"},
            ["enableDnsSupport: expected a boolean, got a string"],
            id="wrong type",
        ),
        pytest.param(
            "aws:eks/cluster:Cluster",
            {**CLUSTER, "vpcConfig": {"subnetIds": "subnet-a"}},
            ["vpcConfig.subnetIds: expected a list, got a string"],
            id="wrong nested type",
        ),
        pytest.param(
            "kubernetes:core/v1:Service",
            {"spec": {"ports": [{"port": 80}, {"targetPort": 8080}]}},
            ["spec.ports[1].port: ServicePortArgs requires the input 'port'"],
            id="missing in a list",
        ),
        pytest.param(
            "kubernetes:security.istio.io/v1:PeerAuthentication",
            {"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication", "metadata": {"nam": "a"}},
            ["metadata.nam: ObjectMetaArgs has no input 'nam' (did you mean 'name'?)"],
            id="metadata of a custom resource",
        ),
        pytest.param(
            "aws:ec2/vpc:Vpc",
            {"enableDnsSupport": "yes", "tags": {"a": 1}, "colour": "red"},
            ["expected a boolean, got a string", "tags.a: expected a string, got a number 1", "no input 'colour'"],
            id="all at once",
        ),
        pytest.param(
            "aws:ec2/vpcs:Vpcs",
            {},
            ["aws:ec2/vpcs:Vpcs: the installed pulumi_aws"],
            id="unknown type",
        ),
    ],
)
def test_a_preview_is_refused_with_resource_and_property(
    rehearse: Open, token: str, properties: dict[str, Any], sentences: list[str]
) -> None:
    with pytest.raises(errors.CommandError) as refused:
        rehearse(programs.raw(token, properties)).preview()
    said = " ".join(str(refused.value).split())
    for sentence in sentences:
        assert sentence in said
    assert "wrong" in said, "the resource's name"
    assert token in said


def test_a_custom_resource_may_carry_any_spec(rehearse: Open) -> None:
    properties = {"apiVersion": "example.io/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": {"any": [1, {}]}}
    steps = rehearse(programs.raw("kubernetes:example.io/v1:Thing", properties)).preview().changed
    assert any(urn.endswith("Thing::wrong") for _, urn in steps)


def test_a_function_only_the_cloud_can_answer_is_refused(rehearse: Open) -> None:
    with pytest.raises(errors.CommandError, match="a stand-in cannot answer this function"):
        rehearse(programs.asks(lambda: aws.ec2.get_vpc_output(default=True).id)).preview()


def test_an_aws_provider_without_a_region_is_refused(rehearse: Open) -> None:
    def main() -> None:
        aws.Provider("nowhere", region="eu-west-1", max_retries=3)
        aws.Provider("lost", profile="x", region=None)

    stack = rehearse(main)
    stack._stack.remove_config("aws:region")
    with pytest.raises(errors.CommandError, match="the AWS provider needs a region"):
        stack.preview()


def _policy_json() -> Any:
    statements = [{"actions": ["s3:GetObject"], "resources": ["arn:aws:s3:::b/*"], "effect": "Deny"}]
    return aws.iam.get_policy_document_output(statements=statements).json


@pytest.mark.parametrize(
    ("call", "accepts"),
    [
        pytest.param(lambda: aws.get_region_output().region, lambda got: got == "eu-west-1", id="region"),
        pytest.param(lambda: aws.get_partition_output().dns_suffix, lambda got: got == "amazonaws.com", id="partition"),
        pytest.param(lambda: aws.get_caller_identity_output().account_id, lambda got: got == "123456789012", id="caller"),
        pytest.param(
            lambda: aws.get_availability_zones_output().names,
            lambda got: got == ["eu-west-1a", "eu-west-1b", "eu-west-1c"],
            id="zones",
        ),
        pytest.param(
            _policy_json,
            lambda got: (
                json.loads(got)["Statement"] == [{"Effect": "Deny", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}]
            ),
            id="policy document",
        ),
    ],
)
def test_functions_of_their_arguments_alone_are_answered(
    rehearse: Open, call: Callable[[], Any], accepts: Callable[[Any], bool]
) -> None:
    stack = rehearse(programs.asks(call))
    stack.up()
    assert accepts(stack.outputs()["answer"])
