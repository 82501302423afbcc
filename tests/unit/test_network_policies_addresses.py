"""The east-west address: usable, the zone's own, and nobody else's."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.network.addresses import eastwest_address, endpoint_address, subnet_cidr
from components.types import ZONE_LETTERS

RESERVED_AT_THE_START = 4
"""Amazon VPC keeps the first four addresses of a subnet, and the last one."""

vpcs = st.builds(
    lambda second, prefix: str(ipaddress.IPv4Network((f"10.{second}.0.0", prefix))), st.integers(0, 255), st.integers(16, 19)
)


@given(vpcs, st.sampled_from(ZONE_LETTERS))
def test_the_eastwest_address_is_usable_in_its_intra_subnet_and_not_the_endpoints(vpc, zone):
    subnet = ipaddress.IPv4Network(subnet_cidr(vpc, "intra", zone))
    address = ipaddress.IPv4Address(eastwest_address(vpc, zone))
    assert address in list(subnet)[RESERVED_AT_THE_START:-1]
    assert str(address) != endpoint_address(vpc, zone)


@given(vpcs)
def test_every_zone_has_an_eastwest_address_of_its_own(vpc):
    assert len({eastwest_address(vpc, zone) for zone in ZONE_LETTERS}) == len(ZONE_LETTERS)


def test_the_eastwest_address_is_the_eleventh_of_the_subnet():
    assert eastwest_address("10.0.0.0/16", "a") == "10.0.224.11"


def test_an_unknown_zone_has_no_eastwest_address():
    with pytest.raises(ValueError, match="substring not found"):
        eastwest_address("10.0.0.0/16", "g")
