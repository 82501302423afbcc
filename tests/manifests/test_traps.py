"""What Istio's own injector makes of every pod of the program, with the configuration that the program's istiod gets.

`istioctl kube-inject` runs the webhook's code on a file. It reads the templates and their settings from istiod's chart, but not
the default templates: those are written into the pods' annotations here, as the same chart names them. istioctl and the charts
are a newer state than the Istio that is installed (sandbox/charts.py); whether SPIRE answers behind the socket is not asked.
"""

import copy
import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.graph.names import GATEWAYS
from components.mesh.istio import CSI_DRIVER, SOCKET_FOLDER
from sandbox.charts import chart_dirs, render
from sandbox.toolchain import build
from tests.support.objects import all_of, objects_of, releases_of
from tests.support.program import STACKS

HOME = "eu-west-1"
TEMPLATES = "inject.istio.io/templates"
SECONDS = 120


def release(stack: str, name: str) -> Mapping[str, Any]:
    return next(one for one in releases_of(stack)[HOME] if one["name"] == name)


def given(stack: str, defaults: str) -> Iterator[dict[str, Any]]:
    """The workloads of injected namespaces and the gateways, each with the templates that the webhook would take."""
    objects = objects_of(stack)[HOME]
    meshed = {
        one["metadata"]["name"]
        for one in all_of("Namespace", objects)
        if one["metadata"]["labels"]["istio-injection"] == "enabled"
    }
    workloads = [one for kind in ("Deployment", "StatefulSet") for one in all_of(kind, objects)]
    for gateway in GATEWAYS:
        values = release(stack, gateway.name)["values"]
        workloads += all_of("Deployment", render(chart_dirs()["istio-gateway"], gateway.name, gateway.namespace, values))
    for one in copy.deepcopy(workloads):
        one["metadata"].setdefault(
            "namespace", next((each.namespace for each in GATEWAYS if each.name == one["metadata"]["name"]), "")
        )
        about = one["spec"]["template"]["metadata"]
        if one["metadata"]["namespace"] in meshed and about.get("labels", {}).get("sidecar.istio.io/inject") != "false":
            about["annotations"] = {TEMPLATES: defaults, **about.get("annotations", {})}
            yield one


