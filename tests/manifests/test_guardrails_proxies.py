"""A pod that says of its own proxy, place or account what is not its to say: injected by Istio's own injector, then asked for
on the real API server under the floor.

What such words would do is Istio's published behaviour: the injector lets a pod's own container of the proxy's name prevail, and
its node agent redirects nothing for a pod with a container `istio-init`, with `DISABLE_ENVOY` on the proxy, or of the proxy's
user. RBAC allows everybody everything here. Not proven: that the installed injector, an older state, writes the same words.
"""

import copy
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from components.admission import floor
from components.graph.names import TENANT_LABEL
from sandbox.apiclient import ApiServer, RefusedError
from sandbox.apiserver import control_plane
from sandbox.crds import load_crds
from tests.manifests.floor_support import Caller, everything, refused, wait_until
from tests.manifests.test_guardrails import REGION, TENANT, graph_of
from tests.manifests.test_traps import injected_templates, release

Pod = dict[str, Any]
Change = Callable[[Pod], object]
IN = f"/api/v1/namespaces/{TENANT}"
STRANGER = "arn:aws:sts::444455556666:assumed-role/bank-a-editors/session"
DEPLOYER = "arn:aws:sts::444455556666:assumed-role/platform-deployer/pulumi"
STORE = "ledger"


def own(version: str, kind: str, **spec: Any) -> dict[str, Any]:
    """An object of an operator's kind in the tenant's namespace."""
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "mine", "namespace": TENANT}, "spec": spec}


OPERATED = {
    "a record": own("externaldns.k8s.io/v1alpha1", "DNSEndpoint", endpoints=[]),
    "a scrape": own("monitoring.coreos.com/v1", "PodMonitor", selector={}, podMetricsEndpoints=[]),
    "a restore": own("velero.io/v1", "Restore", backupName="theirs"),
}


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pod]:
    return injected_templates("prod", tmp_path_factory.mktemp("injected"), release("prod", "istiod")["values"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    graph = graph_of("prod")
    with control_plane(tmp_path_factory.mktemp("proxies")) as made:
        made.offer(load_crds())
        made.prepare(list(OPERATED.values()))
        for tenant in graph.tenants:
            made.namespace(tenant, {TENANT_LABEL: tenant, "istio-injection": "enabled"})
            for account in (STORE, *(one.name for one in graph.workloads_of(tenant, REGION))):
                about = {"name": account, "namespace": tenant}
                made.apply(
                    {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": about, "automountServiceAccountToken": False}
                )
        made.apply(everything("all", "system:authenticated"))
        runtime = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "other"}, "handler": "other"}
        made.apply(runtime)
        policies = [*floor.region_objects(graph)]
        policies += [one for tenant in graph.tenants for one in floor.tenant_objects(graph, REGION, tenant)]
        for one in policies:
            made.apply(one)
        wait_until(all(control in refused(*asked) for control, asked in probes(made)) for _ in itertools.count())
        yield made


def probes(server: ApiServer) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """For each control asked about below, what it alone refuses."""
    editor, deployer = Caller(server, STRANGER), Caller(server, DEPLOYER)
    container = {"name": "a", "image": "a"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [container]}}
    for tenant in graph_of("prod").tenants:
        yield f"proxies-{tenant}", (editor, "POST", f"/api/v1/namespaces/{tenant}/pods", pod)
    pod = {**pod, "spec": {**pod["spec"], "serviceAccountName": STORE}}
    yield "store-accounts", (editor, "POST", f"{IN}/pods", pod)
    yield "placement", (deployer, "POST", f"{IN}/pods", {**pod, "spec": {**pod["spec"], "nodeName": "n"}})
    labelled = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": TENANT, "labels": {"a": "b"}}}
    yield "subresources", (editor, "PUT", f"{IN}/status", labelled)


@pytest.fixture(scope="module")
def editor(server: ApiServer) -> Caller:
    return Caller(server, STRANGER)


