"""Helm charts as objects: the charts that pinned Go modules carry, rendered by the real Helm with the program's values.

Istio's charts come from the module that istioctl is built from, a state of its main branch that is newer (1.31) than the
1.30.3 that the program installs: the older commit is not to be had as a module. What they render is evidence about the
values and the objects' shape, not about the very release. In a module's charts the version and image stamps of a release
are placeholders for Istio, cert-manager and Karpenter.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from sandbox.crds import Loader
from sandbox.modules import module_folders
from sandbox.toolchain import build

KUBE_VERSION: Final = "1.35.0"
CHARTS: Final[Mapping[str, tuple[str, str, str]]] = {
    "cert-manager": ("crds", "github.com/cert-manager/cert-manager", "deploy/charts/cert-manager"),
    "cilium": ("crds", "github.com/cilium/cilium", "install/kubernetes/cilium"),
    "external-dns": ("crds", "sigs.k8s.io/external-dns", "charts/external-dns"),
    "gatekeeper": ("crds", "github.com/open-policy-agent/gatekeeper/v3", "charts/gatekeeper"),
    "istio-base": ("istioctl", "istio.io/istio", "manifests/charts/base"),
    "istio-cni": ("istioctl", "istio.io/istio", "manifests/charts/istio-cni"),
    "istio-gateway": ("istioctl", "istio.io/istio", "manifests/charts/gateway"),
    "istiod": ("istioctl", "istio.io/istio", "manifests/charts/istio-control/istio-discovery"),
    "karpenter": ("crds", "github.com/aws/karpenter-provider-aws", "charts/karpenter"),
    "kyverno": ("crds", "github.com/kyverno/kyverno", "charts/kyverno"),
    "kyverno-policies": ("crds", "github.com/kyverno/kyverno", "charts/kyverno-policies"),
}
"""Chart, as components/charts.yaml names it → the folder of tools/ that pins the module, the module, the chart's folder."""
_DEFINITIONS_ONLY: Final = frozenset({"kyverno-api"})
"""Sub-charts that bring custom resource definitions and nothing else: sandbox/crds.py has those."""


class ChartError(Exception):
    """A chart is not there or does not render; the message has Helm's own sentence."""

    user_facing = True


def chart_dirs() -> dict[str, Path]:
    """Chart → its folder, for every chart that a pinned module carries.

    Raises:
        ChartError: when a module no longer has a chart where the table says.
        ToolError: when a module cannot be fetched.
    """
    found = {}
    for name, (pinned_in, module, below) in CHARTS.items():
        folder = module_folders(pinned_in, module)[module] / below
        if not (folder / "Chart.yaml").is_file():
            msg = f"{name}: no chart at {below} in {module}"
            raise ChartError(msg)
        found[name] = folder
    return found


def render(
    chart_dir: Path,
    release: str,
    namespace: str,
    values: Mapping[str, Any],
    kube_version: str = KUBE_VERSION,
    *,
    api_versions: Sequence[str] = (),
    progress: Callable[[str], None] = lambda _line: None,
) -> list[dict[str, Any]]:
    """The objects an installation would send, hooks included, test pods and the chart's `crds/` folder left out.

    Helm does not write the release's namespace into an object that names none: `ApiServer.apply(..., namespace=...)`.

    Args:
        chart_dir: a folder with `Chart.yaml`.
        release: the release's name.
        namespace: the release's namespace.
        values: JSON values, over the chart's own.
        kube_version: what the chart may ask for as the cluster's version.
        api_versions: group/version or group/version/Kind that the chart is told the cluster serves.
        progress: gets a line a second while Helm itself is built.

    Raises:
        ChartError: in Helm's words, or for a sub-chart that the values turn on and the folder lacks.
        ToolError: when Helm cannot be built.
    """
    helm = build("helm", progress)
    with tempfile.TemporaryDirectory() as scratch:
        chart = complete(chart_dir, values, Path(scratch) / "chart")
        command = [str(helm), "template", release, str(chart), "--namespace", namespace, "--kube-version", kube_version]
        command += ["--include-crds=false", "--skip-tests", "--values", "-"]
        command += [part for version in api_versions for part in ("--api-versions", version)]
        homes = {f"HELM_{part}_HOME": f"{scratch}/{part}" for part in ("CACHE", "CONFIG", "DATA")}
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("HELM_", "KUBE"))} | homes
        done = subprocess.run(
            command, input=json.dumps(values), env=environment, cwd=scratch, capture_output=True, text=True, check=False
        )
    if done.returncode != 0:
        msg = f"{chart_dir.name}: " + " ".join(done.stderr.split())
        raise ChartError(msg)
    documents = (document for document in yaml.load_all(done.stdout, Loader=Loader) if document)
    return [item for document in documents for item in (document["items"] if document["kind"] == "List" else [document])]


def complete(chart_dir: Path, values: Mapping[str, Any], copy: Path) -> Path:
    """The chart itself, or a copy that no longer asks for the sub-charts its folder lacks and that are turned off."""
    about = yaml.safe_load((chart_dir / "Chart.yaml").read_text(encoding="utf-8"))
    wanted = about.get("dependencies") or []
    absent = [entry for entry in wanted if not (chart_dir / "charts" / entry["name"]).is_dir()]
    if not absent:
        return chart_dir
    defaults = yaml.load((chart_dir / "values.yaml").read_text(encoding="utf-8"), Loader=Loader)  # noqa: S506  # a safe one
    for entry in absent:
        # without a condition a sub-chart is always on
        condition = entry.get("condition", "").split(".")
        turned_on = _at(values, condition) if _at(values, condition) is not None else _at(defaults, condition)
        if entry["name"] not in _DEFINITIONS_ONLY and (condition == [""] or turned_on):
            msg = f"{about['name']}: the values turn on the sub-chart {entry['name']}, which its module does not carry"
            raise ChartError(msg)
    shutil.copytree(chart_dir, copy, ignore=shutil.ignore_patterns("Chart.lock"), copy_function=shutil.copyfile)
    about["dependencies"] = [entry for entry in wanted if entry not in absent]
    (copy / "Chart.yaml").write_text(yaml.safe_dump(about), encoding="utf-8")
    return copy


def _at(values: Any, path: Sequence[str]) -> Any:
    for part in path:
        if not isinstance(values, Mapping):
            return None
        values = values.get(part)
    return values
