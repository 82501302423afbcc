"""A service's pod that would be decided about by something else than the OPA that the graph declares for it.

Every service's pod, as Istio's own injector leaves it, passes; one of them, changed in one field, is refused by the control
`decision-point`, which says what is wrong. Not proven: what an application does that listens where OPA should.
"""

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from components.admission import kyverno
from sandbox import gator
from sandbox import kyverno as kyverno_line
from tests.manifests.test_guardrails import REGION, SERVICE, TENANT, graph_of, rules
from tests.manifests.test_traps import injected_templates, release
from tests.support.objects import all_of, objects_of

Pod = dict[str, Any]
Change = Callable[[Pod], object]
KIND = "DecisionPoint"


def opa(pod: Pod) -> dict[str, Any]:
    return next(one for one in pod["spec"]["containers"] if one["name"] == "opa")


def put(**fields: Any) -> Change:
    return lambda pod: opa(pod).update(fields)


def more(key: str, entry: Any) -> Change:
    return lambda pod: opa(pod).setdefault(key, []).append(entry)


def less(key: str, number: int) -> Change:
    return lambda pod: opa(pod)[key].pop(number)


def argument(before: str, after: str) -> Change:
    def change(pod: Pod) -> None:
        assert sum(one.startswith(before) for one in opa(pod)["args"]) == 1
        opa(pod)["args"] = [after if one.startswith(before) else one for one in opa(pod)["args"]]

    return change


def mount(which: str, **fields: Any) -> Change:
    return lambda pod: next(one for one in opa(pod)["volumeMounts"] if one["name"] == which).update(fields)


def volume(name: str, **source: Any) -> Change:
    def change(pod: Pod) -> None:
        (place,) = (number for number, one in enumerate(pod["spec"]["volumes"]) if one["name"] == name)
        pod["spec"]["volumes"][place] = {"name": name, **source}

    return change


def config_map(name: str, **fields: Any) -> dict[str, Any]:
    return {"configMap": {"name": name, "optional": False, **fields}}


def vain(pod: Pod) -> None:
    volume("opa-policy", **config_map("own"))(pod)
    pod["spec"]["volumes"].append({"name": "vain", **config_map("opa-policy")})


def gone(pod: Pod) -> None:
    pod["spec"]["containers"].remove(opa(pod))


def moved(place: str, **fields: Any) -> Change:
    def change(pod: Pod) -> None:
        pod["spec"].setdefault(place, []).append({**opa(pod), **fields})
        gone(pod)

    return change


def other(place: str, **fields: Any) -> Change:
    """One more container like the application's."""
    return lambda pod: (
        pod["spec"].setdefault(place, []).append({**copy.deepcopy(pod["spec"]["containers"][0]), "name": "added", **fields})
    )


def shared(place: str, name: str) -> Change:
    return other(place, volumeMounts=[{"name": name, "mountPath": "/taken"}])


def second(place: str) -> Change:
    return lambda pod: other(place, image=opa(pod)["image"])(pod)


def renamed(pod: Pod) -> None:
    opa(pod)["name"] = "decider"


