"""Load balancers accept encrypted connections only."""

from policy.model import CouldNotRun, Findings, Params, Resource, Stack, Violation
from policy.values import UNKNOWN, elements, look, number

LISTENERS = ("aws:lb/listener:Listener", "aws:alb/listener:Listener")
RULES = ("aws:lb/listenerRule:ListenerRule", "aws:alb/listenerRule:ListenerRule")
ENCRYPTED = ("HTTPS", "TLS")


def _redirects(resource: Resource, key: str) -> Findings:
    actions = list(elements(resource.get(key), key))
    if not actions:
        yield Violation(path=key, problem="answers over plain HTTP", urn=resource.urn)
    for path, action in actions:
        kind, target = look(action, "type"), look(action, "redirect.protocol")
        if kind is UNKNOWN or (kind == "redirect" and target is UNKNOWN):
            yield CouldNotRun(path=f"{path}.type" if kind is UNKNOWN else f"{path}.redirect.protocol", urn=resource.urn)
        elif kind != "redirect" or target != "HTTPS":
            yield Violation(path=path, problem="does anything but redirect to HTTPS over plain HTTP", urn=resource.urn)


def _protocol(listener: Resource, passthrough: object) -> str | None:
    """``encrypted``, ``plain`` (HTTP), ``forbidden``, or None where it is not known."""
    protocol = listener.get("protocol")
    if protocol is UNKNOWN:
        return None
    if protocol in ENCRYPTED:
        return "encrypted"
    if protocol == "TCP" and isinstance(passthrough, list) and number(listener.get("port")) in passthrough:
        return "encrypted"  # TLS passes through and ends at the workload
    if protocol == "TCP" and listener.get("port") is UNKNOWN:
        return None
    return "plain" if protocol == "HTTP" else "forbidden"


def validate(stack: Stack, params: Params) -> Findings:
    """HTTPS or TLS; TCP on ports where TLS ends at the workload; HTTP to redirect, in its rules as well."""
    ports = params.get("passthroughPorts")
    plain = []
    for listener in stack.of(*LISTENERS):
        kind = _protocol(listener, ports)
        if kind is None:
            path = "protocol" if listener.get("protocol") is UNKNOWN else "port"
            yield CouldNotRun(path=path, urn=listener.urn)
        elif kind == "forbidden":
            yield Violation(path="protocol", problem="is neither HTTPS nor TLS", urn=listener.urn)
        elif kind == "plain":
            plain.append(listener)
            yield from _redirects(listener, "defaultActions")
    for rule in stack.of(*RULES):
        answers = [stack.refers(rule, "listenerArn", listener) for listener in plain]
        if any(answers):
            yield from _redirects(rule, "actions")
        elif None in answers:
            yield CouldNotRun(path="listenerArn", urn=rule.urn)
