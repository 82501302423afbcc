"""Admission's files judged by the real engines: Gatekeeper's and Kyverno's own command lines, and the real API server.

The compiled constraints judge every object and every pod of the programs, and each pod weakened in one field. Not proven: the
engines' webhooks on a wire, and pods that operators make.
"""

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import yaml

from components.admission import floor, gatekeeper, kyverno
from components.admission.constraints import region_constraints, region_templates, tenant_constraints
from components.admission.controls import Control, of_engine
from components.assembly.guardrails import decision_points
from components.graph.model import Graph
from components.settings import CONFIG_KEY, load
from sandbox import gator
from sandbox import kyverno as kyverno_line
from sandbox.apiclient import ApiServer
from sandbox.charts import chart_dirs, render
from tests.support.objects import EXAMPLE, PROGRAMS, all_of, objects_of, pods_of, refusal
from tests.support.program import ROOT

TENANT, SERVICE = "bank-a", "api-ms"
REGION = "eu-west-1"
Change = Callable[[dict[str, Any]], object]


@cache
def graph_of(program: str) -> Graph:
    file = ROOT / "examples" / EXAMPLE / "Pulumi.dev.yaml" if program == EXAMPLE else ROOT / f"Pulumi.{program}.yaml"
    return Graph.of(load(yaml.safe_load(file.read_text(encoding="utf-8"))["config"][CONFIG_KEY]))


def rules(graph: Graph, region: str) -> list[dict[str, Any]]:
    own = (
        one
        for tenant in graph.tenants
        for one in tenant_constraints(graph, region, tenant, decision_points(graph, region, tenant))
    )
    return [*region_templates(), *region_constraints(graph), *own]


def test_every_sample_of_gatekeepers_controls_is_judged_as_its_file_says():
    right, said = gator.verify(of_engine("gatekeeper"))
    assert right, said
    samples = sum(len(gator.samples(one, verdict)) for one in of_engine("gatekeeper") for verdict in ("allowed", "refused"))
    assert said.count("--- PASS") >= samples


@pytest.mark.parametrize("control", of_engine("gatekeeper"), ids=lambda one: one.id)
def test_a_rule_that_refuses_nothing_fails_its_own_samples(control, monkeypatch):
    package = control.rule.splitlines()[0]
    monkeypatch.setattr(Control, "rule", property(lambda _one: f'{package}\n\nviolation contains {{"msg": "no"}} if false\n'))
    right, _ = gator.verify([control])
    assert not right


def test_every_policy_of_kyverno_passes_its_own_test():
    right, said = kyverno_line.verify()
    assert right, said
    assert "0 tests failed" in said or "tests passed" in said


@pytest.mark.parametrize("program", PROGRAMS)
def test_nothing_the_program_makes_is_refused(program):
    graph = graph_of(program)
    for region, objects in objects_of(program).items():
        said = gator.judge(rules(graph, region), [*objects, *pods_of(objects)])
        assert said == (), region


@pytest.mark.parametrize(("chart", "engine"), [("gatekeeper", gatekeeper), ("kyverno", kyverno)])
def test_the_engines_own_objects_pass_their_own_rules(chart, engine):
    graph, place = graph_of("prod"), f"{chart}-system" if chart == "gatekeeper" else chart
    charted = render(chart_dirs()[chart], chart, place, engine.chart_values(), api_versions=["monitoring.coreos.com/v1"])
    for one in charted:
        if one["kind"] not in {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}:
            one["metadata"].setdefault("namespace", place)
    said = gator.judge(rules(graph, REGION), [*all_of("Namespace", objects_of("prod")[REGION]), *charted, *pods_of(charted)])
    assert said == ()


