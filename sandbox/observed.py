"""What the engine's event stream tells of a preview: resources, where they belong, and what policies said of them."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from pulumi.automation import events

LAYER: Final = re.compile(r"^zerotrust:([^:]+):")
REGION: Final = re.compile(r"^((?:af|ap|ca|cn|eu|il|me|mx|sa|us)(?:-gov|-iso[a-z]?)?-[a-z]+-\d)(?:$|[^0-9])")
ENVIRONMENT: Final = "environment"
NO_LAYER: Final = "program"
# How the SDK and the project's own pack begin a line that says a policy met an unknown value.
_COULD_NOT_RUN: Final = ("could not run", "can't run policy")
_EXEMPT: Final = "exempt:"
_REMEDY: Final = re.compile(r"\s*Remedy:\s*(?P<remedy>.*)$", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One line of a policy about one resource; `level` is the engine's: mandatory or advisory."""

    policy: str
    urn: str
    level: str
    message: str
    remedy: str = ""

    def as_json(self) -> dict[str, str]:
        """The line of the written summary."""
        return {
            "policy": self.policy,
            "resource": self.urn,
            "level": self.level,
            "message": self.message,
            "remedy": self.remedy,
        }


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One resource of the preview."""

    urn: str
    type: str
    parent: str
    custom: bool
    operation: str

    @property
    def name(self) -> str:
        """The logical name."""
        return self.urn.rsplit("::", 1)[-1]

    @property
    def is_counted(self) -> bool:
        """Whether a person counts it: not the stack itself, not the providers the engine adds on its own."""
        is_default = self.type.startswith("pulumi:providers:") and self.name.startswith("default")
        return self.type != "pulumi:pulumi:Stack" and not is_default


@dataclass
class Observed:
    """Collects the stream; `notify` is called with the number of resources seen so far."""

    notify: Callable[[int], None] = lambda _: None
    resources: dict[str, Seen] = field(default_factory=dict)
    could_not_run: list[Verdict] = field(default_factory=list)
    exempt: list[Verdict] = field(default_factory=list)
    violations: list[Verdict] = field(default_factory=list)
    policies_run: set[str] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)

    def see(self, event: events.EngineEvent) -> None:
        """Takes one event."""
        if event.resource_pre_event is not None:
            self._resource(event.resource_pre_event.metadata)
        elif event.policy_event is not None:
            self._policy(event.policy_event)
        elif event.diagnostic_event is not None and event.diagnostic_event.severity == "error":
            where = (event.diagnostic_event.urn or "").split("::", 2)[-1]
            text = plain_text(event.diagnostic_event.message).strip()
            self.errors.append(f"{where}: {text}" if where else text)
        self._summaries(getattr(event, "raw", {}))

    def _resource(self, meta: events.StepEventMetadata) -> None:
        state = meta.new or meta.old
        operation = str(getattr(meta.op, "value", meta.op))
        parent = state.parent if state else ""
        custom = bool(state.custom) if state else True
        self.resources[meta.urn] = Seen(urn=meta.urn, type=meta.type, parent=parent or "", custom=custom, operation=operation)
        self.notify(len(self.resources))

    def _policy(self, event: events.PolicyEvent) -> None:
        # The engine puts the policy's own description in a line before what it found.
        message = plain_text(event.message).strip().split("\n", 1)[-1]
        found = _REMEDY.search(message)
        verdict = Verdict(
            policy=event.policy_name,
            urn=getattr(event, "resource_urn", "") or "",
            level=event.enforcement_level,
            message=message[: found.start()] if found else message,
            remedy=found["remedy"].strip() if found else "",
        )
        if any(start in message for start in _COULD_NOT_RUN):
            self.could_not_run.append(verdict)
        elif _EXEMPT in message:
            self.exempt.append(verdict)
        else:
            self.violations.append(verdict)
        self.policies_run.add(event.policy_name)

    def _summaries(self, raw: dict[str, Any]) -> None:
        for key in ("policyAnalyzeSummaryEvent", "policyAnalyzeStackSummaryEvent"):
            summary = raw.get(key) or {}
            self.policies_run.update(summary.get("passed") or [], summary.get("failed") or [])

    @property
    def mandatory(self) -> list[Verdict]:
        """The violations that stop an update."""
        return [verdict for verdict in self.violations if verdict.level != "advisory"]

    def counted(self) -> list[Seen]:
        """The resources a person counts."""
        return [seen for seen in self.resources.values() if seen.is_counted]

    def by_type(self) -> dict[str, int]:
        """Resources per type token."""
        return dict(sorted(Counter(seen.type for seen in self.counted()).items()))

    def _ancestry(self, seen: Seen) -> Iterator[Seen]:
        current: Seen | None = seen
        while current is not None:
            yield current
            current = self.resources.get(current.parent)

    def layer(self, seen: Seen) -> str:
        """The layer of the nearest component `zerotrust:<layer>:<Kind>`, the resource itself included."""
        for one in self._ancestry(seen):
            found = LAYER.match(one.type)
            if found:
                return found.group(1)
        return NO_LAYER

    def region(self, seen: Seen) -> str:
        """The region in front of the name of the nearest component that has one."""
        for one in self._ancestry(seen):
            found = None if one.custom else REGION.match(one.name)
            if found:
                return found.group(1)
        return ENVIRONMENT

    def table(self) -> dict[str, Counter[str]]:
        """Resources per layer and, in it, per region."""
        counts: dict[str, Counter[str]] = {}
        for seen in self.counted():
            counts.setdefault(self.layer(seen), Counter())[self.region(seen)] += 1
        return dict(sorted(counts.items()))


def plain_text(text: str) -> str:
    """The text without the engine's colour marks (`<{%reset%}>`)."""
    return re.sub(r"<\{%[^%]*%\}>", "", text)


@contextmanager
def raw_events() -> Iterator[None]:
    """Keeps the raw JSON of every event as its `raw`: the SDK drops kinds it does not know, policy summaries among them.

    Restores the SDK's own reading afterwards.
    """
    name = "from_json"
    original = events.EngineEvent.__dict__[name]

    def from_json(cls: type[events.EngineEvent], data: dict[str, Any]) -> events.EngineEvent:
        event: events.EngineEvent = original.__func__(cls, data)
        event.raw = data  # type: ignore[attr-defined]
        if event.policy_event is not None:
            event.policy_event.resource_urn = data["policyEvent"].get("resourceUrn", "")
        return event

    setattr(events.EngineEvent, name, classmethod(from_json))
    try:
        yield
    finally:
        setattr(events.EngineEvent, name, original)
