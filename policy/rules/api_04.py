"""APIs are reached by their own domain with TLS 1.2 or newer, partners with a client certificate."""

from policy.checks import check, require_set, require_true, strings
from policy.documents import matches_any
from policy.model import CouldNotRun, Findings, Params, Resource
from policy.values import UNKNOWN, elements

DOMAINS = {
    "aws:apigatewayv2/domainName:DomainName": "domainNameConfiguration.securityPolicy",
    "aws:apigateway/domainName:DomainName": "securityPolicy",
}
REST_API = "aws:apigateway/restApi:RestApi"


def _domain(resource: Resource, params: Params) -> Findings:
    yield from check(
        resource,
        DOMAINS[resource.type],
        lambda value: value == "TLS_1_2" or str(value).startswith(("SecurityPolicy_TLS12_", "SecurityPolicy_TLS13_")),
        "accepts TLS older than 1.2",
    )
    partners, name = strings(params, "partnerDomains"), resource.get("domainName")
    if name is UNKNOWN and partners:
        if resource.get("mutualTlsAuthentication") is None:
            yield CouldNotRun(path="domainName", urn=resource.urn)
    elif isinstance(name, str) and matches_any(name, partners):
        yield from require_set(resource, "mutualTlsAuthentication.truststoreUri", "takes partners without a client certificate")


def validate(resource: Resource, params: Params) -> Findings:
    """A private REST API answers on its VPC endpoints, which it must name; every other API on its domain only."""
    if resource.type in DOMAINS:
        yield from _domain(resource, params)
        return
    if resource.type == REST_API:
        types = [kind for _, kind in elements(resource.get("endpointConfiguration.types"), "types")]
        if types == ["PRIVATE"]:
            yield from require_set(
                resource, "endpointConfiguration.vpcEndpointIds", "is private, but to no VPC endpoint in particular"
            )
            return
        if UNKNOWN in types and resource.get("disableExecuteApiEndpoint") is not True:
            yield CouldNotRun(path="endpointConfiguration.types", urn=resource.urn)
            return
    yield from require_true(
        resource, "disableExecuteApiEndpoint", "can be reached round its domain, and so round mutual TLS and firewall"
    )
