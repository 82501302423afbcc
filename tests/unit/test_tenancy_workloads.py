"""Services as pods: hardened whatever the settings say, named by the settings alone, and told where their stores are.

Does not prove that the API server admits them (manifests tier), nor what the injector adds.
"""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.cni.dns import store_names
from components.decision.container import opa_container, opa_volumes
from components.graph.model import Graph
from components.graph.names import REGION_REACH_LABEL, SERVICE_LABEL, SPIRE_SOCKET_FILE, TENANT_LABEL
from components.manifests import object_key
from components.mesh.scope import scope_hosts
from components.settings import load
from components.tenancy.stores import store_objects
from components.tenancy.workloads import environment, pod_spec, workload_monitor, workload_objects
from tests.support.program import STACKS, changed

HOME = "eu-west-1"
# Kubernetes, "Pod Security Standards", restricted.
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
HOST_FIELDS = ("hostNetwork", "hostPID", "hostIPC")
SERVICE = {"image": f"registry.internal/x@sha256:{'a' * 64}", "processes": ["x"], "replicas": 2, "cpu": "10m", "memory": "16Mi"}


def graph_of(data: dict[str, Any]) -> Graph:
    return Graph.of(load(data))


def pods(graph: Graph) -> dict[str, dict[str, Any]]:
    """Every pod template the tenancy makes, as it is sent, by `<tenant>/<name>`."""
    found = {}
    for tenant in graph.tenants:
        made = list(store_objects(graph, HOME, tenant))
        for workload in graph.workloads_of(tenant, HOME):
            beside = [opa_container(graph.settings.images.opa, workload)]
            made += workload_objects(graph, HOME, workload, sidecars=beside, volumes=opa_volumes(workload))
        for each in made:
            if "template" in each.get("spec", {}):
                found[f"{tenant}/{each['metadata']['name']}"] = each["spec"]["template"]
    return found


def waits(container: dict[str, Any]) -> int:
    return int(container["lifecycle"]["preStop"]["sleep"]["seconds"])


def test_while_a_pod_ends_its_calls_are_decided_as_long_as_they_reach_the_application():
    """Without OPA the proxy, which outlives both, refuses what callers still send."""
    served = [template["spec"] for name, template in pods(graph_of(changed("dev"))).items() if name.endswith("-ms")]
    assert served
    for spec in served:
        by_name = {one["name"]: one for one in spec["containers"]}
        application = by_name[spec["serviceAccountName"]]
        assert waits(application) < waits(by_name["opa"]) < spec["terminationGracePeriodSeconds"]


def violations(spec: dict[str, Any]) -> list[str]:
    """What the profile `restricted` forbids in a pod, in a word each."""
    outer = spec.get("securityContext", {})
    found = [key for key in HOST_FIELDS if spec.get(key)]
    found += [f"volume {kind}" for volume in spec["volumes"] for kind in volume if kind not in {*VOLUMES, "name"}]
    for container in (*spec["containers"], *spec.get("initContainers", [])):
        own = container.get("securityContext", {})
        caps = own.get("capabilities", {})
        checks = {
            "privileged": own.get("privileged", False) is False,
            "escalation": own.get("allowPrivilegeEscalation") is False,
            "capabilities": caps.get("drop") == ["ALL"] and set(caps.get("add", ())) <= {"NET_BIND_SERVICE"},
            "root": own.get("runAsNonRoot", outer.get("runAsNonRoot")) is True,
            "user": own.get("runAsUser", outer.get("runAsUser", 1)) != 0,
            "seccomp": own.get("seccompProfile", outer.get("seccompProfile", {})).get("type") in {"RuntimeDefault", "Localhost"},
            "hostPort": not any("hostPort" in port for port in container.get("ports", ())),
        }
        found += [word for word, kept in checks.items() if not kept]
    return found


@pytest.mark.parametrize("stack", STACKS)
def test_every_pod_keeps_the_restricted_profile(stack):
    found = pods(graph_of(changed(stack)))
    assert len(found) == 11
    assert {name: kept for name, template in found.items() if (kept := violations(template["spec"]))} == {}


