"""The API gateway of a region, over both stacks: who reaches it, what it serves, what it keeps.

Proves what the program asks for, held to AWS's own API models; not that API Gateway routes a request.
"""

import dataclasses
import functools
import hashlib
import json
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components.context import RegionContext
from components.edge.api_authorizer import ApiLogs
from components.edge.api_balancer import LoadBalancerLogs
from components.edge.api_document import GATEWAY_RESPONSES
from components.edge.api_gateway import Api, ApiArgs, ApiNames, ApiNetwork
from components.edge.api_routes import HEALTH_REASON, TokenRules
from components.settings import Settings, load_file
from tests.support.monitor import Recording, Registered, record

ROOT = Path(__file__).parents[2]
STACKS = ("dev", "prod")
OUTPUTS = {
    "aws:iam/role:Role": {"arn": "arn:aws:iam::444455556666:role/mock"},
    "aws:apigateway/restApi:RestApi": {"executionArn": "arn:aws:execute-api:eu-west-1:444455556666:abc123"},
    "aws:lambda/function:Function": {"invokeArn": "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/f/invocations"},
    "aws:apigateway/domainName:DomainName": {"domainNameId": "abcd1234"},
}
METHODS = {"get", "put", "post", "delete", "patch", "head", "options"}


@functools.cache
def settings(stack: str) -> Settings:
    return load_file(ROOT / f"Pulumi.{stack}.yaml")


def api(stack: str) -> Api:
    return Api("eu-west-1-api", args_of(stack))


def args_with(routes: dict[str, Any]) -> ApiArgs:
    return dataclasses.replace(args_of("prod"), routes=routes)


def args_of(stack: str, region: str = "eu-west-1") -> ApiArgs:
    tree = settings(stack)
    zones = tree.regions[region].zones
    return ApiArgs(
        context=RegionContext(
            organization=tree.organization,
            environment=tree.environment,
            region=region,
            account=tree.account.id,
            tags={"owner": tree.tags.owner},
            permissions_boundary="arn:aws:iam::444455556666:policy/boundary",
        ),
        network=ApiNetwork(
            vpc_id="vpc-1",
            vpc_cidr=tree.regions[region].vpc_cidr,
            private_subnet_ids={zone: f"subnet-private-{zone}" for zone in zones},
            intra_subnet_ids={zone: f"subnet-intra-{zone}" for zone in zones},
            alb_security_group_id="sg-alb",
            node_security_group_id="sg-nodes",
        ),
        names=ApiNames(
            domain=tree.edge.domain,
            health_path=tree.edge.failover.health_path,
            certificate_arn="arn:aws:acm:eu-west-1:444455556666:certificate/1",
        ),
        routes=tree.access.routes,
        usage={name: tenant.usage for name, tenant in tree.tenants.items() if tenant.usage},
        tokens=TokenRules(issuer=tree.identity.issuer, audience="https://api", lifetime_seconds=300),
        logs=ApiLogs(key_arn="arn:aws:kms:eu-west-1:444455556666:key/1", retention_days=tree.audit.log_retention_days),
        load_balancer_logs=LoadBalancerLogs(access_bucket="access", connection_bucket="connections"),
        protect=stack == "prod",
    )


@functools.cache
def recorded(stack: str) -> Recording:
    return record(lambda: api(stack), outputs=OUTPUTS)


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def recording(stack: str) -> Recording:
    return recorded(stack)


def documents(recording: Recording) -> dict[str, dict[str, Any]]:
    return {one.name: json.loads(one.inputs["body"]) for one in recording.of("aws:apigateway/restApi:RestApi")}


def operations_of(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]


def test_every_route_has_an_authorizer_or_a_reason(recording: Recording) -> None:
    reasons = []
    for document in documents(recording).values():
        schemes = document["components"].get("securitySchemes", {})
        for method, path, operation in operations_of(document):
            if operation["security"] == []:
                assert operation["x-reason"] == HEALTH_REASON
                reasons.append((method, path))
                continue
            (requirement,) = operation["security"]
            assert set(requirement) == {"token", "usage"}, (method, path)
            assert schemes["token"]["x-amazon-apigateway-authorizer"]["authorizerUri"]
            assert schemes["token"]["x-amazon-apigateway-authorizer"]["authorizerResultTtlInSeconds"] == 0
            assert operation["x-scopes"]
            assert operation["x-clients"]
    assert reasons == [("get", "/mesh")], "the health route alone may do without"


