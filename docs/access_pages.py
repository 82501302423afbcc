"""Pages for who asks "may they?" and "who is that?": the access graph with its pictures, the identities, the charts."""

import inspect
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import groupby
from typing import Final

from components.graph.identity import logical_name, spiffe_id
from components.graph.model import Call, Graph, Route
from components.helm import pins
from components.identity.registration import region_objects, tenant_objects
from components.settings import load
from docs import call_graph
from docs.enforcement import LAYERS, Edge, Place, edge_id, edges, places, standing, tenants_of
from docs.markdown import GENERATED, row, table
from tests.support.program import STACKS, record_stack, stack_settings

DRAWN: Final = "prod"
"""The stack whose graph is drawn; the identities are those of every shipped stack."""
IDENTITIES: Final = (
    "The logical name is the short form that people use; what is issued, compared and logged is the SPIFFE id, one per region\n"
    "([decision 4](../adr/0004-identities.md)). *Trusts* names the other trust domains whose authorities a workload is handed:\n"
    "those of its calls between regions and no more ([decision 5](../adr/0005-federation.md)).\n"
)
GRAPH: Final = (
    "Each object below was found by compiling the settings with and without the edge: **own** objects are gone without it,\n"
    "**shared** ones change. A request passes when every layer on its way admits it. `make render` writes the objects\n"
    "themselves to `build/manifests/<stack>/<region>/<namespace>/`.\n"
)
LEGEND: Final = (
    "Solid blue: services of the tenant; dashed: another tenant's. Yellow: clients. Green: stores. Red: external hosts.\n"
    "Violet: what a call needs besides its caller, and calls that may leave the region.\n"
)


@cache
def graph_of(stack: str) -> Graph:
    """The access graph of a shipped stack."""
    return Graph.of(load(stack_settings(stack), stack))


def pictures() -> dict[str, str]:
    """Each tenant's call graph by its path."""
    graph = graph_of(DRAWN)
    return {f"docs/reference/calls-{tenant}.svg": call_graph.svg(graph, tenant) for tenant in graph.tenants}


def registered(graph: Graph, region: str) -> dict[tuple[str, str], tuple[str, ...]]:
    """Namespace and service account of every registration of a region, with the trust domains it federates with."""
    objects = [
        *region_objects(graph, region),
        *(each for tenant in graph.tenants for each in tenant_objects(graph, region, tenant)),
    ]
    found = {}
    for wanted in objects:
        namespace, account = (template.rsplit(":", 1)[1] for template in wanted["spec"]["workloadSelectorTemplates"])
        found[namespace, account] = tuple(wanted["spec"].get("federatesWith", ()))
    return found


def identities_page() -> str:
    """Logical name → SPIFFE id in each region, for every registration."""
    parts = [f"# Identities\n\n{GENERATED}\n\n{IDENTITIES}"]
    for stack in STACKS:
        graph = graph_of(stack)
        by_region = {region: registered(graph, region) for region in graph.regions}
        rows = []
        for namespace, account in sorted({who for found in by_region.values() for who in found}):
            ids, trusts = [], []
            for region, found in by_region.items():
                if (namespace, account) in found:
                    ids.append(f"`{spiffe_id(graph.trust_domain(region), namespace, account)}`")
                    others = found[namespace, account]
                    trusts.append(", ".join(f"`{domain}`" for domain in others) or "none")
            trusted = trusts if set(trusts) != {"none"} else []
            rows.append(row(f"`{logical_name(namespace, account)}`", "<br/>".join(ids), "<br/>".join(trusted)))
        parts.append(f"## {stack}\n\n{table(('logical name', 'SPIFFE id', 'trusts'), rows)}\n")
    return "\n".join(parts)


def _ends(edge: Edge) -> tuple[str, str]:
    sources, target = call_graph.ends(edge)
    plain = [source.removeprefix("client:") for source in sources]
    return ", ".join(f"`{source}`" for source in plain), f"`{target.removeprefix('host:')}`"


def _summary(found: Sequence[Edge]) -> str:
    rows = []
    for edge in found:
        source, target = _ends(edge)
        quote = "`" if isinstance(edge, Call | Route) else ""
        allowed = "<br/>".join(f"{quote}{text}{quote}" for text in call_graph.means(edge))
        asked = "<br/>".join(call_graph.conditions(edge))
        rows.append(row(f"[{edge.key}](#{anchor(edge)})", source, target, allowed, asked))
    return table(("edge", "from", "to", "may", "asks for"), rows)


