"""Stores used across the namespaces of a product: one authority, certificates where they are mounted, clients told apart."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from components.certificates import product_issuer
from components.graph.model import Graph
from components.operators.cert_manager import chart_values
from components.settings import CONFIG_KEY, SettingsError, load
from components.tenancy.stores import valkey_of
from components.tenant import tenant_layers
from tests.support.program import changed

SHOP = Path(__file__).parents[2] / "examples" / "ecommerce" / "Pulumi.dev.yaml"


def shop() -> dict[str, Any]:
    tree: dict[str, Any] = yaml.safe_load(SHOP.read_text())["config"][CONFIG_KEY]
    return tree


def objects(graph: Graph, region: str = "eu-west-1") -> list[dict[str, Any]]:
    return [each for tenant in graph.tenants for layer in tenant_layers(graph, region, tenant).values() for each in layer]


@pytest.mark.parametrize("tree", [changed("dev"), changed("prod"), shop()], ids=["dev", "prod", "shop"])
def test_every_secret_a_pod_mounts_is_made_in_its_own_namespace(tree):
    compiled = objects(Graph.of(load(tree, "a stack")))
    made = {(each["metadata"]["namespace"], each["spec"]["secretName"]) for each in compiled if each["kind"] == "Certificate"}
    mounted = {
        (each["metadata"]["namespace"], volume["secret"]["secretName"])
        for each in compiled
        if each["kind"] in {"Deployment", "StatefulSet"}
        for volume in each["spec"]["template"]["spec"]["volumes"]
        if "secret" in volume
    }
    assert mounted
    assert mounted <= made


def test_a_products_certificates_hang_from_its_one_authority_and_no_other_tenants_do():
    compiled = objects(Graph.of(load(shop(), "the shop")))
    issuers = {each["spec"]["issuerRef"]["name"] for each in compiled if each["kind"] == "Certificate"}
    assert issuers == {product_issuer("shop").name}
    banks = objects(Graph.of(load(changed("dev"), "dev")))
    assert {each["spec"]["issuerRef"]["kind"] for each in banks if each["kind"] == "Certificate"} == {"Issuer"}


def test_a_store_tells_services_of_equal_name_in_two_namespaces_apart():
    tree = shop()
    tree["tenants"]["frontend"]["services"]["api"] = {**tree["tenants"]["frontend"]["services"]["web"]}
    tree["access"]["data"]["front-api-redis"] = {"service": "frontend/api", "store": "data/redis", "privileges": "read"}
    graph = Graph.of(load(tree, "the shop"))
    assert valkey_of(graph, graph.stores["data/redis"]).users == {"services.api": "read_write", "frontend.api": "read"}


def test_tenants_of_different_products_never_share_a_store():
    tree = shop()
    tree["tenants"]["services"]["product"] = "other"
    with pytest.raises(SettingsError, match="own tenant or product"):
        load(tree, "the shop")


def test_only_the_issuers_of_products_are_approved_besides_a_namespaces_own():
    assert chart_values()["approveSignerNames"] == ["issuers.cert-manager.io/*"]
    approved = chart_values(["product-shop"])["approveSignerNames"]
    assert approved == ["issuers.cert-manager.io/*", "clusterissuers.cert-manager.io/product-shop"]
