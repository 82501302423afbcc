"""No security group lets the whole world in, but on ports the configuration names."""

from policy.addresses import PREFIX_LIST, PREFIX_LIST_ENTRY, rules_of, unknown_ranges, world_ranges
from policy.model import CouldNotRun, Findings, Params, Resource, Violation
from policy.values import UNKNOWN, elements, look, number


def _prefix_list(resource: Resource) -> Findings:
    if resource.type == PREFIX_LIST_ENTRY:
        entries = [("cidr", resource.get("cidr"))]
    else:
        entries = []
        for path, entry in elements(resource.get("entries"), "entries"):
            known = UNKNOWN if entry is UNKNOWN else look(entry, "cidr")
            entries.append((path if entry is UNKNOWN else f"{path}.cidr", known))
    for path in world_ranges(tuple(entries)):
        yield Violation(path=path, problem="puts the world on a prefix list", urn=resource.urn)
    for path in unknown_ranges(tuple(entries)):
        yield CouldNotRun(path=path, urn=resource.urn)


def validate(resource: Resource, params: Params) -> Findings:
    """Every spelling of a rule; the ports only matter where the range is wide or unknown."""
    if resource.type in (PREFIX_LIST, PREFIX_LIST_ENTRY):
        yield from _prefix_list(resource)
        return
    ports = params.get("publicPorts")
    allowed = frozenset(int(n) for n in map(number, ports if isinstance(ports, list) else []) if n is not None)
    direction = resource.get("type")
    for rule in rules_of(resource, "ingress"):
        if rule.only_ports(allowed):
            continue
        wide = world_ranges(rule.ranges)
        undecided = [".".join(filter(None, (rule.path, name))) for name in rule.undecided]
        if wide and direction is UNKNOWN:
            yield CouldNotRun(path="type", urn=resource.urn)
        elif wide and undecided and not rule.any_protocol:
            yield from (CouldNotRun(path=path, urn=resource.urn) for path in undecided)
        else:
            for path in wide:
                yield Violation(path=path, problem="lets the whole world in on more than the public ports", urn=resource.urn)
        for path in unknown_ranges(rule.ranges):
            yield CouldNotRun(path=path or "ingress", urn=resource.urn)