def pod_of(templates: dict[str, Pod], name: str) -> Pod:
    """The template as the pod that the webhook would leave."""
    namespace, _, own = name.partition("/")
    about = copy.deepcopy(templates[name]["metadata"])
    # Which templates it takes the command line reads here, the webhook in its own configuration.
    about["annotations"].pop("inject.istio.io/templates")
    metadata = {"name": own, "namespace": namespace, "labels": about["labels"], "annotations": about["annotations"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": copy.deepcopy(templates[name]["spec"])}


def test_every_service_as_the_injector_leaves_it_is_let_in(templates, editor):
    tenants = graph_of("prod").tenants
    asked = {name: pod_of(templates, name) for name in templates if name.split("/")[0] in tenants}
    assert len(asked) > len(tenants)
    said = {name: refused(editor, "POST", f"/api/v1/namespaces/{name.split('/')[0]}/pods", pod) for name, pod in asked.items()}
    assert {name: text for name, text in said.items() if text} == {}


def proxy(pod: Pod) -> dict[str, Any]:
    return next(one for one in pod["spec"]["initContainers"] if one["name"] == "istio-proxy")


def check(pod: Pod) -> dict[str, Any]:
    return next(one for one in pod["spec"]["initContainers"] if one["name"] == "istio-validation")


def variable(name: str, value: str) -> Change:
    def change(pod: Pod) -> None:
        own = proxy(pod)
        own["env"] = [*(one for one in own["env"] if one["name"] != name), {"name": name, "value": value}]

    return change


def put(**fields: Any) -> Change:
    return lambda pod: proxy(pod).update(fields)


def user(**fields: int) -> Change:
    return lambda pod: proxy(pod)["securityContext"].update(fields)


def hook(**fields: Any) -> Change:
    return lambda pod: proxy(pod)["lifecycle"].update(fields)


def initial(name: str) -> Change:
    """One more init container, of the application's image."""
    return lambda pod: pod["spec"]["initContainers"].append({"name": name, "image": pod["spec"]["containers"][0]["image"]})


def mounted(name: str) -> Change:
    """A volume of the proxy's in the application's container."""
    return lambda pod: pod["spec"]["containers"][0]["volumeMounts"].append({"name": name, "mountPath": "/taken"})


def volume(name: str, **source: Any) -> Change:
    def change(pod: Pod) -> None:
        pod["spec"]["volumes"] = [one for one in pod["spec"]["volumes"] if one["name"] != name] + [{"name": name, **source}]

    return change


def spec(**fields: Any) -> Change:
    return lambda pod: pod["spec"].update(fields)


def remounted(pod: Pod) -> None:
    next(one for one in proxy(pod)["volumeMounts"] if one["mountPath"] == "/etc/istio/proxy")["name"] = "tmp"


def blind(pod: Pod) -> None:
    proxy(pod)["volumeMounts"] = [one for one in proxy(pod)["volumeMounts"] if one["name"] != "workload-socket"]


def ending(pod: Pod) -> None:
    for key in ("restartPolicy", "lifecycle", "startupProbe", "readinessProbe"):
        del proxy(pod)[key]


def lone(pod: Pod) -> None:
    """Outside the mesh in a store's name."""
    container = {"name": "app", "image": pod["spec"]["containers"][0]["image"]}
    pod["metadata"] |= {"labels": {"cnpg.io/cluster": STORE}, "annotations": {}}
    pod["spec"] = {"serviceAccountName": STORE, "containers": [container]}


SHELL = {"exec": {"command": ["envoy", "-c", "/opt/own.json"]}}
PROXIES: dict[str, Change] = {
    "a container that stops the redirection": initial("istio-init"),
    "another proxy": put(image="evil.example/proxyv2:1"),
    "another entry": put(command=["sh"]),
    "another mode": put(args=["proxy", "router"]),
    "a proxy that ends": ending,
    "a container of the injector's debugging": initial("enable-core-dump"),
    "a variable that stops the redirection": variable("DISABLE_ENVOY", "true"),
    "the application's user for the proxy's": user(runAsUser=10100),
    "the application's group for the proxy's": user(runAsGroup=10100),
    "an application under the check's name": lambda pod: check(pod).update(image="reg.example/app", restartPolicy="Always"),
    "a check that checks nothing": lambda pod: check(pod).update(args=["istio-iptables", "--skip-rule-apply"]),
    "another control plane": variable("PROXY_CONFIG", '{"discoveryAddress":"mine:15012"}'),
    "callers' headers kept": variable("PROXY_CONFIG", '{"proxyHeaders":{"forwardedClientCert":"ALWAYS_FORWARD_ONLY"}}'),
    "a key without quotes": variable("PROXY_CONFIG", '{"forwardedClientCert":"SANITIZE_SET", discoveryAddress: x}'),
    "a second, empty configuration": lambda pod: proxy(pod)["env"].append({"name": "PROXY_CONFIG", "value": "{}"}),
    "no configuration": lambda pod: proxy(pod).update(env=[one for one in proxy(pod)["env"] if one["name"] != "PROXY_CONFIG"]),
    "another authority": variable("CA_ADDR", "mine:15012"),
    "another bootstrap": variable("ISTIO_BOOTSTRAP_OVERRIDE", "/opt/own.json"),
    "another network": variable("ISTIO_META_NETWORK", "eu-central-1"),
    "another trust domain": variable("TRUST_DOMAIN", "mine"),
    "another socket": variable("WORKLOAD_IDENTITY_SOCKET_FILE", "own.sock"),
    "another way of redirection": variable("ISTIO_META_INTERCEPTION_MODE", "NONE"),
    "variables from a config map": put(envFrom=[{"configMapRef": {"name": "mine"}}]),
    "a variable from a secret": lambda pod: proxy(pod)["env"].append(
        {"name": "POD_NAME", "valueFrom": {"secretKeyRef": {"name": "mine", "key": "a"}}}
    ),
    "a command after the start": hook(postStart=SHELL),
    "a command before the end": hook(preStop=SHELL),
    "a command as a probe": put(livenessProbe=SHELL),
    "a probe of the administration": put(readinessProbe={"httpGet": {"path": "/quitquitquit", "port": 15000}}),
    "another working folder": put(workingDir="/opt"),
    "another template": lambda pod: proxy(pod)["args"].append("--templateFile=/opt/own.json"),
    "another mesh": lambda pod: proxy(pod)["args"].append("--meshConfig=/opt/own.yaml"),
    "one more file": lambda pod: proxy(pod)["volumeMounts"].append({"name": "tmp", "mountPath": "/etc/istio/custom-bootstrap"}),
    "the application's folder for the proxy's": remounted,
    "no socket": blind,
    "the configuration's folder in the application": mounted("istio-envoy"),
    "certificates' folder in the application": mounted("workload-certs"),
    "istiod's token in the application": mounted("istio-token"),
    "another root": volume("istiod-ca-cert", configMap={"name": "mine"}),
    "certificates from a secret": volume("workload-certs", secret={"secretName": "mine"}),
    "a socket of one's own": volume("workload-socket", emptyDir={}),
}
PLACES: dict[str, Change] = {
    "a node by name": spec(nodeName="system-node"),
    "a priority": spec(priorityClassName="system-node-critical"),
    "every taint": spec(tolerations=[{"operator": "Exists"}]),
    "the platform's taint": spec(tolerations=[{"key": "CriticalAddonsOnly", "operator": "Exists"}]),
    "a scheduler of one's own": spec(schedulerName="mine"),
    "another runtime": spec(runtimeClassName="other"),
}
NAMES: dict[str, Change] = {
    f"another's {key}": lambda pod, key=key: pod["metadata"]["labels"].update({f"service.istio.io/{key}": "trans-ms"})
    for key in ("canonical-name", "workload-name")
}
TRIED = {
    **{name: ("sidecars-bank-a", change) for name, change in NAMES.items()},
    **{name: ("proxies-bank-a", change) for name, change in PROXIES.items()},
    **{name: ("placement", change) for name, change in PLACES.items()},
    "a store's account": ("store-accounts-bank-a", lone),
}


@pytest.mark.parametrize("tried", TRIED)
def test_what_a_pod_may_not_say_for_itself_is_refused_by_the_control_meant_for_it(templates, editor, tried):
    control, change = TRIED[tried]
    pod = pod_of(templates, f"{TENANT}/api-ms")
    change(pod)
    assert f"'floor-{control}'" in refused(editor, "POST", f"{IN}/pods", pod)


def template(kind: str) -> tuple[str, dict[str, Any]]:
    """Where one asks for a kind, and one whose pods have a store's account."""
    pod = {"spec": {"serviceAccountName": STORE, "restartPolicy": "Never", "containers": [{"name": "a", "image": "a"}]}}
    pod["metadata"] = {"labels": {"a": "b"}}
    lasting = {"selector": {"matchLabels": {"a": "b"}}, "template": {**pod, "spec": {**pod["spec"], "restartPolicy": "Always"}}}
    specs: dict[str, tuple[str, dict[str, Any]]] = {
        "Deployment": ("apis/apps/v1", {"spec": lasting}),
        "DaemonSet": ("apis/apps/v1", {"spec": lasting}),
        "ReplicaSet": ("apis/apps/v1", {"spec": lasting}),
        "StatefulSet": ("apis/apps/v1", {"spec": {**lasting, "serviceName": "a"}}),
        "ReplicationController": ("api/v1", {"spec": {"selector": {"a": "b"}, "template": lasting["template"]}}),
        "PodTemplate": ("api/v1", {"template": pod}),
        "Job": ("apis/batch/v1", {"spec": {"template": pod}}),
        "CronJob": ("apis/batch/v1", {"spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": pod}}}}),
    }
    at, said = specs[kind]
    version = at.partition("/")[2]
    return f"/{at}/namespaces/{TENANT}/{kind.lower()}s", {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": "a", "namespace": TENANT},
        **said,
    }


