"""The OpenAPI 3.0 document of one private REST API, with API Gateway's extensions. Pure.

Guarantees: each operation names the authorizer, or says in `x-reason` why it has none; request bodies and parameters are
validated; errors carry a fixed word and the request's id and no detail; the API answers through one VPC endpoint only.
Backend path: a private integration is sent the stage's name in front of the integration's path (AWS, "Private integrations
for REST APIs"), so the stage carries the base path's name and the mesh sees the public path again, `/<tenant>/...`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pulumi import Input

from components.edge.api_routes import HEALTH_REASON, Operation, parameters

AUTHORIZER, USAGE_KEY = "token", "usage"
INTEGRATION_TIMEOUT_MS = 10_000
"""Shorter than the public load balancer's idle timeout, so the caller gets this gateway's answer and not a cut line."""
METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})

GATEWAY_RESPONSES: Mapping[str, tuple[str, str]] = {
    "ACCESS_DENIED": ("403", "forbidden"),
    "AUTHORIZER_CONFIGURATION_ERROR": ("500", "unavailable"),
    "AUTHORIZER_FAILURE": ("500", "unavailable"),
    "BAD_REQUEST_BODY": ("400", "invalid"),
    "BAD_REQUEST_PARAMETERS": ("400", "invalid"),
    "DEFAULT_4XX": ("", "refused"),
    "DEFAULT_5XX": ("", "unavailable"),
    "INTEGRATION_FAILURE": ("504", "unavailable"),
    "INTEGRATION_TIMEOUT": ("504", "unavailable"),
    # An unknown path is not told from a path without a token otherwise: API Gateway answers 403 "Missing Authentication Token".
    "MISSING_AUTHENTICATION_TOKEN": ("404", "unknown"),
    "QUOTA_EXCEEDED": ("429", "quota"),
    "REQUEST_TOO_LARGE": ("413", "invalid"),
    "THROTTLED": ("429", "rate"),
    "UNAUTHORIZED": ("401", "unauthenticated"),
    "UNSUPPORTED_MEDIA_TYPE": ("415", "invalid"),
}
"""Status and word of each gateway response; an empty status keeps API Gateway's own."""


@dataclass(frozen=True, kw_only=True)
class Backend:
    """Where a private integration goes."""

    host: str
    """The environment's domain: sent as Host and verified against the internal load balancer's certificate."""
    vpc_link_id: Input[str]
    load_balancer_arn: Input[str]


@dataclass(frozen=True, kw_only=True)
class ApiFrame:
    """What an API's document says besides its operations."""

    base_path: str
    """First segment of the public path and the stage's name: the tenant, or the health route's first segment."""
    title: str
    vpc_endpoint_id: Input[str]
    backend: Backend


def invoke_policy(vpc_endpoint_id: Input[str]) -> dict[str, Any]:
    """Resource policy of an API or a private domain: invoke through one VPC endpoint, from nowhere else.

    The principal is anyone because the callers have no AWS identity; the explicit deny holds whatever else is allowed.
    """
    resource, everyone = "execute-api:/*", "*"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": everyone, "Action": "execute-api:Invoke", "Resource": resource},
            {
                "Effect": "Deny",
                "Principal": everyone,
                "Action": "execute-api:Invoke",
                "Resource": resource,
                "Condition": {"StringNotEquals": {"aws:SourceVpce": vpc_endpoint_id}},
            },
        ],
    }


def gateway_responses() -> dict[str, Any]:
    """`x-amazon-apigateway-gateway-responses`: one JSON form, no detail of what was wrong inside."""
    return {
        kind: {
            **({"statusCode": status} if status else {}),
            "responseParameters": {"gatewayresponse.header.Cache-Control": "'no-store'"},
            "responseTemplates": {"application/json": f'{{"error":"{word}","request_id":"$context.requestId"}}'},
        }
        for kind, (status, word) in sorted(GATEWAY_RESPONSES.items())
    }


