"""The public load balancer as the program asks for it: who gets in, with which TLS, and what goes on without a token."""

import functools
import ipaddress
from typing import Any

import pytest

from components.context import RegionContext
from components.edge import load_balancer_rules as rules
from components.edge.load_balancer import EdgeLogs, EdgeNetwork, LoadBalancer, LoadBalancerArgs
from components.edge.load_balancer_rules import Claim, OpenRoute, TokenCheck, open_priorities, token_check
from components.network.addresses import endpoint_address
from components.settings import load_file
from components.settings.edge import EdgeSettings
from components.settings.identity import IdentitySettings
from policy.model import Resource, Stack
from policy.rules import lb_01, lb_02, lb_03, net_04, net_05
from tests.support.aws_model import request, tag_list, verbatim, violations
from tests.support.monitor import Recording, Registered, record
from tests.support.program import ROOT

BALANCER, LISTENER = "aws:lb/loadBalancer:LoadBalancer", "aws:lb/listener:Listener"
RULE, GROUP = "aws:lb/listenerRule:ListenerRule", "aws:lb/targetGroup:TargetGroup"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
ISSUER = "https://id.api.clearing.example/realms/clearing"
TLS13_ONLY = "ELBSecurityPolicy-TLS13-1-3-2021-06"
CIDR = "10.16.0.0/16"
# AWS Tools for PowerShell, Get-R53CheckerIpRanges; the newer blocks are /23 of 15.177.0.0/18
DOCUMENTED_CHECKERS = [
    "15.177.2.0/23",
    "15.177.6.0/23",
    "15.177.10.0/23",
    "15.177.14.0/23",
    "15.177.18.0/23",
    "15.177.22.0/23",
    "15.177.26.0/23",
    "15.177.30.0/23",
    "15.177.34.0/23",
    "15.177.38.0/23",
    "15.177.42.0/23",
    "15.177.46.0/23",
    "15.177.50.0/23",
    "15.177.54.0/23",
    "15.177.58.0/23",
    "15.177.62.0/23",
    "54.183.255.128/26",
    "54.228.16.0/26",
    "54.232.40.64/26",
    "54.241.32.64/26",
    "54.243.31.192/26",
    "54.244.52.192/26",
    "54.245.168.0/26",
    "54.248.220.0/26",
    "54.250.253.192/26",
    "54.251.31.128/26",
    "54.252.79.128/26",
    "54.252.254.192/26",
    "54.255.254.192/26",
    "107.23.255.0/26",
    "176.34.159.192/26",
    "177.71.207.128/26",
]
OPEN = {"issuer": OpenRoute(hosts=("id.api.clearing.example",), paths=("/realms/*",), reason="Tokens come from here")}


def balancer(**changes: Any) -> Recording:
    args = {
        "context": RegionContext(
            organization="clearing", environment="prod", region="eu-west-1", account="444455556666", tags={"owner": "security"}
        ),
        "network": EdgeNetwork(
            vpc_id="vpc-1",
            public_subnet_ids={zone: f"subnet-public-{zone}" for zone in "abc"},
            endpoint_addresses={zone: endpoint_address(CIDR, zone) for zone in "abc"},
        ),
        "logs": EdgeLogs(access_bucket="access", connection_bucket="connection"),
        "domain": "api.clearing.example",
        "certificate_arn": "arn:aws:acm:eu-west-1:444455556666:certificate/1",
        "tls_policy": TLS13_ONLY,
        "tokens": TokenCheck(
            issuer=ISSUER,
            jwks_url=f"{ISSUER}/protocol/openid-connect/certs",
            claims=(Claim(name="azp", format="single-string", values=("web",)),),
        ),
        "health_path": "/healthz/mesh",
        "open_routes": OPEN,
        "protect": True,
    }
    return record(lambda: LoadBalancer("edge", LoadBalancerArgs(**{**args, **changes})))


@functools.cache
def recorded() -> Recording:
    return balancer()


def rules_of(listener: str) -> list[Registered]:
    arn = f"arn:aws:lb:eu-west-1:111122223333:{recorded().one(LISTENER, listener).name}"
    return sorted(
        (one for one in recorded().of(RULE) if one.inputs["listenerArn"] == arn), key=lambda one: one.inputs["priority"]
    )


def conditions(rule: Registered) -> dict[str, Any]:
    return {kind: body.get("values") for one in rule.inputs["conditions"] for kind, body in one.items()}


def test_clients_get_tls_1_3_only_and_plain_http_is_redirected():
    listeners = {one.inputs["port"]: one.inputs for one in recorded().of(LISTENER)}
    assert listeners.keys() == {80, 443, rules.HEALTH_PORT}
    assert listeners[443]["sslPolicy"] == TLS13_ONLY
    (redirect,) = listeners[80]["defaultActions"]
    assert (redirect["type"], redirect["redirect"]["protocol"]) == ("redirect", "HTTPS")
    assert rules_of("edge-http") == []


