"""No security group lets every protocol out to the whole world."""

from policy.addresses import rules_of, unknown_ranges, world_ranges
from policy.model import CouldNotRun, Findings, Params, Resource, Violation
from policy.values import UNKNOWN


def validate(resource: Resource, _params: Params) -> Findings:
    """Either the range or the ports are narrow."""
    direction = resource.get("type")
    for rule in rules_of(resource, "egress"):
        undecided = [".".join(filter(None, (rule.path, name))) for name in rule.undecided]
        if not rule.every_port and not undecided:
            continue
        wide = world_ranges(rule.ranges)
        if wide and direction is UNKNOWN:
            yield CouldNotRun(path="type", urn=resource.urn)
        elif wide and not rule.every_port:
            yield from (CouldNotRun(path=path, urn=resource.urn) for path in undecided)
        else:
            for path in wide:
                yield Violation(path=path, problem="lets every protocol out to the whole world", urn=resource.urn)
        for path in unknown_ranges(rule.ranges):
            yield CouldNotRun(path=path or "egress", urn=resource.urn)
