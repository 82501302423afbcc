"""The pack as the Pulumi engine sees it: one policy per control, served so that each resource is decoded once.

The SDK's own servicer decodes a request again for every policy, and reports a policy that met an unknown value in words
that name neither resource nor control. This one keeps its metadata, levels and configuration, and replaces the two calls.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import pulumi_policy
from pulumi.runtime import proto
from pulumi_policy import policy as sdk

from policy.catalogue import Control
from policy.engine import Engine, Outcome, Verdict
from policy.model import Provider, Resource
from policy.values import decode_struct, provider_props

PACK_NAME = "zerotrust"
SDK_SERVICER = "_PolicyAnalyzerServicer"
# Private to the SDK, which offers no other place; a version without it fails here, before anything is judged.
_BASE: Any = getattr(sdk, SDK_SERVICER)


class NotServedError(RuntimeError):
    """The SDK called a policy itself, so the servicer of this pack is not in place."""


def decode_provider(provider: Any) -> Provider:
    """The provider of a request, as plain values."""
    return Provider(
        type=provider.type, urn=provider.urn, name=provider.name, props=provider_props(decode_struct(provider.properties))
    )


def decode_request(request: Any) -> Resource:
    """The resource of a request, as plain values."""
    return Resource(
        type=request.type,
        urn=request.urn,
        name=request.name,
        props=decode_struct(request.properties),
        provider=decode_provider(request.provider) if request.HasField("provider") else None,
    )


def decode_stack_resource(message: Any) -> Resource:
    """A resource of a stack, with what it refers to."""
    return Resource(
        type=message.type,
        urn=message.urn,
        name=message.name,
        props=decode_struct(message.properties),
        parent=message.parent,
        provider=decode_provider(message.provider) if message.HasField("provider") else None,
        property_dependencies={key: tuple(value.urns) for key, value in message.propertyDependencies.items()},
    )


def _refuse(*_args: object) -> None:
    """Stands where the SDK wants a function to call: reached only if this pack's servicer is not in place."""
    msg = "the policies of this pack run under its own servicer; start it by its __main__"
    raise NotServedError(msg)


def policies(controls: Iterable[Control]) -> list[Any]:
    """One policy per control: what the engine shows and configures."""
    made = []
    for control in controls:
        kind = pulumi_policy.ResourceValidationPolicy if control.kind == "resource" else pulumi_policy.StackValidationPolicy
        schema = pulumi_policy.PolicyConfigSchema(properties={k: dict(v) for k, v in control.parameters.items()})
        made.append(
            kind(
                name=control.policy,
                description=control.title,
                validate=_refuse,
                enforcement_level=pulumi_policy.EnforcementLevel(control.level),
                config_schema=schema if control.parameters else None,
                display_name=f"{control.id} {control.title}",
                severity=pulumi_policy.Severity(control.severity),
                framework=pulumi_policy.PolicyComplianceFramework(
                    name="NIST SP 800-53", version="Rev. 5", reference=", ".join(control.nist).upper()
                ),
                tags=[control.id, *(f"nist:{ref}" for ref in control.nist), *(f"soc2:{ref}" for ref in control.soc2)],
                remediation_steps=control.remediation,
            ),
        )
    return made


class DecodeOnceServicer(_BASE):  # type: ignore[misc]
    """Answers Analyze and AnalyzeStack from one decoding; ``install`` binds it to an engine."""

    engine: ClassVar[Engine]
    by_policy: ClassVar[Mapping[str, Control]]

    def __init__(self, name: str, version: str, registered: list[Any], *rest: Any) -> None:
        super().__init__(name, version, registered, *rest)
        self._pack = (name, version)
        self._registered = {self.by_policy[one.name].id: one for one in registered}

    def Analyze(self, request: Any, _context: Any) -> Any:  # noqa: N802 the protocol's name
        """Judges one resource."""
        self._configure_runtime_settings()
        enabled = self._enabled(self.engine.controls_for(request.type))
        outcomes = self.engine.judge_resource(decode_request(request), enabled, self._params) if enabled else ()
        return self._response(outcomes)

    def AnalyzeStack(self, request: Any, _context: Any) -> Any:  # noqa: N802 the protocol's name
        """Judges the stack as a whole."""
        self._configure_runtime_settings()
        resources = [decode_stack_resource(message) for message in request.resources]
        return self._response(self.engine.judge_stack(resources, self._enabled(self.by_policy.values()), self._params))

    def _enabled(self, wanted: Iterable[Control]) -> list[Control]:
        off = pulumi_policy.EnforcementLevel.DISABLED
        return [one for one in wanted if self._get_enforcement_level(self._registered[one.id]) != off]

    def _params(self, control: Control) -> Mapping[str, Any]:
        return self._get_policy_config(control.policy) or {}

    def _response(self, outcomes: Iterable[Outcome]) -> Any:
        response = proto.AnalyzeResponse()
        for outcome in outcomes:
            registered = self._registered[outcome.control.id]
            if outcome.verdict is Verdict.NOT_APPLICABLE:
                response.not_applicable.append(proto.PolicyNotApplicable(policy_name=registered.name, reason=outcome.message))
            elif outcome.verdict is Verdict.VIOLATION:
                level = self._get_enforcement_level(registered)
                if level == pulumi_policy.EnforcementLevel.REMEDIATE:
                    level = pulumi_policy.EnforcementLevel.MANDATORY
                report = self._create_report_violation(
                    response, registered.name, registered.description, level, registered.severity
                )
                report(outcome.message, outcome.urn)
            else:
                response.diagnostics.append(self._note(registered, outcome))
        return response

    def _note(self, registered: Any, outcome: Outcome) -> Any:
        """A line that blocks nothing and starts with its fixed prefix."""
        return proto.AnalyzeDiagnostic(
            policyName=registered.name,
            policyPackName=self._pack[0],
            policyPackVersion=self._pack[1],
            message=outcome.message,
            urn=outcome.urn,
            description=registered.description,
            enforcementLevel=self._map_enforcement_level(pulumi_policy.EnforcementLevel.ADVISORY),
            severity=self._map_severity(registered.severity),
        )


def bound(engine: Engine, controls: Iterable[Control]) -> type[DecodeOnceServicer]:
    """The servicer for one engine; the SDK constructs it and knows no engine."""
    by_policy = {control.policy: control for control in controls}
    return type("BoundServicer", (DecodeOnceServicer,), {"engine": engine, "by_policy": by_policy})


def install(engine: Engine, controls: Iterable[Control]) -> None:
    """Makes the SDK's PolicyPack serve with this pack's servicer."""
    setattr(sdk, SDK_SERVICER, bound(engine, controls))
