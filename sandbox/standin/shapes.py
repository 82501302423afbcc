"""The SDK's type annotations reduced to shapes: what a value on the wire may look like."""

import collections.abc
import enum
import functools
import types
import typing
from dataclasses import dataclass
from typing import Any, Literal

import pulumi
from pulumi import _types

Form = Literal["any", "str", "bool", "int", "float", "list", "map", "object", "enum", "asset", "resource"]
_SCALARS: dict[Any, Form] = {str: "str", bool: "bool", int: "int", float: "float"}
_LISTS = (list, collections.abc.Sequence)
_MAPS = (dict, collections.abc.Mapping)
_WRAPPERS = (collections.abc.Awaitable, pulumi.Output)


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One alternative. `cls` is the SDK class of an object; `items` the element of a list or map; `values` an enum's."""

    form: Form
    cls: type | None = None
    items: Any = None
    values: tuple[Any, ...] = ()

    @property
    def text(self) -> str:
        """How a message names it."""
        if self.form == "enum":
            return "one of " + ", ".join(repr(value) for value in self.values)
        if self.form == "object" and self.cls is not None:
            return f"an object ({self.cls.__name__})"
        names = {"str": "a string", "bool": "a boolean", "int": "an integer", "float": "a number", "list": "a list"}
        return names.get(self.form, f"a {self.form}")


def _members(kind: Any) -> list[Any]:
    """The alternatives of a type, without None and the SDK's wrappers for values that come later."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return [member for arg in typing.get_args(kind) for member in _members(arg)]
    if kind is type(None) or typing.get_origin(kind) in _WRAPPERS:
        return []
    return [kind]


def _container(kind: Any) -> Shape | None:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return Shape(form="enum", values=args)
    if origin in _LISTS:
        return Shape(form="list", items=args[0] if args else Any)
    if origin in _MAPS or kind in _MAPS:
        return Shape(form="map", items=args[1] if len(args) > 1 else Any)
    return None


def _class(kind: type) -> Shape:
    if issubclass(kind, enum.Enum):
        return Shape(form="enum", values=tuple(member.value for member in kind))
    if issubclass(kind, (pulumi.Asset, pulumi.Archive)):
        return Shape(form="asset")
    if issubclass(kind, pulumi.Resource):
        return Shape(form="resource", cls=kind)
    if _types.is_input_type(kind) or _types.is_output_type(kind):
        return Shape(form="object", cls=kind)
    return Shape(form="any")


def _shape(kind: Any) -> Shape:
    if kind in _SCALARS:
        return Shape(form=_SCALARS[kind])
    found = _container(kind)
    if found is not None:
        return found
    return _class(kind) if isinstance(kind, type) else Shape(form="any")


@functools.cache
def shapes(kind: Any) -> tuple[Shape, ...]:
    """The shapes a value of an annotation may have; a `TypedDict` twin of an input class is left out."""
    if typing.get_origin(kind) is pulumi.Output:
        kind = typing.get_args(kind)[0]
    members = [member for member in _members(kind) if not typing.is_typeddict(member)]
    if any(isinstance(member, type) and _types.is_input_type(member) for member in members):
        members = [member for member in members if not (isinstance(member, type) and _types.is_output_type(member))]
        # `InputType[T]` spells its dictionary form as a mapping of anything; the class says more.
        members = [member for member in members if member not in _MAPS and typing.get_args(member) != (str, Any)]
    return tuple(dict.fromkeys(_shape(member) for member in members)) or (Shape(form="any"),)


@functools.cache
def is_optional(kind: Any) -> bool:
    """Whether an output may be absent."""
    if typing.get_origin(kind) is pulumi.Output:
        kind = typing.get_args(kind)[0]
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return any(arg is type(None) or is_optional(arg) for arg in typing.get_args(kind))
    return kind is Any
