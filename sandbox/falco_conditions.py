"""Conditions of Falco's rules, read and decided by our own reading of the published grammar (libs 0.25, filter/parser.h).

Falco's binary cannot be had here: a verdict of this module is evidence about the conditions as that grammar and the fields'
documentation have them, not about Falco itself. What the rules do not use is not read and is refused, never guessed at: field
transformers, string modifiers, comparisons of two fields.

    expression := and ('or' and)*       and := not ('and' not)*       not := 'not' not | '(' expression ')' | check
    check      := FIELD 'exists' | FIELD operator value | FIELD listop '(' values ')' | IDENTIFIER (a macro)
"""

import fnmatch
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Final

Value = str | int | bool
Event = Mapping[str, Value]


class ConditionError(ValueError):
    """A condition that does not parse or names what is not there; the message says where."""


@dataclass(frozen=True)
class Check:
    """A field compared with values; `exists` has none."""

    field: str
    operator: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Macro:
    """A macro by name."""

    name: str


@dataclass(frozen=True)
class Not:
    """The opposite."""

    one: "Condition"


@dataclass(frozen=True)
class All:
    """Every one."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True)
class Any:
    """At least one."""

    parts: tuple["Condition", ...]


Condition = Check | Macro | Not | All | Any

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<quoted>\"(?:\\\"|[^\"])*\"|'(?:\\'|[^'])*')|(?P<sign><=|>=|!=|==|=|<|>)|(?P<mark>[(),])|(?P<bare>[^\s()\"',=<>!]+))"
)
_FIELD: Final = re.compile(r"[a-zA-Z]+[a-zA-Z0-9_]*(\.[a-zA-Z]+[a-zA-Z0-9_]*)+(\[[^\]\[\"'\s]+\])?")
_IDENTIFIER: Final = re.compile(r"[a-zA-Z]+[a-zA-Z0-9_]*")
LIST_OPERATORS: Final = frozenset({"in"})
TEXT_OPERATORS: Final = frozenset({"contains", "icontains", "startswith", "endswith", "glob"})
ORDER_OPERATORS: Final = frozenset({"<", "<=", ">", ">="})
EQUALITY: Final = frozenset({"=", "==", "!="})
OPERATORS: Final[Mapping[str, frozenset[str]]] = {
    "text": EQUALITY | LIST_OPERATORS | TEXT_OPERATORS | {"exists"},
    "number": EQUALITY | LIST_OPERATORS | ORDER_OPERATORS | {"exists"},
    "bool": EQUALITY | {"exists"},
    "address": EQUALITY | LIST_OPERATORS | {"exists"},
    "network": EQUALITY | LIST_OPERATORS | {"exists"},
}
"""Kind of a field → what it may be compared by."""


class _Reader:
    """Recursive descent over the tokens; lists are put in where they are named."""

    def __init__(self, text: str, lists: Mapping[str, Sequence[str]]) -> None:
        self.text, self.lists, self.tokens, self.place = text, lists, list(_tokens(text)), 0

    def peek(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def take(self, wanted: str | None = None) -> str:
        token = self.peek()
        if not token or (wanted is not None and token != wanted):
            msg = f"{self.text!r}: {wanted or 'something'} is wanted where {token or 'the end'} stands"
            raise ConditionError(msg)
        self.place += 1
        return token

    def expression(self) -> Condition:
        parts = [self.conjunction()]
        while self.peek() == "or":
            self.take()
            parts.append(self.conjunction())
        return parts[0] if len(parts) == 1 else Any(tuple(parts))

    def conjunction(self) -> Condition:
        parts = [self.negation()]
        while self.peek() == "and":
            self.take()
            parts.append(self.negation())
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def negation(self) -> Condition:
        if self.peek() == "not":
            self.take()
            return Not(self.negation())
        if self.peek() == "(":
            self.take()
            inner = self.expression()
            self.take(")")
            return inner
        return self.check()

    def check(self) -> Condition:
        name = self.take()
        if not _FIELD.fullmatch(name):
            if _IDENTIFIER.fullmatch(name):
                return Macro(name)
            msg = f"{self.text!r}: {name} is neither a field nor a macro"
            raise ConditionError(msg)
        operator = self.take()
        if operator == "exists":
            return Check(name, operator)
        if operator in LIST_OPERATORS:
            return Check(name, operator, tuple(self.values()))
        if operator in TEXT_OPERATORS | ORDER_OPERATORS | EQUALITY:
            return Check(name, operator, (unquoted(self.take()),))
        msg = f"{self.text!r}: {operator} after {name} is no operator that is read here"
        raise ConditionError(msg)

    def values(self) -> Iterator[str]:
        self.take("(")
        while True:
            token = self.take()
            if token in self.lists:
                yield from map(unquoted, self.lists[token])
            elif token in {"(", ")", ","}:
                msg = f"{self.text!r}: a value is wanted where {token} stands"
                raise ConditionError(msg)
            else:
                yield unquoted(token)
            if self.peek() != ",":
                break
            self.take()
        self.take(")")


def _tokens(text: str) -> Iterator[str]:
    place = 0
    while text[place:].strip():
        found = _TOKEN.match(text, place)
        if found is None:
            msg = f"{text!r}: not to be read from {text[place : place + 12]!r} on"
            raise ConditionError(msg)
        place = found.end()
        yield found.group(found.lastgroup or 0)


def unquoted(value: str) -> str:
    """A value without its quotes."""
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1].replace(f"\\{value[0]}", value[0]) if quoted else value


def parse(text: str, lists: Mapping[str, Sequence[str]]) -> Condition:
    """Reads a condition; a list's name among values becomes its items.

    Raises:
        ConditionError: for what the grammar does not have, or this reading does not.
    """
    reader = _Reader(text, lists)
    found = reader.expression()
    if reader.peek():
        msg = f"{text!r}: {reader.peek()} stands where the condition has ended"
        raise ConditionError(msg)
    return found


def parts_of(condition: Condition) -> Iterator[Condition]:
    """The condition and all below it, macros not opened."""
    yield condition
    match condition:
        case Not(one=one):
            yield from parts_of(one)
        case All(parts=parts) | Any(parts=parts):
            for part in parts:
                yield from parts_of(part)


def holds(condition: Condition, event: Event, macros: Mapping[str, Condition]) -> bool:
    """Whether the condition is true of an event. A comparison with a field that the event does not have is false."""
    match condition:
        case Macro(name=name):
            return holds(macros[name], event, macros)
        case Not(one=one):
            return not holds(one, event, macros)
        case All(parts=parts):
            return all(holds(part, event, macros) for part in parts)
        case Any(parts=parts):
            return any(holds(part, event, macros) for part in parts)
        case Check(field=field, operator=operator, values=values):
            if operator == "exists":
                return field in event
            return field in event and _compared(event[field], operator, values, network=field.endswith("net"))


_TEXT: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "contains": lambda have, want: want in have,
    "icontains": lambda have, want: want.lower() in have.lower(),
    "startswith": lambda have, want: have.startswith(want),
    "endswith": lambda have, want: have.endswith(want),
    "glob": fnmatch.fnmatchcase,
}
_ORDER: Final[Mapping[str, Callable[[int, int], bool]]] = {
    "<": lambda have, want: have < want,
    "<=": lambda have, want: have <= want,
    ">": lambda have, want: have > want,
    ">=": lambda have, want: have >= want,
}


def _compared(have: Value, operator: str, values: tuple[str, ...], *, network: bool) -> bool:
    if operator in _TEXT:
        return _TEXT[operator](_text(have), values[0])
    if operator in _ORDER:
        return _ORDER[operator](int(have), int(values[0]))
    found = any(_inside(str(have), value) for value in values) if network else _text(have) in values
    return not found if operator == "!=" else found


def _inside(address: str, network: str) -> bool:
    """Whether an address lies in a network; one of the other version never does."""
    return ip_address(address) in ip_network(network)


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
