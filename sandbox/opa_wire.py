"""Envoy's side of the question: one CheckRequest over gRPC to an OPA on loopback, and a pod's OPA as a process.

The messages are declared here field by field, with the numbers of envoy/service/auth/v3 (external_auth.proto,
attribute_context.proto), because no Python package of them fits the pinned protobuf runtime. Only what the rules read is there.
"""

import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory, struct_pb2
from google.rpc import status_pb2  # type: ignore[import-untyped]

from sandbox import opa

_METHOD: Final = "/envoy.service.auth.v3.Authorization/Check"
_SECONDS: Final = 10
_Field: Final = descriptor_pb2.FieldDescriptorProto
_OPTIONAL, _REPEATED, _MESSAGE = _Field.LABEL_OPTIONAL, _Field.LABEL_REPEATED, _Field.TYPE_MESSAGE
_SCALARS: Final = {"string": _Field.TYPE_STRING, "int32": _Field.TYPE_INT32}
_STRUCT: Final = ".google.protobuf.Struct"
_MESSAGES: Final[Mapping[str, Mapping[str, tuple[int, str]]]] = {
    "HttpRequest": {
        "method": (2, "string"),
        "headers": (3, "map string"),
        "path": (4, "string"),
        "host": (5, "string"),
        "scheme": (6, "string"),
        "protocol": (10, "string"),
        "body": (11, "string"),
    },
    "Request": {"http": (2, ".zt.HttpRequest")},
    "Peer": {"principal": (4, "string")},
    "Metadata": {"filter_metadata": (1, f"map {_STRUCT}")},
    "Attributes": {"source": (1, ".zt.Peer"), "request": (4, ".zt.Request"), "metadata_context": (11, ".zt.Metadata")},
    "CheckRequest": {"attributes": (1, ".zt.Attributes")},
    "HttpStatus": {"code": (1, "int32")},
    "Denied": {"status": (1, ".zt.HttpStatus"), "body": (3, "string")},
    "CheckResponse": {"status": (1, ".google.rpc.Status"), "denied": (2, ".zt.Denied"), "dynamic_metadata": (4, _STRUCT)},
}


def _field(message: descriptor_pb2.DescriptorProto, name: str, number: int, kind: str) -> None:
    field = message.field.add(name=name, number=number, label=_OPTIONAL)
    if kind.startswith("map "):
        entry = message.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
        entry.options.map_entry = True
        _field(entry, "key", 1, "string")
        _field(entry, "value", 2, kind.removeprefix("map "))
        field.label, field.type, field.type_name = _REPEATED, _MESSAGE, f".zt.{message.name}.{entry.name}"
    elif kind.startswith("."):
        field.type, field.type_name = _MESSAGE, kind
    else:
        field.type = _SCALARS[kind]


def _classes() -> tuple[type[Any], type[Any]]:
    file = descriptor_pb2.FileDescriptorProto(name="zt/check.proto", package="zt", syntax="proto3")
    pool = descriptor_pool.DescriptorPool()
    for known in (descriptor_pb2.DESCRIPTOR, struct_pb2.DESCRIPTOR, *status_pb2.DESCRIPTOR.dependencies, status_pb2.DESCRIPTOR):
        pool.AddSerializedFile(known.serialized_pb)
    file.dependency.extend(["google/protobuf/struct.proto", "google/rpc/status.proto"])
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            _field(message, field, number, kind)
    pool.AddSerializedFile(file.SerializeToString())
    found = [
        message_factory.GetMessageClass(pool.FindMessageTypeByName(f"zt.{name}")) for name in ("CheckRequest", "CheckResponse")
    ]
    return found[0], found[1]


_REQUEST, _RESPONSE = _classes()


def check(port: int, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Ask the OPA on a loopback port; `asked` is what `sandbox.opa.request` makes, of which only Envoy's part is sent.

    Returns the CheckResponse as JSON: `status.code` is 0 (left out) for an allowed request and 7 for a refused one.

    Raises:
        grpc.RpcError: when OPA answers with an error, which Envoy treats as a refusal.
    """
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary(
            _METHOD, request_serializer=lambda message: message.SerializeToString(), response_deserializer=_RESPONSE.FromString
        )
        answer = call(json_format.ParseDict({"attributes": asked["attributes"]}, _REQUEST()), timeout=_SECONDS)
    return json_format.MessageToDict(answer)


def project(folder: Path, files: Mapping[str, str]) -> None:
    """Write a ConfigMap's files as the kubelet does: behind hidden names, and all at once."""
    folder.mkdir(parents=True, exist_ok=True)
    version = f"..{len(list(folder.iterdir()))}"
    (folder / version).mkdir()
    for name, text in files.items():
        (folder / version / name).write_text(text, encoding="utf-8")
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    (folder / "..data_tmp").symlink_to(version)
    (folder / "..data_tmp").replace(folder / "..data")


def start(arguments: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Start OPA with a container's arguments, its output in a file; the caller ends it."""
    with log.open("wb") as output:
        return subprocess.Popen([opa.binary(), *arguments], stdout=output, stderr=output, env={"PATH": os.environ["PATH"]})


def healthy(port: int) -> bool:
    """Whether the diagnostic port says that OPA and its plugins are ready."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health?plugins", timeout=_SECONDS) as answer:
            return bool(answer.status == 200)  # noqa: PLR2004 - HTTP's OK
    except (urllib.error.URLError, OSError):
        return False
