"""Where a sandbox puts things: no two in one place, whatever the regions."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from sandbox.local.plan import Plan, plan

REGIONS = {"eu-west-1": ("10.201.0.0/16", "172.30.0.0/20"), "eu-central-1": ("10.202.0.0/16", "172.30.16.0/20")}


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    codes = draw(st.lists(st.from_regex(r"\A[a-z]{2}-[a-z]{4,9}-[1-9]\Z"), min_size=1, max_size=4, unique=True))
    return plan({code: (f"10.{200 + index}.0.0/16", f"172.30.{index * 16}.0/20") for index, code in enumerate(codes)})


@given(plans())
def test_no_two_things_have_one_address(made: Plan):
    ranges = [*(region.balancers for region in made.regions), *(node.pods for region in made.regions for node in region.nodes)]
    assert not [pair for pair in combinations(ranges, 2) if pair[0].overlaps(pair[1])]
    single = [address for region in made.regions for address in (region.router, region.host, *(n.address for n in region.nodes))]
    assert len(set(single)) == len(single)
    assert not [one for one in single if any(one in network for network in ranges)]


@given(plans())
def test_what_a_region_has_lies_in_its_own_range(made: Plan):
    for region in made.regions:
        assert all(node.pods.subnet_of(region.pods) and node.address in region.network for node in region.nodes)
        assert region.balancers.subnet_of(region.network)
        assert region.dns in region.services


@given(plans())
def test_no_name_is_longer_than_the_kernel_takes_it_or_borne_twice(made: Plan):
    links = [region.link for region in made.regions]
    names = [name for region in made.regions for name in (region.namespace, *(node.name for node in region.nodes))]
    assert all(len(link) <= 15 for link in links)
    assert len(set(links)) == len(links)
    assert len(set(names)) == len(names)


def test_an_order_of_regions_is_no_other_plan():
    assert plan(REGIONS) == plan(dict(reversed(REGIONS.items())))
