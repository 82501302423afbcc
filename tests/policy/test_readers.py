"""The readers the rules stand on: address ranges, IAM documents, values."""

import ipaddress
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy import addresses, documents, values
from policy.values import UNKNOWN

V4 = st.builds(
    lambda address, prefix: ipaddress.ip_network((address, prefix), strict=False),
    st.integers(0, 2**32 - 1),
    st.integers(0, 32),
)


@given(V4)
def test_splitting_a_range_never_hides_that_it_is_wide(network: ipaddress.IPv4Network) -> None:
    halves = [network] if network.prefixlen == 32 else list(network.subnets())
    whole = addresses.world_ranges((("a", str(network)),))
    split = addresses.world_ranges(tuple((str(n), str(half)) for n, half in enumerate(halves)))
    assert bool(whole) == (network.prefixlen < 8)
    assert bool(split) == bool(whole)


@pytest.mark.parametrize("text", ["0.0.0.0/0", " 0.0.0.0/0 ", "::/0", "::0/0", "2000::/3", "10.0.0.0/7", "nonsense", 7])
def test_a_world_range_in_any_spelling_is_one(text: object) -> None:
    assert addresses.world_ranges((("a", text),)) == ["a"]


@given(st.sampled_from(["Action", "action", "ACTION"]), st.booleans(), st.booleans())
def test_a_document_reads_alike_in_every_spelling(key: str, listed: bool, text: bool) -> None:  # noqa: FBT001
    statement = {"Effect": "Allow", key: ["a:b"] if listed else "a:b"}
    body = {"Statement": [statement] if listed else statement}
    found = documents.statements(json.dumps(body) if text else body, "policy")
    assert isinstance(found, list)
    assert [value for _, value in found[0].members("Action")] == ["a:b"]


@pytest.mark.parametrize(
    ("action", "every", "wide"),
    [
        ("*", True, True),
        ("*:*", True, True),
        ("**", True, True),
        ("iam:*", False, True),
        ("i*:*", False, True),
        ("iam:?*", False, True),
        ("iam:Get*", False, False),
        ("s3:GetObject", False, False),
        ("*:Get", False, True),
    ],
)
def test_wildcards_of_actions(action: str, *, every: bool, wide: bool) -> None:
    assert documents.is_every_action(action) is every
    assert documents.is_service_wide(action) is wide


def test_an_unknown_has_no_truth() -> None:
    with pytest.raises(TypeError):
        bool(UNKNOWN)
    assert values.look({"a": UNKNOWN}, "a.b.c") is UNKNOWN
    assert values.look({"a": {}}, "a.b.c") is None
    assert all(values.plain(sentinel) is UNKNOWN for sentinel in values.UNKNOWN_SENTINELS)


def test_the_sentinels_are_the_sdks_own() -> None:
    from pulumi_policy import proxy  # noqa: PLC0415 the second source of the constants

    theirs = {value for name, value in vars(proxy).items() if name.startswith("UNKNOWN_")}
    assert theirs == values.UNKNOWN_SENTINELS
