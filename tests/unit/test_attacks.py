"""What an attacker found once stays closed: settings and objects that gave somebody more than the access graph does.

Pure: the settings' refusals and the compiled objects. What the engines answer to the same attacks is `tests/manifests`.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.graph.model import Graph
from components.settings import CONFIG_KEY, load
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
