"""Refuses what the SDK's own types refuse: unknown properties, missing required inputs, values of another type.

Stricter than the real AWS provider in one point: that one turns `"5"` into 5 and 5 into `"5"`; here both are refused, as
the SDK's types say. Numbers travel as doubles, so 5.0 is an integer. Unknown values pass everywhere.
"""

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from sandbox.standin import wire
from sandbox.standin.schema import Schema, input_schema
from sandbox.standin.shapes import Shape, shapes

_NUMBER = (int, float)


class Failure(NamedTuple):
    """One refusal: the property's path (`vpcConfig.subnetIds[0]`) and a sentence."""

    path: str
    reason: str


def suggestion(name: str, known: Mapping[str, Any]) -> str:
    """` (did you mean x?)` for a near miss, else nothing."""
    by_folded = {key.replace("_", "").lower(): key for key in known}
    close = difflib.get_close_matches(name.replace("_", "").lower(), list(by_folded), n=1, cutoff=0.75)
    return f" (did you mean {by_folded[close[0]]!r}?)" if close else ""


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return {bool: "a boolean", str: "a string"}.get(type(value), "a number")


_TESTS: Final[Mapping[str, Callable[[Shape, Any], bool]]] = {
    "any": lambda _, __: True,
    "str": lambda _, value: isinstance(value, str),
    "bool": lambda _, value: isinstance(value, bool),
    "int": lambda _, value: isinstance(value, int) and not isinstance(value, bool),
    "float": lambda _, value: isinstance(value, _NUMBER) and not isinstance(value, bool),
    "enum": lambda shape, value: value in shape.values,
    "asset": lambda _, value: wire.signature(value) in wire.ASSETS,
    # The engine hands a custom resource over as its id where a provider asks for plain values.
    "resource": lambda _, value: isinstance(value, str) or wire.signature(value) == wire.REFERENCE,
}


def _is_scalar(shape: Shape, value: Any) -> bool:
    test = _TESTS.get(shape.form)
    return test is not None and test(shape, value)


def _nested(shape: Shape, value: Any, path: str) -> list[Failure] | None:
    """The failures inside a container of the right kind; None if the kind is wrong."""
    if shape.form == "list" and isinstance(value, list):
        return [f for i, item in enumerate(value) for f in check_value(shape.items, item, f"{path}[{i}]")]
    if shape.form == "map" and isinstance(value, dict):
        return [f for key, item in value.items() for f in check_value(shape.items, item, f"{path}.{key}")]
    if shape.form == "object" and isinstance(value, dict) and shape.cls is not None:
        if not hasattr(shape.cls, "_pulumi_input_type"):
            return []
        return list(check_object(input_schema(shape.cls), value, f"{path}."))
    return [] if _is_scalar(shape, value) else None


def check_value(kind: Any, value: Any, path: str) -> list[Failure]:
    """What is wrong with one value of an annotated type."""
    if value is None or wire.is_unknown(value):
        return []
    value = wire.plain(value)
    best: list[Failure] | None = None
    for shape in shapes(kind):
        found = _nested(shape, value, path)
        if found is not None and (best is None or len(found) < len(best)):
            best = found
    if best is not None:
        return best
    expected = " or ".join(dict.fromkeys(shape.text for shape in shapes(kind)))
    shown = f" {value!r}" if isinstance(value, (bool, *_NUMBER)) else ""
    return [Failure(path, f"expected {expected}, got {_kind(value)}{shown}")]


def check_object(schema: Schema, values: Mapping[str, Any], prefix: str = "") -> Iterator[Failure]:
    """Everything wrong with the properties of a resource or of an input type, not only the first thing."""
    for name, value in values.items():
        if name in schema.inputs:
            yield from check_value(schema.inputs[name], value, f"{prefix}{name}")
        elif not schema.open:
            near = suggestion(name, schema.inputs)
            yield Failure(f"{prefix}{name}", f"{schema.token} has no input {name!r}{near}")
    for name in sorted(schema.required):
        if values.get(name) is None:
            yield Failure(f"{prefix}{name}", f"{schema.token} requires the input {name!r}")


def parsed_config(schema: Schema, values: Mapping[str, Any], parse: Callable[[str], Any]) -> dict[str, Any]:
    """Provider configuration with its JSON-encoded values decoded; text that is no JSON stays text."""

    def decoded(name: str, value: Any) -> Any:
        value = wire.plain(value)
        is_text = any(shape.form == "str" for shape in shapes(schema.inputs.get(name, Any)))
        if is_text or not isinstance(value, str) or wire.is_unknown(value):
            return value
        try:
            return parse(value)
        except ValueError:
            return value

    return {name: decoded(name, value) for name, value in values.items()}
