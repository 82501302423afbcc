"""Plain values out of the engine's wire form, with one explicit marker for what is not known yet."""

import enum
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from google.protobuf import struct_pb2

SIGNATURE_KEY: Final = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 the engine's public type mark, no credential
OUTPUT_SIGNATURE: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"

# What the engine sends in place of a value that an update has yet to compute, by declared type.
UNKNOWN_SENTINELS: Final = frozenset(
    {
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    },
)
UNKNOWN_STRING: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
SENTINEL_LENGTH: Final = 36


class Unknown(enum.Enum):
    """A value that only the update will know. It has no truth: a rule that forgets to ask fails its tests."""

    UNKNOWN = "unknown"

    def __bool__(self) -> bool:
        msg = "an unknown value has no truth; compare it with UNKNOWN first"
        raise TypeError(msg)


UNKNOWN: Final = Unknown.UNKNOWN


def decode_struct(struct: struct_pb2.Struct) -> dict[str, Any]:
    """The properties of a request as plain values, secrets unwrapped, unknowns marked."""
    return {key: _decode_value(value) for key, value in struct.fields.items()}


def _decode_value(value: struct_pb2.Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return plain(value.string_value)
    if kind == "number_value":
        return plain(value.number_value)
    if kind == "bool_value":
        return value.bool_value
    if kind == "struct_value":
        return _unwrap({key: _decode_value(item) for key, item in value.struct_value.fields.items()})
    if kind == "list_value":
        return [_decode_value(item) for item in value.list_value.values]
    return None


def plain(value: Any) -> Any:
    """The same for values that are already Python's: a state file, a recorded resource."""
    if isinstance(value, str):
        return UNKNOWN if len(value) == SENTINEL_LENGTH and value in UNKNOWN_SENTINELS else value
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, Mapping):
        return _unwrap({str(key): plain(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def _unwrap(value: dict[str, Any]) -> Any:
    signature = value.get(SIGNATURE_KEY)
    if signature is None:
        return value
    if signature == SECRET_SIGNATURE:
        # A state file keeps the cipher text, or JSON under "plaintext"; neither can be judged as the value itself.
        return value.get("value", UNKNOWN)
    if signature == OUTPUT_SIGNATURE:
        return value.get("value", UNKNOWN)
    return value


def look(value: Any, path: str) -> Any:
    """What lies at a dotted path; None where nothing does, UNKNOWN where an ancestor is not known."""
    for key in path.split("."):
        if value is UNKNOWN:
            return UNKNOWN
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def elements(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Members of a list with their paths. One bare member stands for a list of one; an unknown list is one unknown."""
    if value is None:
        return
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield f"{path}[{index}]", item
    else:
        yield path, value


def is_true(value: Any) -> bool:
    """True in any of the spellings that providers accept (launch templates take strings)."""
    return value is True or (isinstance(value, str) and value.strip().lower() == "true")


def is_false(value: Any) -> bool:
    """False in any of the spellings that providers accept."""
    return value is False or (isinstance(value, str) and value.strip().lower() == "false")


def is_set(value: Any) -> bool:
    """Whether something was given: a value still unknown was."""
    return value is UNKNOWN or value not in (None, "", [], {})


def number(value: Any) -> float | None:
    """A number, also one in a string; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return None


def provider_props(props: Mapping[str, Any]) -> dict[str, Any]:
    """A provider's properties with lists and objects out of the JSON text in which the engine keeps them."""
    return {key: _from_json(value) for key, value in props.items()}


def _from_json(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            return plain(json.loads(value))
        except ValueError:
            return value
    return value
