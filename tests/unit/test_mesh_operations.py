"""Methods and paths in Istio's spelling: no more than the settings say, and never everything by omission."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from components.mesh.ingress import uri_match
from components.mesh.kinds import dns_label
from components.mesh.operations import paths, rule_operations
from components.settings import SettingsError, load
from components.settings.access import OperationSettings, overlap
from tests.support import oracle
from tests.support.graphs import PATHS
from tests.support.program import changed

SEGMENTS = st.lists(st.sampled_from(["a", "b", "a.b", "{x}", "{y}"]), min_size=1, max_size=4)
PATTERNS = st.one_of(
    st.just("/"), st.builds(lambda parts, end: "/" + "/".join(parts) + end, SEGMENTS, st.sampled_from(["", "/*"]))
)
REQUESTS = st.one_of(
    st.just("/"),
    st.lists(st.sampled_from(["a", "b", "a.b", "aXb", "c", ""]), min_size=1, max_size=5).map(lambda p: "/" + "/".join(p)),
)


def template_matches(spelled: str, path: str) -> bool:
    """What Istio documents of `operation.paths`: exact, a closing star, or a template of `{*}` and a closing `{**}`."""
    if "{" in spelled:
        text = re.escape(spelled).replace(r"\{\*\*\}", ".*").replace(r"\{\*\}", "[^/]+")
        return re.fullmatch(text, path) is not None
    return path.startswith(spelled[:-1]) if spelled.endswith("*") else path == spelled


@pytest.mark.parametrize(
    ("path", "prefix", "spelled"),
    [
        ("/", "", ("/",)),
        ("/", "/bank-a", ("/bank-a", "/bank-a/")),
        ("/accounts", "", ("/accounts",)),
        ("/accounts", "/bank-a", ("/bank-a/accounts",)),
        ("/accounts/{id}", "", ("/accounts/{*}",)),
        ("/files/*", "", ("/files/*",)),
        ("/v1/items/{item}/parts/*", "/t", ("/t/v1/items/{*}/parts/{**}",)),
    ],
)
def test_a_path_is_spelled_as_istio_compares_it(path: str, prefix: str, spelled: tuple[str, ...]) -> None:
    assert paths(path, prefix) == spelled


@given(PATTERNS, REQUESTS)
def test_the_spelling_means_what_the_settings_mean(pattern: str, path: str) -> None:
    assert any(template_matches(spelled, path) for spelled in paths(pattern)) == oracle.matches(pattern, path)


@given(PATTERNS, REQUESTS)
@example("/{x}/a.b", "/c/aXb")
def test_the_gateway_routes_what_it_authorizes_and_nothing_else(pattern: str, path: str) -> None:
    public, match = "/bank-a" + path, uri_match(pattern, "/bank-a")
    routed = {
        "exact": lambda value: public == value,
        "prefix": public.startswith,
        "regex": lambda value: re.fullmatch(value, public) is not None,
    }
    ((kind, value),) = match.items()
    assert routed[kind](value) == any(template_matches(spelled, public) for spelled in paths(pattern, "/bank-a"))


@pytest.mark.parametrize(
    "operations",
    [
        (),
        (OperationSettings.model_construct(methods=(), paths=("/a",)),),
        (OperationSettings.model_construct(methods=("GET",), paths=()),),
        (OperationSettings(methods=("GET",), paths=("/a",)), OperationSettings.model_construct(methods=(), paths=("/b",))),
    ],
)
def test_an_empty_list_is_never_compiled_to_everything(operations: tuple[OperationSettings, ...]) -> None:
    with pytest.raises(ValueError, match="would be compiled to everything"):
        rule_operations(operations)


def test_a_services_rule_names_its_one_port() -> None:
    one = OperationSettings(methods=("GET",), paths=("/a",))
    assert [entry["operation"]["ports"] for entry in rule_operations((one,), port=8080)] == [["8080"]]


def test_order_and_repetition_in_the_settings_change_nothing() -> None:
    one = OperationSettings(methods=("GET", "POST"), paths=("/b", "/a"))
    turned = OperationSettings(methods=("POST", "GET"), paths=("/a", "/b"))
    other = OperationSettings(methods=("GET",), paths=("/c",))
    assert rule_operations((one, other)) == rule_operations((other, turned))


@given(PATTERNS, PATTERNS, REQUESTS)
def test_paths_that_share_a_request_are_known_to_overlap(one: str, other: str, path: str) -> None:
    if oracle.matches(one, path) and oracle.matches(other, path):
        assert overlap(one, other)


@pytest.mark.parametrize(
    ("one", "other"), [("/a/{x}", "/a/b/c"), ("/a", "/b"), ("/a/*", "/b/*"), ("/a", "/a/b"), ("/", "/{x}/y")]
)
def test_paths_apart_are_not_taken_for_overlapping(one: str, other: str) -> None:
    assert not overlap(one, other)


@pytest.mark.parametrize("path", ["/{any}", "/accounts/{number}", "/accounts/*"])
def test_two_routes_of_a_tenant_never_mean_one_request(path: str) -> None:
    tree = changed("prod")
    second = {**tree["access"]["routes"]["bank-a-web"], "operations": [{"methods": ["GET"], "paths": [path]}]}
    tree["access"]["routes"]["bank-a-second"] = second
    with pytest.raises(SettingsError, match=r"access\.routes\.bank-a-web = .*: bank-a-second routes such a request already"):
        load(tree)
    second["operations"][0]["methods"] = ["DELETE"]
    assert load(tree)


def test_the_paths_of_random_graphs_cover_every_form() -> None:
    forms = {spelled for path in PATHS for spelled in paths(path)}
    assert any("{**}" in form for form in forms)
    assert any(form.endswith("/*") for form in forms)


def test_labels_of_different_parts_differ() -> None:
    assert dns_label("a-b", "c") != dns_label("a", "b-c")
    long = dns_label(*["x" * 250])
    assert len(long) <= 63
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", long)