def test_the_engines_webhooks_fail_closed_and_their_pods_survive_a_drain():
    charted = render(chart_dirs()["gatekeeper"], "gatekeeper", "gatekeeper-system", gatekeeper.chart_values())
    (hook,) = all_of("ValidatingWebhookConfiguration", charted)
    assert {one["failurePolicy"] for one in hook["webhooks"]} == {"Fail"}
    assert all_of("MutatingWebhookConfiguration", charted) == []
    main = next(one for one in hook["webhooks"] if one["name"] == "validation.gatekeeper.sh")
    (unasked,) = (one for one in main["namespaceSelector"]["matchExpressions"] if one["operator"] == "NotIn")
    assert (unasked["key"], set(unasked["values"])) == ("kubernetes.io/metadata.name", set(gatekeeper.UNASKED))
    assert not any("*" in rule["resources"] for rule in main["rules"])
    assert len(all_of("PodDisruptionBudget", charted)) == 1
    charted = render(chart_dirs()["kyverno"], "kyverno", "kyverno", kyverno.chart_values())
    assert len(all_of("PodDisruptionBudget", charted)) == len(kyverno.PARTS)
    labels = [one["metadata"].get("labels", {}) for one in all_of("ClusterRole", charted)]
    assert not any(key.startswith("rbac.authorization.k8s.io/aggregate-to-") for one in labels for key in one)


def test_the_server_accepts_every_object_of_admission(api_server: ApiServer):
    graph = graph_of("prod")
    api_server.offer(gator.constraint_definitions(region_templates()))
    tenants = [one for tenant in graph.tenants for one in floor.tenant_objects(graph, REGION, tenant)]
    objects = [*floor.region_objects(graph), *tenants, *rules(graph, REGION), *kyverno.region_objects(graph)]
    api_server.namespace("gatekeeper-system")
    objects.append(gatekeeper.monitor())
    api_server.prepare(objects)
    assert [said for one in objects if (said := refusal(api_server, one))] == []


# Each pod weakened in one field. `first` is the list in which a container like the application's stands.
def security(**fields: Any) -> Change:
    return lambda container: container["securityContext"].update(fields)


def without(*path: str) -> Change:
    def change(container: dict[str, Any]) -> None:
        place = container
        for key in path[:-1]:
            place = place[key]
        del place[path[-1]]

    return change


CONTAINERS: dict[str, tuple[str, Change, frozenset[str]]] = {
    "privileged": ("privileged", security(privileged=True), frozenset()),
    "unmasked proc": ("privileged", security(procMount="Unmasked"), frozenset()),
    "escalation": ("escalation", security(allowPrivilegeEscalation=True), frozenset()),
    "escalation unsaid": ("escalation", without("securityContext", "allowPrivilegeEscalation"), frozenset()),
    "host port": ("host-namespaces", lambda one: one.update(ports=[{"containerPort": 1, "hostPort": 1}]), frozenset()),
    "raw device": ("host-files", lambda one: one.update(volumeDevices=[{"name": "x", "devicePath": "/dev/x"}]), frozenset()),
    "capability": ("capabilities", security(capabilities={"drop": ["ALL"], "add": ["BPF"]}), frozenset()),
    "capabilities kept": ("capabilities", security(capabilities={}), frozenset()),
    "unconfined": ("confinement", security(seccompProfile={"type": "Unconfined"}), frozenset()),
    "root": ("non-root", security(runAsUser=0), frozenset()),
    "may be root": ("non-root", security(runAsNonRoot=False), frozenset()),
    "the proxy's user": ("proxy-user", security(runAsUser=1337), frozenset()),
    "a root to write": ("read-only-root", security(readOnlyRootFilesystem=False), frozenset()),
    "a probe of metadata": (
        "probe-hosts",
        lambda one: one.update(startupProbe={"httpGet": {"host": "169.254.169.254", "port": 80}}),
        frozenset(),
    ),
    "no request": ("resources", without("resources", "requests", "cpu"), frozenset({"ephemeralContainers"})),
    "unbounded": ("resources", without("resources", "limits", "memory"), frozenset({"ephemeralContainers"})),
    "look-alike registry": (
        "registries",
        lambda one: one.update(image=one["image"].replace(".com/", ".com.evil.io/")),
        frozenset(),
    ),
    "look-alike repository": ("registries", lambda one: one.update(image=one["image"].replace("@", "-evil@")), frozenset()),
    "a tag": ("digests", lambda one: one.update(image=one["image"].split("@")[0] + ":1"), frozenset()),
    "not ready": ("probes", lambda one: one.pop("readinessProbe"), frozenset({"initContainers", "ephemeralContainers"})),
    "not alive": ("probes", lambda one: one.pop("livenessProbe"), frozenset({"initContainers", "ephemeralContainers"})),
}
"""Weakening → the control that refuses it, the change of a container, lists in which it is no weakening."""