def test_the_apis_serve_exactly_what_the_settings_route(stack: str, recording: Recording) -> None:
    declared = {
        (method.lower(), f"/{route.service.split('/')[0]}{path}".rstrip("/"), tuple(sorted(route.scopes)))
        for route in settings(stack).access.routes.values()
        for operation in route.operations
        for method in operation.methods
        for path in operation.paths
    }
    served = {
        (method, f"/{document['servers'][0]['url'].rsplit('/', 1)[1]}{path}".rstrip("/"), tuple(operation["x-scopes"]))
        for document in documents(recording).values()
        for method, path, operation in operations_of(document)
        if "x-scopes" in operation
    }
    assert served == declared


def test_the_authorizer_admits_exactly_what_the_document_serves(recording: Recording) -> None:
    for function in recording.of("aws:lambda/function:Function"):
        table = table_of(function)
        (document,) = [one for name, one in documents(recording).items() if name.endswith(f"-{table['tenant']}-rest-api")]
        assert {
            (one["method"].lower(), one["resource"], tuple(one["clients"]), tuple(one["scopes"])) for one in table["operations"]
        } == {
            (method, path, tuple(operation["x-clients"]), tuple(operation["x-scopes"]))
            for method, path, operation in operations_of(document)
        }


def secret(value: Any) -> str:
    """The text under Pulumi's secret mark; an AssertionError where the program gave it in the clear."""
    assert isinstance(value, dict), "not marked secret"
    return str(value["value"])


def table_of(function: Registered) -> dict[str, Any]:
    archive = function.inputs["code"]
    return dict(json.loads(archive.assets["routes.json"].text))


def test_each_authorizer_names_its_tenants_key_and_only_its_tenants_plan_holds_it(recording: Recording) -> None:
    keys = {one.name: secret(one.inputs["value"]) for one in recording.of("aws:apigateway/apiKey:ApiKey")}
    tables = [table_of(function) for function in recording.of("aws:lambda/function:Function")]
    assert len(set(keys.values())) == len(keys) == len(tables)
    for table in tables:
        assert keys[f"eu-west-1-api-{table['tenant']}-key"] == table["usage_key"]
        link = recording.one("aws:apigateway/usagePlanKey:UsagePlanKey", f"eu-west-1-api-{table['tenant']}-plan-key")
        assert link.inputs["keyId"] == f"eu-west-1-api-{table['tenant']}-key-id"
        assert link.inputs["usagePlanId"] == f"eu-west-1-api-{table['tenant']}-plan-id"


def test_each_tenants_plan_has_the_limits_of_its_settings_and_no_other_tenants_stage(stack: str, recording: Recording) -> None:
    plans = recording.of("aws:apigateway/usagePlan:UsagePlan")
    assert plans
    for plan in plans:
        (stage,) = plan.inputs["apiStages"]
        usage = settings(stack).tenants[stage["stage"]].usage
        assert usage
        assert plan.name == f"eu-west-1-api-{stage['stage']}-plan"
        assert stage["apiId"] == f"eu-west-1-api-{stage['stage']}-rest-api-id"
        assert plan.inputs["throttleSettings"] == {"rateLimit": usage.requests_per_second, "burstLimit": usage.burst}
        assert plan.inputs["quotaSettings"] == {"limit": usage.requests_per_day, "period": "DAY"}


def test_every_api_is_reached_through_the_one_endpoint_and_by_no_default_name(recording: Recording) -> None:
    endpoint = "eu-west-1-api-endpoint-endpoint-id"
    for one in recording.of("aws:apigateway/restApi:RestApi"):
        assert one.inputs["endpointConfiguration"] == {"types": "PRIVATE", "vpcEndpointIds": [endpoint]}
        assert one.inputs["disableExecuteApiEndpoint"] is True
        document = json.loads(one.inputs["body"])
        assert document["x-amazon-apigateway-policy"] == json.loads(one.inputs["policy"])
        assert document["x-amazon-apigateway-endpoint-configuration"]["vpcEndpointIds"] == [endpoint]
        assert one.inputs["apiKeySource"] == document["x-amazon-apigateway-api-key-source"] == "AUTHORIZER"
    policies = recording.of("aws:apigateway/restApi:RestApi") + recording.of("aws:apigateway/domainName:DomainName")
    for one in policies:
        denials = [each for each in json.loads(one.inputs["policy"])["Statement"] if each["Effect"] == "Deny"]
        assert [each["Condition"] for each in denials] == [{"StringNotEquals": {"aws:SourceVpce": endpoint}}]


