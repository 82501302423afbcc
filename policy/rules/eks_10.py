"""Nodes stand in private subnets, and their role has only what a node needs."""

from policy.checks import strings, tag
from policy.model import CouldNotRun, Finding, Findings, Params, Resource, Stack, Violation
from policy.values import UNKNOWN, elements, is_set, is_true

NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
SUBNET = "aws:ec2/subnet:Subnet"
ASSOCIATION = "aws:ec2/routeTableAssociation:RouteTableAssociation"
TABLE = "aws:ec2/routeTable:RouteTable"
ROUTE = "aws:ec2/route:Route"
GATEWAY = "aws:ec2/internetGateway:InternetGateway"
ROLE = "aws:iam/role:Role"
POLICY = "aws:iam/policy:Policy"
# Type, the property that names the role, the property that names the policies.
ATTACHMENTS = (
    ("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "role", "policyArn"),
    ("aws:iam/policyAttachment:PolicyAttachment", "roles", "policyArn"),
    ("aws:iam/rolePolicyAttachmentsExclusive:RolePolicyAttachmentsExclusive", "roleName", "policyArns"),
)


def _to_internet(stack: Stack, table: Resource) -> bool:
    routes = [route for route in stack.of(ROUTE) if stack.refers(route, "routeTableId", table)]
    inline = any(
        isinstance(route, dict) and str(route.get("gatewayId")).startswith("igw-")
        for _, route in elements(table.get("routes"), "routes")
    )
    return (
        inline
        or bool(stack.related(table, "routes", (GATEWAY,)).resources)
        or any(
            str(route.get("gatewayId")).startswith("igw-") or stack.related(route, "gatewayId", (GATEWAY,)).resources
            for route in routes
        )
    )


def _public(stack: Stack, subnet: Resource) -> bool:
    if is_true(subnet.get("mapPublicIpOnLaunch")) or tag(subnet, "tier") == "public":
        return True
    associations = [one for one in stack.of(ASSOCIATION) if stack.refers(one, "subnetId", subnet)]
    tables = [table for one in associations for table in stack.related(one, "routeTableId", (TABLE,)).resources]
    return any(_to_internet(stack, table) for table in tables)


def _policies(stack: Stack, holder: Resource, key: str, allowed: tuple[str, ...]) -> Findings:
    own = stack.related(holder, key, (POLICY,)).resources
    for path, arn in elements(holder.get(key), key):
        if arn is UNKNOWN and not own:
            yield CouldNotRun(path=path, urn=holder.urn)
        elif arn is UNKNOWN or not isinstance(arn, str) or arn.rsplit("/", maxsplit=1)[-1] not in allowed:
            yield Violation(path=path, problem="gives nodes a policy that is not on the list", urn=holder.urn)


def _role(stack: Stack, role: Resource, allowed: tuple[str, ...]) -> Findings:
    yield from _policies(stack, role, "managedPolicyArns", allowed)
    for path, inline in elements(role.get("inlinePolicies"), "inlinePolicies"):
        if inline is UNKNOWN:  # the provider reads a role's inline policies back, also where the program gives none
            yield CouldNotRun(path=path, urn=role.urn)
        elif is_set(inline):
            yield Violation(path=path, problem="gives nodes a policy of their own", urn=role.urn)
    for kind, role_key, policy_key in ATTACHMENTS:
        for attachment in stack.of(kind):
            mine = stack.refers(attachment, role_key, role)
            if mine:
                yield from _policies(stack, attachment, policy_key, allowed)
            elif mine is None:
                yield CouldNotRun(path=role_key, urn=attachment.urn)


def validate(stack: Stack, params: Params) -> Findings:
    """Subnets by where their routes lead, roles by what is attached to them."""
    allowed = strings(params, "nodePolicies")
    findings: list[Finding] = []
    for group in stack.of(NODE_GROUP):
        subnets = stack.related(group, "subnetIds", (SUBNET,))
        findings += [
            Violation(path="subnetIds", problem=f"puts nodes into the public subnet {subnet.name}", urn=group.urn)
            for subnet in subnets.resources
            if _public(stack, subnet)
        ]
        if not subnets.complete:
            findings.append(CouldNotRun(path="subnetIds", urn=group.urn))
        roles = stack.related(group, "nodeRoleArn", (ROLE,))
        if not roles.complete:
            findings.append(CouldNotRun(path="nodeRoleArn", urn=group.urn))
        for role in roles.resources:
            findings += _role(stack, role, allowed)
    yield from dict.fromkeys(findings)
