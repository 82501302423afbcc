"""The dispatcher: which controls look at a resource, and what becomes of their findings.

A resource is decoded once, however many controls read it, and only the controls that name its type are called. Decoding
per control, as the SDK does, made the packs of large custom resource definitions 135 times slower.
"""

import datetime as dt
import enum
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policy import catalogue, exemptions
from policy.catalogue import ANY_TYPE, Control
from policy.model import CouldNotRun, Finding, Findings, NotApplicable, Resource, Stack, Violation

COULD_NOT_RUN = "could not run:"
EXEMPT = "exempt:"
RULE_FAILED = "the rule failed on this resource"


class Verdict(enum.Enum):
    """What a finding comes to."""

    VIOLATION = "violation"
    COULD_NOT_RUN = "could not run"
    EXEMPT = "exempt"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One line of the result."""

    control: Control
    verdict: Verdict
    urn: str
    message: str


ParamsOf = Callable[[Control], Mapping[str, Any]]


class Engine:
    """The controls, indexed by the types they read, and the exemptions in force. Keeps no state between calls."""

    def __init__(self, controls: Sequence[Control], register: exemptions.Register) -> None:
        self._register = register
        self._rules = {control.id: control.rule() for control in controls}
        self._by_type: dict[str, list[Control]] = {}
        self._stack_controls = [control for control in controls if control.kind == "stack"]
        for control in controls:
            if control.kind == "resource":
                for token in control.tokens:
                    self._by_type.setdefault(token, []).append(control)

    def controls_for(self, kind: str) -> list[Control]:
        """The resource controls that read a type."""
        return [*self._by_type.get(kind, ()), *self._by_type.get(ANY_TYPE, ())]

    def judge_resource(self, resource: Resource, enabled: Iterable[Control], params: ParamsOf) -> Iterator[Outcome]:
        """What the enabled controls say of one resource."""
        on = {control.id for control in enabled}
        for control in self.controls_for(resource.type):
            if control.id in on:
                findings = self._run(control, resource, params(control))
                yield from self._outcomes(control, findings, resource.urn)

    def judge_stack(self, resources: Sequence[Resource], enabled: Iterable[Control], params: ParamsOf) -> Iterator[Outcome]:
        """What the enabled controls say of the stack as a whole."""
        on = {control.id for control in enabled}
        unmatched = self._register.unmatched([resource.urn for resource in resources])
        stack = Stack(resources=resources, exemption_problems=(*self._register.problems, *unmatched))
        for control in self._stack_controls:
            if control.id in on:
                yield from self._outcomes(control, self._run(control, stack, params(control)), stack.urn)

    def _run(self, control: Control, subject: Resource | Stack, params: Mapping[str, Any]) -> Findings:
        """A rule's findings. A rule that fails is a violation: it must not let pass, nor stop the other rules."""
        try:
            yield from self._rules[control.id](subject, {**control.defaults, **params})
        except Exception as error:  # noqa: BLE001 whatever it is, the resource was not judged
            urn = subject.urn
            yield Violation(path="", problem=f"{RULE_FAILED} ({type(error).__name__})", urn=urn)

    def _outcomes(self, control: Control, findings: Findings, default_urn: str) -> Iterator[Outcome]:
        for finding in dict.fromkeys(findings):
            yield self._outcome(control, finding, finding.urn or default_urn)

    def _outcome(self, control: Control, finding: Finding, urn: str) -> Outcome:
        if isinstance(finding, CouldNotRun):
            message = f"{COULD_NOT_RUN} {control.id}: {finding.path} is unknown until the update"
            return Outcome(control=control, verdict=Verdict.COULD_NOT_RUN, urn=urn, message=message)
        if isinstance(finding, NotApplicable):
            return Outcome(control=control, verdict=Verdict.NOT_APPLICABLE, urn=urn, message=finding.reason)
        exemption = self._register.find(control.id, urn)
        where = f"{urn.rsplit('::', maxsplit=1)[-1]}: {finding.path}" if urn else finding.path
        if exemption is not None:
            until = exemption.expires.isoformat()
            message = f"{EXEMPT} {control.id}: {where} until {until}, by {exemption.approver}: {exemption.reason}"
            return Outcome(control=control, verdict=Verdict.EXEMPT, urn=urn, message=message)
        message = f"{control.id}: {where}: {finding.problem}. Remedy: {control.remediation}"
        return Outcome(control=control, verdict=Verdict.VIOLATION, urn=urn, message=message)


def default_engine() -> Engine:
    """The engine over the whole catalogue, with the exemptions that hold today."""
    controls = catalogue.load()
    today = dt.datetime.now(tz=dt.UTC).date()
    return Engine(controls, exemptions.load([control.id for control in controls], today))