def test_every_integration_is_https_through_the_link_to_the_internal_load_balancer(stack: str, recording: Recording) -> None:
    balancer = recording.one("aws:lb/loadBalancer:LoadBalancer")
    assert balancer.inputs["internal"] is True
    for document in documents(recording).values():
        for method, path, operation in operations_of(document):
            integration = operation["x-amazon-apigateway-integration"]
            assert integration["connectionType"] == "VPC_LINK"
            assert integration["connectionId"] == "eu-west-1-api-mesh-link-id"
            assert integration["integrationTarget"].endswith(":eu-west-1-api-mesh-alb")
            assert integration["tlsConfig"] == {"insecureSkipVerification": False}
            assert integration["uri"] == f"https://{settings(stack).edge.domain}:443{path}"
            assert integration["httpMethod"] == method.upper()


def test_the_stage_is_named_as_the_base_path_so_that_the_mesh_sees_the_public_path(recording: Recording) -> None:
    mappings = recording.of("aws:apigateway/basePathMapping:BasePathMapping")
    stages = {one.inputs["stageName"] for one in recording.of("aws:apigateway/stage:Stage")}
    assert {one.inputs["basePath"] for one in mappings} == stages
    for one in mappings:
        assert one.inputs["basePath"] == one.inputs["stageName"]
        assert one.inputs["domainNameId"]


def test_both_names_of_the_region_map_every_api(stack: str, recording: Recording) -> None:
    domain = settings(stack).edge.domain
    names = {one.inputs["domainName"] for one in recording.of("aws:apigateway/domainName:DomainName")}
    assert names == {domain, f"eu-west-1.{domain}"}
    paths = {one.inputs["stageName"] for one in recording.of("aws:apigateway/stage:Stage")}
    mappings = recording.of("aws:apigateway/basePathMapping:BasePathMapping")
    assert {(one.inputs["domainName"], one.inputs["basePath"]) for one in mappings} == {
        (name, path) for name in names for path in paths
    }
    assert len(recording.of("aws:apigateway/domainNameAccessAssociation:DomainNameAccessAssociation")) == len(names)