KINDS = ["CronJob", "DaemonSet", "Deployment", "Job", "PodTemplate", "ReplicaSet", "ReplicationController", "StatefulSet"]


@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_of_workload_takes_a_stores_account_but_from_its_operator(server, editor, kind):
    path, body = template(kind)
    assert "'floor-store-accounts-bank-a'" in refused(editor, "POST", path, body)
    operator = ("system:serviceaccounts:cnpg-system", "system:authenticated")
    assert refused(Caller(server, "system:serviceaccount:cnpg-system:cloudnative-pg", operator), "POST", path, body) == ""
    body = copy.deepcopy(body)
    _account(body, "api-ms")
    assert refused(editor, "POST", path, body) == ""


def _account(value: Any, name: str) -> None:
    if isinstance(value, dict):
        if "serviceAccountName" in value:
            value["serviceAccountName"] = name
        for one in value.values():
            _account(one, name)


def test_no_part_of_an_object_is_a_way_to_its_labels(server, editor, templates):
    space = server.request("GET", IN)
    space["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = "privileged"
    for part in ("status", "finalize"):
        assert "'floor-subresources'" in refused(editor, "PUT", f"{IN}/{part}", space)
    made = pod_of(templates, f"{TENANT}/api-ms")
    made["metadata"]["name"] = "made"
    server.request("POST", f"{IN}/pods", made)
    pod = server.request("GET", f"{IN}/pods/made")
    assert refused(editor, "PUT", f"{IN}/pods/made/status", pod) == ""
    pod["metadata"]["labels"]["app.kubernetes.io/name"] = "trans-ms"
    assert "'floor-subresources'" in refused(editor, "PUT", f"{IN}/pods/made/status", pod)
    target = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "made"}, "target": {"kind": "Node", "name": "n"}}
    for path in (f"{IN}/pods/made/binding", f"{IN}/bindings"):
        assert "'floor-subresources'" in refused(editor, "POST", path, target)


@pytest.mark.parametrize("name", ["istio-ca-root-cert", "istio-ca-crl"])
def test_what_proxies_know_istiod_by_is_istiods_to_write(server, editor, name):
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"root-cert.pem": "mine"}}
    assert "'floor-decision-data'" in refused(editor, "POST", f"{IN}/configmaps", body)
    istiod = Caller(
        server, "system:serviceaccount:istio-system:istiod", ("system:serviceaccounts:istio-system", "system:authenticated")
    )
    assert refused(istiod, "POST", f"{IN}/configmaps", body) == ""


@pytest.mark.parametrize("tried", OPERATED)
def test_what_an_operator_would_act_on_is_the_deployers_to_write(editor, tried):
    with pytest.raises(RefusedError, match="'floor-platform-objects'"):
        editor.apply(OPERATED[tried], dry_run=True)


def test_no_editor_opens_a_namespace_to_faults(server, editor):
    space = server.request("GET", IN)
    space["metadata"]["annotations"] = {"team": "payments"}
    assert refused(editor, "PUT", IN, space) == ""
    space["metadata"]["annotations"] = {"chaos-mesh.org/inject": "enabled"}
    assert "'floor-namespace-labels'" in refused(editor, "PUT", IN, space)