def test_every_tls_policy_of_the_settings_has_one_for_the_checkers():
    allowed = EdgeSettings.model_fields["tls_policy"].annotation.__args__
    assert set(rules.HEALTH_TLS_POLICIES) == set(allowed)
    for clients, checkers in rules.HEALTH_TLS_POLICIES.items():
        assert "TLS13-1-2-Res" in checkers
        assert ("FIPS" in checkers) == ("FIPS" in clients)


def test_only_route_53s_checkers_reach_the_listener_with_tls_1_2():
    reach = [one.inputs["cidrIpv4"] for one in recorded().of(INGRESS) if one.inputs["toPort"] == rules.HEALTH_PORT]
    networks = [ipaddress.IPv4Network(cidr) for cidr in reach]
    documented = [ipaddress.IPv4Network(cidr) for cidr in DOCUMENTED_CHECKERS]
    assert all(any(one.subnet_of(network) for network in networks) for one in documented)
    for network in networks:
        within = sum(one.num_addresses for one in documented if one.subnet_of(network))
        assert network.num_addresses <= 2 * within, network


def test_the_checkers_listener_answers_the_health_path_alone():
    (rule,) = rules_of("edge-health")
    assert conditions(rule) == {"pathPattern": ["/healthz/mesh"]}
    (transform,) = rule.inputs["transforms"]
    assert transform["hostHeaderRewriteConfig"]["rewrite"]["replace"] == "eu-west-1.api.clearing.example"
    assert recorded().one(LISTENER, "edge-health").inputs["defaultActions"][0]["type"] == "fixed-response"


def test_what_is_forwarded_without_a_token_says_why():
    for rule in recorded().of(RULE):
        kinds = [action["type"] for action in sorted(rule.inputs["actions"], key=lambda action: action.get("order", 1))]
        if "forward" in kinds and kinds != ["jwt-validation", "forward"]:
            assert rule.inputs["tags"]["reason"], rule.name


def test_without_open_routes_clients_pass_with_a_token_or_not_at_all():
    found = [one for one in balancer(open_routes={}).of(RULE) if one.name != "edge-health-path"]
    assert sorted(one.inputs["actions"][0]["type"] for one in found) == ["fixed-response", "jwt-validation"]


def test_a_client_cannot_choose_the_api_by_header():
    first = rules_of("edge-https")[0]
    assert first.inputs["conditions"] == [{"httpHeader": {"httpHeaderName": "x-apigw-api-id", "values": ["*"]}}]
    assert first.inputs["actions"][0]["fixedResponse"]["statusCode"] == "403"


def test_the_token_rule_comes_last_and_knows_our_names_only():
    last = rules_of("edge-https")[-1]
    assert conditions(last) == {"hostHeader": ["api.clearing.example", "eu-west-1.api.clearing.example"]}
    validation = last.inputs["actions"][0]["jwtValidation"]
    assert (validation["issuer"], validation["jwksEndpoint"]) == (ISSUER, f"{ISSUER}/protocol/openid-connect/certs")
    (default,) = recorded().one(LISTENER, "edge-https").inputs["defaultActions"]
    assert default["fixedResponse"]["statusCode"] == "404"


def test_the_host_goes_through_unchanged():
    assert recorded().one(BALANCER).inputs["preserveHostHeader"] is True
    assert [one.name for one in recorded().of(RULE) if "transforms" in one.inputs] == ["edge-health-path"]


def test_the_targets_are_the_endpoints_fixed_addresses():
    attachments = recorded().of("aws:lb/targetGroupAttachment:TargetGroupAttachment")
    assert {one.name[-1]: one.inputs["targetId"] for one in attachments} == {zone: endpoint_address(CIDR, zone) for zone in "abc"}
    group = recorded().one(GROUP).inputs
    assert (group["targetType"], group["protocol"], group["port"]) == ("ip", "HTTPS", 443)
    assert group["healthCheck"]["protocol"] == "HTTPS"
    assert 200 <= int(group["healthCheck"]["matcher"]) < 500


def test_the_load_balancer_calls_the_endpoint_and_https_alone():
    egress = {one.name: one.inputs for one in recorded().of(EGRESS)}
    assert {one["toPort"] for one in egress.values()} == {443}
    inside = {f"{endpoint_address(CIDR, zone)}/32" for zone in "abc"}
    assert {one["cidrIpv4"] for name, one in egress.items() if name != "edge-egress-issuer"} == inside


def test_the_load_balancer_is_protected_by_argument_and_against_deletion_always():
    assert recorded().one(BALANCER).protect
    assert not balancer(protect=False).one(BALANCER).protect
    assert balancer(protect=False).one(BALANCER).inputs["enableDeletionProtection"] is True


def test_everything_that_can_carry_tags_does():
    untaggable = {"aws:lb/targetGroupAttachment:TargetGroupAttachment", "zerotrust:edge:LoadBalancer"}
    assert [one.name for one in recorded().resources if one.type not in untaggable and "owner" not in one.inputs["tags"]] == []


def test_open_routes_keep_their_priorities_when_one_is_added():
    more = {**OPEN, "assets": OpenRoute(hosts=("id.api.clearing.example",), paths=("/resources/*",), reason="Log-in page")}
    before, after = open_priorities(OPEN), open_priorities(more)
    assert before.items() <= after.items()
    assert all(rules.FORGED_PRIORITY < value < rules.TOKEN_PRIORITY for value in after.values())
    with pytest.raises(ValueError, match="split it"):
        open_priorities({"many": OpenRoute(hosts=("a", "b"), paths=("/1", "/2", "/3", "/4"), reason="x")})