def test_the_endpoint_stands_at_the_plans_addresses_and_admits_the_public_load_balancer_alone(recording: Recording) -> None:
    endpoint = recording.one("aws:ec2/vpcEndpoint:VpcEndpoint")
    component = recording.one("zerotrust:edge:ApiEndpoint")
    assert len(recording.children(component)) == 3, "the group, its only rule and the endpoint"
    addresses = [one["ipv4"] for one in endpoint.inputs["subnetConfigurations"]]
    assert len(set(addresses)) == 3
    assert endpoint.inputs["privateDnsEnabled"] is False
    rule = recording.one("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "eu-west-1-api-endpoint-from-alb")
    assert rule.inputs["referencedSecurityGroupId"] == "sg-alb"
    assert (rule.inputs["ipProtocol"], rule.inputs["fromPort"], rule.inputs["toPort"]) == ("tcp", 443, 443)
    (statement,) = json.loads(endpoint.inputs["policy"])["Statement"]
    assert statement["Action"] == "execute-api:Invoke"
    assert statement["Resource"].startswith("arn:aws:execute-api:eu-west-1:")


def test_every_security_group_rule_names_a_group_or_a_private_subnet(recording: Recording) -> None:
    rules = recording.of("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    for rule in rules:
        assert "cidrIpv4" not in rule.inputs, "nothing is admitted by address"
    for rule in recording.of("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"):
        assert rule.inputs.get("referencedSecurityGroupId") or rule.inputs["cidrIpv4"].endswith("/19")
        assert rule.inputs["fromPort"] == rule.inputs["toPort"]
        assert rule.inputs["ipProtocol"] == "tcp"
    for group in recording.of("aws:ec2/securityGroup:SecurityGroup"):
        assert not {"ingress", "egress"} & group.inputs.keys()


def test_a_stage_logs_traces_and_limits_and_records_no_payload(recording: Recording) -> None:
    groups = {one.name: one for one in recording.of("aws:cloudwatch/logGroup:LogGroup")}
    stages = recording.of("aws:apigateway/stage:Stage")
    settings_of = {one.inputs["restApi"]: one for one in recording.of("aws:apigateway/methodSettings:MethodSettings")}
    account = recording.one("zerotrust:edge:ApiAccount")
    grants = {one.urn for one in recording.resources if one.parent == account.urn}
    for stage in stages:
        log = stage.inputs["accessLogSettings"]
        assert log["destinationArn"].rsplit(":", 1)[1] in groups
        assert "\n" not in log["format"]
        fields = json.loads(log["format"])
        assert {"request_id", "client", "tenant", "integration_status", "waf_error", "authorizer_error"} <= set(fields)
        assert fields["tenant"] == stage.inputs["stageName"]
        assert not {"$context.path", "$context.identity.apiKey"} & set(fields.values())
        assert stage.inputs["xrayTracingEnabled"] is True
        assert stage.inputs["cacheClusterEnabled"] is False
        assert stage.inputs["clientCertificateId"]
        assert grants & stage.dependencies, "a stage with logs waits for API Gateway's log role"
        limits = settings_of[stage.inputs["restApi"]].inputs
        assert limits["methodPath"] == "*/*"
        assert limits["settings"]["throttlingRateLimit"] > 0
        assert limits["settings"]["throttlingBurstLimit"] > 0
        assert limits["settings"]["dataTraceEnabled"] is False
    assert {one.inputs["name"] for one in groups.values()} >= {
        f"API-Gateway-Execution-Logs_{stage.inputs['restApi']}/{stage.inputs['stageName']}" for stage in stages
    }


def test_every_log_group_has_the_customer_key_and_the_retention_of_the_settings(stack: str, recording: Recording) -> None:
    for group in recording.of("aws:cloudwatch/logGroup:LogGroup"):
        assert group.inputs["kmsKeyId"]
        assert group.inputs["retentionInDays"] == settings(stack).audit.log_retention_days


def test_a_deployment_is_of_the_document_that_was_imported(recording: Recording) -> None:
    for deployment in recording.of("aws:apigateway/deployment:Deployment"):
        api_of = recording.one("aws:apigateway/restApi:RestApi", deployment.name.replace("-deployment", "-api"))
        expected = hashlib.sha256(api_of.inputs["body"].encode()).hexdigest()
        assert deployment.inputs["triggers"] == {"document": expected}
        assert deployment.inputs["restApi"] == f"{api_of.name}-id"


def test_equal_settings_give_equal_documents() -> None:
    tree = settings("prod")
    backwards = dict(reversed(tree.access.routes.items()))
    again = record(lambda: Api("eu-west-1-api", args_with(backwards)), outputs=OUTPUTS)
    assert documents(again) == documents(recorded("prod"))


def test_errors_tell_no_detail(recording: Recording) -> None:
    for document in documents(recording).values():
        responses = document["x-amazon-apigateway-gateway-responses"]
        assert {"DEFAULT_4XX", "DEFAULT_5XX", "ACCESS_DENIED", "UNAUTHORIZED", "THROTTLED"} <= set(responses)
        for kind, response in responses.items():
            (text,) = response["responseTemplates"].values()
            assert set(json.loads(text)) == {"error", "request_id"}
            assert text.count("$context") == 1, kind
        assert set(responses) == set(GATEWAY_RESPONSES)


def test_every_request_is_validated(recording: Recording) -> None:
    for document in documents(recording).values():
        assert document["x-amazon-apigateway-request-validator"] == "all"
        assert document["x-amazon-apigateway-request-validators"]["all"] == {
            "validateRequestBody": True,
            "validateRequestParameters": True,
        }
        for method, path, operation in operations_of(document):
            assert ("requestBody" in operation) == (method in {"post", "put", "patch"}), (method, path)
            assert {one["name"] for one in operation.get("parameters", [])} == {
                part[1:-1] for part in path.split("/") if part.startswith("{")
            }


def test_the_internal_load_balancer_is_hardened_and_speaks_tls_1_3(recording: Recording) -> None:
    balancer = recording.one("aws:lb/loadBalancer:LoadBalancer").inputs
    assert balancer["dropInvalidHeaderFields"] is True
    assert balancer["enableDeletionProtection"] is True
    assert balancer["accessLogs"] == {"enabled": True, "bucket": "access", "prefix": "mesh"}
    assert balancer["connectionLogs"] == {"enabled": True, "bucket": "connections", "prefix": "mesh"}
    assert balancer["enableWafFailOpen"] is False
    assert len(balancer["name"]) <= 32
    assert not balancer["name"].startswith("internal-"), "AWS refuses it"
    listener = recording.one("aws:lb/listener:Listener").inputs
    assert (listener["protocol"], listener["port"]) == ("HTTPS", 443)
    assert listener["sslPolicy"].startswith("ELBSecurityPolicy-TLS13-1-3-")
    targets = recording.one("aws:lb/targetGroup:TargetGroup").inputs
    assert (targets["protocol"], targets["port"], targets["targetType"]) == ("HTTPS", 8443, "ip")


def test_an_authorizer_has_no_rights_but_its_log_and_traces_and_is_invoked_by_its_own_api_only(recording: Recording) -> None:
    for one in recording.of("aws:iam/role:Role"):
        assert one.inputs["permissionsBoundary"]
        assert one.inputs["maxSessionDuration"] == 3600
        (trust,) = json.loads(one.inputs["assumeRolePolicy"])["Statement"]
        assert trust["Principal"] in ({"Service": "lambda.amazonaws.com"}, {"Service": "apigateway.amazonaws.com"})
    for one in recording.of("aws:iam/rolePolicy:RolePolicy"):
        for statement in json.loads(one.inputs["policy"])["Statement"]:
            if statement["Resource"] == "*":
                actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                assert set(actions) <= {"xray:PutTelemetryRecords", "xray:PutTraceSegments", "logs:DescribeLogGroups"}
    for one in recording.of("aws:lambda/permission:Permission"):
        assert one.inputs["sourceArn"].endswith("/authorizers/*")
        assert one.inputs["sourceAccount"]
    for one in recording.of("aws:lambda/function:Function"):
        assert one.inputs["reservedConcurrentExecutions"] > 0
        assert "environment" not in one.inputs


def test_only_prod_protects_what_cannot_be_made_again(stack: str, recording: Recording) -> None:
    kinds = ("aws:apigateway/restApi:RestApi", "aws:lb/loadBalancer:LoadBalancer")
    assert {one.protect for kind in kinds for one in recording.of(kind)} == {stack == "prod"}


def test_every_child_hangs_from_its_component_and_its_name_begins_with_the_components(recording: Recording) -> None:
    by_urn = {one.urn: one for one in recording.resources}
    for one in recording.resources:
        if one.parent:
            assert one.name.startswith(f"{by_urn[one.parent].name}-")
        else:
            assert one.type == "zerotrust:edge:Api"


def test_a_further_tenant_changes_nothing_of_the_others() -> None:
    tree = settings("prod")
    fewer = {key: route for key, route in tree.access.routes.items() if key != "bank-b-transfer"}

    def program() -> None:
        Api("eu-west-1-api", args_with(fewer))

    before = {one.urn: one.inputs for one in record(program, outputs=OUTPUTS).resources if "bank-b" not in one.name}
    after = {one.urn: one.inputs for one in recorded("prod").resources}
    changed = [urn for urn, inputs in before.items() if comparable(after[urn]) != comparable(inputs)]
    assert changed == []


def comparable(inputs: dict[str, Any]) -> dict[str, Any]:
    return {
        key: {name: asset.text for name, asset in value.assets.items()} if isinstance(value, pulumi.AssetArchive) else value
        for key, value in inputs.items()
    }


def test_component_outputs_are_what_the_region_wires() -> None:
    made: list[Api] = []
    record(lambda: made.append(api("prod")), outputs=OUTPUTS)
    assert set(made[0].target_addresses) == {"a", "b", "c"}
    assert set(made[0].api_ids) == {"bank-a", "bank-b", "healthz"}