def annotated(**named: str) -> Change:
    return lambda pod: pod["metadata"].setdefault("annotations", {}).update(named)


def labelled(key: str, value: str | None) -> Change:
    def change(pod: dict[str, Any]) -> None:
        if value is None:
            del pod["metadata"]["labels"][key]
        else:
            pod["metadata"]["labels"][key] = value

    return change


def volume(**source: Any) -> Change:
    return lambda pod: pod["spec"]["volumes"].append({"name": "more", **source})


PODS: dict[str, tuple[set[str], Change]] = {
    "host network": ({"host-namespaces"}, lambda pod: pod["spec"].update(hostNetwork=True)),
    "host processes": ({"host-namespaces"}, lambda pod: pod["spec"].update(hostPID=True)),
    "host memory": ({"host-namespaces"}, lambda pod: pod["spec"].update(hostIPC=True)),
    "shared processes": ({"shared-processes"}, lambda pod: pod["spec"].update(shareProcessNamespace=True)),
    "SPIRE's sockets": ({"host-files"}, volume(hostPath={"path": "/run/spire/agent-sockets"})),
    "a foreign driver": ({"host-files"}, volume(csi={"driver": "other.example"})),
    "root's group": ({"non-root"}, lambda pod: pod["spec"]["securityContext"].update(fsGroup=0)),
    "a sysctl": ({"confinement"}, lambda pod: pod["spec"]["securityContext"].update(sysctls=[{"name": "a", "value": "1"}])),
    "a store's secret": ({"own-secrets"}, volume(secret={"secretName": "ledger-replication-tls"})),
    "a neighbour's certificate": ({"own-secrets"}, volume(secret={"secretName": "auth-to-ledger-client"})),
    "a token": ({"tokens"}, lambda pod: pod["spec"].update(automountServiceAccountToken=True)),
    "a token unsaid": ({"tokens"}, lambda pod: pod["spec"].pop("automountServiceAccountToken")),
    "a projected token": ({"tokens"}, volume(projected={"sources": [{"serviceAccountToken": {"path": "t"}}]})),
    "the default account": ({"identity"}, lambda pod: pod["spec"].update(serviceAccountName="default")),
    "a neighbour's account": ({"identity", "decision-point"}, lambda pod: pod["spec"].update(serviceAccountName="auth-ms")),
    "a database's account": ({"identity", "registries"}, lambda pod: pod["spec"].update(serviceAccountName="ledger")),
    "a database's label": ({"identity"}, labelled("cnpg.io/cluster", "ledger")),
    "another tenant's label": ({"labels"}, labelled("zerotrust.dev/tenant", "bank-b")),
    "no tenant's label": ({"labels"}, labelled("zerotrust.dev/tenant", None)),
}
PODS["no socket"] = (
    {"identity"},
    lambda pod: pod["spec"].update(volumes=[one for one in pod["spec"]["volumes"] if "csi" not in one]),
)
"""Weakening of the pod itself → the controls that refuse it."""
KINDS = {one.id: one.kind for one in of_engine("gatekeeper")}


@cache
def plain() -> dict[str, Any]:
    pods = (pod for pod in pods_of(objects_of("prod")[REGION]) if pod["metadata"]["namespace"] == TENANT)
    return next(pod for pod in pods if pod["spec"]["serviceAccountName"] == SERVICE)


@cache
def weakened() -> dict[str, dict[str, Any]]:
    """Name of the weakening → the pod; `plain` is the one that is weakened. Do not change what you get."""
    offered: dict[str, dict[str, Any]] = {"plain": copy.deepcopy(plain())}
    for name, (_, change) in PODS.items():
        offered[name] = copy.deepcopy(plain())
        change(offered[name])
    for place in ("containers", "initContainers", "ephemeralContainers"):
        for name, (_, change, harmless) in CONTAINERS.items():
            if place not in harmless:
                pod = offered[f"{name} of {place}"] = copy.deepcopy(plain())
                container = copy.deepcopy(pod["spec"]["containers"][0]) | {"name": "added"}
                pod["spec"].setdefault(place, []).append(container)
                change(container)
    for number, pod in enumerate(offered.values()):
        pod["metadata"]["name"] = f"pod-{number}"
    return offered


