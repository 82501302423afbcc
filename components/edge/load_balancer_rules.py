"""What the public load balancer does with a request: pure values for its listeners, rules and security group.

Every request of a client needs a token; what does not is an `OpenRoute` with its reason. Route 53's checkers have a listener of
their own, because they speak TLS 1.2 at most (Route 53 API reference, HealthCheckConfig, Type) and clients get TLS 1.3 only.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pulumi_aws as aws
from pulumi import Input

from components.settings.identity import IdentitySettings

HTTP, HTTPS = 80, 443
HEALTH_PORT = 8443
HEALTH_TLS_POLICIES: Mapping[str, str] = {
    "ELBSecurityPolicy-TLS13-1-3-2021-06": "ELBSecurityPolicy-TLS13-1-2-Res-2021-06",
    "ELBSecurityPolicy-TLS13-1-3-PQ-2025-09": "ELBSecurityPolicy-TLS13-1-2-Res-2021-06",
    "ELBSecurityPolicy-TLS13-1-3-FIPS-2023-04": "ELBSecurityPolicy-TLS13-1-2-Res-FIPS-2023-04",
}
"""By the clients' policy: TLS 1.3, and 1.2 with forward secrecy and AEAD ciphers alone."""

HEALTH_CHECKERS: Mapping[str, str] = {
    "every-region": "15.177.0.0/18",
    "ap-northeast-1-a": "54.248.220.0/26",
    "ap-northeast-1-b": "54.250.253.192/26",
    "ap-southeast-1-a": "54.251.31.128/26",
    "ap-southeast-1-b": "54.255.254.192/26",
    "ap-southeast-2-a": "54.252.79.128/26",
    "ap-southeast-2-b": "54.252.254.192/26",
    "eu-west-1-a": "54.228.16.0/26",
    "eu-west-1-b": "176.34.159.192/26",
    "sa-east-1-a": "54.232.40.64/26",
    "sa-east-1-b": "177.71.207.128/26",
    "us-east-1-a": "54.243.31.192/26",
    "us-east-1-b": "107.23.255.0/26",
    "us-west-1-a": "54.183.255.128/26",
    "us-west-1-b": "54.241.32.64/26",
    "us-west-2-a": "54.244.52.192/26",
    "us-west-2-b": "54.245.168.0/26",
}
"""Where Route 53's checkers call from (ROUTE53_HEALTHCHECKS in AWS's ip-ranges.json, stable since 2019). AWS's managed prefix
list says the same, but its id is only found by a live look-up."""

FORGED_PRIORITY, TOKEN_PRIORITY = 1, 50_000
"""First and last: ELB takes 1 to 50,000."""
OPEN_PRIORITIES = range(1_000, 41_000)
VALUES_PER_RULE = 5
"""ELB's quota of condition values on one rule."""
API_ID_HEADER = "x-apigw-api-id"
"""By this header the execute-api endpoint picks an API in place of the Host: a client that may send it chooses another API."""


WORLD = "0.0.0.0/0"


@dataclass(frozen=True, kw_only=True)
class Flow:
    """TCP traffic that the load balancer's security group admits."""

    cidr: str
    port: int
    description: str


def ingress_flows() -> dict[str, Flow]:
    """Who may call, by name.

    The world: this is the public entry, its clients' addresses are not known, and the web ACL judges them. Port 80 answers with
    a redirect alone.
    """
    return {
        "https": Flow(cidr=WORLD, port=HTTPS, description="HTTPS from clients anywhere"),
        "http": Flow(cidr=WORLD, port=HTTP, description="HTTP from anywhere, to be redirected"),
        **{
            f"health-{key}": Flow(cidr=cidr, port=HEALTH_PORT, description="Route 53 health checkers")
            for key, cidr in HEALTH_CHECKERS.items()
        },
    }


def egress_flows(endpoint_addresses: Mapping[str, str]) -> dict[str, Flow]:
    """Whom the load balancer may call, by name.

    It fetches the issuer's keys itself, from a public name whose addresses nobody promises: hence HTTPS to anywhere.
    """
    return {
        "issuer": Flow(cidr=WORLD, port=HTTPS, description="The public keys of the token issuer"),
        **{
            f"endpoint-{zone}": Flow(cidr=f"{address}/32", port=HTTPS, description="The execute-api endpoint")
            for zone, address in endpoint_addresses.items()
        },
    }


