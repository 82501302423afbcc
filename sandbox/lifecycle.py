"""Up, refresh, preview and destroy on the stand-ins with local state: what tests and rehearsals drive."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pulumi.automation import events

from sandbox.engine import resolve
from sandbox.plugins import chosen
from sandbox.session import (
    Place,
    Program,
    Session,
    abandoned_quietly,
    open_session,
    rare_collections,
    scrubbed_environment,
)
from sandbox.standin.provider import DRIFT_VARIABLE

ONE_CHECKPOINT: Final = {"PULUMI_EXPERIMENTAL": "true", "PULUMI_SKIP_CHECKPOINTS": "true"}
"""The state is written once, at the end: written after every step, thousands of resources cost their square, and a rehearsal
has nothing to lose half-way."""


@dataclass
class Record:
    """What one operation did: `steps` are (operation, URN) in the engine's order, `said` its diagnostics."""

    steps: list[tuple[str, str]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    inputs: dict[str, dict[str, Any]] = field(default_factory=dict)

    def see(self, event: events.EngineEvent) -> None:
        """Takes one event of the engine's stream."""
        if event.resource_pre_event is not None:
            meta = event.resource_pre_event.metadata
            self.steps.append((str(getattr(meta.op, "value", meta.op)), meta.urn))
            if meta.new is not None:
                self.inputs[meta.urn] = dict(meta.new.inputs or {})
        if event.diagnostic_event is not None and event.diagnostic_event.severity != "debug":
            self.said.append(event.diagnostic_event.message)

    @property
    def changed(self) -> list[tuple[str, str]]:
        """The steps that were not `same` or a mere reading."""
        return [step for step in self.steps if step[0] not in ("same", "read", "refresh")]


class ProtectedError(Exception):
    """The stack holds protected resources, so it cannot be taken down; the message names them."""


class Lifecycle:
    """One stack to be taken through its life. Every method returns the record of the operation.

    Raises (every method): pulumi.automation.errors.CommandError when the engine refuses.
    """

    def __init__(self, session: Session, drift: Path) -> None:
        self._stack = session.stack
        self._drift = drift

    def _run(self, operation: Callable[..., Any], **options: Any) -> Record:
        record = Record()
        with abandoned_quietly():
            operation(on_event=record.see, **options)
        return record

    def preview(self) -> Record:
        """What would change."""
        return self._run(self._stack.preview)

    def up(self) -> Record:
        """Makes it so, in the stand-ins' state."""
        return self._run(self._stack.up)

    def refresh(self) -> Record:
        """Reads every resource again."""
        return self._run(self._stack.refresh)

    def destroy(self) -> Record:
        """Removes everything.

        A refused deletion must not reach the engine: after one it looks for what the refused resource stands on along every
        path of the dependency graph (3.250, `markAsDependency`), and a platform has more paths than it will ever have walked.

        Raises:
            ProtectedError: before anything is removed, when a resource of the stack is protected.
        """
        protected = sorted(one["urn"] for one in self.state() if one.get("protect"))
        if protected:
            msg = f"{len(protected)} protected resources cannot be destroyed, the first: {protected[0]}"
            raise ProtectedError(msg)
        return self._run(self._stack.destroy)

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs as plain values."""
        return {key: value.value for key, value in self._stack.outputs().items()}

    def state(self) -> list[dict[str, Any]]:
        """The resources of the exported deployment."""
        return list((self._stack.export_stack().deployment or {}).get("resources", []))

    def plant_drift(self, drift: dict[str, dict[str, Any] | None]) -> None:
        """Changes properties behind the engine's back, by URN; None removes the resource. Replaces earlier drift."""
        self._drift.write_text(json.dumps(drift), encoding="utf-8")


@contextmanager
def lifecycle(stack: str, program: Program, place: Place, report: Callable[[str], None]) -> Iterator[Lifecycle]:
    """Opens a stack for a rehearsal; `report` gets what choosing the engine has to say."""
    place.state.mkdir(parents=True, exist_ok=True)
    drift = place.state / "drift.json"
    with scrubbed_environment(), rare_collections():
        session = open_session(
            stack,
            program,
            engine=resolve(report),
            plugins=chosen(),
            place=place,
            env={DRIFT_VARIABLE: str(drift), **ONE_CHECKPOINT},
        )
        yield Lifecycle(session, drift)
