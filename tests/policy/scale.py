"""What decoding once saves: the pack's servicer against the SDK's own on one large resource. Reused by the benchmarks."""

import time
from typing import Any

import pulumi_policy
from pulumi.runtime.proto import analyzer_pb2
from pulumi_policy import policy as sdk

from policy import catalogue, servicer
from policy.client import to_struct
from policy.engine import default_engine

CRD = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition"


def large_resource(fields: int) -> Any:
    """A request with a schema of about 230 bytes per field, as custom resource definitions have."""
    schema = {
        f"field{n}": {"type": "object", "description": "What the field is for. " * 5, "properties": {"name": {"type": "string"}}}
        for n in range(fields)
    }
    props = {"spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": {"properties": schema}}}]}}
    urn = f"urn:pulumi:prod::zerotrust::{CRD}::large"
    return analyzer_pb2.AnalyzeRequest(type=CRD, urn=urn, name="large", properties=to_struct(props))


def _naive_policies() -> list[Any]:
    """As many policies, each asking for the type and no more."""
    return [
        pulumi_policy.ResourceValidationPolicy(
            name=control.policy, description=control.title, validate=lambda args, _: args.resource_type and None
        )
        for control in catalogue.load()
    ]


def compare(fields: int) -> tuple[float, float]:
    """Seconds for one Analyze call: the pack's servicer, and the SDK's with as many policies."""
    request, controls = large_resource(fields), catalogue.load()
    level = pulumi_policy.EnforcementLevel.MANDATORY
    ours = servicer.bound(default_engine(), controls)("ours", "0.0.1", servicer.policies(controls), level)
    theirs = sdk._PolicyAnalyzerServicer("theirs", "0.0.1", _naive_policies(), level)
    return _seconds(ours, request), _seconds(theirs, request)


def _seconds(served: Any, request: Any) -> float:
    start = time.perf_counter()
    served.Analyze(request, None)
    return time.perf_counter() - start
