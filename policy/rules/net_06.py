"""AWS services are reached through endpoints of the VPC, and each endpoint has a policy of its own."""

from policy.checks import strings
from policy.documents import (
    UnreadableDocumentError,
    conditions,
    is_anyone,
    is_every_action,
    is_everything,
    principals,
    statements,
)
from policy.model import CouldNotRun, Findings, Params, Resource, Stack, Violation
from policy.values import UNKNOWN, is_set

VPC = "aws:ec2/vpc:Vpc"
ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
ENDPOINT_POLICY = "aws:ec2/vpcEndpointPolicy:VpcEndpointPolicy"


def _document(source: Resource, urn: str) -> Findings:
    try:
        found = statements(source.get("policy"), "policy")
    except UnreadableDocumentError as error:
        yield Violation(path="policy", problem=str(error), urn=urn)
        return
    if found is UNKNOWN:
        yield CouldNotRun(path="policy", urn=urn)
        return
    for one in found:
        parts = (
            any(is_anyone(kind, value) for _, kind, value in principals(one)),
            any(is_every_action(value) for _, value in one.members("Action")) or one.raw("NotAction") is not None,
            any(is_everything(value) for _, value in one.members("Resource")) or one.raw("NotResource") is not None,
        )
        conditional = one.raw("Condition") is UNKNOWN or any(conditions(one))
        if all(parts) and one.may_allow and not conditional:
            yield Violation(path=one.path, problem="allows everybody everything through the endpoint", urn=urn)


def _policy(stack: Stack, endpoint: Resource) -> Findings:
    if is_set(endpoint.get("policy")):
        yield from _document(endpoint, endpoint.urn)
        return
    answers = [(one, stack.refers(one, "vpcEndpointId", endpoint)) for one in stack.of(ENDPOINT_POLICY)]
    apart = [one for one, answer in answers if answer]
    for one in apart:
        yield from _document(one, one.urn)
    if not apart and any(answer is None for _, answer in answers):
        yield CouldNotRun(path="policy", urn=endpoint.urn)
    elif not apart:
        yield Violation(path="policy", problem="has no policy, so AWS attaches one that allows everything", urn=endpoint.urn)


def validate(stack: Stack, params: Params) -> Findings:
    """The listed services in each VPC; a policy on each endpoint of an AWS service."""
    endpoints = stack.of(ENDPOINT)
    for endpoint in endpoints:
        name = endpoint.get("serviceName")
        if name is UNKNOWN or not isinstance(name, str) or "vpce-svc" not in name:
            yield from _policy(stack, endpoint)
    for vpc in stack.of(VPC):
        answers = [(endpoint, stack.refers(endpoint, "vpcId", vpc)) for endpoint in endpoints]
        inside = [endpoint for endpoint, answer in answers if answer is not False]
        names = [endpoint.get("serviceName") for endpoint, answer in answers if answer]
        sure = all(answer is not None for _, answer in answers) and UNKNOWN not in names
        for service in strings(params, "services"):
            if any(isinstance(name, str) and name.endswith(f".{service}") for name in names):
                continue
            if sure:
                yield Violation(path="serviceName", problem=f"has no endpoint for {service}", urn=vpc.urn)
            else:
                yield from (
                    CouldNotRun(path="serviceName" if one.get("serviceName") is UNKNOWN else "vpcId", urn=one.urn)
                    for one in inside
                    if one.get("serviceName") is UNKNOWN or stack.refers(one, "vpcId", vpc) is None
                )
