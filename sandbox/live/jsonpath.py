"""The part of kubectl's JSONPath that `pulumi.com/waitFor` is written in: `{.a.b[0].c}`, `[*]`, `[?(@.type=="Ready")]`."""

import re
from collections.abc import Mapping
from typing import Any, Final

_STEP: Final = re.compile(
    r"""\.(?P<key>(?:\\.|[^.\[\]])+)
      | \[(?P<index>-?\d+)\]
      | (?P<all>\[\*\])
      | \[['"](?P<quoted>[^'"]+)['"]\]
      | \[\?\(@\.(?P<field>[\w.]+)\s*==\s*["'](?P<value>[^"']*)["']\)\]
    """,
    re.VERBOSE,
)


class JsonPathError(Exception):
    """An expression that is not understood; the message has it and the place."""


def matches(one: Any, expression: str) -> bool:
    """Whether `{path}=value` holds for a value that the path finds; `{path}` alone, whether it finds one."""
    path, _, wanted = expression.strip().partition("}")
    found = select(one, path.strip().removeprefix("{"))
    wanted = wanted.strip()
    if not wanted:
        return any(value is not None for value in found)
    value = wanted.removeprefix("=").removeprefix("=").strip("\"'")
    return any(_text(each) == value for each in found)


def select(one: Any, path: str) -> list[Any]:
    """The values that a path finds, in order.

    Raises:
        JsonPathError: for what is beyond this part of the language.
    """
    rest = path.removeprefix("$")
    rest = rest if rest.startswith((".", "[")) else f".{rest}"
    found, position = [one], 0
    while position < len(rest):
        step = _STEP.match(rest, position)
        if step is None:
            msg = f"{path!r} is not understood at {rest[position:]!r}"
            raise JsonPathError(msg)
        found = [value for each in found for value in _follow(each, step)]
        position = step.end()
    return found


def _follow(value: Any, step: re.Match[str]) -> list[Any]:
    key = step["quoted"] or (re.sub(r"\\(.)", r"\1", step["key"]) if step["key"] else None)
    if key is not None:
        return [value[key]] if isinstance(value, Mapping) and key in value else []
    if not isinstance(value, list):
        return []
    if step["all"]:
        return value
    if step["index"] is not None:
        index = int(step["index"])
        return [value[index]] if -len(value) <= index < len(value) else []
    return [each for each in value if _text(next(iter(select(each, step["field"])), None)) == step["value"]]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
