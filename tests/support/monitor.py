"""A recording monitor: the program's own registrations, as requested, without an engine.

`record(program)` runs a program under Pulumi's mocks and returns what it registered: inputs in camelCase as the engine gets
them, parent, provider, dependencies. It refuses a URN registered twice, as the engine does. It proves what the program asks
for; not that a provider accepts it (the engine tier asks the stand-ins) nor that AWS does.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import pulumi
from pulumi.runtime import mocks, resource_cycle_breaker, rpc
from pulumi.runtime import resource as sdk
from pulumi.runtime.proto import resource_pb2, source_pb2
from pulumi.runtime.settings import SETTINGS
from pulumi.runtime.stack import run_pulumi_func
from pulumi.runtime.sync_await import _sync_await

from sandbox.session import rare_collections, settling

Answer = Mapping[str, Any] | Callable[[dict[str, Any]], Mapping[str, Any]]
"""Further outputs of a type: fixed, or made from the inputs."""
Outputs = Mapping[str, Answer]


@dataclass(frozen=True, kw_only=True)
class Registered:
    """One registration request, with the outputs it was answered."""

    type: str
    name: str
    urn: str
    inputs: dict[str, Any]
    """camelCase; outputs of other resources resolved to the mocks' values."""
    parent: str
    """URN, or the empty text."""
    provider: str
    """URN of the explicit provider, without its id, or the empty text for the default provider."""
    providers: dict[str, str]
    dependencies: frozenset[str]
    property_dependencies: dict[str, frozenset[str]]
    protect: bool
    custom: bool
    ignore_changes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Read:
    """One request to read what something else made: the engine lists it, the program does not register it."""

    type: str
    urn: str
    parent: str
    dependencies: frozenset[str]


class DuplicateUrnError(AssertionError):
    """The program registered the same URN twice."""


@dataclass
class Recording:
    """Everything a program registered, in order."""

    resources: list[Registered] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    stack_outputs: dict[str, Any] = field(default_factory=dict)

    def of(self, type_: str) -> list[Registered]:
        """Every resource of a type token."""
        return [resource for resource in self.resources if resource.type == type_]

    def one(self, type_: str, name: str | None = None) -> Registered:
        """The only resource of a type, or the one with this name; an AssertionError that lists what there is otherwise."""
        found = [resource for resource in self.of(type_) if name in {None, resource.name}]
        assert len(found) == 1, f"{len(found)} of {type_} {name or ''}: {sorted(r.name for r in found or self.of(type_))}"
        return found[0]

    def children(self, parent: Registered) -> list[Registered]:
        """Direct children."""
        return [resource for resource in self.resources if resource.parent == parent.urn]

    def urns(self) -> set[str]:
        return {resource.urn for resource in self.resources}


