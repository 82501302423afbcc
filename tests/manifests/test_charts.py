"""The charts that pinned modules carry render with Helm, and the API server accepts every object of them.

The values are the least a chart asks for. What the program's own values render to is judged where those are.
"""

import pytest
import yaml

from sandbox.apiclient import ApiServer
from sandbox.charts import CHARTS, ChartError, chart_dirs, render
from sandbox.modules import pinned
from sandbox.toolchain import ROOT

NAMESPACE = "charts"
NEEDED = {"karpenter": {"settings": {"clusterName": "eu-west-1"}}, "istio-gateway": {"name": "ingress"}}
# components/charts.yaml states what each chart brings; the module of the same program, where one is pinned
MODULE = {
    "cert-manager": "github.com/cert-manager/cert-manager",
    "cilium": "github.com/cilium/cilium",
    "cloudnative-pg": "github.com/cloudnative-pg/cloudnative-pg",
    "external-dns": "sigs.k8s.io/external-dns",
    "gatekeeper": "github.com/open-policy-agent/gatekeeper/v3",
    "istiod": "istio.io/api",
    "karpenter": "github.com/aws/karpenter-provider-aws",
    "kyverno": "github.com/kyverno/kyverno",
    "prometheus-operator-crds": "github.com/prometheus-operator/prometheus-operator",
}
INSTALLED = yaml.safe_load((ROOT / "components" / "charts.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("chart", sorted(CHARTS))
def test_the_server_accepts_what_a_chart_renders(api_server: ApiServer, chart):
    api_server.namespace(NAMESPACE)
    objects = render(chart_dirs()[chart], "trial", NAMESPACE, NEEDED.get(chart, {}))
    assert objects
    for rendered in objects:
        if rendered["kind"] == "CustomResourceDefinition":
            continue  # the real ones are installed already
        place = rendered["metadata"].get("namespace", NAMESPACE)
        if place not in {NAMESPACE, "kube-system"}:
            api_server.namespace(place)
        api_server.apply(rendered, dry_run=True, namespace=NAMESPACE)


@pytest.mark.parametrize("chart", sorted(INSTALLED.keys() & MODULE.keys()))
def test_a_module_is_pinned_at_what_the_installed_chart_brings(chart):
    version = pinned("crds")[MODULE[chart]]
    assert version.removeprefix("v") == str(INSTALLED[chart]["app_version"]).removeprefix("v")


def test_values_reach_the_objects():
    rendered = render(chart_dirs()["istiod"], "istiod", NAMESPACE, {"meshConfig": {"trustDomain": "eu-west-1.bank.internal"}})
    mesh = next(item for item in rendered if item["kind"] == "ConfigMap" and item["metadata"]["name"] == "istio")
    assert yaml.safe_load(mesh["data"]["mesh"])["trustDomain"] == "eu-west-1.bank.internal"


def test_a_chart_sees_the_kubernetes_version_and_the_apis_it_is_told_of():
    values = {
        "metrics": {"serviceMonitor": {"enabled": True}},
        "prometheus": {"enabled": True, "serviceMonitor": {"enabled": True}},
    }
    told = render(chart_dirs()["cilium"], "cilium", NAMESPACE, values, api_versions=["monitoring.coreos.com/v1"])
    assert "ServiceMonitor" in {item["kind"] for item in told}
    with pytest.raises(ChartError, match="monitoring"):
        render(chart_dirs()["cilium"], "cilium", NAMESPACE, values)
    with pytest.raises(ChartError, match=r"incompatible with Kubernetes v1\.20\.0"):
        render(chart_dirs()["cilium"], "cilium", NAMESPACE, {}, kube_version="1.20.0")


def test_values_that_a_chart_refuses_are_reported_in_its_words():
    with pytest.raises(ChartError, match=r"karpenter: .*without a valid settings\.clusterName"):
        render(chart_dirs()["karpenter"], "karpenter", NAMESPACE, {})


def test_a_sub_chart_that_the_module_lacks_is_refused_when_the_values_turn_it_on():
    assert render(chart_dirs()["kyverno"], "kyverno", NAMESPACE, {})
    with pytest.raises(ChartError, match="turn on the sub-chart reports-server"):
        render(chart_dirs()["kyverno"], "kyverno", NAMESPACE, {"reportsServer": {"enabled": True}})
