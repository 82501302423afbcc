"""The documentation tells what the program is: generated pages are current, links resolve, names exist.

Does not prove the preview block beyond its rows without the EKS component's children: that needs the engine.
"""

import re
from pathlib import Path

import pytest

from docs import generate, picture
from docs.reference_pages import component_classes, observed, pages
from tests.support.program import ROOT, STACKS, record_stack

MARKDOWN = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
README = generate.README.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", [*sorted(pages())])
def test_a_generated_page_is_current(path):
    assert (ROOT / path).read_text(encoding="utf-8") == pages()[path], "run make docs"


@pytest.mark.parametrize("name", ["picture", "cost"])
def test_a_generated_block_of_the_readme_is_current(name):
    assert generate.block_of(README, name) == generate.blocks()[name], "run make docs"


def test_the_preview_block_counts_what_the_program_registers():
    shown = {
        cells[0]: [int(cell or 0) for cell in cells[1:]]
        for line in generate.block_of(README, "preview").splitlines()
        if line.startswith("│")
        for cells in [[cell.strip() for cell in line.strip("│").split("│")]]
    }
    counts = observed(record_stack(generate.PREVIEWED)).table()
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
