"""The network of a region as the program registers it."""

import ipaddress
import json
from typing import Any

import pytest

from components.network import dns
from components.network.addresses import endpoint_address
from tests.support.aws_model import violations
from tests.support.monitor import Recording
from tests.support.program import STACKS, changed, record_settings, record_stack

REGION = "eu-west-1"
VPC = f"{REGION}-network-vpc"


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def recording(stack: str) -> Recording:
    return record_stack(stack)


def grown_settings(stack: str) -> dict[str, Any]:
    """A zone more in one region, a NAT gateway for each zone, and the regions joined by a transit gateway."""
    settings = changed(stack)
    settings["regions"][REGION]["zones"] = ["a", "b", "c", "d"]
    settings["network"] |= {"nat": "per_zone", "interconnect": "transit_gateway"}
    return settings


@pytest.fixture
def grown(stack: str) -> Recording:
    return record_settings(grown_settings(stack), stack)


def in_region(recording: Recording, type_: str):
    return [resource for resource in recording.of(type_) if resource.name.startswith(f"{REGION}-")]


def test_no_subnet_gives_public_addresses_and_every_tier_is_in_every_zone(recording):
    subnets = in_region(recording, "aws:ec2/subnet:Subnet")
    assert {(one.inputs["tags"]["tier"], one.inputs["availabilityZone"][-1]) for one in subnets} == {
        (tier, zone) for tier in ("public", "private", "intra") for zone in "abc"
    }
    assert not any(one.inputs["mapPublicIpOnLaunch"] for one in subnets)


def test_only_public_and_private_tables_lead_out_and_only_through_their_own_way(recording):
    out = [one for one in in_region(recording, "aws:ec2/route:Route") if one.inputs["destinationCidrBlock"] == "0.0.0.0/0"]
    assert {one.name: "gatewayId" in one.inputs for one in out} == {
        f"{REGION}-network-public-out": True,
        **{f"{REGION}-network-private-{zone}-out": False for zone in "abc"},
    }


def test_production_has_a_nat_gateway_for_each_zone_and_development_one():
    for stack, zones in (("prod", "abc"), ("dev", "a")):
        gateways = in_region(record_stack(stack), "aws:ec2/natGateway:NatGateway")
        assert sorted(one.name[-1] for one in gateways) == list(zones)
        routes = {
            one.name.removesuffix("-out")[-1]: one.inputs["natGatewayId"].removesuffix("-id")[-1]
            for one in in_region(record_stack(stack), "aws:ec2/route:Route")
            if "natGatewayId" in one.inputs
        }
        assert routes == {zone: zone if stack == "prod" else "a" for zone in "abc"}


def test_more_zones_and_nat_gateways_move_no_subnet_and_no_gateway(recording, grown):
    kept = {one.urn: one.inputs for one in grown.resources}
    for type_ in ("aws:ec2/subnet:Subnet", "aws:ec2/natGateway:NatGateway"):
        before, after = in_region(recording, type_), in_region(grown, type_)
        assert before
        assert len(after) > len(before)
        assert [one.name for one in before if kept[one.urn] != one.inputs] == []


def test_every_flow_is_logged_within_a_minute(recording):
    log = recording.one("aws:ec2/flowLog:FlowLog", f"{REGION}-network-flow-logs-log")
    assert (log.inputs["trafficType"], log.inputs["maxAggregationInterval"]) == ("ALL", 60)
    assert log.inputs["vpcId"] == f"{VPC}-id"
    group = recording.one("aws:cloudwatch/logGroup:LogGroup", f"{REGION}-network-flow-logs-group")
    assert group.inputs["kmsKeyId"]


def test_the_firewall_blocks_last_fails_closed_and_is_bound_after_its_rules(recording):
    rules = in_region(recording, "aws:route53/resolverFirewallRule:ResolverFirewallRule")
    last = max(rules, key=lambda one: one.inputs["priority"])
    assert (last.inputs["action"], last.inputs["blockResponse"]) == ("BLOCK", "NODATA")
    assert {one.inputs["action"] for one in rules if one is not last} == {"ALLOW"}
    config = recording.one("aws:route53/resolverFirewallConfig:ResolverFirewallConfig", f"{REGION}-network-dns-fail-closed")
    assert config.inputs["firewallFailOpen"] == "DISABLED"
    bound = in_region(recording, "aws:route53/resolverFirewallRuleGroupAssociation:ResolverFirewallRuleGroupAssociation")
    assert {rule.urn for rule in rules} <= bound[0].dependencies


