"""What an attacker found once stays closed: settings and objects that gave somebody more than the access graph does.

Pure: the settings' refusals and the compiled objects. What the engines answer to the same attacks is `tests/manifests`.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.graph.model import Graph
from components.graph.names import CLUSTER_DOMAIN, EVERY_REGION_DOMAIN, GATEWAYS, PLATFORM_NAMESPACES
from components.settings import CONFIG_KEY, SettingsError, load
from components.settings.tenants import POD_CONTAINERS
from components.tenant import tenant_layers
from tests.support.program import changed

SHOP = Path(__file__).parents[2] / "examples" / "ecommerce" / "Pulumi.dev.yaml"
REGION = "eu-west-1"


def shop() -> dict[str, Any]:
    tree: dict[str, Any] = yaml.safe_load(SHOP.read_text())["config"][CONFIG_KEY]
    return tree


def client_certificates(tree: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """(authority, name in it, namespace, secret) of every certificate that opens a store as a client, PostgreSQL's own aside."""
    graph = Graph.of(load(tree, "a stack"))
    compiled = (each for tenant in graph.tenants for layer in tenant_layers(graph, REGION, tenant).values() for each in layer)
    found = []
    for each in compiled:
        spec, namespace = each.get("spec", {}), each["metadata"].get("namespace", "")
        if each["kind"] != "Certificate" or "client auth" not in spec["usages"] or spec["commonName"] == "streaming_replica":
            continue
        issuer = spec["issuerRef"]
        authority = issuer["name"] if issuer["kind"] == "ClusterIssuer" else f"{namespace}/{issuer['name']}"
        found.append((authority, spec["commonName"], namespace, spec["secretName"]))
    return found


def namesakes_in_a_product() -> dict[str, Any]:
    """Two namespaces of a product, each with a service `api` and a cache `redis` of its own."""
    tree = shop()
    tenants, data = tree["tenants"], tree["access"]["data"]
    tenants["frontend"]["services"]["api"] = {**tenants["frontend"]["services"]["web"]}
    tenants["data"]["services"] = {"api": {**tenants["frontend"]["services"]["web"]}}
    tenants["frontend"]["caches"] = {"redis": {**tenants["data"]["caches"]["redis"]}}
    data["front-own"] = {"service": "frontend/api", "store": "frontend/redis"}
    data["data-own"] = {"service": "data/api", "store": "data/redis"}
    return tree


@pytest.mark.parametrize("tree", [changed("dev"), changed("prod"), namesakes_in_a_product()], ids=["dev", "prod", "namesakes"])
def test_no_two_holders_of_client_certificates_have_one_name_with_one_authority(tree):
    holders = {(authority, name, namespace) for authority, name, namespace, _ in client_certificates(tree)}
    names = Counter((authority, name) for authority, name, _ in holders)
    assert names
    assert [name for name, count in names.items() if count > 1] == []


def test_a_cache_admits_its_clients_under_the_names_of_their_certificates():
    tree = namesakes_in_a_product()
    graph = Graph.of(load(tree, "the shop"))
    layers = tenant_layers(graph, REGION, "data").values()
    config = next(
        each["data"]["valkey.conf"]
        for layer in layers
        for each in layer
        if each["kind"] == "ConfigMap" and each["metadata"]["name"] == "redis-config"
    )
    users = {line.split()[1] for line in config.splitlines() if line.startswith("user ")} - {"default"}
    named = {name for _, name, _, _ in client_certificates(tree)}
    assert {"data.api", "data.redis"} <= users <= named
    assert not users & {"frontend.redis", "api", "redis"}


Edit = Callable[[dict[str, Any]], None]


def refusal(edit: Edit) -> str:
    """What loading the edited dev stack says."""
    tree = changed("dev")
    edit(tree)
    with pytest.raises(SettingsError) as refused:
        load(tree, "dev")
    return str(refused.value)


