"""Every internet-facing load balancer stands behind a web application firewall that fails closed."""

from policy.checks import covered, forbid_true
from policy.model import CouldNotRun, Findings, Params, Stack
from policy.values import UNKNOWN, is_true

BALANCERS = ("aws:lb/loadBalancer:LoadBalancer", "aws:alb/loadBalancer:LoadBalancer")
ASSOCIATION = "aws:wafv2/webAclAssociation:WebAclAssociation"


def validate(stack: Stack, _params: Params) -> Findings:
    """Absent ``internal`` is internet-facing. A web ACL that is there is enough where ``internal`` is unknown."""
    for balancer in stack.of(*BALANCERS):
        kind, internal = balancer.get("loadBalancerType"), balancer.get("internal")
        if kind not in (None, "application", UNKNOWN):
            continue
        yield from forbid_true(balancer, "enableWafFailOpen", "lets requests pass when the firewall does not answer")
        if is_true(internal):
            continue
        _, missing = covered(stack, balancer, stack.of(ASSOCIATION), "resourceArn", "faces the internet without a web ACL")
        unknown = [path for path, value in (("internal", internal), ("loadBalancerType", kind)) if value is UNKNOWN]
        if missing and unknown:
            yield from (CouldNotRun(path=path, urn=balancer.urn) for path in unknown)
        else:
            yield from missing
