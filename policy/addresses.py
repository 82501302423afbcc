"""Security group rules in every spelling, and which address ranges mean the whole world."""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from policy.model import Resource
from policy.values import UNKNOWN, elements, number

SECURITY_GROUP = "aws:ec2/securityGroup:SecurityGroup"
SECURITY_GROUP_RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"
INGRESS_RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS_RULE = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
PREFIX_LIST = "aws:ec2/managedPrefixList:ManagedPrefixList"
PREFIX_LIST_ENTRY = "aws:ec2/managedPrefixListEntry:ManagedPrefixListEntry"

# Anything wider holds addresses of many owners; 0.0.0.0/1 and 128.0.0.0/1 are 0.0.0.0/0 in two words.
WIDEST_V4 = 8
WIDEST_V6 = 16
ALL_PROTOCOLS = frozenset({"-1", "all"})
LAST_PORT = 65535


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One permission of a security group, whichever resource states it."""

    path: str
    protocol: Any
    from_port: Any
    to_port: Any
    ranges: tuple[tuple[str, Any], ...]

    @property
    def any_protocol(self) -> bool:
        """Whether every protocol, and with it every port, is meant."""
        value = int(self.protocol) if isinstance(self.protocol, float) else self.protocol
        return str(value).strip().lower() in ALL_PROTOCOLS

    @property
    def every_port(self) -> bool:
        """Whether all ports are meant, by protocol or by range."""
        low, high = number(self.from_port), number(self.to_port)
        return self.any_protocol or (low is not None and high is not None and low <= 1 and high >= LAST_PORT)

    @property
    def undecided(self) -> list[str]:
        """Names of the properties without which the ports are not known."""
        named = {"protocol": self.protocol, "fromPort": self.from_port, "toPort": self.to_port}
        return [name for name, value in named.items() if value is UNKNOWN]

    def only_ports(self, allowed: frozenset[int]) -> bool:
        """Whether the rule opens nothing but these ports."""
        low, high = number(self.from_port), number(self.to_port)
        if self.any_protocol or low is None or high is None or low > high or high > LAST_PORT:
            return False
        return high - low < len(allowed) and all(port in allowed for port in range(int(low), int(high) + 1))


def rules_of(resource: Resource, direction: str) -> Iterator[Rule]:
    """The rules a resource states for ``ingress`` or ``egress``. Its direction, if unknown, counts as both."""
    if resource.type == SECURITY_GROUP:
        for path, block in elements(resource.get(direction), direction):
            yield _classic(path, block)
    elif resource.type == SECURITY_GROUP_RULE:
        if resource.get("type") in (direction, UNKNOWN):
            yield _classic("", dict(resource.props))
    elif resource.type == (INGRESS_RULE if direction == "ingress" else EGRESS_RULE):
        yield Rule(
            path="",
            protocol=resource.get("ipProtocol"),
            from_port=resource.get("fromPort"),
            to_port=resource.get("toPort"),
            ranges=tuple((key, resource.get(key)) for key in ("cidrIpv4", "cidrIpv6") if resource.get(key) is not None),
        )


def _classic(path: str, block: Any) -> Rule:
    if not isinstance(block, dict):
        return Rule(path=path, protocol=UNKNOWN, from_port=UNKNOWN, to_port=UNKNOWN, ranges=((path, block),))
    prefix = f"{path}." if path else ""
    ranges = [member for key in ("cidrBlocks", "ipv6CidrBlocks") for member in elements(block.get(key), f"{prefix}{key}")]
    return Rule(
        path=path,
        protocol=block.get("protocol"),
        from_port=block.get("fromPort"),
        to_port=block.get("toPort"),
        ranges=tuple(ranges),
    )


def _network(text: Any) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    if not isinstance(text, str):
        return None
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        return None


def _wide(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    return network.prefixlen < (WIDEST_V4 if network.version == 4 else WIDEST_V6)  # noqa: PLR2004 IP versions


def world_ranges(ranges: tuple[tuple[str, Any], ...]) -> list[str]:
    """Paths of known ranges that open to the world: alone, or taken together. What cannot be read counts."""
    known = [(path, _network(value)) for path, value in ranges if value is not UNKNOWN]
    wide = [path for path, network in known if network is None or _wide(network)]
    if wide:
        return wide
    v4 = [(path, net) for path, net in known if isinstance(net, ipaddress.IPv4Network)]
    v6 = [(path, net) for path, net in known if isinstance(net, ipaddress.IPv6Network)]
    together = [n for n in ipaddress.collapse_addresses([net for _, net in v4]) if _wide(n)]
    together6 = [n for n in ipaddress.collapse_addresses([net for _, net in v6]) if _wide(n)]
    return [path for path, net in v4 if any(net.subnet_of(n) for n in together)] + [
        path for path, net in v6 if any(net.subnet_of(n) for n in together6)
    ]


def unknown_ranges(ranges: tuple[tuple[str, Any], ...]) -> list[str]:
    """Paths of ranges that the preview does not know."""
    return [path for path, value in ranges if value is UNKNOWN]