def test_no_list_opens_a_reverse_zone_or_a_suffix_that_others_serve():
    for region, cidr in (("eu-west-1", "10.0.0.0/16"), ("us-east-1", "172.16.64.0/19")):
        domains = dns.platform_domains(region, cidr)
        assert not {"*", "*.", "*.in-addr.arpa", "in-addr.arpa", "*.internal", "*.aws"} & set(domains)
    assert dns.reverse_zone("10.17.0.0/16") == "*.17.10.in-addr.arpa"


def test_the_api_endpoints_address_is_reserved_in_every_zone(recording, stack):
    cidr = changed(stack)["regions"][REGION]["vpc_cidr"]
    reserved = in_region(recording, "aws:ec2/subnetCidrReservation:SubnetCidrReservation")
    assert {one.inputs["cidrBlock"] for one in reserved} == {f"{endpoint_address(cidr, zone)}/32" for zone in "abc"}
    assert {one.inputs["reservationType"] for one in reserved} == {"explicit"}


def test_every_endpoint_has_a_policy_that_names_this_account(recording, stack):
    account = changed(stack)["account"]["id"]
    endpoints = [one for one in in_region(recording, "aws:ec2/vpcEndpoint:VpcEndpoint") if "-endpoints-" in one.name]
    services = {one.inputs["serviceName"].removeprefix(f"com.amazonaws.{REGION}.") for one in endpoints}
    assert {"s3", "sts", "kms", "logs", "secretsmanager", "ecr.api", "ecr.dkr"} <= services
    for endpoint in endpoints:
        for statement in json.loads(endpoint.inputs["policy"])["Statement"]:
            conditions = statement.get("Condition", {}).get("StringEquals", {})
            assert account in conditions.values() or statement["Action"] == "s3:GetObject", endpoint.name


def test_endpoints_admit_the_vpc_only(recording, stack):
    rule = recording.one("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", f"{REGION}-endpoints-from-vpc")
    assert (rule.inputs["fromPort"], rule.inputs["toPort"]) == (443, 443)
    assert rule.inputs["cidrIpv4"] == changed(stack)["regions"][REGION]["vpc_cidr"]
    assert recording.one("aws:ec2/securityGroup:SecurityGroup", f"{REGION}-endpoints-group").inputs["egress"] == []


def test_aws_accepts_the_requests(recording):
    log = recording.one("aws:ec2/flowLog:FlowLog", f"{REGION}-network-flow-logs-log").inputs
    assert not violations(
        "ec2",
        "CreateFlowLogs",
        {
            "ResourceIds": ["vpc-1"],
            "ResourceType": "VPC",
            "TrafficType": log["trafficType"],
            "LogDestinationType": log["logDestinationType"],
            "MaxAggregationInterval": log["maxAggregationInterval"],
        },
    )
    for rule in in_region(recording, "aws:route53/resolverFirewallRule:ResolverFirewallRule"):
        assert not violations(
            "route53resolver",
            "CreateFirewallRule",
            {
                "CreatorRequestId": "1",
                "FirewallRuleGroupId": "rslvr-frg-1",
                "FirewallDomainListId": "rslvr-fdl-1",
                "Priority": rule.inputs["priority"],
                "Action": rule.inputs["action"],
                "Name": rule.inputs["name"],
                "FirewallDomainRedirectionAction": rule.inputs["firewallDomainRedirectionAction"],
                **({"BlockResponse": rule.inputs["blockResponse"]} if "blockResponse" in rule.inputs else {}),
            },
        )


@pytest.mark.parametrize("interconnect", ["peering", "transit_gateway"])
def test_regions_reach_each_other_both_ways_and_never_from_the_public_table(stack, interconnect):
    settings = changed(stack) if interconnect == "peering" else grown_settings(stack)
    recording = record_settings(settings, stack)
    way = {"peering": "vpcPeeringConnectionId", "transit_gateway": "transitGatewayId"}[interconnect]
    routes = [one for one in recording.of("aws:ec2/route:Route") if way in one.inputs]
    assert {one.inputs["destinationCidrBlock"] for one in routes} == {
        region["vpc_cidr"] for region in settings["regions"].values()
    }
    assert {one.inputs["routeTableId"].rsplit("-routes", 1)[0] for one in routes} == {
        f"{code}-network-{key}"
        for code, region in settings["regions"].items()
        for key in ("intra", *(f"private-{zone}" for zone in region.get("zones", "abc")))
    }
    for one in routes:
        own = next(code for code in settings["regions"] if one.inputs["routeTableId"].startswith(code))
        other = ipaddress.IPv4Network(one.inputs["destinationCidrBlock"])
        assert not other.overlaps(ipaddress.IPv4Network(settings["regions"][own]["vpc_cidr"]))
        assert one.provider.endswith(f"::{own}-aws")