LACKING = "no container opa"
ARGUMENTS = "arguments that are not the declared ones"
VARIABLES = "variables that are not the declared ones"
MOUNTS = "mounts that are not the declared ones"
LIFECYCLE = "lifecycle: more than a wait before the end"
SHELL = {"exec": {"command": ["opa", "run", "--server", "/own"]}}
WEAKER: dict[str, tuple[set[str], Change]] = {
    "nobody decides": ({LACKING}, gone),
    "decided under another name": (
        {
            LACKING,
            "containers decider: a second opa",
            *(f"containers decider: volume opa-{one} is for opa alone" for one in ("policy", "workload", "risk", "socket")),
        },
        renamed,
    ),
    "another build": ({"image reg.example/opa@sha256:00"}, put(image="reg.example/opa@sha256:00")),
    "no arguments": ({ARGUMENTS}, lambda pod: opa(pod).pop("args")),
    "arguments in another order": ({ARGUMENTS}, lambda pod: opa(pod)["args"].reverse()),
    "one argument more": ({ARGUMENTS}, more("args", "--set=decision_logs.console=false")),
    "one argument less": ({ARGUMENTS}, less("args", -1)),
    "another rule": (
        {ARGUMENTS},
        argument("--set=plugins.envoy_ext_authz_grpc.path=", "--set=plugins.envoy_ext_authz_grpc.path=a"),
    ),
    "an open API": ({ARGUMENTS}, argument("--authorization=", "--authorization=off")),
    "an API on the network": ({ARGUMENTS}, argument("--addr=", "--addr=0.0.0.0:8181")),
    "a neighbour's name": ({ARGUMENTS}, argument("--set=labels.workload=", "--set=labels.workload=bank-a/auth-ms")),
    "another command": ({"field command"}, put(command=["/own"])),
    "a command after the start": ({LIFECYCLE}, put(lifecycle={"postStart": SHELL})),
    "a command before the end": ({LIFECYCLE}, put(lifecycle={"preStop": SHELL})),
    "a command beside the wait": ({LIFECYCLE}, put(lifecycle={"preStop": {"sleep": {"seconds": 1}}, "postStart": SHELL})),
    "a signal to end by": ({LIFECYCLE}, put(lifecycle={"preStop": {"sleep": {"seconds": 1}}, "stopSignal": "SIGKILL"})),
    "another folder": ({"field workingDir"}, put(workingDir="/etc/opa/risk")),
    "a terminal": ({"field stdin"}, put(stdin=True)),
    "a device": ({"field volumeDevices"}, put(volumeDevices=[])),
    "variables from elsewhere": ({"field envFrom"}, put(envFrom=[{"configMapRef": {"name": "own"}}])),
    "one variable more": ({VARIABLES}, more("env", {"name": "OPA_LOG_LEVEL", "value": "error"})),
    "one variable less": ({VARIABLES}, less("env", 0)),
    "a variable of another value": ({VARIABLES}, put(env=[{"name": "GOMEMLIMIT", "value": "1"}])),
    "a variable read elsewhere": (
        {VARIABLES},
        put(env=[{"name": "GOMEMLIMIT", "valueFrom": {"configMapKeyRef": {"name": "own", "key": "a"}}}]),
    ),
    "variables of services": ({"say enableServiceLinks false"}, lambda pod: pod["spec"].update(enableServiceLinks=True)),
    "variables of services, unsaid": ({"say enableServiceLinks false"}, lambda pod: pod["spec"].pop("enableServiceLinks")),
    "no edges mounted": ({MOUNTS}, less("volumeMounts", 1)),
    "one mount more": ({MOUNTS}, more("volumeMounts", {"name": "tmp", "mountPath": "/own"})),
    "another volume's files": ({MOUNTS}, mount("opa-workload", name="tmp")),
    "files somewhere else": ({MOUNTS}, mount("opa-policy", mountPath="/etc/opa/policy/old")),
    "one file of a volume": ({MOUNTS}, mount("opa-policy", subPath="old")),
    "a folder that a variable names": ({MOUNTS}, mount("opa-policy", subPathExpr="$(GOMEMLIMIT)")),
    "files to write": ({MOUNTS}, mount("opa-workload", readOnly=False)),
    "own rules": ({"volume opa-policy is not ConfigMap opa-policy"}, volume("opa-policy", **config_map("own"))),
    "own rules, and the declared ones in vain": ({"volume opa-policy is not ConfigMap opa-policy"}, vain),
    "own edges": ({"volume opa-workload is not ConfigMap opa-data-api-ms"}, volume("opa-workload", **config_map("own"))),
    "a neighbour's edges": (
        {"volume opa-workload is not ConfigMap opa-data-api-ms"},
        volume("opa-workload", **config_map("opa-data-auth-ms")),
    ),
    "own risks": ({"volume opa-risk is not ConfigMap workload-risk"}, volume("opa-risk", emptyDir={})),
    "edges or nothing": (
        {"volume opa-workload is not ConfigMap opa-data-api-ms"},
        volume("opa-workload", **config_map("opa-data-api-ms", optional=True)),
    ),
    "rules under other names": (
        {"volume opa-policy is not ConfigMap opa-policy"},
        volume("opa-policy", **config_map("opa-policy", items=[{"key": "server.rego", "path": "decision.rego"}])),
    ),
    "rules from several places": (
        {"volume opa-policy is not ConfigMap opa-policy"},
        volume("opa-policy", projected={"sources": [config_map("opa-policy"), config_map("own")]}),
    ),
    "a socket that stays": (
        {"volume opa-socket is no empty directory"},
        volume("opa-socket", persistentVolumeClaim={"claimName": "a"}),
    ),
    "entered": ({"ephemeralContainers added: enters opa"}, other("ephemeralContainers", targetContainerName="opa")),
}
for _probe in ("startupProbe", "readinessProbe", "livenessProbe"):
    WEAKER[f"a command for a {_probe}"] = ({f"{_probe}: a command"}, put(**{_probe: SHELL}))
