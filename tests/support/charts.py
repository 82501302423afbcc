"""Which values a pinned chart takes, as recorded in tests/data/charts, and what a chart's values set beyond them.

A line is a path, dots between keys, a key with a dot in quotes; `path.*` is a map the chart hands on as it is (labels,
resources, a security context), or a default without a type. Recorded from the chart's own values.yaml, and from its templates
where one reads a key that values.yaml leaves out. Helm ignores an unknown key without a word, so a list is all there is.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "data" / "charts"


@cache
def recorded(chart: str) -> tuple[str, frozenset[str]]:
    """The chart's name and version as recorded, and its paths."""
    head, *lines = (FOLDER / f"{chart}.txt").read_text(encoding="utf-8").splitlines()
    return head.removeprefix("# "), frozenset(lines)


def paths(values: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every leaf; a list is one, an empty map too."""
    for key, value in values.items():
        path = (*above, f'"{key}"' if "." in key else key)
        if isinstance(value, Mapping) and value:
            yield from paths(value, path)
        else:
            yield path


def unknown(chart: str, values: Mapping[str, Any]) -> list[str]:
    """Paths that the pinned chart does not take."""
    _, known = recorded(chart)
    return [
        ".".join(path)
        for path in paths(values)
        if ".".join(path) not in known and not any(f"{'.'.join(path[:end])}.*" in known for end in range(1, len(path) + 1))
    ]
