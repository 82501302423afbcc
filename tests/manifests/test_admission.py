"""What a tenant's namespace refuses at the real API server: each weakening of a pod, and more than its quota.

Not proven here: the count of a quota, which a controller keeps; here it is written as nothing used.
"""

import copy
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from components.graph.names import TENANT_LABEL
from sandbox.apiclient import ApiServer, RefusedError
from tests.support.objects import EXAMPLE, all_of, objects_of, pods_of, refusal

TRIAL = "trial"
"""A namespace with a tenant's labels, in which a pod is really made."""
PATIENCE = 30.0
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
