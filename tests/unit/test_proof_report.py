"""What a proof's report says follows from its results alone: sums, matrices, page, README. By hand-made results, no sandbox."""

import dataclasses
import io
import json
import re
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from sandbox.local.__main__ import STARTED
from sandbox.memory import Peak, used_gib
from sandbox.progress import Steps
from sandbox.proof.attacks.registry import FAMILIES
from sandbox.proof.making import prove, revision
from sandbox.proof.report import figures, readme, tables, terminal
from sandbox.proof.report.markup import Markup, element, lines
from sandbox.proof.report.page import HERE, page
from sandbox.proof.report.techniques import named
from sandbox.proof.results import PARTS, Attack, Attempt, Cell, Evidence, Outage, Proof, Rotation, Step
from sandbox.proof.world import ProofError

HOSTILE = "<script>alert(1)</script> [red]&amp;\"'"
NAMES = {"mesh-mtls": "Istio mTLS", "opa": "OPA"}
SAID = (Evidence(source="Envoy", words=f"tls=TLSv1.3 {HOSTILE}\nsecond line"),)


def attempt(by: str, without: str = "", *, stopped: bool = True) -> Attempt:
    return Attempt(without=without, stopped=stopped, by=by if stopped else "", evidence=SAID[0])


def attack(key: str, *attempts: Attempt, family: str = "wire", technique: str = "T1557", single: str = "") -> Attack:
    return Attack(
        key=key,
        title=f"{key} {HOSTILE}",
        family=family,
        techniques=(technique,),
        case="A25",
        expected=attempts[0].by or "mesh-mtls",
        attempts=attempts,
        single=single,
    )


def cell(caller: str, callee: str, *, edge: str = "", allowed: bool = False, stopped_by: str = "opa") -> Cell:
    return Cell(
        region="eu-west-1",
        caller=caller,
        callee=callee,
        method="POST",
        path="/transfer",
        edge=edge,
        allowed=allowed,
        status=200 if allowed else 403,
        stopped_by="" if allowed else stopped_by,
    )


def proof() -> Proof:
    return Proof(
        began="2026-11-21T20:00:00Z",
        seconds=183.2,
        revision="7c41fa8",
        steps=tuple(Step(number=one, title=f"step {one}", holds=True, evidence=SAID) for one in range(1, 8)),
        cells=(cell("bank-a/api-ms", "bank-b/trans-ms", edge="pay", allowed=True), cell("bank-b/worker", "bank-b/trans-ms")),
        attacks=(
            attack("plain", attempt("mesh-mtls"), attempt("mesh-authorization", "mesh-mtls")),
            attack(
                "image",
                attempt("gatekeeper"),
                attempt("", "gatekeeper", stopped=False),
                family="admission",
                technique="T1525",
                single="nothing else reads images",
            ),
        ),
        outages=(
            Outage(
                component="SPIRE server",
                how="killed",
                promise="kept",
                source="docs/runbooks",
                allowed=1200,
                lost=0,
                forbidden=300,
                answered=0,
                recovered=None,
                holds=True,
                evidence=SAID,
            ),
        ),
        rotations=(Rotation(subject="SVID", seconds=60, requests=900, failed=0, changes=3, holds=True),),
        not_running={"eu-west-1": {"cilium": HOSTILE}, "eu-central-1": {"cilium": HOSTILE}},
        figures={"memory_gib": 7.25, "sandbox_seconds": 260.0},
    )


