"""Values between the engine and a stand-in: protobuf structs to Python and back, and the engine's special values.

Special values (secrets, assets, archives, resource references, outputs) stay the dictionaries they are on the wire, so
that what a stand-in returns is what it was given. `plain` removes the wrapping where a value must be looked at.
"""

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf import struct_pb2

UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105  a protocol constant, not a password
OUTPUT: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
ASSETS: Final = frozenset({"c44067f5952c0a294b673a41bacd8c17", "0def7320c3a5731c473e5ecbe6d01bc7"})
REFERENCE: Final = "5cf8f73096256a8f31e491e813e4eb8e"
# One sentinel per kind of value the engine may mark as unknown.
UNKNOWNS: Final = frozenset(
    {
        UNKNOWN,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)


def from_value(value: struct_pb2.Value) -> Any:
    """One protobuf value as Python; numbers without a fraction become `int`."""
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return value.string_value
    if kind == "struct_value":
        return from_struct(value.struct_value)
    if kind == "list_value":
        return [from_value(item) for item in value.list_value.values]
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "bool_value":
        return value.bool_value
    return None


def from_struct(struct: struct_pb2.Struct) -> dict[str, Any]:
    """A protobuf struct as a dictionary; keys starting with `__` (the SDK's bookkeeping) are left out."""
    return {key: from_value(value) for key, value in struct.fields.items() if not key.startswith("__")}


def _fill(target: struct_pb2.Value, value: Any) -> None:
    if value is None:
        target.null_value = struct_pb2.NULL_VALUE
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, str):
        target.string_value = value
    elif isinstance(value, (int, float)):
        target.number_value = value
    elif isinstance(value, Mapping):
        target.struct_value.SetInParent()
        for key, item in value.items():
            _fill(target.struct_value.fields[key], item)
    else:
        target.list_value.SetInParent()
        for item in value:
            _fill(target.list_value.values.add(), item)


def to_struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    """A dictionary as a protobuf struct; any iterable that is not a mapping or a string becomes a list."""
    struct = struct_pb2.Struct()
    for key, value in values.items():
        _fill(struct.fields[key], value)
    return struct


def signature(value: Any) -> str | None:
    """The signature of a special value, else None."""
    return value.get(SIGNATURE) if isinstance(value, dict) else None


def is_unknown(value: Any) -> bool:
    """Whether the value itself (through secrets and outputs) is not known yet."""
    kind = signature(value)
    if kind in (SECRET, OUTPUT):
        return "value" not in value or is_unknown(value["value"])
    return isinstance(value, str) and value in UNKNOWNS


def plain(value: Any) -> Any:
    """The value without secret and output wrappers, at any depth; unknown values stay their sentinel."""
    kind = signature(value)
    if kind in (SECRET, OUTPUT):
        return plain(value["value"]) if "value" in value else UNKNOWN
    if kind is not None:
        return value
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value