for _place, _fields in {"initContainers": {"restartPolicy": "Always"}, "ephemeralContainers": {}}.items():
    _volumes = (f"{_place} opa: volume opa-{one} is for opa alone" for one in ("policy", "workload", "risk", "socket"))
    WEAKER[f"decides in {_place}"] = (
        {LACKING, f"{_place} opa: not where it decides", f"{_place} opa: a second opa", *_volumes},
        moved(_place, **_fields),
    )
for _place in ("containers", "initContainers", "ephemeralContainers"):
    WEAKER[f"a second in {_place}"] = ({f"{_place} added: a second opa"}, second(_place))
    for _name in ("opa-socket", "opa-workload"):
        WEAKER[f"{_name} for one of {_place}"] = ({f"{_place} added: volume {_name} is for opa alone"}, shared(_place, _name))
"""Weakening → what the control says, and the change of the pod."""


@pytest.fixture(scope="module")
def injected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pod]:
    """`namespace/name` → a service's pod as the injector leaves it."""
    graph = graph_of("prod")
    services = {one.ref for tenant in graph.tenants for one in graph.workloads_of(tenant, REGION)}
    made = injected_templates("prod", tmp_path_factory.mktemp("decided"), release("prod", "istiod")["values"])
    found = {}
    for name in sorted(services):
        tenant, _, service = name.partition("/")
        about = {key: made[name]["metadata"][key] for key in ("labels", "annotations")}
        place = {"name": service, "namespace": tenant}
        found[name] = {"apiVersion": "v1", "kind": "Pod", "metadata": {**about, **place}, "spec": made[name]["spec"]}
    return found


@cache
def spaces() -> list[Any]:
    return all_of("Namespace", objects_of("prod")[REGION])


@pytest.fixture(scope="module")
def said(injected: dict[str, Pod]) -> dict[str, list[gator.Violation]]:
    """Every weakened pod in one run: its weakening → what is said against it."""
    offered = {}
    for number, (_, change) in enumerate(WEAKER.values()):
        pod = offered[f"Pod {TENANT}/pod-{number}"] = copy.deepcopy(injected[f"{TENANT}/{SERVICE}"])
        change(pod)
        pod["metadata"]["name"] = f"pod-{number}"
    found: dict[str, list[gator.Violation]] = {name: [] for name in offered}
    for one in gator.judge(rules(graph_of("prod"), REGION), [*spaces(), *offered.values()]):
        found[one.object].append(one)
    return dict(zip(WEAKER, found.values(), strict=True))


def test_every_services_pod_passes_as_the_injector_and_kyverno_leave_it(injected):
    assert len(injected) > 1
    assert all("istio-proxy" in {one["name"] for one in pod["spec"]["initContainers"]} for pod in injected.values())
    assert gator.judge(rules(graph_of("prod"), REGION), [*spaces(), *injected.values()]) == ()
    homes = [one for one in spaces() if one["metadata"]["name"] in graph_of("prod").tenants]
    filled = kyverno_line.apply(kyverno.region_objects(graph_of("prod")), [*homes, *injected.values()])
    pods = [one for one in filled if one["kind"] == "Pod"]
    assert len(pods) == len(injected)
    assert gator.judge(rules(graph_of("prod"), REGION), [*spaces(), *pods]) == ()


@pytest.mark.parametrize("weakening", WEAKER)
def test_another_decision_is_refused_by_the_control_meant_for_it(said, weakening):
    assert {one.message for one in said[weakening] if one.kind == KIND} == WEAKER[weakening][0]


def test_a_store_has_no_opa_and_is_not_asked_for_one(injected):
    pod = copy.deepcopy(injected[f"{TENANT}/{SERVICE}"])
    gone(pod)
    pod["spec"]["serviceAccountName"] = "ledger"
    assert KIND not in {one.kind for one in gator.judge(rules(graph_of("prod"), REGION), [*spaces(), pod])}
