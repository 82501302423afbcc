"""AWS's own API models as a second source: does a request fit what the service says it accepts?

botocore ships each service's model; its validator checks types and required members only. This walk adds enumerations,
lengths, ranges and patterns. It proves form, not that AWS grants the request: rules between members and rules that only
the service's prose states are outside the model.

`violations("eks", "CreateCluster", params)` judges a request in the API's own member names. `request(...)` brings what the
recording monitor saw (Pulumi's camelCase inputs) into those names by a mapping that the test spells out.
"""

import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import botocore.session
from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

# \p{L} as a range: wider than the letters, and never narrower.
_LETTERS = "A-Za-z\u00aa-\uffdc"
_KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "character": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
    "blob": (str, bytes),
}


@functools.cache
def _operation(service: str, operation: str) -> OperationModel:
    return botocore.session.Session().get_service_model(service).operation_model(operation)


@functools.cache
def _pattern(pattern: str) -> re.Pattern[str] | None:
    """A model's pattern for Python, or None where it cannot be said."""
    text = pattern.replace(r"\p{L}", _LETTERS).replace(r"\p{Z}", r"\s").replace(r"\p{N}", r"\d")
    text = re.sub(r"^\\p\{ASCII\}", r"[\\x00-\\x7f]", text)
    # a hyphen beside a class (\w-_, \d-_) is a literal hyphen to Java and an error to Python
    text = re.sub(r"(\\[wd])-(?=[^\]])", r"\1\\-", text)
    try:
        return re.compile(text, re.DOTALL)
    except re.error:
        return None


def _bounds(shape: Shape, size: float, what: str, path: str) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and size < low:
        yield f"{path}: {what} {size}, at least {low}"
    if high is not None and size > high:
        yield f"{path}: {what} {size}, at most {high}"


def _text(shape: Shape, value: str, path: str) -> Iterator[str]:
    enum = getattr(shape, "enum", ())
    if enum and value not in enum:
        yield f"{path}: {value!r} is none of {', '.join(enum)}"
    yield from _bounds(shape, len(value), "length", path)
    if pattern := shape.metadata.get("pattern"):
        compiled = _pattern(pattern)
        if compiled is None:
            yield f"{path}: the pattern {pattern} cannot be checked here; teach tests/support/aws_model.py"
        elif not compiled.fullmatch(value):
            yield f"{path}: {value!r} does not match {pattern}"


def _structure(shape: StructureShape, value: Any, path: str) -> Iterator[str]:
    if shape.metadata.get("document"):
        return
    if not isinstance(value, Mapping):
        yield f"{path}: {type(value).__name__}, wants a structure"
        return
    for member in shape.required_members:
        if value.get(member) is None:
            yield f"{path}.{member}: required"
    for member, given in sorted(value.items()):
        if member not in shape.members:
            yield f"{path}.{member}: no such member; {shape.name} has {', '.join(sorted(shape.members))}"
        elif given is not None:
            yield from _walk(shape.members[member], given, f"{path}.{member}")
    given_members = [member for member, given in value.items() if given is not None]
    if shape.metadata.get("union") and len(given_members) != 1:
        yield f"{path}: a union takes exactly one member, not {sorted(given_members)}"


def _list(shape: ListShape, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        yield f"{path}: {type(value).__name__}, wants a list"
        return
    yield from _bounds(shape, len(value), "items", path)
    for index, item in enumerate(value):
        yield from _walk(shape.member, item, f"{path}[{index}]")


def _map(shape: MapShape, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{path}: {type(value).__name__}, wants a map"
        return
    yield from _bounds(shape, len(value), "entries", path)
    for key, item in sorted(value.items()):
        yield from _walk(shape.key, key, f"{path}[{key!r} as key]")
        yield from _walk(shape.value, item, f"{path}[{key!r}]")


def _scalar(shape: Shape, value: Any, path: str) -> Iterator[str]:
    kinds = _KINDS.get(shape.type_name)
    if kinds is None:  # timestamps and what a request of this product never carries
        return
    if isinstance(value, float) and value.is_integer():  # a recorded number is a double, whatever it was
        value = int(value)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        yield f"{path}: {type(value).__name__} {value!r}, wants {shape.type_name}"
    elif isinstance(value, str):
        yield from _text(shape, value, path)
    elif not isinstance(value, bool | bytes):
        yield from _bounds(shape, value, "value", path)


def _walk(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if isinstance(shape, StructureShape):
        yield from _structure(shape, value, path)
    elif isinstance(shape, ListShape):
        yield from _list(shape, value, path)
    elif isinstance(shape, MapShape):
        yield from _map(shape, value, path)
    else:
        yield from _scalar(shape, value, path)


def violations(service: str, operation: str, params: Mapping[str, Any]) -> list[str]:
    """Every way in which a request breaks the service's model; empty when it fits.

    Args:
        service: botocore's service name, for example `eks`, `wafv2`, `elbv2`, `ec2`.
        operation: the API operation, for example `CreateCluster`.
        params: the request in the API's member names. Members that are None count as absent.

    Raises:
        botocore.exceptions.UnknownServiceError, botocore.model.OperationNotFoundError: for names AWS does not have.
    """
    shape = _operation(service, operation).input_shape
    if shape is None:
        return [f"{operation}: takes no input"] if params else []
    return list(_walk(shape, params, operation))


Renaming = Mapping[str, str | Callable[[Any], tuple[str, Any]] | None]


def request(inputs: Mapping[str, Any], names: Renaming | None = None, *, capital: bool = False) -> dict[str, Any]:
    """Recorded Pulumi inputs as an API request.

    Args:
        inputs: camelCase inputs as the recording monitor saw them.
        names: by dotted path of the Pulumi key (list items share their list's path): another member name; a function
            from the value to `(member, value)` whose result is taken as it is; or None for keys that are Pulumi's alone.
        capital: whether the API's members begin with a capital where `names` does not say (ec2, wafv2, elbv2, sqs, iam:
            yes; eks, apigateway: no).
    """
    return _renamed(inputs, names or {}, "", capital=capital)


def _renamed(value: Any, names: Renaming, path: str, *, capital: bool) -> Any:
    if isinstance(value, Mapping):
        result: dict[str, Any] = {}
        for key, given in value.items():
            here = f"{path}.{key}" if path else key
            rule = names.get(here, key[:1].upper() + key[1:] if capital else key)
            if rule is None or given is None:
                continue
            if callable(rule):
                member, whole = rule(given)
                result[member] = whole
            else:
                result[rule] = _renamed(given, names, here, capital=capital)
        return result
    if isinstance(value, list | tuple):
        return [_renamed(item, names, path, capital=capital) for item in value]
    return value


def tag_list(member: str = "Tags") -> Callable[[Mapping[str, str]], tuple[str, list[dict[str, str]]]]:
    """A renaming rule for services that take tags as a list of `Key` and `Value`."""
    return lambda tags: (member, [{"Key": key, "Value": value} for key, value in sorted(tags.items())])


def verbatim(member: str) -> Callable[[Any], tuple[str, Any]]:
    """A renaming rule for maps whose keys are data (tags, labels): the value goes through untouched."""
    return lambda value: (member, value)
