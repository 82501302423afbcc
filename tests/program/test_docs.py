"""The documentation tells what the program is: generated pages are current, links resolve, names exist.

Does not prove the preview block beyond its rows without the EKS component's children: that needs the engine.
"""

import itertools
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.graph.model import Call, Data, Egress, Graph, Route
from components.helm import pins
from components.settings import CONFIG_KEY, load
from docs import call_graph, enforcement, engines, generate, picture
from docs.access_pages import graph_of, pictures
from docs.layered import Link, Size, layout
from docs.reference_pages import component_classes, observed, pages
from sandbox.observed import Seen
from tests.support.program import ROOT, STACKS, record_stack

MARKDOWN = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
README = generate.README.read_text(encoding="utf-8")


PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs/reference").iterdir())
"""Read from the folder: to generate them takes recordings, which collecting tests must not."""


@pytest.mark.parametrize("path", PAGES)
def test_a_generated_page_is_current(path):
    assert (ROOT / path).read_text(encoding="utf-8") == pages().get(path), "run make docs"


@pytest.mark.parametrize("name", ["picture", "cost", "engines", "unrun"])
def test_a_generated_block_of_the_readme_is_current(name):
    assert generate.block_of(README, name) == generate.blocks()[name], "run make docs"


def test_every_file_of_the_reference_is_generated_and_every_generated_page_is_a_file_of_it():
    assert generate.stale() == [], "run make docs"
    assert sorted(pages()) == PAGES, "run make docs"


def test_the_preview_block_counts_what_the_program_registers():
    shown = {
        cells[0]: [int(cell or 0) for cell in cells[1:]]
        for line in generate.block_of(README, "preview").splitlines()
        if line.startswith("│")
        for cells in [[cell.strip() for cell in line.strip("│").split("│")]]
    }
    recording = record_stack(generate.PREVIEWED)
    view = observed(recording)
    for each in recording.reads:
        view.resources[each.urn] = Seen(urn=each.urn, type=each.type, parent=each.parent, custom=True, operation="read")
    counts = view.table()
    assert set(shown) == set(counts)
    regions = sorted({region for each in counts.values() for region in each})
    for layer, each in counts.items():
        if layer != "cluster":
            assert shown[layer] == [*(each[region] for region in regions), each.total()], f"{layer}: run make docs"


@pytest.mark.parametrize("file", MARKDOWN, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_link_resolves(file):
    text = file.read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"[a-z]+:", target)]
    missing = [target for target in targets if not _resolves(file, target)]
    assert not missing


