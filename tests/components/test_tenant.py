"""A tenant's layers as resources: the order between them, whose they are, and that no tenant's change another's."""

import functools
import json
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import pytest

from components.graph.model import Graph
from components.settings import load
from components.tenant import BEFORE, COMPILERS, Tenant, TenantArgs, tenant_layers
from tests.support.monitor import Recording, Registered, plain, record
from tests.support.order import reached
from tests.support.program import changed

HOME, OTHER = "eu-west-1", "eu-central-1"
GATE = "a-release"
NEW = {
    "display_name": "Bank C",
    "services": {"api-ms": {"image": f"registry.internal/c@sha256:{'c' * 64}", "processes": ["python"]}},
    "caches": {"sessions": {"memory": "64Mi"}},
}


def third(data: dict[str, Any]) -> dict[str, Any]:
    """The settings with one more tenant, which has a store and is called by nobody."""
    data["tenants"]["bank-c"] = NEW
    data["access"]["data"]["bank-c-sessions"] = {"service": "bank-c/api-ms", "store": "bank-c/sessions"}
    data["access"]["egress"]["bank-c-rates"] = {"service": "bank-c/api-ms", "host": "rates.ecb.europa.eu"}
    return data


@functools.cache
def recorded(settings: str, without: frozenset[str] = frozenset()) -> Recording:
    graph = Graph.of(load(json.loads(settings)))

    def program() -> None:
        provider = k8s.Provider("cluster", kubeconfig="{}")
        gate = k8s.core.v1.ConfigMap(GATE, opts=pulumi.ResourceOptions(provider=provider))
        for tenant in graph.tenants:
            args = TenantArgs(
                graph=graph, region=HOME, tenant=tenant, after={"identity": [gate], "stores": [gate]}, without=without
            )
            made = Tenant(f"{HOME}-{tenant}", args, opts=pulumi.ResourceOptions(providers=[provider]))
            assert len(made.ready) == len([each for each in made.layers.values() if each.objects])

    return record(program)


def shipped() -> Recording:
    return recorded(json.dumps(changed("dev")))


def below(recording: Recording, tenant: str, layer: str) -> list[Registered]:
    (parent,) = [each for each in recording.resources if each.name == f"{HOME}-{tenant}-{layer}"]
    return recording.children(parent)


def test_each_layer_holds_exactly_what_its_compiler_made():
    graph, recording = Graph.of(load(changed("dev"))), shipped()
    for tenant in graph.tenants:
        for layer, objects in tenant_layers(graph, HOME, tenant).items():
            found = [(each.inputs["kind"], each.inputs["metadata"]["name"]) for each in below(recording, tenant, layer)]
            assert sorted(found) == sorted((each["kind"], each["metadata"]["name"]) for each in objects)


def test_every_object_goes_to_the_cluster_that_the_caller_gave():
    recording = shipped()
    (provider,) = recording.of("pulumi:providers:kubernetes")
    objects = [each for each in recording.resources if each.custom and each.type.startswith("kubernetes:")]
    assert len(objects) > 200
    assert {each.provider for each in objects} == {provider.urn}


def test_no_object_is_made_before_every_object_of_the_layers_before_its_own():
    recording = shipped()
    behind = reached(recording)
    graph = Graph.of(load(changed("dev")))
    for tenant in graph.tenants:
        for layer, earlier in BEFORE.items():
            for each in below(recording, tenant, layer):
                for before in earlier:
                    awaited = {other.urn for other in below(recording, tenant, before)}
                    assert awaited <= behind[each.urn], (each.name, before)


def test_a_pod_is_never_made_before_a_rule_that_holds_it():
    first = set(COMPILERS) - {"workloads", "monitors"}
    assert set(BEFORE["workloads"]) == first
    assert {"namespace", "network"} <= set(BEFORE["stores"])
    assert list(BEFORE) == list(COMPILERS)


def test_a_layer_waits_for_what_brings_its_kinds_and_no_other_does():
    recording = shipped()
    (gate,) = [each for each in recording.resources if each.name == GATE]
    waiting = {layer for layer in COMPILERS for each in below(recording, "bank-a", layer) if gate.urn in each.dependencies}
    # Only a direct dependency is in the record: the workloads wait through the stores.
    assert waiting == {"identity", "stores"}
    for layer in waiting:
        assert all(gate.urn in each.dependencies for each in below(recording, "bank-a", layer))


def test_what_the_responder_writes_is_made_once_and_never_reset():
    recording = shipped()
    for tenant in ("bank-a", "bank-b", "shared"):
        risk, *rights = below(recording, tenant, "risk")
        assert [each.inputs["metadata"]["name"] for each in rights] == ["risk-responder"] * len(rights)
        assert (risk.inputs["metadata"]["name"], risk.ignore_changes) == ("workload-risk", ("data",))
        ignoring = [each.name for layer in COMPILERS for each in below(recording, tenant, layer) if each.ignore_changes]
        assert ignoring == [risk.name]


def test_a_third_tenant_by_settings_adds_resources_and_changes_none():
    before, after = shipped(), recorded(json.dumps(third(changed("dev"))))

    def by_urn(recording: Recording) -> dict[str, Any]:
        return {
            each.urn: (each.type, plain(each.inputs), each.parent, each.provider, each.dependencies, each.ignore_changes)
            for each in recording.resources
        }

    old, new = by_urn(before), by_urn(after)
    assert {urn: new.get(urn) for urn in old} == old
    added = [each for each in after.resources if each.urn not in old]
    assert {each.name.startswith(f"{HOME}-bank-c") for each in added} == {True}
    assert {each.name.split("-")[5] for each in added if each.custom} >= {"namespace", "identity", "network", "mesh", "workloads"}


def test_a_new_edge_between_tenants_changes_nothing_of_a_third():
    data = changed("dev")
    graph = Graph.of(load(data))
    data["access"]["calls"]["more"] = {
        "caller": "bank-b/worker",
        "callee": "bank-a/auth-ms",
        "operations": [{"methods": ["GET"], "paths": ["/x"]}],
        "reach": "every_region",
    }
    wider = Graph.of(load(data))
    for region in (HOME, OTHER):
        assert tenant_layers(wider, region, "shared") == tenant_layers(graph, region, "shared")
        assert tenant_layers(wider, region, "bank-a") != tenant_layers(graph, region, "bank-a")


def test_scraping_may_come_later_and_nothing_that_enforces_may():
    graph = Graph.of(load(changed("dev")))
    recording = recorded(json.dumps(changed("dev")), frozenset({"monitors"}))
    assert not [each for each in recording.resources if "monitoring.coreos.com" in each.type]
    assert [each for each in shipped().resources if "monitoring.coreos.com" in each.type]
    for layer in set(COMPILERS) - {"monitors"}:
        with pytest.raises(ValueError, match=f"no tenant stands without its {layer}"):
            TenantArgs(graph=graph, region=HOME, tenant="bank-a", without=frozenset({layer}))
