"""Drives the pack as the Pulumi engine does: starts its process and speaks the analyzer protocol with it."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from policy.config import PolicyConfig
from policy.values import UNKNOWN, UNKNOWN_STRING

PACK = Path(__file__).parent
LARGEST_MESSAGE = 400 * 1024 * 1024
LEVELS = {"advisory": 0, "mandatory": 1, "disabled": 2, "remediate": 3}
LEVEL_NAMES = {number: name for name, number in LEVELS.items()}


@dataclass(frozen=True, kw_only=True)
class RecordedProvider:
    """The provider of a recorded resource."""

    type: str
    urn: str
    name: str
    props: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A resource as a program registered it or as a state file keeps it; UNKNOWN stands for what is not known."""

    type: str
    urn: str
    props: Mapping[str, Any]
    outputs: Mapping[str, Any] | None = None
    parent: str = ""
    property_dependencies: Mapping[str, Sequence[str]] = field(default_factory=dict)
    provider: RecordedProvider | None = None

    @property
    def name(self) -> str:
        """The resource's name, the last part of its URN."""
        return self.urn.rsplit("::", maxsplit=1)[-1]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One diagnostic of the pack."""

    policy: str
    level: str
    urn: str
    message: str


def to_struct(props: Mapping[str, Any]) -> struct_pb2.Struct:
    """Properties in the wire form."""
    struct = struct_pb2.Struct()
    struct.update({str(key): _wire(value) for key, value in props.items()})
    return struct


def _wire(value: Any) -> Any:
    if value is UNKNOWN:
        return UNKNOWN_STRING
    if isinstance(value, Mapping):
        return {str(key): _wire(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_wire(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


class Pack:
    """A running pack; a context manager that ends the process it started."""

    def __init__(self, folder: Path = PACK, environment: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen([sys.executable, "-u", str(folder)], stdout=subprocess.PIPE, text=True, env=environment)
        port = self._process.stdout.readline().strip() if self._process.stdout else ""
        if not port.isdigit():
            self.close()
            msg = "the policy pack did not start"
            raise RuntimeError(msg)
        options = [("grpc.max_receive_message_length", LARGEST_MESSAGE), ("grpc.max_send_message_length", LARGEST_MESSAGE)]
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=options)
        self._stub: Any = analyzer_pb2_grpc.AnalyzerStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._channel.close()
        self.close()

    def close(self) -> None:
        """Ends the process."""
        self._process.terminate()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()

    def info(self) -> Any:
        """The pack's metadata."""
        return self._stub.GetAnalyzerInfo(empty_pb2.Empty())

    def configure(self, resolved: Mapping[str, PolicyConfig]) -> None:
        """Sets levels and parameters."""
        request = analyzer_pb2.ConfigureAnalyzerRequest()
        for name, config in resolved.items():
            entry = analyzer_pb2.PolicyConfig(properties=to_struct(config.params))
            entry.enforcementLevel = LEVELS[config.level]  # type: ignore[assignment]
            request.policyConfig[name].CopyFrom(entry)
        self._stub.Configure(request)

    def response(self, resource: Recorded) -> Any:
        """The whole answer for one resource, with the controls that do not apply to it."""
        request = analyzer_pb2.AnalyzeRequest(
            type=resource.type, urn=resource.urn, name=resource.name, properties=to_struct(resource.props)
        )
        if resource.provider is not None:
            request.provider.CopyFrom(_provider(resource.provider))
        return self._stub.Analyze(request)

    def analyze(self, resource: Recorded) -> list[Line]:
        """Judges one resource by its inputs."""
        return _lines(self.response(resource))

    def analyze_stack(self, resources: Sequence[Recorded]) -> list[Line]:
        """Judges a stack, by outputs where the record has them."""
        return _lines(self._stub.AnalyzeStack(analyzer_pb2.AnalyzeStackRequest(resources=[_message(one) for one in resources])))

    def judge(self, resources: Sequence[Recorded]) -> list[Line]:
        """Every resource, then the stack."""
        lines = [line for resource in resources for line in self.analyze(resource)]
        return lines + self.analyze_stack(resources)


def _provider(provider: RecordedProvider) -> Any:
    return analyzer_pb2.AnalyzerProviderResource(
        type=provider.type, urn=provider.urn, name=provider.name, properties=to_struct(provider.props)
    )


def _message(resource: Recorded) -> Any:
    message = analyzer_pb2.AnalyzerResource(
        type=resource.type,
        urn=resource.urn,
        name=resource.name,
        parent=resource.parent,
        properties=to_struct(resource.props if resource.outputs is None else resource.outputs),
    )
    for key, urns in resource.property_dependencies.items():
        message.propertyDependencies[key].urns.extend(urns)
    if resource.provider is not None:
        message.provider.CopyFrom(_provider(resource.provider))
    return message


def _lines(response: Any) -> list[Line]:
    return [
        Line(policy=one.policyName, level=LEVEL_NAMES[one.enforcementLevel], urn=one.urn, message=one.message)
        for one in response.diagnostics
    ]
