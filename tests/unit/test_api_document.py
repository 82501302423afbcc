"""The OpenAPI document: deterministic, closed, and the same operations as the authorizer's table."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.edge.api_document import (
    HEALTH_REASON,
    ApiFrame,
    Backend,
    gateway_responses,
    health_document,
    integration,
    invoke_policy,
    openapi_document,
)
from components.edge.api_routes import Operation

BACKEND = Backend(
    host="api.example", vpc_link_id="link1", load_balancer_arn="arn:aws:elasticloadbalancing:x:1:loadbalancer/app/m/1"
)
FRAME = ApiFrame(base_path="bank-a", title="bank-a", vpc_endpoint_id="vpce-1", backend=BACKEND)
TEMPLATES = ("/", "/accounts", "/accounts/{id}", "/accounts/{id}/moves", "/files/{proxy+}")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
OPERATIONS = st.lists(
    st.builds(
        Operation,
        method=st.sampled_from(METHODS),
        template=st.sampled_from(TEMPLATES),
        route=st.just("r"),
        service=st.just("bank-a/api"),
        clients=st.just(("bank-a.web",)),
        scopes=st.just(("read",)),
    ),
    max_size=12,
    unique_by=lambda one: (one.method, one.template),
)


@given(found=OPERATIONS, order=st.randoms())
def test_the_document_does_not_depend_on_the_order(found: list[Operation], order: object) -> None:
    shuffled = list(found)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    assert json.dumps(openapi_document(FRAME, found, "uri")) == json.dumps(openapi_document(FRAME, shuffled, "uri"))


@given(found=OPERATIONS)
def test_each_operation_stands_once_with_authorizer_key_and_integration(found: list[Operation]) -> None:
    document = openapi_document(FRAME, found, "uri")
    served = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert served == {(one.method, one.template) for one in found}
    for item in document["paths"].values():
        for method, operation in item.items():
            assert operation["security"] == [{"token": [], "usage": []}], "OPTIONS as well: pre-flight is the service's matter"
            assert operation["x-amazon-apigateway-integration"]["httpMethod"] == method.upper()
            declared = {one["name"] for one in operation.get("parameters", [])}
            mapped = operation["x-amazon-apigateway-integration"]["requestParameters"]
            assert {key.rsplit(".", 1)[1] for key in mapped if ".path." in key} == declared


@pytest.mark.parametrize(
    ("resource", "uri"),
    [
        ("/", "https://api.example:443/"),
        ("/accounts/{id}", "https://api.example:443/accounts/{id}"),
        ("/files/{proxy+}", "https://api.example:443/files/{proxy}"),
    ],
)
def test_the_backend_gets_the_resources_path_and_a_verified_certificate(resource: str, uri: str) -> None:
    made = integration("GET", resource, BACKEND)
    assert made["uri"] == uri
    assert made["tlsConfig"] == {"insecureSkipVerification": False}
    assert 50 <= made["timeoutInMillis"] <= 29_000


def test_a_callers_request_id_is_replaced() -> None:
    assert integration("GET", "/", BACKEND)["requestParameters"]["integration.request.header.X-Request-Id"] == "context.requestId"


def test_the_health_api_has_one_get_without_authorizer_and_says_why() -> None:
    document = health_document(FRAME, "/mesh")
    assert list(document["paths"]) == ["/mesh"]
    ((method, operation),) = document["paths"]["/mesh"].items()
    assert (method, operation["security"], operation["x-reason"]) == ("get", [], HEALTH_REASON)
    assert "securitySchemes" not in document["components"]


def test_the_policy_denies_every_other_way_in() -> None:
    allow, deny = invoke_policy("vpce-1")["Statement"]
    assert (allow["Effect"], deny["Effect"]) == ("Allow", "Deny")
    assert deny["Resource"] == allow["Resource"] == "execute-api:/*"
    assert deny["Condition"] == {"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}


def test_errors_are_never_cached_and_tell_the_requests_id_alone() -> None:
    for response in gateway_responses().values():
        assert json.loads(response["responseTemplates"]["application/json"])["request_id"] == "$context.requestId"
        assert response["responseParameters"] == {"gatewayresponse.header.Cache-Control": "'no-store'"}
