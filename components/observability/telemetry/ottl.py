"""Text of the collector's configuration: statements of its transformation language, quoted for it and for the file around it.

Source: OTTL's language reference; the collector expands `$` in every string of a configuration, `$$` stands for one.
"""

import json


def text(value: str) -> str:
    r"""A string of OTTL. A backslash is written twice, a dollar sign as `$$` against the collector's own expansion."""
    return json.dumps(value, ensure_ascii=False).replace("$", "$$")


def key(path: str, name: str) -> str:
    """An entry of a map: `log.attributes["event.dataset"]`."""
    return f"{path}[{text(name)}]"


def replace(path: str, pattern: str, replacement: str, *, where: str = "") -> str:
    """Every match of an RE2 pattern in the text at `path`; `$1` in the replacement is the first group."""
    return f"replace_pattern({path}, {text(pattern)}, {text(replacement)}){_only(where)}"


def put(path: str, value: str, *, where: str = "") -> str:
    """Sets a field to an expression."""
    return f"set({path}, {value}){_only(where)}"


def join(*parts: str) -> str:
    """Expressions, one after the other, as one text."""
    return f'Concat([{", ".join(parts)}], "")'


def matches(path: str, pattern: str) -> str:
    """Whether the text at `path` has a match."""
    return f"IsMatch({path}, {text(pattern)})"


def every(*conditions: str) -> str:
    """All of them."""
    return " and ".join(conditions)


def _only(where: str) -> str:
    return f" where {where}" if where else ""
