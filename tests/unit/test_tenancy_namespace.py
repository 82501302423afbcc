"""Namespaces, limits and accounts: what a tenant's pods may be, how many, and that what is declared fits.

The API server judges the objects themselves in the manifests tier; here their content is held to the graph and to each other.
"""

from typing import Any

import pytest

from components.backup.databases import tenant_archives
from components.decision.container import opa_container, opa_volumes
from components.graph.model import Graph
from components.graph.names import (
    BACKUP_NAMESPACE,
    CHAOS_NAMESPACE,
    NODE_TELEMETRY_NAMESPACE,
    PLATFORM_NAMESPACES,
    RUNNER_NAMESPACE,
    RUNTIME_NAMESPACE,
    SPIRE_SYSTEM_NAMESPACE,
    TENANT_LABEL,
)
from components.identity.registration import region_objects
from components.settings import SettingsError, load
from components.settings.tenants import VAULT_CPU_MILLICORES, VAULT_MEMORY_MEBIBYTES, mebibytes, millicores
from components.tenancy.namespace import INJECTION, namespace_objects, platform_namespaces
from components.tenancy.stores import store_objects
from components.tenancy.workloads import workload_objects
from components.vault.delivery import delivery
from tests.support.program import STACKS, changed

HOME = "eu-west-1"
MODES = ("enforce", "audit", "warn")
ON_THE_HOST = {
    BACKUP_NAMESPACE,
    CHAOS_NAMESPACE,
    NODE_TELEMETRY_NAMESPACE,
    RUNTIME_NAMESPACE,
    SPIRE_SYSTEM_NAMESPACE,
}
"""Whose agents need the node's own files, processes or kernel; that no other chart does, the charts' tests show."""
BY_THEMSELVES = {RUNNER_NAMESPACE}
"""Whose pods fetch their identity without a proxy, for Vault, and speak to nobody in the mesh."""
PROXY_REQUESTS = {"cpu": "sidecar.istio.io/proxyCPU", "memory": "sidecar.istio.io/proxyMemory"}


def graph_of(data: dict[str, Any]) -> Graph:
    return Graph.of(load(data))


