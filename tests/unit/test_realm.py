"""The realm as it is imported: clients of tenants and of the platform's pages, and every scope that they name.

Not proven here: Keycloak's reading of the file, and a login.
"""

import json
from typing import Any

import pytest

from components.assembly.service_mesh import pages
from components.cni.policies import Hosts
from components.cni.policies_observability import observability_policies
from components.graph.model import Graph
from components.identity.issuer import realm
from components.observability.grafana import grafana_ini
from components.settings import load
from tests.support.program import STACKS, changed


def graph_of(stack: str = "dev", **sections: Any) -> Graph:
    return Graph.of(load({**changed(stack), **sections}))


def document(graph: Graph) -> dict[str, Any]:
    identity = graph.settings.identity
    return realm(
        "https://id.bank.example/realms/bank",
        tuple(graph.clients.values()),
        audience="https://api.bank.example",
        token_minutes=identity.access_token_ttl_minutes,
        pages=pages(graph.settings),
    )


def claims(said: dict[str, Any], client: str) -> set[str]:
    """Claims that the scopes of a client put into its tokens."""
    [found] = [each for each in said["clients"] if each["clientId"] == client]
    scopes = {each["name"]: each for each in said["clientScopes"]}
    mappers = [mapper for name in found["defaultClientScopes"] for mapper in scopes[name].get("protocolMappers", ())]
    return {mapper["config"].get("claim.name", mapper["name"]) for mapper in mappers}


@pytest.mark.parametrize("stack", STACKS)
def test_every_scope_that_a_client_names_is_in_the_file_which_brings_none_of_keycloaks_own(stack):
    said = document(graph_of(stack))
    named = {scope for client in said["clients"] for kind in ("default", "optional") for scope in client[f"{kind}ClientScopes"]}
    defined = [scope["name"] for scope in said["clientScopes"]]
    assert named <= set(defined)
    assert len(defined) == len(set(defined))


def test_every_token_says_who_somebody_is():
    graph = graph_of()
    said = document(graph)
    for client in said["clients"]:
        assert "sub" in claims(said, client["clientId"])


def test_grafana_is_a_public_client_told_its_two_roles_and_no_pass_to_the_api():
    graph = graph_of()
    said = document(graph)
    [page] = [each for each in said["clients"] if each["clientId"] == "grafana"]
    assert page["publicClient"]
    assert page["attributes"]["pkce.code.challenge.method"] == "S256"
    assert page["redirectUris"] == [grafana_ini(graph)["server"]["root_url"] + "/login/generic_oauth"]
    assert {"roles", "email", "preferred_username"} <= claims(said, "grafana")
    assert set(grafana_ini(graph)["auth.generic_oauth"]["scopes"].split()) - {"openid"} <= set(page["defaultClientScopes"])
    wanted = graph.settings.observability.dashboards
    assert said["scopeMappings"] == [{"client": "grafana", "roles": sorted((wanted.admin_role, wanted.viewer_role))}]
    assert page["fullScopeAllowed"] is False
    assert "api.bank.example" not in json.dumps(page)
    assert "secret" not in json.dumps(page).lower()


def test_argo_cd_is_a_client_with_groups_exactly_where_it_is_installed():
    off = document(graph_of(delivery={}))
    assert "argocd" not in {each["clientId"] for each in off["clients"]}
    graph = graph_of(delivery={"gitops": {"enabled": True, "host": "argocd.bank.example"}})
    said = document(graph)
    [page] = [each for each in said["clients"] if each["clientId"] == "argocd"]
    assert page["redirectUris"][0] == "https://argocd.bank.example/pkce/verify"
    assert "groups" in claims(said, "argocd")
    assert "*" not in "".join(page["redirectUris"])


def test_with_an_external_issuer_grafana_asks_its_endpoints_and_may_reach_them():
    urls = {key: f"https://{host}.bank.example/{key}" for key, host in (("auth_url", "login"), ("token_url", "token"))}
    login = {**urls, "userinfo_url": "https://token.bank.example/me"}
    graph = graph_of(observability={"dashboards": {"login": login}})
    asked = grafana_ini(graph)["auth.generic_oauth"]
    assert (asked["auth_url"], asked["token_url"], asked["api_url"]) == tuple(login.values())
    [policy] = [each for each in observability_policies(graph, graph.regions[0]) if each.name == "grafana-issuer"]
    assert [flow.peer.names for flow in policy.egress if isinstance(flow.peer, Hosts)] == [("token.bank.example",)]
