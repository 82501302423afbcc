"""The address plan: disjoint, inside the VPC, and nothing that exists ever moves."""

import ipaddress
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.network.addresses import TIERS, endpoint_address, plan, subnet_cidr
from components.types import PRIVATE_BLOCKS, ZONE_LETTERS

AWS_SMALLEST = 28
"""Amazon VPC takes subnets from /16 to /28."""

zones = st.lists(st.sampled_from(ZONE_LETTERS), min_size=1, max_size=len(ZONE_LETTERS), unique=True).map(tuple)


@st.composite
def vpcs(draw):
    """Any private network that the settings accept: /16 to /19."""
    block = ipaddress.IPv4Network(draw(st.sampled_from(PRIVATE_BLOCKS)))
    prefix = draw(st.integers(16, 19))
    place = draw(st.integers(0, 2 ** (prefix - block.prefixlen) - 1))
    return str(ipaddress.IPv4Network((int(block.network_address) + place * 2 ** (32 - prefix), prefix)))


@given(vpcs(), zones)
def test_every_subnet_lies_in_the_vpc_and_none_overlap(vpc, letters):
    subnets = [ipaddress.IPv4Network(subnet.cidr) for subnet in plan(vpc, letters).values()]
    assert len(subnets) == len(TIERS) * len(letters)
    assert all(subnet.subnet_of(ipaddress.IPv4Network(vpc)) for subnet in subnets)
    assert all(subnet.prefixlen <= AWS_SMALLEST for subnet in subnets)
    assert not any(one.overlaps(other) for one, other in itertools.combinations(subnets, 2))


@given(vpcs(), zones, st.data())
def test_adding_and_removing_zones_moves_no_other(vpc, letters, data):
    fewer = tuple(data.draw(st.lists(st.sampled_from(letters), min_size=1, unique=True)))
    whole, part = plan(vpc, letters), plan(vpc, fewer)
    assert set(part) == {f"{tier}-{zone}" for tier in TIERS for zone in fewer}
    assert part == {key: whole[key] for key in part}


@given(vpcs(), zones, st.randoms())
def test_the_order_of_zones_does_not_matter(vpc, letters, random):
    shuffled = list(letters)
    random.shuffle(shuffled)
    assert list(plan(vpc, tuple(shuffled)).items()) == list(plan(vpc, letters).items())


@given(vpcs(), zones)
def test_the_key_names_the_subnet(vpc, letters):
    for key, subnet in plan(vpc, letters).items():
        assert key == f"{subnet.tier}-{subnet.zone}"
        assert subnet.cidr == subnet_cidr(vpc, subnet.tier, subnet.zone)


@given(vpcs(), st.sampled_from(ZONE_LETTERS))
def test_the_endpoint_address_is_usable_in_its_intra_subnet(vpc, zone):
    address = ipaddress.IPv4Address(endpoint_address(vpc, zone))
    subnet = ipaddress.IPv4Network(subnet_cidr(vpc, "intra", zone))
    reserved = [*list(subnet)[:4], subnet.broadcast_address]
    assert address in subnet
    assert address not in reserved


def test_a_zone_outside_the_plan_is_refused():
    with pytest.raises(ValueError, match="substring"):
        subnet_cidr("10.0.0.0/16", "private", "g")