def heading(edge: Edge) -> str:
    """An edge's own heading; the kind is part of it, since keys are unique within their kind only."""
    return f"{type(edge).__name__.lower()} {edge.key}"


def anchor(edge: Edge) -> str:
    """What a link to the heading says."""
    return heading(edge).replace(" ", "-")


def _objects(found: tuple[Place, ...], regions: tuple[str, ...]) -> str:
    """Objects of one kind of keeping, a line per kind: its names follow."""
    lines = []
    for kind, same in groupby(found, key=lambda place: place.kind):
        names = []
        for place in same:
            where = "" if place.regions == regions else f" (in {', '.join(place.regions)})"
            names.append(f"`{place.name}`{where}")
        lines.append(f"{kind} {', '.join(names)}")
    return "<br/>".join(lines)


def _enforced(edge: Edge, found: tuple[Place, ...], regions: tuple[str, ...]) -> str:
    source, target = _ends(edge)
    by_layer: Mapping[str, list[Place]] = {layer: list(same) for layer, same in groupby(found, key=lambda place: place.layer)}
    rows = [
        row(
            LAYERS[layer],
            _objects(tuple(place for place in inside if place.kept == "own"), regions),
            _objects(tuple(place for place in inside if place.kept == "shared"), regions),
        )
        for layer, inside in by_layer.items()
    ]
    return f"#### {heading(edge)}\n\n{source} → {target}\n\n{table(('layer', 'own', 'shared'), rows)}\n"


def access_graph_page() -> str:
    """Every edge, what it allows, and where it is enforced."""
    graph = graph_of(DRAWN)
    enforced = places(graph)
    parts = [
        f"# Access graph\n\n{GENERATED} The graph of `Pulumi.{DRAWN}.yaml`.\n\n{GRAPH}",
        "## Before any edge\n\n" + table(("layer", "object", "what it says"), (row(*each) for each in standing(graph))) + "\n",
        f"## By tenant\n\n{LEGEND}",
    ]
    for tenant in graph.tenants:
        involved = [edge for edge in edges(graph) if tenant in tenants_of(edge)]
        decided = [edge for edge in involved if tenants_of(edge)[0] == tenant]
        parts.append(f"### {tenant}\n\n![Who may call what: {tenant}](calls-{tenant}.svg)\n\n{_summary(involved)}\n")
        parts += [_enforced(edge, enforced[edge_id(edge)], _where(graph, edge)) for edge in decided]
    return "\n".join(parts)


def _where(graph: Graph, edge: Edge) -> tuple[str, ...]:
    """The regions in which an edge's objects stand unless a line says otherwise."""
    return edge.callee.regions if isinstance(edge, Call) else graph.regions


def purpose_of(cls: type) -> str:
    """The first sentence of the module that a component stands in."""
    about = inspect.getdoc(inspect.getmodule(cls)) or ""
    return " ".join(re.split(r"\.\s", about, maxsplit=1)[0].rstrip(".").split())


def charts_page() -> str:
    """Every pinned chart and which component installs it, for what."""
    from docs.reference_pages import component_classes  # noqa: PLC0415 - that page imports this one

    recording = record_stack(DRAWN)
    types = {each.urn: each.type for each in recording.resources}
    purposes = {cls.token: purpose_of(cls) for cls in component_classes()}
    used: dict[tuple[str, str], set[str]] = defaultdict(set)
    for release in recording.of("kubernetes:helm.sh/v3:Release"):
        used[release.inputs["chart"], release.inputs["version"]].add(types[release.parent])
    rows = []
    for name, pin in sorted(pins().items()):
        by = sorted(used[pin.chart, pin.version])
        purpose = "<br/>".join(purposes[token] for token in by)
        source = pin.repository or pin.chart
        tokens = "<br/>".join(f"`{token}`" for token in by) or "not installed by the shipped stacks"
        rows.append(row(f"`{name}`", pin.version, pin.app_version, source, purpose, tokens))
    head = ("chart", "version", "brings", "from", "what for", "installed by")
    text = (
        "Pinned in [`components/charts.yaml`](../../components/charts.yaml). `make charts` records each archive's digest beside\n"
        "its version and refuses one that changed under the same version; one without a digest there is not recorded yet.\n"
    )
    return f"# Charts\n\n{GENERATED}\n\n{text}\n{table(head, rows)}\n"


def access_pages() -> dict[str, str]:
    """Pages and pictures by path."""
    return {
        "docs/reference/access-graph.md": access_graph_page(),
        "docs/reference/charts.md": charts_page(),
        "docs/reference/identities.md": identities_page(),
        **pictures(),
    }
