"""The compiled routes: what the settings say, no more, and nothing that API Gateway would read otherwise."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.edge.api_routes import (
    TokenRules,
    canonical,
    client_id,
    concurrency,
    operations,
    parameters,
    route_table,
    routes_by_tenant,
    split_health_path,
    template,
    usage_identifier,
)
from components.settings.access import OperationSettings, RouteSettings
from components.settings.tenants import UsageSettings

RULES = TokenRules(issuer="https://id.example", audience="https://api.example", lifetime_seconds=300)
NAMES = st.from_regex(r"[a-z]([-a-z0-9]{0,28}[a-z0-9])?", fullmatch=True)


def route(
    *paths: str, service: str = "bank-a/api", methods: tuple[Any, ...] = ("GET",), clients: tuple[str, ...] = ("bank-a/web",)
) -> RouteSettings:
    return RouteSettings(
        clients=clients,
        service=service,
        operations=(OperationSettings(methods=methods, paths=paths),),
        scopes=("read", "extra"),
    )


def test_a_route_becomes_one_operation_per_method_and_path() -> None:
    found = operations(
        "bank-a", {"r": route("/b/*", "/a/{id}", methods=("POST", "GET")), "other": route("/a", service="bank-b/x")}
    )
    assert [(one.template, one.method) for one in found] == [
        ("/a/{id}", "GET"),
        ("/a/{id}", "POST"),
        ("/b/{proxy+}", "GET"),
        ("/b/{proxy+}", "POST"),
    ]
    assert {one.scopes for one in found} == {("extra", "read")}


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        (("/a/{id}", "/a/{number}"), "one variable part below /a"),
        (("/a/{id}", "/a/*"), "one variable part below /a"),
        (("/{id}", "/*"), "use an absolute path|one variable part below /"),
        (("/a/{id}/b/{id}",), "names a path parameter twice"),
    ],
)
def test_paths_that_api_gateway_cannot_hold_together_are_refused_by_name(paths: tuple[str, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        operations("bank-a", {"r": route(*paths)})


def test_one_variable_in_one_place_may_carry_many_paths() -> None:
    found = operations("bank-a", {"r": route("/a/{id}", "/a/{id}/b", "/a/fixed", "/c/{number}")})
    assert len(found) == 4


@given(first=st.tuples(NAMES, NAMES), second=st.tuples(NAMES, NAMES))
def test_two_clients_never_share_an_identifier(first: tuple[str, str], second: tuple[str, str]) -> None:
    same = client_id("/".join(first)) == client_id("/".join(second))
    assert same == (first == second)


def test_templates_and_their_parameters() -> None:
    assert template("/settlements/*") == "/settlements/{proxy+}"
    assert template("/accounts/{id}") == "/accounts/{id}"
    assert parameters("/a/{id}/b/{proxy+}") == ("id", "proxy")
    assert parameters("/") == ()


def test_only_tenants_with_a_route_get_an_api() -> None:
    assert tuple(routes_by_tenant({"x": route("/a", service="b/x"), "y": route("/a", service="a/x")})) == ("a", "b")


@pytest.mark.parametrize(
    ("path", "parts"), [("/healthz/mesh", ("healthz", "/mesh")), ("/up", ("up", "/")), ("/a/b/c", ("a", "/b/c"))]
)
def test_the_health_path_is_a_base_path_and_a_resource(path: str, parts: tuple[str, str]) -> None:
    assert split_health_path(path, ["bank-a"]) == parts


@pytest.mark.parametrize("path", ["/", "/healthz/{id}", "/healthz/*", "/bank-a/health"])
def test_a_health_path_that_would_open_more_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="health_path"):
        split_health_path(path, ["bank-a"])


@given(places=st.lists(st.tuples(NAMES, NAMES, NAMES, NAMES), min_size=2, max_size=2, unique=True))
def test_usage_identifiers_are_distinct_and_of_a_form_api_gateway_takes(places: list[tuple[str, str, str, str]]) -> None:
    first, second = (usage_identifier(*place) for place in places)
    assert first != second
    assert 20 <= len(first) <= 128
    assert first.isalnum()


@given(rate=st.integers(1, 10_000), burst=st.integers(1, 5_000))
def test_concurrency_grows_with_the_load_and_stays_within_its_bounds(rate: int, burst: int) -> None:
    here = concurrency(UsageSettings(requests_per_second=rate, burst=burst, requests_per_day=10**9))
    more = concurrency(UsageSettings(requests_per_second=rate, burst=min(5_000, burst + 100), requests_per_day=10**9))
    assert 5 <= here <= more <= 500


def test_the_table_says_what_each_operation_needs() -> None:
    found = operations("bank-a", {"r": route("/a/{id}", clients=("bank-b/x", "bank-a/web"))})
    table = route_table("bank-a", "k", RULES, found)
    assert json.loads(canonical(table)) == table
    assert table["operations"] == [
        {"method": "GET", "resource": "/a/{id}", "clients": ["bank-a.web", "bank-b.x"], "scopes": ["extra", "read"]}
    ]
    assert (table["issuer"], table["audience"], table["lifetime_seconds"]) == ("https://id.example", "https://api.example", 300)
