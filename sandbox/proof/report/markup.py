"""HTML in which text is always text: what is not made here as an element is escaped."""

import html
from typing import Final

_EMPTY: Final = frozenset({"br", "wbr", "meta"})


class Markup(str):
    """Text that is HTML already; everything else is escaped where it becomes part of an element."""

    __slots__ = ()


def element(name: str, *children: str, **attributes: str) -> Markup:
    """An element.

    Args:
        name: its name.
        children: elements, or text.
        attributes: a trailing `_` is dropped and `_` within is `-`; those with no value are left out.
    """
    given = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items() if value}
    opening = "".join(f' {key}="{html.escape(value)}"' for key, value in given.items())
    inner = "" if name in _EMPTY else f"{joined(*children)}</{name}>"
    return Markup(f"<{name}{opening}>{inner}")


def joined(*children: str) -> Markup:
    """Elements and texts one after the other."""
    return Markup("".join(one if isinstance(one, Markup) else html.escape(one) for one in children))


def lines(text: str) -> Markup:
    """Text with its line breaks."""
    found = text.split("\n")
    return joined(*(joined(*([element("br")] if index else []), line) for index, line in enumerate(found)))


def breakable(name: str) -> Markup:
    """A name that may be broken behind each `/`."""
    first, *others = name.split("/")
    return joined(first, *(joined("/", element("wbr"), part) for part in others))