@dataclass(frozen=True, kw_only=True)
class OpenRoute:
    """Paths that are forwarded without a token, and why that is right."""

    hosts: tuple[str, ...]
    paths: tuple[str, ...]
    reason: str
    """Becomes a tag: letters, digits, spaces and + - = . _ : / @."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim that a token must carry beyond iss and exp, with any of the values."""

    name: str
    format: Literal["single-string", "string-array", "space-separated-values"]
    values: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class TokenCheck:
    """What the load balancer verifies: RS256 signature, issuer, expiry (and nbf, iat if present), then `claims`.

    Audience and scopes are the mesh's to check: an `aud` may be a string or a list, and ELB matches one form only.
    """

    issuer: str
    jwks_url: str
    claims: tuple[Claim, ...] = ()


def token_check(identity: IdentitySettings) -> TokenCheck:
    """The check of the environment's issuer. An external issuer without `jwks_url` does not load."""
    keycloak = f"{identity.issuer}/protocol/openid-connect/certs"
    return TokenCheck(issuer=identity.issuer, jwks_url=identity.jwks_url or keycloak)


def not_found() -> aws.lb.ListenerDefaultActionArgsDict:
    """What no rule admits gets: nothing that tells a host or path that exists from one that does not."""
    return {"type": "fixed-response", "fixed_response": {"content_type": "text/plain", "status_code": "404"}}


def forbidden() -> aws.lb.ListenerRuleActionArgsDict:
    """For requests that try to steer what stands behind."""
    return {"type": "fixed-response", "fixed_response": {"content_type": "text/plain", "status_code": "403"}}


def to_https() -> aws.lb.ListenerDefaultActionArgsDict:
    """Plain HTTP is told where to go, with nothing else said."""
    return {"type": "redirect", "redirect": {"protocol": "HTTPS", "port": "443", "status_code": "HTTP_301"}}


def forward(target_group_arn: Input[str], order: int = 1) -> aws.lb.ListenerRuleActionArgsDict:
    """Hand over to the private APIs."""
    return {"type": "forward", "order": order, "target_group_arn": target_group_arn}


def verified_forward(check: TokenCheck, target_group_arn: Input[str]) -> list[aws.lb.ListenerRuleActionArgsDict]:
    """Verify the token, then forward; ELB answers 401 by itself."""
    validation: aws.lb.ListenerRuleActionJwtValidationArgsDict = {"issuer": check.issuer, "jwks_endpoint": check.jwks_url}
    if check.claims:
        validation["additional_claims"] = [
            {"name": claim.name, "format": claim.format, "values": list(claim.values)} for claim in check.claims
        ]
    return [{"type": "jwt-validation", "order": 1, "jwt_validation": validation}, forward(target_group_arn, order=2)]


def at_hosts(*hosts: str) -> aws.lb.ListenerRuleConditionArgsDict:
    """Condition: the Host header is one of these."""
    return {"host_header": {"values": list(hosts)}}


def at_paths(*paths: str) -> aws.lb.ListenerRuleConditionArgsDict:
    """Condition: the path is one of these; `*` stands for anything."""
    return {"path_pattern": {"values": list(paths)}}


def with_header(name: str) -> aws.lb.ListenerRuleConditionArgsDict:
    """Condition: the header is there, whatever its value."""
    return {"http_header": {"http_header_name": name, "values": ["*"]}}


def host_rewrite(host: str) -> aws.lb.ListenerRuleTransformArgsDict:
    """Transform: the request goes on under this Host. Route 53 sends `<name>:8443`, which is no private domain's name."""
    return {"type": "host-header-rewrite", "host_header_rewrite_config": {"rewrite": {"regex": "^.*$", "replace": host}}}


def open_priorities(routes: Mapping[str, OpenRoute]) -> dict[str, int]:
    """A priority for each open route from its key alone: adding one renumbers none.

    Raises:
        ValueError: two keys fall into one slot, or a route has more hosts and paths than a rule takes.
    """
    taken: dict[int, str] = {}
    for key, route in sorted(routes.items()):
        if len(route.hosts) + len(route.paths) > VALUES_PER_RULE:
            msg = f"open route {key} has more than {VALUES_PER_RULE} hosts and paths; split it"
            raise ValueError(msg)
        slot = OPEN_PRIORITIES[int(hashlib.sha256(key.encode()).hexdigest(), 16) % len(OPEN_PRIORITIES)]
        if slot in taken:
            msg = f"open routes {taken[slot]} and {key} fall into one priority; rename one of them"
            raise ValueError(msg)
        taken[slot] = key
    return {key: slot for slot, key in taken.items()}
