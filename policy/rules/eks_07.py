"""Cluster-wide rights belong to break-glass principals; all others are confined to namespaces."""

from policy.checks import check, strings
from policy.documents import matches_any
from policy.model import CouldNotRun, Findings, Params, Resource, Violation
from policy.values import UNKNOWN, elements

ENTRY = "aws:eks/accessEntry:AccessEntry"
ADMIN = "AmazonEKSClusterAdminPolicy"


def _groups(resource: Resource) -> Findings:
    for path, group in elements(resource.get("kubernetesGroups"), "kubernetesGroups"):
        if group is UNKNOWN:
            yield CouldNotRun(path=path, urn=resource.urn)
        elif not isinstance(group, str) or group.startswith("system:"):
            yield Violation(path=path, problem="puts the principal into a group of the system", urn=resource.urn)


def validate(resource: Resource, params: Params) -> Findings:
    """The principal is only read where the rights are wide."""
    if resource.type == ENTRY:
        yield from _groups(resource)
        return
    policy, scope = resource.get("policyArn"), resource.get("accessScope.type")
    readable = strings(params, "clusterScopedPolicies")
    name = policy.rsplit("/", maxsplit=1)[-1] if isinstance(policy, str) else policy
    if name != ADMIN and name is not UNKNOWN and (scope == "namespace" or name in readable):
        if scope == "namespace":
            yield from check(
                resource,
                "accessScope.namespaces",
                lambda value: bool(value) and "*" not in str(value),
                "names no namespace, or all of them",
            )
        return
    principal = resource.get("principalArn")
    if isinstance(principal, str) and matches_any(principal, strings(params, "breakGlassPrincipals")):
        return
    needed = {"policyArn": policy, "accessScope.type": scope, "principalArn": principal}
    unknown = [path for path, value in needed.items() if value is UNKNOWN]
    sure = principal is not UNKNOWN and (name == ADMIN or (name is not UNKNOWN and scope is not UNKNOWN))
    if unknown and not sure:
        yield from (CouldNotRun(path=path, urn=resource.urn) for path in unknown)
    else:
        path = "policyArn" if name == ADMIN else "accessScope.type"
        yield Violation(path=path, problem="gives cluster-wide rights to a principal that is not break-glass", urn=resource.urn)