def _resolves(file: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    goal = (file.parent / path) if path else file
    if not goal.exists():
        return False
    heads = re.findall(r"^#+ (.+)$", goal.read_text(encoding="utf-8"), re.MULTILINE) if anchor else []
    return not anchor or anchor in {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("file", MARKDOWN, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_make_target_named_exists(file):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:`|^|&& )make ([a-z-]+)", file.read_text(encoding="utf-8"), re.MULTILINE))
    assert named <= targets


@pytest.mark.parametrize("file", MARKDOWN, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_component_token_named_exists(file):
    named = set(re.findall(r"zerotrust:[a-z-]+:[A-Z]\w+", file.read_text(encoding="utf-8")))
    assert named <= {cls.token for cls in component_classes()}


def test_the_picture_names_only_components_that_exist():
    tokens = {cls.token for cls in component_classes()}
    assert set(picture.TITLES) | set(picture.PATH) <= tokens


@pytest.mark.parametrize("stack", STACKS)
def test_every_instance_type_has_a_price(stack):
    assert not generate.unpriced(record_stack(stack))


GRAPHS = {
    "shipped": graph_of("prod"),
    "shop": Graph.of(
        load(
            yaml.safe_load((ROOT / "examples/ecommerce/Pulumi.dev.yaml").read_text(encoding="utf-8"))["config"][CONFIG_KEY], "dev"
        )
    ),
}


@pytest.mark.parametrize("graph", [*GRAPHS.values()], ids=[*GRAPHS])
def test_every_edge_is_drawn_with_its_methods_and_paths_for_each_tenant_at_its_ends(graph):
    texts = {tenant: call_graph.svg(graph, tenant) for tenant in graph.tenants}
    shown = {tenant: "".join(re.findall(r">([^<]+)</text>", svg)).replace(" ", "") for tenant, svg in texts.items()}
    for edge in enforcement.edges(graph):
        for tenant in enforcement.tenants_of(edge):
            for text in (*call_graph.means(edge), *call_graph.conditions(edge)):
                assert text.replace(" ", "") in shown[tenant], f"{edge.key} in {tenant}"


@pytest.mark.parametrize("graph", [*GRAPHS.values()], ids=[*GRAPHS])
def test_every_line_of_a_picture_is_an_edge_of_the_settings(graph):
    for tenant in graph.tenants:
        lines = call_graph.svg(graph, tenant).count('<path class="line')
        drawn = [edge for edge in enforcement.edges(graph) if tenant in enforcement.tenants_of(edge)]
        assert lines == sum(len(call_graph.ends(edge)[0]) for edge in drawn)


def _clear(placed):
    """Nothing is drawn over anything else, and all of it on the ground."""
    for one, other in itertools.combinations(placed.spots.values(), 2):
        apart = one.x + one.width <= other.x or other.x + other.width <= one.x
        assert apart or one.bottom <= other.top or other.bottom <= one.top, (one.key, other.key)
    for spot in placed.spots.values():
        assert spot.x >= 0
        assert spot.top >= 0
        assert spot.x + spot.width <= placed.width
        assert spot.bottom <= placed.height


@pytest.mark.parametrize("graph", [*GRAPHS.values()], ids=[*GRAPHS])
def test_nothing_is_drawn_over_anything_else(graph):
    for tenant in graph.tenants:
        _clear(call_graph.drawn(graph, tenant)[2])


@given(
    pairs=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)).filter(lambda ends: ends[0] != ends[1]), max_size=20),
    heights=st.lists(st.integers(10, 90), min_size=20, max_size=20),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_any_graph_circles_among_them_is_drawn_clear_of_itself(pairs, heights):
    boxes = {str(number): Size(width=80, height=40) for number in range(8)}
    links = [
        Link(key=f"link{number}", source=str(source), target=str(target), label=Size(width=100, height=height))
        for number, ((source, target), height) in enumerate(zip(pairs, heights, strict=False))
    ]
    _clear(layout(boxes, links))


@pytest.mark.parametrize("path", [path for path in PAGES if path.endswith(".svg")])
def test_a_picture_is_well_formed_and_needs_nothing_from_elsewhere(path):
    text = pictures()[path]
    assert ET.fromstring(text).tag.endswith("svg")  # noqa: S314 - our own text
    assert not re.search(r"(?:href|src)=|@import|url\((?!#)", text)


KINDS = {
    Call: {"mesh", "decision", "cilium", "network"},
    Route: {"edge", "mesh", "decision", "cilium", "network"},
    Data: {"mesh", "cilium", "network", "stores", "workloads"},
    Egress: {"mesh", "cilium", "network"},
}


@pytest.mark.parametrize("graph", [*GRAPHS.values()], ids=[*GRAPHS])
def test_every_edge_is_enforced_in_every_layer_of_its_kind_and_in_every_region_of_its_target(graph):
    enforced = enforcement.places(graph)
    for edge in enforcement.edges(graph):
        found = enforced[enforcement.edge_id(edge)]
        target = edge.callee if isinstance(edge, Call) else edge.service
        for layer in KINDS[type(edge)]:
            standing = {region for place in found if place.layer == layer for region in place.regions}
            assert standing >= set(target.regions), f"{edge.key}: {layer}"


def test_without_its_edges_a_graph_has_nothing_of_its_own_left_to_enforce():
    graph = GRAPHS["shipped"]
    own = {(place.kind, place.name) for found in enforcement.places(graph).values() for place in found if place.kept == "own"}
    bare = graph
    for edge in enforcement.edges(graph):
        bare = enforcement.without(bare, edge)
    left = {(kind, name) for region in graph.regions for _, kind, name in enforcement.compiled(bare, region)}
    assert {"AuthorizationPolicy", "Certificate", "CiliumNetworkPolicy", "NetworkPolicy"} <= {kind for kind, _ in own}
    assert not own & left


TURNED_OFF = {"chaos-mesh"}
"""Charts that no shipped stack installs, since the setting that does is off in both."""


def test_every_pinned_chart_has_a_component_that_installs_it():
    rows = re.findall(r"^\| `([a-z-]+)` .* \| (.*) \|$", pages()["docs/reference/charts.md"], re.MULTILINE)
    assert {name for name, by in rows if by.startswith("`zerotrust:")} == set(pins()) - TURNED_OFF


def test_every_engine_named_is_pinned():
    assert all(re.match(r"\d", engine.version) for engine in engines.ENGINES if engine.pinned)


def test_what_no_engine_judges_is_told_with_its_release_and_a_test():
    assert all(pins()[chart].app_version for each in engines.UNRUN for chart in each.charts)
    assert all((ROOT / test).exists() for each in (*engines.ENGINES, *engines.UNRUN) for test in each.tests)


def test_every_runbook_is_named_in_the_index_or_in_the_list_of_alerts():
    index = (ROOT / "docs/runbooks/README.md").read_text(encoding="utf-8")
    alerts = pages()["docs/reference/alerts.md"]
    own = sorted((ROOT / "docs/runbooks").glob("*.md"))
    assert [path.name for path in own if path.name != "README.md" and f"]({path.name}" not in index] == []
    named = set(re.findall(r"runbooks/alerts/(\w+)\.md", alerts))
    assert {path.stem for path in (ROOT / "docs/runbooks/alerts").glob("*.md")} == named


def test_every_decision_is_in_the_index():
    index = (ROOT / "docs/adr/README.md").read_text(encoding="utf-8")
    decisions = [path.name for path in sorted((ROOT / "docs/adr").glob("[0-9]*.md"))]
    assert [name for name in decisions if f"]({name})" not in index] == []