def injected(stack: str, scratch: Path, values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """`namespace/name` → pod spec after injection, as istiod with these values would do it."""
    return {name: template["spec"] for name, template in injected_templates(stack, scratch, values).items()}


def injected_templates(stack: str, scratch: Path, values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """`namespace/name` → pod template after injection."""
    charted = render(chart_dirs()["istiod"], "istiod", "istio-system", values, api_versions=["monitoring.coreos.com/v1"])
    about = {one["metadata"]["name"]: one["data"] for one in all_of("ConfigMap", charted)}
    (istiod,) = all_of("Deployment", charted)
    told = {one["name"]: one["value"] for one in istiod["spec"]["template"]["spec"]["containers"][0]["env"] if one.get("value")}
    config = about["istio-sidecar-injector"]["config"]
    workloads = given(stack, ",".join(yaml.safe_load(config)["defaultTemplates"]))
    nowhere = {"clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}], "users": [{"name": "u", "user": {}}]}
    context = {"contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}], "current-context": "c"}
    files = {
        "filename": "\n---\n".join(json.dumps(one) for one in workloads),
        "injectConfigFile": config,
        "valuesFile": about["istio-sidecar-injector"]["values"],
        "meshConfigFile": about["istio"]["mesh"],
        # Without a kubeconfig it would look for a cluster at the port of whoever listens there.
        "kubeconfig": json.dumps({"apiVersion": "v1", "kind": "Config", **nowhere, **context}),
    }
    command = [str(build("istioctl", lambda _line: None)), "kube-inject", "--revision", "default"]
    for flag, text in files.items():
        (scratch / flag).write_text(text, encoding="utf-8")
        command += [f"--{flag}", str(scratch / flag)]
    environment = {"HOME": str(scratch), "ENABLE_NATIVE_SIDECARS": told["ENABLE_NATIVE_SIDECARS"]}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=SECONDS)
    found = [one for one in yaml.safe_load_all(done.stdout) if one]
    return {f"{one['metadata']['namespace']}/{one['metadata']['name']}": one["spec"]["template"] for one in found}


def mistakes(pods: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Pods whose proxy is missing, there twice or without an image, in the wrong place, or without SPIRE's socket."""
    gateways, wrong = {f"{each.namespace}/{each.name}" for each in GATEWAYS}, []
    for name, pod in pods.items():
        place = "containers" if name in gateways else "initContainers"
        proxies = [
            (key, one) for key in ("initContainers", "containers") for one in pod.get(key, ()) if one["name"] == "istio-proxy"
        ]
        if [key for key, _ in proxies] != [place]:
            wrong.append(f"{name}: a proxy in {[key for key, _ in proxies]}")
            continue
        ((_, proxy),) = proxies
        mounts = [one["mountPath"] for one in proxy["volumeMounts"] if one["name"] == "workload-socket"]
        volumes = [one for one in pod["volumes"] if one["name"] == "workload-socket"]
        if not proxy.get("image") or (place == "initContainers" and proxy.get("restartPolicy") != "Always"):
            wrong.append(f"{name}: the proxy is no native sidecar")
        if mounts != [SOCKET_FOLDER] or volumes != [{"name": "workload-socket", "csi": {"driver": CSI_DRIVER, "readOnly": True}}]:
            wrong.append(f"{name}: {mounts} of {volumes}")
    return wrong


@pytest.mark.parametrize("stack", STACKS)
def test_every_injected_pod_has_one_proxy_in_its_place_and_spires_socket_in_it(stack, tmp_path):
    pods = injected(stack, tmp_path, release(stack, "istiod")["values"])
    assert mistakes(pods) == []
    namespaces = {name.split("/")[0] for name in pods}
    assert {"bank-a", "bank-b", "rate-limit", *(each.namespace for each in GATEWAYS)} <= namespaces


def _patched_elsewhere(values: dict[str, Any]) -> None:
    templates = values["sidecarInjectorWebhook"]["templates"]
    templates["spire"] = templates["spire"].replace("initContainers", "containers")


def _patched_wrongly_at_gateways(values: dict[str, Any]) -> None:
    templates = values["sidecarInjectorWebhook"]["templates"]
    templates["spire-gateway"] = templates["spire"]


def _not_native(values: dict[str, Any]) -> None:
    values["env"]["ENABLE_NATIVE_SIDECARS"] = "false"


def _not_default(values: dict[str, Any]) -> None:
    values["sidecarInjectorWebhook"]["defaultTemplates"] = ["sidecar"]


@pytest.mark.parametrize("change", [_patched_elsewhere, _patched_wrongly_at_gateways, _not_native, _not_default])
def test_a_template_for_another_kind_of_container_or_none_is_seen(change, tmp_path):
    values = copy.deepcopy(dict(release("dev", "istiod")["values"]))
    change(values)
    assert mistakes(injected("dev", tmp_path, values))


def called(stack: str, name: str) -> Iterator[tuple[str, dict[str, str], int]]:
    """Namespace, labels and port of the pods behind every webhook that a release registers."""
    sent = release(stack, name)
    objects = render(chart_dirs()[name], name, sent["namespace"], sent["values"], api_versions=["monitoring.coreos.com/v1"])
    services = {one["metadata"]["name"]: one["spec"] for one in all_of("Service", objects)}
    pods = [one["spec"]["template"] for one in all_of("Deployment", objects)]
    for kind in ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"):
        for client in (hook["clientConfig"]["service"] for one in all_of(kind, objects) for hook in one["webhooks"]):
            service = services[client["name"]]
            labels = next(
                pod["metadata"]["labels"] for pod in pods if service["selector"].items() <= pod["metadata"]["labels"].items()
            )
            pod = next(pod for pod in pods if pod["metadata"]["labels"] == labels)
            (target,) = {
                port.get("targetPort", port["port"]) for port in service["ports"] if port["port"] == client.get("port", 443)
            }
            named = {port["name"]: port["containerPort"] for box in pod["spec"]["containers"] for port in box.get("ports", ())}
            yield client["namespace"], labels, named.get(target, target)


def admitted(objects: list[Mapping[str, Any]], namespace: str, labels: Mapping[str, str], port: int) -> bool:
    """Whether a Cilium policy lets the API server in at that port of those pods, by identity."""
    for one in all_of("CiliumNetworkPolicy", objects):
        selector = one["spec"]["endpointSelector"]
        own = {f"k8s:{key}": value for key, value in labels.items()}
        theirs = set(selector) == {"matchLabels"} and own.items() >= selector["matchLabels"].items()
        for rule in one["spec"].get("ingress", ()) if one["metadata"]["namespace"] == namespace and theirs else ():
            ports = {each["port"] for several in rule["toPorts"] for each in several["ports"]}
            if "kube-apiserver" in rule.get("fromEntities", ()) and str(port) in ports:
                return True
    return False


@pytest.mark.parametrize("name", ["istiod", "cert-manager"])
@pytest.mark.parametrize("stack", STACKS)
def test_the_api_server_is_let_in_to_every_webhook_that_a_chart_registers(stack, name):
    """Read from the charts, not from the program's own table of webhooks."""
    hooks, objects = list(called(stack, name)), objects_of(stack)[HOME]
    assert hooks
    for namespace, labels, port in hooks:
        assert admitted(objects, namespace, labels, port), (labels, port)
        assert not admitted(objects, namespace, labels, port + 1)
        without = [
            one
            for one in objects
            if one["metadata"]["name"] != ("istiod-webhook" if name == "istiod" else "cert-manager-webhook-webhook")
        ]
        assert not admitted(without, namespace, labels, port)