@cache
def verdicts() -> dict[str, frozenset[str]]:
    """Every weakened pod in one run: its name → kinds of the constraints that refuse it."""
    offered = weakened()
    spaces = all_of("Namespace", objects_of("prod")[REGION])
    said = gator.judge(rules(graph_of("prod"), REGION), [*spaces, *offered.values()])
    names = {f"Pod {TENANT}/pod-{number}": name for number, name in enumerate(offered)}
    found: dict[str, set[str]] = {name: set() for name in offered}
    for one in said:
        found[names[one.object]].add(one.kind)
    return {name: frozenset(kinds) for name, kinds in found.items()}


def test_the_pod_that_is_weakened_below_passes():
    assert verdicts()["plain"] == frozenset()


@pytest.mark.parametrize("weakening", PODS)
def test_a_weaker_pod_is_refused_by_the_control_meant_for_it(weakening):
    assert verdicts()[weakening] == {KINDS[one] for one in PODS[weakening][0]}


@pytest.mark.parametrize("place", ["containers", "initContainers", "ephemeralContainers"])
@pytest.mark.parametrize("weakening", CONTAINERS)
def test_a_weaker_container_of_any_list_is_refused_by_the_control_meant_for_it(weakening, place):
    control, _, harmless = CONTAINERS[weakening]
    assert verdicts().get(f"{weakening} of {place}", frozenset()) == ({KINDS[control]} if place not in harmless else frozenset())


def test_a_repository_that_is_no_longer_declared_is_refused():
    made = copy.deepcopy(rules(graph_of("prod"), REGION))
    own = next(one for one in made if one["kind"] == "DeclaredImages" and one["metadata"]["name"] == TENANT)
    repository = plain()["spec"]["containers"][0]["image"].split("@")[0]
    own["spec"]["parameters"]["repositories"].remove(repository)
    spaces = all_of("Namespace", objects_of("prod")[REGION])
    assert {one.kind for one in gator.judge(made, [*spaces, plain()])} == {"DeclaredImages"}


def test_in_a_namespace_that_nobody_claims_no_pod_has_an_identity_or_an_image():
    pod = copy.deepcopy(plain())
    pod["metadata"]["namespace"] = "stray"
    pod["metadata"]["labels"]["zerotrust.dev/tenant"] = "stray"
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "stray", "labels": {}}}
    said = {one.kind for one in gator.judge(rules(graph_of("prod"), REGION), [space, pod])}
    assert said == {"DeclaredImages", "Registered", "GuardedNamespaces"}


def test_what_kyverno_fills_in_is_what_gatekeeper_would_have_refused():
    pod = copy.deepcopy(plain())
    del pod["spec"]["automountServiceAccountToken"]
    for container in pod["spec"]["containers"]:
        for key in ("allowPrivilegeEscalation", "readOnlyRootFilesystem"):
            container["securityContext"].pop(key, None)
    spaces = all_of("Namespace", objects_of("prod")[REGION])
    made = rules(graph_of("prod"), REGION)
    assert {one.kind for one in gator.judge(made, [*spaces, pod])} == {"NoPrivilegeEscalation", "NoTokens", "ReadOnlyRoot"}
    home = next(one for one in spaces if one["metadata"]["name"] == TENANT)
    (filled,) = (one for one in kyverno_line.apply(kyverno.region_objects(graph_of("prod")), [home, pod]) if one["kind"] == "Pod")
    assert gator.judge(made, [*spaces, filled]) == ()


def test_a_namespace_that_appears_is_closed_and_limited_and_a_tenants_is_left_alone():
    spaces = [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name, **more}},
        }
        for name, more in {"stray": {}, TENANT: {"zerotrust.dev/tenant": TENANT}, "kyverno": {}}.items()
    ]
    made = kyverno_line.apply(kyverno.region_objects(graph_of("prod")), spaces)
    found = {(one["kind"], one["metadata"].get("namespace")) for one in made if one["kind"] != "Namespace"}
    assert found == {("NetworkPolicy", "stray"), ("ResourceQuota", "stray"), ("LimitRange", "stray")}