@pytest.mark.parametrize("port", [8282, 9191, 15000, 15001, 15006, 15020, 15021, 15090])
def test_no_service_listens_where_istio_redirects_nothing_or_the_pod_has_a_listener(port):
    def edit(tree: dict[str, Any]) -> None:
        tree["tenants"]["bank-b"]["services"]["trans-ms"]["port"] = port

    assert f"trans-ms.port = {port}" in refusal(edit)


@pytest.mark.parametrize("name", ["opa", "istio-proxy", "istio-init", "istio-validation"])
def test_no_service_is_called_like_a_container_beside_it(name):
    def edit(tree: dict[str, Any]) -> None:
        services = tree["tenants"]["shared"]["services"]
        services[name] = services["notifications"]

    assert f"services.{name}" in refusal(edit)


def test_every_container_beside_the_application_is_a_refused_name():
    graph = Graph.of(load(changed("dev"), "dev"))
    layers = tenant_layers(graph, REGION, "bank-a").values()
    beside = {
        container["name"]
        for layer in layers
        for each in layer
        if each["kind"] == "Deployment"
        for container in each["spec"]["template"]["spec"]["containers"]
        if container["name"] != each["metadata"]["name"]
    }
    assert beside
    assert beside <= POD_CONTAINERS


@pytest.mark.parametrize("path", ["/{anything}", "/bank-a/accounts", "/bank-a", "/bank-a/{id}"])
def test_the_path_that_needs_no_token_is_exact_and_no_tenants(path):
    def edit(tree: dict[str, Any]) -> None:
        tree["edge"]["failover"] = {"health_path": path}

    assert "health_path" in refusal(edit)


@pytest.mark.parametrize(
    "issuer", ["https://api.dev.clearing.example/realms/clearing", "https://id.api.dev.clearing.example/realms/master"]
)
def test_the_issuer_has_a_host_and_a_realm_of_its_own(issuer):
    def edit(tree: dict[str, Any]) -> None:
        tree["identity"]["issuer"] = issuer

    assert "identity.issuer" in refusal(edit)


@pytest.mark.parametrize(
    "host",
    [f"trans-ms.bank-b.svc.{CLUSTER_DOMAIN}", f"trans-ms.bank-b.{EVERY_REGION_DOMAIN}", "spire.eu-west-1.dev.mycompany.internal"],
)
def test_no_egress_edge_leads_back_into_the_platform(host):
    def edit(tree: dict[str, Any]) -> None:
        tree["access"]["egress"]["bank-a-rates"]["host"] = host

    assert "bank-a-rates.host" in refusal(edit)


@pytest.mark.parametrize(
    "name", [*PLATFORM_NAMESPACES, *(gateway.name for gateway in GATEWAYS), "limits", "issuer", "cilium-secrets"]
)
def test_no_tenant_takes_a_name_of_the_platform(name):
    def edit(tree: dict[str, Any]) -> None:
        tree["tenants"][name] = {"display_name": "Impostor"}

    assert f"tenants.{name}" in refusal(edit)


@pytest.mark.parametrize("policy", ["admin", "edit"])
@pytest.mark.parametrize("namespace", ["kube-system", "istio-system", "spire-server", "default"])
def test_nobody_else_makes_pods_beside_the_platforms(policy, namespace):
    role = "arn:aws:iam::111122223333:role/bank-a-operators"

    def edit(tree: dict[str, Any]) -> None:
        tree["cluster"]["access"]["operators"] = {"principal": role, "policy": policy, "namespaces": ["bank-a", namespace]}

    said = refusal(edit)
    assert "cluster.access.operators.namespaces" in said
    assert namespace in said


def test_a_tenants_operators_may_be_given_its_own_namespace():
    tree = changed("dev")
    role = "arn:aws:iam::111122223333:role/bank-a-operators"
    tree["cluster"]["access"]["operators"] = {"principal": role, "policy": "edit", "namespaces": ["bank-a"]}
    assert load(tree, "dev").cluster.access["operators"].namespaces == ("bank-a",)