def test_the_issuers_keys_follow_from_keycloak_and_are_named_for_others():
    assert token_check(load_file(ROOT / "Pulumi.prod.yaml").identity).jwks_url == f"{ISSUER}/protocol/openid-connect/certs"
    common = {
        "trust_domain_base": "trust.clearing.example",
        "ca_country": "IE",
        "issuer": "https://x.eu.auth0.com/",
        "issuer_kind": "external",
    }
    jwks = "https://x.eu.auth0.com/.well-known/jwks.json"
    assert token_check(IdentitySettings(**common, jwks_url=jwks)).jwks_url == jwks
    with pytest.raises(ValueError, match=r"rules over several keys|jwks_url"):
        IdentitySettings(**common)


def test_the_policy_packs_own_rules_pass():
    resources = [
        Resource(
            type=one.type,
            urn=one.urn,
            name=one.name,
            props={"arn": f"arn:aws:lb:eu-west-1:111122223333:{one.name}", "id": f"{one.name}-id", **one.inputs},
        )
        for one in recorded().resources
    ]
    stack = Stack(resources=resources)
    policies = {"sslPolicies": [TLS13_ONLY, "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"]}
    found = [*lb_01.validate(stack, {"passthroughPorts": []})]
    for one in stack.of(LISTENER):
        found += lb_02.validate(one, policies)
    for one in stack.of(BALANCER):
        found += lb_03.validate(one, {"deletionProtection": True})
    for one in stack.of(INGRESS, EGRESS):
        found += [*net_04.validate(one, {"publicPorts": [80, 443]}), *net_05.validate(one, {})]
    assert found == []


def test_elbs_own_model_accepts_the_requests():
    recording = recorded()
    names = {
        "tags": tag_list(),
        "loadBalancerType": "Type",
        "internal": lambda value: ("Scheme", "internal" if value else "internet-facing"),
        **dict.fromkeys(
            [
                "dropInvalidHeaderFields",
                "desyncMitigationMode",
                "enableDeletionProtection",
                "enableWafFailOpen",
                "enableZonalShift",
                "enableTlsVersionAndCipherSuiteHeaders",
                "enableHttp2",
                "preserveHostHeader",
                "xffHeaderProcessingMode",
                "idleTimeout",
                "accessLogs",
                "connectionLogs",
            ]
        ),
    }
    assert violations("elbv2", "CreateLoadBalancer", request(recording.one(BALANCER).inputs, names, capital=True)) == []
    health = {
        "enabled": "HealthCheckEnabled",
        "protocol": "HealthCheckProtocol",
        "port": "HealthCheckPort",
        "path": "HealthCheckPath",
        "interval": "HealthCheckIntervalSeconds",
        "timeout": "HealthCheckTimeoutSeconds",
        "healthyThreshold": "HealthyThresholdCount",
        "unhealthyThreshold": "UnhealthyThresholdCount",
        "matcher": lambda value: ("Matcher", {"HttpCode": value}),
    }
    group = dict(recording.one(GROUP).inputs)
    check = request(group.pop("healthCheck"), health, capital=True)
    names = {"tags": tag_list(), "namePrefix": "Name", "deregistrationDelay": None}
    assert violations("elbv2", "CreateTargetGroup", {**request(group, names, capital=True), **check}) == []
    for one in recording.of(LISTENER):
        attributes = {key: None for key in one.inputs if key.startswith("routingHttp")}
        certificate = {"certificateArn": lambda arn: ("Certificates", [{"CertificateArn": arn}])}
        names = {"tags": tag_list(), **attributes, **certificate, **actions("defaultActions")}
        assert violations("elbv2", "CreateListener", request(one.inputs, names, capital=True)) == [], one.name
    for one in recording.of(RULE):
        names = {"tags": tag_list(), "conditions": condition_list, "transforms": transform_list, **actions("actions")}
        assert violations("elbv2", "CreateRule", request(one.inputs, names, capital=True)) == [], one.name


def actions(key: str) -> dict[str, Any]:
    return {
        f"{key}.fixedResponse": "FixedResponseConfig",
        f"{key}.redirect": "RedirectConfig",
        f"{key}.jwtValidation": "JwtValidationConfig",
    }


def condition_list(value: list[dict[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    fields = {"hostHeader": "host-header", "pathPattern": "path-pattern", "httpHeader": "http-header"}
    configs = {"hostHeader": "HostHeaderConfig", "pathPattern": "PathPatternConfig", "httpHeader": "HttpHeaderConfig"}
    return "Conditions", [
        {"Field": fields[kind], configs[kind]: request(body, capital=True)} for one in value for kind, body in one.items()
    ]


def transform_list(value: list[dict[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    names = {"hostHeaderRewriteConfig.rewrite": lambda one: verbatim("Rewrites")([request(one, capital=True)])}
    return "Transforms", [request(one, names, capital=True) for one in value]
