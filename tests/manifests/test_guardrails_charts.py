"""What charts and the injector make, judged by the compiled constraints with the settings' exemptions.

The charts are those that pinned modules carry (sandbox/charts.py), with the values of the program's own releases. Of the others
`tests/data/exemptions.yaml` says what their pods need. Not proven: pods that operators make.
"""

import copy
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest
import yaml

from components.admission.constraints import installed_images, proxy_image
from components.graph.model import Graph
from components.helm import database_operator_image
from components.settings import CONFIG_KEY, load
from sandbox import gator
from sandbox.charts import CHARTS, chart_dirs, render
from tests.manifests.test_guardrails import REGION, TENANT, graph_of, rules
from tests.manifests.test_traps import injected_templates, release
from tests.support.objects import all_of, objects_of, pods_of, releases_of
from tests.support.program import ROOT, STACKS

FOLDERS = {"base": "istio-base", "cni": "istio-cni", "gateway": "istio-gateway"}
"""Last part of an OCI reference → the chart's name in sandbox/charts.py."""
UNPLACED = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}
SERVED = ["monitoring.coreos.com/v1", "cert-manager.io/v1"]


@cache
def charted() -> dict[str, list[dict[str, Any]]]:
    """Release of production → what its chart makes of its values."""
    found = {}
    for one in releases_of("prod")[REGION]:
        last = one["chart"].rsplit("/", 1)[-1]
        chart = FOLDERS.get(last, last)
        if chart in CHARTS:
            made = render(chart_dirs()[chart], one["name"], one["namespace"], one["values"], api_versions=SERVED)
            for each in made:
                if each["kind"] not in UNPLACED:
                    each["metadata"].setdefault("namespace", one["namespace"])
            found[one["name"]] = [each for each in made if each["kind"] != "CustomResourceDefinition"]
    return found


def spaces(objects: list[dict[str, Any]]) -> list[Mapping[str, Any]]:
    """The program's namespaces, and those that are there before it."""
    own = all_of("Namespace", objects_of("prod")[REGION])
    known = {one["metadata"]["name"] for one in own}
    other = sorted({one["metadata"].get("namespace", "kube-system") for one in objects} - known)
    return [*own, *({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {}}} for name in other)]


def said(graph: Graph, objects: list[dict[str, Any]]) -> tuple[gator.Violation, ...]:
    asked = [one for one in objects if one["kind"] != "Namespace"]
    found = gator.judge(rules(graph, REGION), [*spaces(asked), *asked])
    return tuple(one for one in found if not one.object.startswith("Namespace "))


def bare() -> Graph:
    """Production without an exemption."""
    text = (ROOT / "Pulumi.prod.yaml").read_text(encoding="utf-8")
    settings = yaml.safe_load(text)["config"][CONFIG_KEY]
    settings["guardrails"]["exemptions"] = {}
    return Graph.of(load(settings))


def test_the_releases_with_a_chart_here_are_judged():
    assert {"cilium", "istiod", "istio-cni", "cert-manager", "external-dns", "gatekeeper", "kyverno"} <= charted().keys()


@pytest.mark.parametrize("name", ["cert-manager", "cilium", "external-dns", "gatekeeper", "istio-cni", "istiod", "kyverno"])
def test_what_a_chart_makes_of_the_programs_values_passes(name):
    objects = charted()[name]
    assert said(graph_of("prod"), [*objects, *pods_of(objects)]) == ()


@pytest.mark.parametrize("name", sorted({"cilium", "istio-cni"}))
def test_without_the_exemption_of_the_clusters_network_its_pods_are_refused(name):
    kinds = {one.kind for one in said(bare(), list(pods_of(charted()[name])))}
    assert {"NoHostFiles", "NonRoot", "NoCapabilities"} <= kinds


def test_an_account_beside_the_exempt_one_may_do_none_of_it():
    agent = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "agent", "namespace": "spire-system"},
        "spec": {
            "serviceAccountName": "spire-agent",
            "hostPID": True,
            "containers": [{"name": "agent", "volumeMounts": [{"name": "sockets", "mountPath": "/run"}]}],
            "volumes": [{"name": "sockets", "hostPath": {"path": "/run/spire/agent-sockets"}}],
        },
    }
    assert said(graph_of("prod"), [agent]) == ()
    for change in ({"serviceAccountName": "spire-spiffe-csi-driver"}, {"serviceAccountName": "default"}):
        other = copy.deepcopy(agent)
        other["spec"] |= change
        assert {"NoHostNamespaces"} <= {one.kind for one in said(graph_of("prod"), [other])}
    elsewhere = copy.deepcopy(agent)
    elsewhere["spec"]["volumes"][0]["hostPath"]["path"] = "/run"
    assert {one.kind for one in said(graph_of("prod"), [elsewhere])} == {"NoHostFiles"}


@pytest.mark.parametrize("stack", STACKS)
def test_a_pod_as_the_injector_makes_it_passes(stack, tmp_path):
    """The injector is a newer state than the Istio installed; names of its images are the values' own."""
    templates = injected_templates(stack, tmp_path, release(stack, "istiod")["values"])
    pods = []
    for name, template in templates.items():
        namespace, _, own = name.partition("/")
        about = {key: template["metadata"].get(key) or {} for key in ("labels", "annotations")}
        pods.append(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": own, "namespace": namespace, **about},
                "spec": template["spec"],
            }
        )
    assert sum(pod["metadata"]["namespace"] == TENANT for pod in pods) > 1
    assert gator.judge(rules(graph_of(stack), REGION), [*all_of("Namespace", objects_of(stack)[REGION]), *pods]) == ()
    proxies = {one["image"] for pod in pods for one in pod["spec"].get("initContainers", ()) if one["name"].startswith("istio-")}
    assert proxies == {proxy_image()}


def test_the_charts_are_told_the_images_that_admission_expects():
    values = {one["name"]: one["values"] for one in releases_of("prod")[REGION]}
    for name in ("istiod", "istio-cni"):
        said = values[name]["global"]
        assert f"{said['hub']}/proxyv2:{said['tag']}-{said['variant']}" == proxy_image()
    image = values["cloudnative-pg"]["image"]
    assert f"{image['repository']}:{image['tag']}" == database_operator_image()
    assert set(installed_images(graph_of("prod"))) == {proxy_image(), database_operator_image()}


@pytest.mark.parametrize("name", sorted({"cert-manager", "external-dns", "gatekeeper", "istio-cni", "istiod"}))
def test_every_secret_that_a_chart_mounts_is_made(name):
    objects = charted()[name]
    made = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in all_of("Secret", objects)}
    made |= {
        (one["metadata"]["namespace"], one["spec"]["secretName"]) for one in all_of("Certificate", objects_of("prod")[REGION])
    }
    mounted = {
        (pod["metadata"]["namespace"], volume["secret"]["secretName"])
        for pod in pods_of(objects)
        for volume in pod["spec"].get("volumes", ())
        if "secret" in volume and not volume["secret"].get("optional")
    }
    assert mounted <= made
    assert bool(mounted) is (name == "gatekeeper")