def refusals(data: dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load(data)
    return caught.value.sentences


def kinds(objects: tuple[dict[str, Any], ...], kind: str) -> list[dict[str, Any]]:
    return [each for each in objects if each["kind"] == kind]


@pytest.mark.parametrize("stack", STACKS)
def test_every_namespace_holds_its_pods_to_a_stated_level_at_the_clusters_minor_version(stack):
    graph = graph_of(changed(stack))
    tenants = [each for tenant in graph.tenants for each in kinds(namespace_objects(graph, HOME, tenant), "Namespace")]
    platform = platform_namespaces(graph.settings)
    assert [each["metadata"]["name"] for each in tenants] == list(graph.tenants)
    assert {each["metadata"]["name"] for each in platform} == set(PLATFORM_NAMESPACES)
    for each in (*tenants, *platform):
        labels, name = each["metadata"]["labels"], each["metadata"]["name"]
        level = "privileged" if name in ON_THE_HOST else "restricted"
        assert {labels[f"pod-security.kubernetes.io/{mode}"] for mode in MODES} == {level}, name
        assert {labels[f"pod-security.kubernetes.io/{mode}-version"] for mode in MODES} == {
            f"v{graph.settings.cluster.kubernetes_version}"
        }, name


def test_a_sidecar_is_injected_exactly_where_somebody_is_registered_with_spire():
    graph = graph_of(changed("dev"))
    registered = {
        each["spec"]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for each in region_objects(graph, HOME)
    }
    labels = {each["metadata"]["name"]: each["metadata"]["labels"] for each in platform_namespaces(graph.settings)}
    assert {name for name, each in labels.items() if each[INJECTION] == "enabled"} == registered - BY_THEMSELVES
    assert {each[INJECTION] for each in labels.values()} == {"enabled", "disabled"}
    for tenant in graph.tenants:
        made = namespace_objects(graph, HOME, tenant)[0]["metadata"]["labels"]
        assert (made[INJECTION], made[TENANT_LABEL]) == ("enabled", tenant)


def test_each_workload_has_an_account_and_none_has_a_token():
    graph = graph_of(changed("dev"))
    for tenant in graph.tenants:
        accounts = kinds(namespace_objects(graph, HOME, tenant), "ServiceAccount")
        stores = kinds(store_objects(graph, HOME, tenant), "ServiceAccount")
        names = [each["metadata"]["name"] for each in accounts]
        assert names == ["default", *(workload.name for workload in graph.workloads_of(tenant, HOME))]
        assert {each["automountServiceAccountToken"] for each in (*accounts, *stores)} == {False}


def test_an_account_exists_only_in_the_regions_its_workload_runs_in():
    data = changed("dev")
    data["tenants"]["bank-a"]["services"]["frontend"]["regions"] = ["eu-central-1"]
    graph = graph_of(data)
    names = [each["metadata"]["name"] for each in kinds(namespace_objects(graph, HOME, "bank-a"), "ServiceAccount")]
    assert "frontend" not in names
    assert "api-ms" in names


def test_no_tenant_can_open_a_way_in_beside_the_ingress_gateway():
    graph = graph_of(changed("dev"))
    hard = kinds(namespace_objects(graph, HOME, "bank-a"), "ResourceQuota")[0]["spec"]["hard"]
    assert (hard["services.loadbalancers"], hard["services.nodeports"]) == ("0", "0")


def test_a_container_that_states_nothing_is_bounded_and_no_default_undercuts_what_another_requests():
    graph = graph_of(changed("dev"))
    (limit,) = kinds(namespace_objects(graph, HOME, "bank-a"), "LimitRange")[0]["spec"]["limits"]
    assert set(limit["defaultRequest"]) == {"cpu", "memory"}
    assert mebibytes(limit["defaultRequest"]["memory"]) <= mebibytes(limit["default"]["memory"])
    assert "cpu" not in limit["default"]


def needed(graph: Graph, tenant: str) -> dict[str, int]:
    """What the compiled objects of a tenant ask for while every workload rolls: from the pods, not from the settings' rule."""
    total = {"cpu": 0, "memory": 0, "pods": 0, "storage": 0}
    archivers = {
        each["metadata"]["name"]: each["spec"]["instanceSidecarConfiguration"]["resources"]
        for each in kinds(tenant_archives(graph, HOME, tenant), "ObjectStore")
    }

    def add(count: int, cpu: int, memory: int) -> None:
        total["pods"] += count
        total["cpu"] += count * cpu
        total["memory"] += count * memory

    for workload in graph.workloads_of(tenant, HOME):
        fetched = delivery(graph, HOME, workload)
        deployment = workload_objects(
            graph,
            HOME,
            workload,
            sidecars=[opa_container(graph.settings.images.opa, workload)],
            helpers=fetched.containers,
            volumes=[*opa_volumes(workload), *fetched.volumes],
        )[0]["spec"]
        template = deployment["template"]
        containers = [*template["spec"]["containers"], *template["spec"].get("initContainers", [])]
        requests = [each["resources"]["requests"] for each in containers]
        if not fetched.containers:
            # An edge to a database may come any day: the settings hold room for what fetches its credential.
            requests.append({"cpu": f"{VAULT_CPU_MILLICORES}m", "memory": f"{VAULT_MEMORY_MEBIBYTES}Mi"})
        proxy = {key: template["metadata"]["annotations"][name] for key, name in PROXY_REQUESTS.items()}
        add(
            deployment["replicas"] + deployment["strategy"]["rollingUpdate"]["maxSurge"],
            sum(millicores(each["cpu"]) for each in (*requests, proxy)),
            sum(mebibytes(each["memory"]) for each in (*requests, proxy)),
        )
        limits = [each["resources"]["limits"]["memory"] for each in containers]
        assert limits == [each["memory"] for each in requests[: len(containers)]], "one quota bounds requests and limits"
    for store in store_objects(graph, HOME, tenant):
        if store["kind"] == "Cluster":
            spec = store["spec"]
            ask = spec["resources"]["requests"]
            beside = archivers[store["metadata"]["name"]]
            add(
                spec["instances"] + 1,
                millicores(ask["cpu"]) + millicores(beside["requests"]["cpu"]),
                # Of the plug-in the limit is the larger, and one quota bounds both.
                mebibytes(ask["memory"]) + mebibytes(beside["limits"]["memory"]),
            )
            total["storage"] += spec["instances"] * mebibytes(spec["storage"]["size"]) // 1024
        if store["kind"] == "StatefulSet":
            ask = store["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]
            add(store["spec"]["replicas"], millicores(ask["cpu"]), mebibytes(ask["memory"]))
    return total


@pytest.mark.parametrize("tenant", ["bank-a", "bank-b", "shared"])
@pytest.mark.parametrize("stack", STACKS)
def test_a_quota_that_the_compiled_pods_need_to_the_last_unit_loads_and_one_less_does_not(stack, tenant):
    need = needed(graph_of(changed(stack)), tenant)
    exact = {
        "cpu": f"{need['cpu']}m",
        "memory": f"{need['memory']}Mi",
        "pods": need["pods"],
        "storage": f"{need['storage'] or 1}Gi",
    }
    data = changed(stack)
    data["tenants"][tenant]["quota"] = exact
    assert graph_of(data).tenants
    less = {
        "cpu": f"{need['cpu'] - 1}m",
        "memory": f"{need['memory'] - 1}Mi",
        "pods": need["pods"] - 1,
        **({"storage": f"{need['storage'] - 1}Gi"} if need["storage"] else {}),
    }
    for key, value in less.items():
        data["tenants"][tenant]["quota"] = {**exact, key: value}
        (sentence,) = refusals(data)
        assert sentence.startswith(f"tenants.{tenant}.quota.{key} = ")
        assert f"at least {exact[key]}" in sentence


@pytest.mark.parametrize(
    ("kind", "name", "wanted", "word"),
    [
        ("services", "default", {"image": f"registry.internal/x@sha256:{'a' * 64}", "processes": ["x"]}, "service account"),
        ("services", "ledger-rw", {"image": f"registry.internal/x@sha256:{'a' * 64}", "processes": ["x"]}, "ledger"),
        ("caches", "ledger-ro", {"memory": "64Mi"}, "ledger"),
    ],
)
def test_a_name_that_kubernetes_or_the_database_operator_uses_is_refused(kind, name, wanted, word):
    data = changed("dev")
    data["tenants"]["bank-a"][kind][name] = wanted
    (sentence,) = refusals(data)
    assert sentence.startswith(f"tenants.bank-a.{kind}.{name} = ")
    assert word in sentence


def test_no_service_runs_as_the_proxys_user_whose_traffic_is_not_redirected():
    data = changed("dev")
    data["tenants"]["bank-a"]["services"]["api-ms"]["user_id"] = 1337
    (sentence,) = refusals(data)
    assert sentence.startswith("tenants.bank-a.services.api-ms.user_id = 1337")