@pytest.mark.parametrize(
    ("word", "path", "value"),
    [
        ("hostNetwork", ("hostNetwork",), True),
        ("volume hostPath", ("volumes", 0), {"name": "tmp", "hostPath": {"path": "/"}}),
        ("escalation", ("containers", 0, "securityContext", "allowPrivilegeEscalation"), True),
        ("privileged", ("containers", 1, "securityContext", "privileged"), True),
        ("capabilities", ("containers", 0, "securityContext", "capabilities"), {"drop": ["ALL"], "add": ["NET_ADMIN"]}),
        ("user", ("securityContext", "runAsUser"), 0),
        ("root", ("containers", 0, "securityContext", "runAsNonRoot"), False),
        ("seccomp", ("containers", 0, "securityContext", "seccompProfile"), {"type": "Unconfined"}),
        ("hostPort", ("containers", 0, "ports", 0, "hostPort"), 80),
    ],
)
def test_the_judgement_above_sees_each_single_violation(word, path, value):
    spec = copy.deepcopy(pods(graph_of(changed("dev")))["bank-a/api-ms"]["spec"])
    here: Any = spec
    for part in path[:-1]:
        here = here[part]
    here[path[-1]] = value
    assert violations(spec) == [word]


@pytest.mark.parametrize("stack", STACKS)
def test_every_container_is_probed_limited_read_only_and_pinned(stack):
    for name, template in pods(graph_of(changed(stack))).items():
        spec = template["spec"]
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["enableServiceLinks"] is False, name
        assert spec["serviceAccountName"] == name.split("/")[1]
        zones = [each for each in spec["topologySpreadConstraints"] if each["whenUnsatisfiable"] == "DoNotSchedule"]
        assert [each["topologyKey"] for each in zones] == ["topology.kubernetes.io/zone"], name
        for container in spec["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True, name
            assert "@sha256:" in container["image"], name
            assert {"readinessProbe", "livenessProbe"} <= set(container), name
            resources = container["resources"]
            assert {"cpu", "memory"} <= set(resources["requests"]) & set(resources["limits"]), name
            for variable in container.get("env", ()):
                assert "secretKeyRef" not in variable.get("valueFrom", {}), name
        for volume in spec["volumes"]:
            assert "emptyDir" not in volume or volume["emptyDir"]["sizeLimit"], name


def test_an_application_reaches_spire_through_the_csi_driver_and_cannot_write_there():
    graph = graph_of(changed("dev"))
    for workload in graph.workloads.values():
        spec = pod_spec(graph, workload)
        (volume,) = [each["name"] for each in spec["volumes"] if each.get("csi") == {"driver": "csi.spiffe.io", "readOnly": True}]
        (mount,) = [each for each in spec["containers"][0]["volumeMounts"] if each["name"] == volume]
        endpoint = {each["name"]: each["value"] for each in environment(graph, workload)}["SPIFFE_ENDPOINT_SOCKET"]
        assert mount["readOnly"] is True
        assert endpoint == f"unix://{mount['mountPath']}/{SPIRE_SOCKET_FILE}"


def test_a_rolling_update_never_takes_a_pod_before_its_replacement_serves():
    graph = graph_of(changed("dev"))
    for workload in graph.workloads.values():
        deployment, budget, *_ = workload_objects(graph, HOME, workload)
        strategy = deployment["spec"]["strategy"]["rollingUpdate"]
        assert (strategy["maxUnavailable"], strategy["maxSurge"]) == (0, 1)
        assert budget["spec"]["maxUnavailable"] < deployment["spec"]["replicas"]
        assert budget["spec"]["selector"]["matchLabels"].items() <= deployment["spec"]["template"]["metadata"]["labels"].items()


def test_a_deployments_selector_survives_a_new_image_and_a_new_reach():
    data = changed("dev")
    before = workload_objects(graph_of(data), HOME, graph_of(data).workloads["bank-b/auth-ms"])[0]
    data["tenants"]["bank-b"]["services"]["auth-ms"]["image"] = f"registry.internal/x@sha256:{'b' * 64}"
    data["access"]["calls"]["bank-b-api-to-auth"]["reach"] = "every_region"
    after = workload_objects(graph_of(data), HOME, graph_of(data).workloads["bank-b/auth-ms"])[0]
    assert after["spec"]["template"]["metadata"]["labels"] != before["spec"]["template"]["metadata"]["labels"]
    assert after["spec"]["selector"] == before["spec"]["selector"]
    assert set(after["spec"]["selector"]["matchLabels"]) == {SERVICE_LABEL, TENANT_LABEL}


def test_only_what_other_regions_may_call_carries_the_label_they_select_by():
    labelled = {
        name: template["metadata"]["labels"][REGION_REACH_LABEL]
        for name, template in pods(graph_of(changed("dev"))).items()
        if REGION_REACH_LABEL in template["metadata"]["labels"]
    }
    assert labelled == {"bank-b/trans-ms": "trans-ms"}


def test_nobody_can_name_a_worker_and_everybody_else_is_named_on_its_port():
    graph = graph_of(changed("dev"))
    for workload in graph.workloads.values():
        services = [each for each in workload_objects(graph, HOME, workload) if each["kind"] == "Service"]
        ports = [port["port"] for each in services for port in each["spec"]["ports"]]
        assert ports == ([] if workload.name == "worker" else [workload.settings.port])
        assert workload_monitor(graph, workload)["kind"] == ("PodMonitor" if workload.name == "worker" else "ServiceMonitor")


def test_a_workload_is_not_made_in_a_region_it_does_not_run_in():
    graph = graph_of(changed("dev"))
    with pytest.raises(ValueError, match="bank-a/api-ms does not run in us-east-1"):
        workload_objects(graph, "us-east-1", graph.workloads["bank-a/api-ms"])


def test_every_host_an_application_is_told_is_one_that_mesh_and_network_let_it_name():
    graph = graph_of(changed("dev"))
    told = 0
    for edge in graph.data:
        values = {each["name"]: each["value"] for each in environment(graph, edge.service)}
        host = values[f"{edge.store.name.upper().replace('-', '_')}_HOST"]
        names = {each.split("/")[1] for each in scope_hosts(graph, HOME, edge.service)}
        # One pod of a headless service is reached as a part of the service.
        assert any(host == name or host.endswith(f".{name}") for name in names), host
        assert host in store_names(edge.store)
        told += 1
    assert told == 5


def test_a_reader_is_sent_to_any_instance_and_a_writer_to_the_primary():
    graph = graph_of(changed("dev"))
    hosts = {
        name: {each["name"]: each["value"] for each in environment(graph, graph.workloads[name])}["LEDGER_HOST"].split(".")[0]
        for name in ("bank-b/trans-ms", "bank-b/worker")
    }
    assert hosts == {"bank-b/trans-ms": "ledger-rw", "bank-b/worker": "ledger-r"}


names = st.from_regex(r"[a-z][a-z0-9-]{0,8}[a-z0-9]", fullmatch=True).filter(lambda name: name != "default")


def compiled(graph: Graph, tenant: str) -> dict[str, Any]:
    made = [*store_objects(graph, HOME, tenant)]
    for workload in graph.workloads_of(tenant, HOME):
        made += workload_objects(graph, HOME, workload)
    keys = [object_key(each) for each in made]
    assert len(keys) == len(set(keys)), sorted(key for key in keys if keys.count(key) > 1)
    return dict(zip(keys, made, strict=True))


@settings(max_examples=30)
@given(tenant=names, services=st.lists(names, min_size=1, max_size=3, unique=True), addition=names)
def test_a_new_tenant_and_a_new_service_change_no_object_that_exists(tenant, services, addition):
    data = changed("dev")
    before = {name: compiled(graph_of(data), name) for name in data["tenants"]}
    if tenant in data["tenants"]:
        tenant = f"{tenant}x"
    data["tenants"][tenant] = {
        "display_name": "New",
        "services": {name: dict(SERVICE) for name in services},
        "caches": {f"{services[0]}-cache": {"memory": "64Mi", "instances": 1}},
    }
    data["access"]["data"][f"{tenant}-data"] = {"service": f"{tenant}/{services[0]}", "store": f"{tenant}/{services[0]}-cache"}
    data["tenants"]["bank-a"]["services"].setdefault(f"{addition}-new", dict(SERVICE))
    after = graph_of(data)
    for name, objects in before.items():
        now = compiled(after, name)
        assert {key: now[key] for key in objects} == objects
    assert any(key.startswith(f"deployment-bank-a-{addition}-new") for key in compiled(after, "bank-a"))
    assert compiled(after, tenant)


@settings(max_examples=20)
@given(order=st.randoms(use_true_random=False))
def test_no_object_depends_on_the_order_of_the_settings(order):
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            keys = list(value)
            order.shuffle(keys)
            return {key: shuffled(value[key]) for key in keys}
        return value

    data = changed("dev")
    mixed = {**data, "tenants": shuffled(data["tenants"]), "access": shuffled(data["access"])}
    for tenant in data["tenants"]:
        assert compiled(graph_of(mixed), tenant) == compiled(graph_of(data), tenant)
        assert list(compiled(graph_of(mixed), tenant)) == list(compiled(graph_of(data), tenant))
