"""A proof's page: one file that asks nobody for anything, read without colours, in light, in dark and on paper."""

import dataclasses
import re
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest

from sandbox.proof.report.markup import Markup, element, lines
from sandbox.proof.report.page import HERE, page
from tests.support.proofs import HOSTILE, NAMES, cell, proof


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
