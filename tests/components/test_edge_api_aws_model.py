"""What the gateway's components ask for, in the words of AWS's own API models.

Proves form; rules that only AWS's prose states (a private domain's certificate, fixed endpoint addresses) are outside.
"""

import json
from typing import Any

import pytest

from tests.components.test_edge_api_gateway import STACKS, documents, operations_of, recorded, table_of
from tests.support import aws_model
from tests.support.aws_model import request, tag_list


def whole(value: Any) -> Any:
    """Numbers as the API takes them: the recording's wire knows floats only."""
    if isinstance(value, dict):
        return {key: whole(each) for key, each in value.items()}
    if isinstance(value, list):
        return [whole(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def violations(service: str, operation: str, params: dict[str, Any]) -> list[str]:
    return aws_model.violations(service, operation, whole(params))


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def endpoint_configuration(value: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "endpointConfiguration", {**value, "types": [value["types"]]}


def test_rest_apis_are_what_api_gateway_creates(stack: str) -> None:
    names = {"body": None, "failOnWarnings": None, "putRestApiMode": None, "endpointConfiguration": endpoint_configuration}
    for one in recorded(stack).of("aws:apigateway/restApi:RestApi"):
        assert violations("apigateway", "CreateRestApi", request(one.inputs, names)) == []
        put = {
            "restApiId": "abc",
            "mode": one.inputs["putRestApiMode"],
            "body": one.inputs["body"].encode(),
            "failOnWarnings": True,
        }
        assert violations("apigateway", "PutRestApi", put) == []


def test_every_integration_of_the_documents_is_one_that_api_gateway_puts(stack: str) -> None:
    for document in documents(recorded(stack)).values():
        for method, _, operation in operations_of(document):
            integration = dict(operation["x-amazon-apigateway-integration"])
            integration["type"] = integration["type"].upper()
            integration["integrationHttpMethod"] = integration.pop("httpMethod")
            put = {"restApiId": "abc", "resourceId": "r", "httpMethod": method.upper(), **integration}
            assert violations("apigateway", "PutIntegration", put) == []


def test_every_gateway_response_is_one_that_api_gateway_knows(stack: str) -> None:
    for document in documents(recorded(stack)).values():
        for kind, response in document["x-amazon-apigateway-gateway-responses"].items():
            put = {"restApiId": "abc", "responseType": kind, **response}
            assert violations("apigateway", "PutGatewayResponse", put) == []


def test_every_authorizer_of_the_documents_is_one_that_api_gateway_creates(stack: str) -> None:
    for document in documents(recorded(stack)).values():
        for name, scheme in document["components"].get("securitySchemes", {}).items():
            if authorizer := scheme.get("x-amazon-apigateway-authorizer"):
                create = {"restApiId": "abc", "name": name, **authorizer, "type": authorizer["type"].upper()}
                assert violations("apigateway", "CreateAuthorizer", create) == []


def test_stages_are_what_api_gateway_creates(stack: str) -> None:
    names = {
        "restApi": "restApiId",
        "deployment": "deploymentId",
        "xrayTracingEnabled": "tracingEnabled",
        "accessLogSettings": None,  # set by a later UpdateStage
        "clientCertificateId": None,  # set by a later UpdateStage
    }
    for one in recorded(stack).of("aws:apigateway/stage:Stage"):
        assert violations("apigateway", "CreateStage", request(one.inputs, names)) == []


def test_usage_plans_and_keys_are_what_api_gateway_creates(stack: str) -> None:
    names = {"throttleSettings": "throttle", "quotaSettings": "quota"}
    for one in recorded(stack).of("aws:apigateway/usagePlan:UsagePlan"):
        assert violations("apigateway", "CreateUsagePlan", request(one.inputs, names)) == []
    for one in recorded(stack).of("aws:apigateway/usagePlanKey:UsagePlanKey"):
        assert violations("apigateway", "CreateUsagePlanKey", request(one.inputs)) == []


def test_private_domains_and_their_mappings_are_what_api_gateway_creates(stack: str) -> None:
    for one in recorded(stack).of("aws:apigateway/domainName:DomainName"):
        create = request(one.inputs, {"endpointConfiguration": endpoint_configuration})
        assert violations("apigateway", "CreateDomainName", create) == []
    for one in recorded(stack).of("aws:apigateway/basePathMapping:BasePathMapping"):
        create = request(one.inputs, {"restApi": "restApiId", "stageName": "stage"})
        assert violations("apigateway", "CreateBasePathMapping", create) == []
    for one in recorded(stack).of("aws:apigateway/domainNameAccessAssociation:DomainNameAccessAssociation"):
        assert violations("apigateway", "CreateDomainNameAccessAssociation", request(one.inputs)) == []


def test_the_vpc_link_is_what_api_gateway_creates(stack: str) -> None:
    link = recorded(stack).one("aws:apigatewayv2/vpcLink:VpcLink")
    names = {"tags": lambda tags: ("Tags", tags)}
    assert violations("apigatewayv2", "CreateVpcLink", request(link.inputs, names, capital=True)) == []


def test_the_authorizer_is_what_lambda_creates(stack: str) -> None:
    names = {
        "name": "FunctionName",
        "code": lambda _: ("Code", {"ZipFile": b"zip"}),
        "reservedConcurrentExecutions": None,  # PutFunctionConcurrency
        "tags": lambda tags: ("Tags", tags),
    }
    for one in recorded(stack).of("aws:lambda/function:Function"):
        create = request(one.inputs, names, capital=True)
        assert violations("lambda", "CreateFunction", create) == []
        concurrency = {"FunctionName": "f", "ReservedConcurrentExecutions": one.inputs["reservedConcurrentExecutions"]}
        assert violations("lambda", "PutFunctionConcurrency", concurrency) == []
        package = len("".join(asset.text for asset in one.inputs["code"].assets.values()))
        assert package < 50_000_000
        assert json.dumps(table_of(one))


def test_the_load_balancer_and_its_target_group_are_what_elb_creates(stack: str) -> None:
    recording = recorded(stack)
    attributes: dict[str, Any] = dict.fromkeys(
        [
            "accessLogs",
            "connectionLogs",
            "desyncMitigationMode",
            "dropInvalidHeaderFields",
            "enableDeletionProtection",
            "enableWafFailOpen",
            "idleTimeout",
            "preserveHostHeader",
        ]
    )
    balancer = recording.one("aws:lb/loadBalancer:LoadBalancer").inputs
    names = {**attributes, "internal": lambda _: ("Scheme", "internal"), "loadBalancerType": "Type", "tags": tag_list()}
    assert violations("elbv2", "CreateLoadBalancer", request(balancer, names, capital=True)) == []
    targets = recording.one("aws:lb/targetGroup:TargetGroup").inputs
    health = targets["healthCheck"]
    create = {
        **request(targets, {"healthCheck": None, "deregistrationDelay": None, "tags": tag_list()}, capital=True),
        "HealthCheckProtocol": health["protocol"],
        "HealthCheckPort": health["port"],
        "HealthCheckPath": health["path"],
        "HealthCheckIntervalSeconds": health["interval"],
        "HealthCheckTimeoutSeconds": health["timeout"],
        "HealthyThresholdCount": health["healthyThreshold"],
        "UnhealthyThresholdCount": health["unhealthyThreshold"],
        "Matcher": {"HttpCode": health["matcher"]},
    }
    assert violations("elbv2", "CreateTargetGroup", create) == []


def test_the_endpoint_is_what_ec2_creates(stack: str) -> None:
    endpoint = recorded(stack).one("aws:ec2/vpcEndpoint:VpcEndpoint").inputs
    names = {"policy": "PolicyDocument", "tags": None, "securityGroupIds": "SecurityGroupIds"}
    create = request(endpoint, names, capital=True)
    assert violations("ec2", "CreateVpcEndpoint", create) == []