def integration(method: str, resource: str, backend: Backend) -> dict[str, Any]:
    """`x-amazon-apigateway-integration`: HTTPS through the VPC link to the internal load balancer, certificate verified."""
    return {
        "type": "http_proxy",
        "httpMethod": method,
        "connectionType": "VPC_LINK",
        "connectionId": backend.vpc_link_id,
        "integrationTarget": backend.load_balancer_arn,
        "uri": f"https://{backend.host}:443{resource.replace('{proxy+}', '{proxy}')}",
        "tlsConfig": {"insecureSkipVerification": False},
        "passthroughBehavior": "when_no_match",
        "timeoutInMillis": INTEGRATION_TIMEOUT_MS,
        "requestParameters": {
            # One id from the access log here to the mesh's; a caller's own would let him forge the trail.
            "integration.request.header.X-Request-Id": "context.requestId",
            **{f"integration.request.path.{name}": f"method.request.path.{name}" for name in parameters(resource)},
        },
    }


def _method(method: str, resource: str, backend: Backend) -> dict[str, Any]:
    path = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in parameters(resource)]
    body = {"required": True, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Body"}}}}
    return {
        **({"parameters": path} if path else {}),
        **({"requestBody": body} if method in METHODS_WITH_BODY else {}),
        "responses": {"default": {"description": "The service's own answer."}},
        "x-amazon-apigateway-integration": integration(method, resource, backend),
    }


def _frame(frame: ApiFrame, paths: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "openapi": "3.0.1",
        "info": {"title": frame.title, "version": "1"},
        "servers": [{"url": f"https://{frame.backend.host}/{frame.base_path}"}],
        "paths": {path: paths[path] for path in sorted(paths)},
        "components": {"schemas": {"Body": {"type": "object"}}},
        "x-amazon-apigateway-request-validators": {"all": {"validateRequestBody": True, "validateRequestParameters": True}},
        "x-amazon-apigateway-request-validator": "all",
        "x-amazon-apigateway-api-key-source": "AUTHORIZER",
        "x-amazon-apigateway-endpoint-configuration": {
            "disableExecuteApiEndpoint": True,
            "vpcEndpointIds": [frame.vpc_endpoint_id],
        },
        "x-amazon-apigateway-policy": invoke_policy(frame.vpc_endpoint_id),
        "x-amazon-apigateway-gateway-responses": gateway_responses(),
    }


def openapi_document(frame: ApiFrame, operations: Iterable[Operation], authorizer_uri: Input[str]) -> dict[str, Any]:
    """The document of a tenant's API; equal for equal input whatever the order of operations.

    API Gateway knows no scopes for Lambda authorizers, and OpenAPI forbids them on its scheme: they stand in `x-scopes`, for
    people and tests, and are enforced by the authorizer's table, compiled from the same operations.
    """
    paths: dict[str, dict[str, Any]] = {}
    for one in sorted(operations, key=lambda each: (each.template, each.method)):
        paths.setdefault(one.template, {})[one.method.lower()] = {
            **_method(one.method, one.template, frame.backend),
            "security": [{AUTHORIZER: [], USAGE_KEY: []}],
            "x-route": one.route,
            "x-clients": list(one.clients),
            "x-scopes": list(one.scopes),
        }
    document = _frame(frame, paths)
    document["components"]["securitySchemes"] = {
        AUTHORIZER: {
            "type": "apiKey",
            "name": "Authorization",
            "in": "header",
            "x-amazon-apigateway-authtype": "custom",
            "x-amazon-apigateway-authorizer": {
                "type": "request",
                "identitySource": "method.request.header.Authorization",
                "authorizerUri": authorizer_uri,
                # No cache: an answer is for one method's ARN, and an expired token must not live on in it.
                "authorizerResultTtlInSeconds": 0,
            },
        },
        # Makes the method count against the usage plan; the key itself comes from the authorizer (api-key-source above).
        USAGE_KEY: {"type": "apiKey", "name": "x-api-key", "in": "header"},
    }
    return document


def health_document(frame: ApiFrame, resource: str) -> dict[str, Any]:
    """The document of the health API: one GET to the mesh, without an authorizer, and the reason."""
    operation = {**_method("GET", resource, frame.backend), "security": [], "x-reason": HEALTH_REASON}
    return _frame(frame, {resource: {"get": operation}})