def plain(value: Any) -> Any:
    """The value with assets and archives as what they hold, so that two recordings can be compared."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, pulumi.StringAsset):
        return {"text": value.text}
    if isinstance(value, pulumi.FileAsset | pulumi.FileArchive):
        return {"path": value.path}
    return {"assets": plain(value.assets)} if isinstance(value, pulumi.AssetArchive) else value


class _Mocks(mocks.Mocks):
    """Answers every registration with its inputs, an id and an ARN derived from the name."""

    def __init__(self, outputs: Outputs) -> None:
        self.outputs = outputs

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        service = args.typ.split(":")[1].split("/")[0] if args.typ.count(":") > 1 else "mock"
        answer = {"arn": f"arn:aws:{service}:eu-west-1:111122223333:{args.name}", **args.inputs}
        more = self.outputs.get(args.typ, {})
        return f"{args.name}-id", {**answer, **(more(args.inputs) if callable(more) else more)}

    def call(self, args: mocks.MockCallArgs) -> dict[str, Any]:
        msg = f"the program looked {args.token} up; a preview without an account cannot"
        raise AssertionError(msg)


def _leads(start: pulumi.Resource, goal: pulumi.Resource) -> bool:
    """Whether `goal` is `start` or stands behind it in the declared dependencies."""
    seen, ahead = {start}, [start]
    while ahead:
        here = ahead.pop()
        if here is goal:
            return True
        fresh = resource_cycle_breaker._deps(here) - seen
        seen |= fresh
        ahead.extend(fresh)
    return False


@contextlib.contextmanager
def _without_what_a_recording_never_shows() -> Iterator[None]:
    """The SDK without two costs: where in the source a resource stands, and cycles sought where none can be.

    Nothing leads to a resource that nothing depends on, which is nearly every one when it is declared; for the rest the
    same search without generators inside generators.
    """
    depended_upon = set[pulumi.Resource]()

    def declare(from_resource: pulumi.Resource, to_resource: pulumi.Resource) -> bool:
        circle = (from_resource in depended_upon or from_resource is to_resource) and _leads(to_resource, from_resource)
        if not circle:
            resource_cycle_breaker._add_dep(from_resource, to_resource)
        depended_upon.add(to_resource)
        return not circle

    with mock.patch.object(rpc, "declare_dependency", declare), mock.patch.object(sdk, "_get_stack_trace", source_pb2.StackTrace):
        yield


class _Recorder(mocks.MockMonitor):
    def __init__(self, answers: _Mocks, recording: Recording) -> None:
        super().__init__(answers)
        self.recording = recording
        self.seen: set[str] = set()

    def GetDeploymentInfo(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        """Without resource references: they would be looked up again on another thread's loop. A reference is its id here."""
        info = super().GetDeploymentInfo(request)
        references = resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_REFERENCES
        features = [feature for feature in info.supportedFeatures if feature != references]
        return resource_pb2.DeploymentInfo(supportedFeatures=features)

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        answer = super().RegisterResource(request)
        if request.type == "pulumi:pulumi:Stack":
            return answer
        if answer.urn in self.seen:
            raise DuplicateUrnError(answer.urn)
        self.seen.add(answer.urn)
        self.recording.resources.append(
            Registered(
                type=request.type,
                name=request.name,
                urn=answer.urn,
                inputs=rpc.deserialize_properties(request.object, keep_unknowns=True),
                parent="" if request.parent.split("::")[-2:-1] == ["pulumi:pulumi:Stack"] else request.parent,
                provider=request.provider.rsplit("::", 1)[0],
                providers={package: reference.rsplit("::", 1)[0] for package, reference in request.providers.items()},
                dependencies=frozenset(request.dependencies),
                property_dependencies={key: frozenset(value.urns) for key, value in request.propertyDependencies.items()},
                protect=request.protect,
                custom=request.custom,
                ignore_changes=tuple(request.ignoreChanges),
            ),
        )
        return answer

    def ReadResource(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        answer = super().ReadResource(request)
        self.recording.reads.append(
            Read(type=request.type, urn=answer.urn, parent=request.parent, dependencies=frozenset(request.dependencies))
        )
        return answer

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        if request.urn.split("::")[-2] == "pulumi:pulumi:Stack":
            self.recording.stack_outputs = rpc.deserialize_properties(request.outputs, keep_unknowns=True)
        return super().RegisterResourceOutputs(request)


def record(
    program: Callable[[], None],
    *,
    outputs: Outputs | None = None,
    config: Mapping[str, str] | None = None,
    stack: str = "test",
) -> Recording:
    """Run a program and return what it registered.

    Args:
        program: registers resources; what it returns is ignored.
        outputs: further outputs by type token, for components that answer more than their inputs.
        config: stack configuration, `zerotrust:settings` as JSON text.
        stack: the stack's name.

    Raises:
        DuplicateUrnError: the program registered a URN twice.
        Exception: whatever the program raised.
    """
    recording = Recording()
    answers = _Mocks(outputs or {})
    with contextlib.suppress(RuntimeError):
        asyncio.get_running_loop()
        msg = "record() runs its own event loop; call it from a plain test"
        raise AssertionError(msg)
    asyncio.set_event_loop(asyncio.new_event_loop())
    mocks.set_mocks(answers, project="zerotrust", stack=stack, preview=False, monitor=_Recorder(answers, recording))
    pulumi.runtime.set_all_config(dict(config or {}))
    SETTINGS.rpc_manager.clear()
    SETTINGS.outputs.clear()
    with rare_collections(), _without_what_a_recording_never_shows():
        _sync_await(run_pulumi_func(settling(program)))
    return recording
