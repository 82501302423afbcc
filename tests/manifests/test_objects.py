"""Every Kubernetes object of the program, judged by the real API server, by Pod Security, by quotas and by Istio's analysis.

Not proven here: pods that operators make themselves (CloudNativePG's), and what a controller's own webhook would say.
"""

import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
import yaml

from components.graph.names import GATEWAYS, MESH_NAMESPACE, TENANT_LABEL
from sandbox.apiclient import ApiServer, RefusedError
from sandbox.charts import chart_dirs, render
from sandbox.crds import FROM_FOLDER, SETTING, load_crds
from sandbox.istio_analysis import findings
from tests.support.objects import EXAMPLE, PROGRAMS, objects_of, pods_of, releases_of

TRIAL = "trial"
"""A namespace with a tenant's labels and limits, in which pods are really made."""
PATIENCE = 30.0


def all_of(kind: str, objects: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [one for one in objects if one["kind"] == kind]


def refusal(server: ApiServer, one: Mapping[str, Any]) -> str:
    """What the server says against the object, with its kind and name; the empty text when it accepts it."""
    try:
        server.apply(one, dry_run=True)
    except RefusedError as error:
        return str(error)
    return ""


def settled(server: ApiServer, objects: Sequence[Mapping[str, Any]]) -> None:
    """The namespaces and service accounts for real, so that the rest has somewhere to be judged."""
    server.prepare(objects)
    for one in all_of("Namespace", objects):
        server.apply(one)
    for one in all_of("ServiceAccount", objects):
        server.apply(one)


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_server_accepts_every_object_of_every_region(api_server: ApiServer, program):
    for objects in objects_of(program).values():
        judged = [one for one in objects if api_server.knows(one["apiVersion"], one["kind"])]
        settled(api_server, judged)
        assert [said for one in judged if (said := refusal(api_server, one))] == []


def test_no_object_of_the_program_goes_unjudged(api_server: ApiServer):
    """Kinds whose definitions no module brings come from a folder; without it this fails, it does not skip."""
    kinds = {
        (one["apiVersion"], one["kind"]) for program in PROGRAMS for objects in objects_of(program).values() for one in objects
    }
    unjudged = sorted(f"{kind} ({version})" for version, kind in kinds if not api_server.knows(version, kind))
    remedy = f"name a folder of definitions in {SETTING}; sub-folders: {', '.join(sorted(FROM_FOLDER))}"
    assert unjudged == [], remedy


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_pod_is_admitted_where_it_stands(api_server: ApiServer, program):
    for objects in objects_of(program).values():
        settled(api_server, [one for one in objects if one["kind"] in {"Namespace", "ServiceAccount"}])
        levels = {
            one["metadata"]["name"]: one["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
            for one in all_of("Namespace", objects)
        }
        pods = list(pods_of(objects))
        assert {levels[pod["metadata"]["namespace"]] for pod in pods} == {"restricted"}
        assert [said for pod in pods if (said := refusal(api_server, pod))] == []


def closed_places(value: Any, schema: Mapping[str, Any], path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Paths of the non-empty maps in which the schema knows every key."""
    if schema.get("x-kubernetes-preserve-unknown-fields") or schema.get("x-kubernetes-embedded-resource"):
        return
    if isinstance(value, Mapping):
        known = schema.get("properties", {})
        if value and known and path and "additionalProperties" not in schema:
            yield path
        for key, item in value.items():
            yield from closed_places(item, known.get(key) or schema.get("additionalProperties") or {}, (*path, key))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from closed_places(item, schema.get("items") or {}, (*path, place))


def schemas() -> dict[tuple[str, str], Mapping[str, Any]]:
    """(apiVersion, kind) → the schema of a custom kind's own fields."""
    found = {}
    for definition in load_crds():
        spec = definition["spec"]
        for version in spec["versions"]:
            fields = {
                key: schema
                for key, schema in version["schema"]["openAPIV3Schema"].get("properties", {}).items()
                if key not in {"apiVersion", "kind", "metadata", "status"}
            }
            found[f"{spec['group']}/{version['name']}", spec["names"]["kind"]] = {"properties": fields}
    return found


def misspelt(one: Mapping[str, Any], path: tuple[str | int, ...]) -> tuple[dict[str, Any], str]:
    """The object with one key at the path misspelt, and the server's name of that field."""
    wrong = copy.deepcopy(dict(one))
    place: Any = wrong
    for part in path:
        place = place[part]
    key = max(place)
    place[f"{key}x"] = place.pop(key)
    spelt = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in (*path, f"{key}x"))
    return wrong, spelt.removeprefix(".")


def test_a_misspelt_key_of_every_custom_kind_is_refused_by_name(api_server: ApiServer):
    """At the deepest place of every kind that the program sends, whichever those are."""
    known, deepest = schemas(), {}
    for program in PROGRAMS:
        for objects in objects_of(program).values():
            settled(api_server, [one for one in objects if api_server.knows(one["apiVersion"], one["kind"])])
            for one in objects:
                which = one["apiVersion"], one["kind"]
                places = list(closed_places(one, known[which])) if which in known else []
                if places and len(path := max(places, key=len)) > len(deepest.get(which, (None, ()))[1]):
                    deepest[which] = one, path
    custom = {
        which
        for program in PROGRAMS
        for objects in objects_of(program).values()
        for which in {(one["apiVersion"], one["kind"]) for one in objects} & known.keys()
    }
    assert custom
    assert custom == deepest.keys()
    unnoticed = []
    for one, path in deepest.values():
        wrong, field = misspelt(one, path)
        if f'unknown field "{field}"' not in (said := refusal(api_server, wrong)):
            unnoticed.append((one["kind"], field, said))
    assert unnoticed == []


Change = Callable[[dict[str, Any]], None]


def security(**fields: Any) -> Change:
    """A change of one container."""
    return lambda container: container.setdefault("securityContext", {}).update(fields)


WEAKER_CONTAINERS: dict[str, tuple[Change, str]] = {
    "privileged": (security(privileged=True, allowPrivilegeEscalation=True), "securityContext.privileged=true"),
    "escalation": (security(allowPrivilegeEscalation=True), "allowPrivilegeEscalation != false"),
    "root": (security(runAsUser=0), "runAsUser=0"),
    "may be root": (security(runAsNonRoot=False), "runAsNonRoot=false"),
    "capability": (security(capabilities={"drop": ["ALL"], "add": ["NET_ADMIN"]}), '"NET_ADMIN"'),
    "capabilities kept": (security(capabilities={}), 'securityContext.capabilities.drop=["ALL"]'),
    "unconfined": (security(seccompProfile={"type": "Unconfined"}), 'seccompProfile.type to "Unconfined"'),
    "SELinux type": (security(seLinuxOptions={"type": "spc_t"}), 'type "spc_t"'),
}


def of_host(spec: dict[str, Any]) -> None:
    spec["volumes"].append({"name": "host", "hostPath": {"path": "/"}})


WEAKER_PODS: dict[str, tuple[Change, str]] = {
    "host network": (lambda spec: spec.update(hostNetwork=True), "hostNetwork=true"),
    "host processes": (lambda spec: spec.update(hostPID=True), "hostPID=true"),
    "host memory": (lambda spec: spec.update(hostIPC=True), "hostIPC=true"),
    "host path": (of_host, "hostPath"),
    "root": (lambda spec: spec["securityContext"].update(runAsUser=0), "runAsUser=0"),
    "unconfined": (
        lambda spec: spec["securityContext"].update(seccompProfile={"type": "Unconfined"}),
        'seccompProfile.type to "Unconfined"',
    ),
    "host port": (lambda spec: spec["containers"][0]["ports"][0].update(hostPort=8080), "hostPort"),
    "sysctl": (
        lambda spec: spec["securityContext"].update(sysctls=[{"name": "kernel.msgmax", "value": "1"}]),
        "kernel.msgmax",
    ),
}


@pytest.fixture(scope="module")
def workload(api_server: ApiServer) -> dict[str, Any]:
    """A tenant's pod as the program sends it, in a namespace of its own with the tenant's labels and no quota."""
    objects = objects_of(EXAMPLE)["eu-west-1"]
    tenants = {one["metadata"]["name"]: one for one in all_of("Namespace", objects) if TENANT_LABEL in one["metadata"]["labels"]}
    pod = next(pod for pod in pods_of(objects) if pod["metadata"]["namespace"] in tenants)
    home = tenants[pod["metadata"]["namespace"]]["metadata"]
    api_server.namespace(TRIAL, home["labels"])
    pod = copy.deepcopy(pod)
    pod["metadata"]["namespace"] = TRIAL
    metadata = {"name": pod["spec"]["serviceAccountName"], "namespace": TRIAL}
    api_server.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    api_server.apply(pod)
    return {**pod, "metadata": {**pod["metadata"], "name": "offered"}}


def hardened(pod: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A container like the pod's first, with nothing that an initial or ephemeral one may not have."""
    first = pod["spec"]["containers"][0]
    return copy.deepcopy({"name": "added", "image": first["image"], "securityContext": first["securityContext"], **more})


def refused_by_pod_security(act: Callable[[], object]) -> str:
    with pytest.raises(RefusedError) as refused:
        act()
    assert refused.value.code == 403
    assert 'violates PodSecurity "restricted:v1.' in refused.value.message
    return refused.value.message


@pytest.mark.parametrize("weakening", WEAKER_PODS)
def test_a_weaker_pod_is_refused_in_pod_securitys_words(api_server: ApiServer, workload, weakening):
    change, word = WEAKER_PODS[weakening]
    weaker = copy.deepcopy(workload)
    assert refusal(api_server, weaker) == ""
    change(weaker["spec"])
    assert word in refused_by_pod_security(lambda: api_server.apply(weaker, dry_run=True))


@pytest.mark.parametrize("where", ["containers", "initContainers", "ephemeralContainers"])
@pytest.mark.parametrize("weakening", WEAKER_CONTAINERS)
def test_a_weaker_container_of_any_kind_is_refused_in_pod_securitys_words(api_server: ApiServer, workload, where, weakening):
    """An ephemeral container comes to a pod that runs, by a subresource of its own."""
    change, word = WEAKER_CONTAINERS[weakening]

    def offer(container: dict[str, Any]) -> None:
        if where != "ephemeralContainers":
            wanted = copy.deepcopy(workload)
            wanted["spec"].setdefault(where, []).append(container)
            api_server.apply(wanted, dry_run=True)
            return
        path = f"/api/v1/namespaces/{TRIAL}/pods/{running}"
        stored = api_server.request("GET", path)
        stored["spec"][where] = [container]
        api_server.request("PUT", f"{path}/ephemeralcontainers", stored, query={"dryRun": "All", "fieldValidation": "Strict"})

    (running,) = (pod["metadata"]["name"] for pod in api_server.request("GET", f"/api/v1/namespaces/{TRIAL}/pods")["items"])
    container = hardened(workload)
    offer(container)
    change(container)
    message = refused_by_pod_security(lambda: offer(container))
    assert word in message
    assert '"added"' in message


@pytest.fixture(scope="module")
def limited(api_server: ApiServer) -> dict[str, Any]:
    """A namespace with a tenant's own quota and limits, and a smallest pod for it, nothing used yet."""
    objects = objects_of(EXAMPLE)["eu-west-1"]
    quota = copy.deepcopy(dict(all_of("ResourceQuota", objects)[0]))
    tenant, place = quota["metadata"]["namespace"], f"{TRIAL}-limited"
    (home,) = (one for one in all_of("Namespace", objects) if one["metadata"]["name"] == tenant)
    (limits,) = (one for one in all_of("LimitRange", objects) if one["metadata"]["namespace"] == tenant)
    api_server.namespace(place, home["metadata"]["labels"])
    for one in (quota, {**limits, "metadata": {**limits["metadata"], "namespace": place}}):
        one["metadata"]["namespace"] = place
        api_server.apply(one)
    # A controller counts in a real cluster; without a count nothing is admitted at all.
    path = f"/api/v1/namespaces/{place}/resourcequotas/{quota['metadata']['name']}"
    stored = api_server.request("GET", path)
    stored["status"] = {"hard": quota["spec"]["hard"], "used": dict.fromkeys(quota["spec"]["hard"], "0")}
    api_server.request("PUT", f"{path}/status", stored)
    (pod, *_) = (pod for pod in pods_of(objects) if pod["metadata"]["namespace"] == tenant)
    small = {
        "securityContext": pod["spec"]["securityContext"],
        "containers": [hardened(pod)],
        "automountServiceAccountToken": False,
    }
    metadata = {"name": "small", "namespace": place}
    return {"pod": {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": small}, "hard": quota["spec"]["hard"]}


def answer(server: ApiServer, kind: str, one: Mapping[str, Any]) -> dict[str, Any]:
    """The object as the server would store it; waits for admission to have seen the quota's count."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            path = f"/api/v1/namespaces/{one['metadata']['namespace']}/{kind}"
            stored: dict[str, Any] = server.request("POST", path, one, query={"dryRun": "All"})
        except RefusedError as error:
            if "status unknown for quota" not in error.message or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return stored


def test_a_container_that_asks_for_nothing_gets_the_tenants_defaults(api_server: ApiServer, limited):
    stored = answer(api_server, "pods", limited["pod"])
    wanted = {"limits": {"memory": "128Mi"}, "requests": {"cpu": "50m", "memory": "64Mi"}}
    assert stored["spec"]["containers"][0]["resources"] == wanted


@pytest.mark.parametrize("resource", ["cpu", "memory"])
def test_a_pod_beyond_the_tenants_quota_is_refused_by_it(api_server: ApiServer, limited, resource):
    beyond = copy.deepcopy(limited["pod"])
    share = limited["hard"][f"requests.{resource}"]
    number = int("".join(letter for letter in share if letter.isdigit()))
    asked = {resource: f"{number + 1}{share.removeprefix(str(number))}"}
    beyond["spec"]["containers"][0]["resources"] = {"requests": asked, "limits": asked}
    with pytest.raises(RefusedError, match=rf"exceeded quota: quota, requested: .*requests\.{resource}=") as refused:
        answer(api_server, "pods", beyond)
    assert refused.value.code == 403


@pytest.mark.parametrize(("kind", "counted"), [("NodePort", "services.nodeports"), ("LoadBalancer", "services.loadbalancers")])
def test_a_tenant_opens_no_door_of_its_own(api_server: ApiServer, limited, kind, counted):
    metadata = {"name": "door", "namespace": limited["pod"]["metadata"]["namespace"]}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"type": "ClusterIP", "ports": [{"port": 80}]},
    }
    assert answer(api_server, "services", service)
    service["spec"]["type"] = kind  # type: ignore[index]
    with pytest.raises(RefusedError, match="exceeded quota: quota") as refused:
        answer(api_server, "services", service)
    assert counted in refused.value.message


EXCEPTIONS = {
    ("IST0133", "EnvoyFilter"): "says of every EnvoyFilter that it is Envoy's own language; rate limits have no other in Istio",
}
"""What the analysis says that is no fault here: code and kind → why. One that no longer occurs is taken out."""


def of_mesh(program: str, region: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What istiod's chart and the gateways' bring, and the mesh's configuration among it."""
    brought = []
    for release in releases_of(program)[region]:
        chart = "istiod" if release["name"] == "istiod" else "istio-gateway"
        if release["name"] in {"istiod", *(gateway.name for gateway in GATEWAYS)}:
            place, values = release["namespace"], release["values"]
            versions = ["monitoring.coreos.com/v1"]
            for one in render(chart_dirs()[chart], release["name"], place, values, api_versions=versions):
                one["metadata"].setdefault("namespace", place)
                brought.append(one)
    (told,) = (one for one in brought if (one["kind"], one["metadata"]["name"]) == ("ConfigMap", "istio"))
    assert told["metadata"]["namespace"] == MESH_NAMESPACE
    return brought, yaml.safe_load(told["data"]["mesh"])


def test_istios_analysis_finds_nothing_but_what_is_answered_for():
    """Over each region's objects with the gateways and the control plane that the charts bring."""
    said = []
    for program in PROGRAMS:
        for region, objects in objects_of(program).items():
            brought, mesh = of_mesh(program, region)
            said += [(program, region, one) for one in findings([*objects, *brought], mesh_config=mesh)]
    seen = {(one.code, one.origin.partition(" ")[0]) for _, _, one in said}
    assert [each for each in said if (each[2].code, each[2].origin.partition(" ")[0]) not in EXCEPTIONS] == []
    assert seen == EXCEPTIONS.keys()