class Read(HTMLParser):
    """Which elements a page has, with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in {"meta", "br", "wbr"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def of(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.found if tag == name]


def test_a_proof_is_read_as_it_was_written(tmp_path):
    file = tmp_path / "new" / "proof.json"
    proof().write(file)
    assert Proof.read(file) == proof()
    written = json.loads(file.read_text())
    assert written["holds"] is True
    assert {one["holds"] for part in PARTS for one in written[part]} == {True}


WRONG = {
    "a step": {"steps": (Step(number=1, title="", holds=False, evidence=()),)},
    "an undeclared request is answered": {"cells": (cell("a/b", "c/d", allowed=True),)},
    "a declared request is refused": {"cells": (cell("a/b", "c/d", edge="pay"),)},
    "nobody says that he refused": {"cells": (cell("a/b", "c/d", stopped_by=""),)},
    "an attack is not stopped": {"attacks": (attack("x", attempt("", stopped=False), attempt("opa", "mesh-mtls")),)},
    "nothing stands behind the first": {"attacks": (attack("x", attempt("opa"), attempt("", "opa", stopped=False)),)},
    "the second layer was never asked": {"attacks": (attack("x", attempt("opa")),)},
    "a part that found nothing": {"rotations": ()},
    "a part that was not made to its end": {"failed": {"outages": "no load"}},
}


@pytest.mark.parametrize("changed", WRONG.values(), ids=WRONG.keys())
def test_one_thing_that_does_not_hold_is_said_everywhere(changed):
    wrong = dataclasses.replace(proof(), **changed)
    assert proof().holds
    assert not wrong.holds
    assert figures.summary(wrong).startswith("DOES NOT HOLD")
    assert [one.part for one in figures.sums(wrong) if not one.holds] == [{"failed": "outages"}.get(one, one) for one in changed]
    assert "The proof does not hold" in Read(page(wrong, NAMES)).text
    with pytest.raises(readme.ReadmeError, match="does not hold"):
        readme.block(wrong)


def test_a_part_that_was_not_asked_for_is_not_judged_and_named_as_left_out():
    some = dataclasses.replace(proof(), asked=("steps",), cells=(), attacks=(), outages=(), rotations=())
    assert some.holds
    assert [one.part for one in figures.sums(some)] == ["steps"]
    left_out = [row.cells[0] for row in tables.left_out(some).rows]
    assert [title for title in figures.TITLES.values() if title in left_out] == [*figures.TITLES.values()][1:]
    with pytest.raises(readme.ReadmeError, match="leaves out Who may call what, Attacks, Outages under load"):
        readme.block(some)


def test_what_failed_is_shown_with_its_reason_even_when_part_of_it_was_seen():
    failed = dataclasses.replace(proof(), failed={"attacks": f"Vault is sealed {HOSTILE}"})
    shown = Read(page(failed, NAMES)).text
    assert shown.count("Vault is sealed") == 2
    assert "plain <script>" in shown


def test_sums_count_what_was_asked_and_what_came_of_it():
    words = {one.part: one.words for one in figures.sums(proof())}
    assert words["cells"] == "2 requests: 1 of 1 declared answered, 1 of 1 undeclared refused, 0 differences"
    assert words["attacks"].startswith("2 of 2 stopped; without the layer that did it 1 of 1 stopped by the next; 1 with no")
    assert "0 of 300 unauthorised requests answered, 0 of 1,200 authorised lost" in words["outages"]


def test_a_declared_request_that_is_refused_is_a_difference_and_no_refusal_that_must_be():
    wrong = dataclasses.replace(proof(), cells=(*proof().cells, cell("a/b", "c/d", edge="pay")))
    assert figures.sums(wrong)[1].words == ("3 requests: 1 of 2 declared answered, 1 of 1 undeclared refused, 1 difference")
    (found,) = tables.differences(wrong, NAMES)
    assert [row.cells for row in found.rows] == [("a/b in eu-west-1", "c/d", "POST /transfer", "pay", "403: OPA")]
    assert not tables.differences(proof(), NAMES)


def test_a_request_says_how_it_went_where_it_did_not_go_as_applications_send_it():
    plain, *_ = proof().cells
    assert tables.request(plain, NAMES)[1:3] == ("bank-b/trans-ms", "POST /transfer")
    other = dataclasses.replace(plain, way="direct", callee_region="eu-central-1", lacking="token")
    assert tables.request(other, NAMES)[1:3] == (
        "bank-b/trans-ms in eu-central-1",
        "POST /transfer (around its sidecar, without token)",
    )
    shown = page(dataclasses.replace(proof(), cells=(other, plain)), NAMES)
    heads = re.findall(r'<th scope="col">(bank-b.*?)</th>', shown)
    assert heads == ["bank-b/<wbr>trans-ms", "bank-b/<wbr>trans-ms in eu-central-1"]


def test_a_threat_is_told_by_family_and_the_supply_chain_by_technique():
    found = {one.name: one for one in figures.threats(proof())}
    assert (found["Man-in-the-Middle"].attacks, found["Man-in-the-Middle"].again_stopped) == (1, 1)
    assert found["Man-in-the-Middle"].layers == ("mesh-authorization", "mesh-mtls")
    assert (found["Supply Chain Attacks"].singles, found["Privilege Escalation"].attacks) == (1, 0)
    assert set(figures.THREAT_OF.values()) <= set(figures.THREATS)


def test_every_family_of_attacks_is_of_a_threat_and_against_one_aspect():
    assert set(figures.THREAT_OF) == set(FAMILIES)
    against = [family for families in figures.ASPECTS.values() if not isinstance(families, str) for family in families]
    assert sorted(against) == sorted(FAMILIES)


def test_the_evidence_of_an_attack_says_what_was_off():
    plain = next(row for row in tables.attacks(proof(), NAMES).rows if row.cells[0].startswith("plain"))
    assert [one.source for one in plain.evidence] == ["with every layer on: Envoy", "without Istio mTLS: Envoy"]


def test_a_part_of_a_layer_is_told_with_the_layers_name():
    assert tables.called("mesh-mtls", NAMES) == "Istio mTLS"
    assert tables.called("mesh-mtls (port 8080 alone)", NAMES) == "Istio mTLS (port 8080 alone)"


def test_a_stage_of_maturity_counts_an_attack_once_any_layer_up_to_it_stopped_it():
    twice = attack("other", attempt("opa"), attempt("pod-security", "opa"))
    never = attack("never", attempt("", stopped=False))
    changed = dataclasses.replace(proof(), attacks=(*proof().attacks, twice, never))
    found = {one.aspect: one for one in figures.maturity(changed)}
    assert found["Data Encryption"].stopped == (1, 2, 2, 2, 2, 2)
    assert found["Data Encryption"].attacks == 3
    assert found["Runtime Protection"].stopped == (0, 0, 0, 0, 0, 1)
    assert found["Identity Verification"].unmeasured == "none of its attacks was made"
    assert found["Compliance"].unmeasured


def test_each_table_has_a_cell_for_each_column_and_is_drawn_with_what_was_said_as_it_was_said():
    wrong = dataclasses.replace(proof(), cells=(*proof().cells, cell("a/b", "c/d", allowed=True)))
    out = Console(file=io.StringIO(), width=300)
    for table in (*(one for found in tables.tables(wrong, NAMES).values() for one in found), tables.left_out(wrong)):
        assert {len(row.cells) for row in table.rows} == {len(table.head)}, table.key
        terminal.show(table, out)
    drawn = out.file.getvalue()
    assert f"plain {HOSTILE} (A25)" in drawn
    assert "T1525 Implant Internal Image" in drawn
    assert "Differences" in drawn
    assert "cilium in eu-central-1, eu-west-1" in drawn


def test_text_is_never_read_as_html():
    assert element("p", HOSTILE, Markup("<b>"), title='"').startswith('<p title="&quot;">&lt;script&gt;')
    assert lines("a<\nb") == "a&lt;<br>b"
    found = Read(page(proof(), NAMES))
    assert not found.of("script")
    assert found.text.count(HOSTILE) >= 3


def test_the_page_is_one_file_that_asks_nobody_for_anything():
    text = page(proof(), NAMES)
    found = Read(text)
    assert found.open == []
    policy = next(one["content"] for one in found.of("meta") if one.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    linked = [value for _, attributes in found.found for name, value in attributes.items() if name in {"src", "href", "srcset"}]
    identified = [attributes["id"] for _, attributes in found.found if "id" in attributes]
    assert linked
    assert {one[1:] for one in linked} <= set(identified)
    assert len(identified) == len(set(identified))
    assert not re.search(r"url\(|@import|https?:", text)


def test_tables_of_the_page_have_captions_and_headers_of_both_directions():
    text = page(proof(), NAMES)
    bodies = re.findall(r"<table.*?</table>", text, re.DOTALL)
    assert len(bodies) >= 8
    for body in bodies:
        found = Read(body)
        assert len(found.of("caption")) == 1
        assert all(one["scope"] in {"col", "row"} for one in found.of("th"))


def test_a_square_of_the_picture_says_in_words_what_its_colour_says():
    wrong = dataclasses.replace(proof(), cells=(*proof().cells, cell("a/b", "c/d", allowed=True)))
    squares = re.findall(
        r'<td class="(some|none|wrong|self)"><span class="sign" aria-hidden="true">(.)</span> (.*?)</td>', page(wrong, {})
    )
    assert ("some", "✓", "1 answered, 0 refused") in squares
    assert ("none", "⊘", "1 refused") in squares
    assert ("wrong", "✗", "1 difference") in squares
    assert ("self", "·", "not asked") in squares


def palettes() -> Iterator[dict[str, str]]:
    style = (HERE / "page.css").read_text()
    for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL):
        yield dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block))


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("palette", [*palettes()], ids=["light", "dark", "paper"])
def test_text_stands_out_from_what_is_behind_it(palette):
    pairs = [(ink, behind) for ink in ("ink", "quiet", "link", "good", "bad") for behind in ("paper", "panel")]
    pairs += [("good", "good-paper"), ("bad", "bad-paper"), ("none", "none-paper"), ("ink", "bad-paper"), ("link", "bad-paper")]
    pairs += [("quiet", "bad-paper")]
    for ink, behind in pairs:
        lighter, darker = sorted((luminance(palette[ink]), luminance(palette[behind])), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (ink, behind)


def test_the_readme_gets_the_numbers_between_its_markers_and_keeps_the_rest(tmp_path):
    file = tmp_path / "README.md"
    file.write_text(f"before\n{readme.BEGIN}\nold\n{readme.END}\nafter\n")
    readme.update(file, proof())
    text = file.read_text()
    assert text.startswith(f"before\n{readme.BEGIN}\nSeen on 2026-11-21 at revision `7c41fa8`")
    assert text.endswith(f"{readme.END}\nafter\n")
    assert "| Time | 183 s, after a start of 260 s |" in text
    assert "| Most memory in use on the machine | 7.2 GiB |" in text
    assert "old" not in text
    readme.update(file, proof())
    assert file.read_text() == text


@pytest.mark.parametrize("text", ["nothing", f"{readme.BEGIN}\n{readme.END}\n" * 2], ids=["no place", "two places"])
def test_a_readme_without_one_place_for_the_numbers_is_left_alone(tmp_path, text):
    file = tmp_path / "README.md"
    file.write_text(text)
    with pytest.raises(readme.ReadmeError, match="one pair of"):
        readme.update(file, proof())
    assert file.read_text() == text


def test_a_technique_that_nobody_named_is_shown_by_its_number():
    assert named("T1557") == "T1557 Adversary-in-the-Middle"
    assert named("T9999") == "T9999"


MEMINFO = "MemTotal:  8388608 kB\nMemFree: 10 kB\nMemAvailable: {} kB\nHugePages_Total: 0\n"


def test_memory_in_use_is_what_could_not_be_had():
    assert used_gib(MEMINFO.format(2 << 20)) == 6.0


@pytest.mark.parametrize(("before", "after"), [(2, 4), (4, 2)])
def test_the_most_that_was_seen_is_kept(tmp_path: Path, before: int, after: int) -> None:
    source = tmp_path / "meminfo"
    source.write_text(MEMINFO.format(before << 20))
    with Peak(source) as watched:
        source.write_text(MEMINFO.format(after << 20))
    assert watched.gib == 6.0


def quiet() -> Steps:
    steps = Steps()
    steps.console = Console(file=io.StringIO(), width=200)
    return steps


def making(**changed):
    """Parts that find what `proof` has, some of them replaced."""

    def found(name):
        return lambda said: said("one") or getattr(proof(), name)

    return {name: changed.get(name, found(name)) for name in PARTS}


def refuses(error: Exception):
    def part(_said):
        raise error

    return part


def test_a_proof_has_what_its_parts_found_and_what_was_measured_beside(tmp_path):
    (tmp_path / STARTED).write_text('{"seconds": 260.4, "memory_gib": 8.8}')
    (tmp_path / "not_installed.json").write_text('{"eu-west-1": {"cilium": "no network of its own"}}')
    left_out = {"cilium": "", "kyverno": "", "Deployment security/falcosidekick": "no program"}
    (tmp_path / "running.json").write_text(json.dumps({"regions": {"eu-west-1": {}, "eu-central-1": {}}, "left_out": left_out}))
    progress = quiet()
    made = prove(tmp_path, lambda _stack: making(), PARTS, progress)
    assert made.holds
    assert [getattr(made, name) for name in PARTS] == [getattr(proof(), name) for name in PARTS]
    sidekick = {"Deployment security/falcosidekick": "no program"}
    assert made.not_running == {"eu-central-1": sidekick, "eu-west-1": {**sidekick, "cilium": "no network of its own"}}
    assert (made.figures["sandbox_seconds"], made.figures["sandbox_memory_gib"]) == (260.4, 8.8)
    assert made.figures["memory_gib"] > 0
    assert {f"{name}_seconds" for name in PARTS} <= set(made.figures)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", made.began)
    assert progress.console.file.getvalue().count("✓") == len(PARTS)


def test_a_part_that_cannot_be_made_is_named_and_the_others_are_made(tmp_path):
    progress = quiet()
    parts = making(cells=refuses(ProofError(f"no pod {HOSTILE}")), outages=refuses(KeyError("spire")))
    made = prove(tmp_path, lambda _stack: parts, PARTS, progress)
    assert made.failed == {"cells": f"no pod {HOSTILE}", "outages": "KeyError: 'spire'"}
    assert not made.holds
    assert made.attacks
    assert made.rotations
    said = progress.console.file.getvalue()
    assert f"✗ Who may call what: no pod {HOSTILE}" in said
    assert said.count("Traceback") == 1


def test_without_what_all_parts_need_none_is_made_and_each_says_why(tmp_path):
    def opened(_stack):
        msg = "Keycloak does not answer"
        raise ProofError(msg)

    made = prove(tmp_path, opened, ("steps", "cells"), quiet())
    assert made.failed == dict.fromkeys(("steps", "cells"), "Keycloak does not answer")
    assert not made.holds


def test_what_the_parts_opened_is_closed_also_when_one_fails(tmp_path):
    closed = []

    def opened(stack):
        stack.callback(closed.append, "tokens")
        return making(steps=refuses(ProofError("no")))

    prove(tmp_path, opened, PARTS, quiet())
    assert closed == ["tokens"]


@pytest.mark.parametrize("found", [(), (cell("a/b", "c/d", allowed=True),)], ids=["nothing", "a difference"])
def test_a_part_is_not_ticked_that_found_nothing_or_what_does_not_hold(tmp_path, found):
    progress = quiet()
    prove(tmp_path, lambda _stack: making(cells=lambda _said: found), ("cells",), progress)
    assert "✗ Who may call what" in progress.console.file.getvalue()


def test_a_revision_says_whether_the_tree_is_what_was_committed(tmp_path):
    assert revision(tmp_path) == "unknown"
    for command in (["init", "-q"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "a"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    clean = revision(tmp_path)
    assert re.fullmatch(r"[0-9a-f]{12}", clean)
    (tmp_path / "new").touch()
    assert revision(tmp_path) == f"{clean}+"
