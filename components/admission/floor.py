"""The floor under both engines: ValidatingAdmissionPolicies, which the API server evaluates itself.

No pod, no webhook and no certificate stands between a request and these. They guard what an outage of an engine, a namespace's
editor or a foreign webhook could undo: the labels that switch admission on, admission's own configuration, the rules in tenants'
namespaces, the proxy. Who is exempt is told by what the API server alone can say of a caller: the deployer's and the break-glass
role as EKS names their sessions, Kubernetes' own controllers, and accounts of named namespaces of the platform.

What it cannot do: policies of this kind are not judged by any of their kind, so who may write those is for RBAC alone to say;
and reading is not admitted at all, so a secret that somebody may read is read.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from components.admission.constraints import proxy_image
from components.admission.controls import FOLDER, Control, of_engine
from components.graph.model import Graph
from components.graph.names import NAMESPACE_LABEL, SYSTEM_NAMESPACE, TENANT_LABEL
from components.manifests import Manifest, manifest

API: Final = "admissionregistration.k8s.io/v1"
PREFIX: Final = "floor"
KUBERNETES: Final = ("system:apiserver", "system:kube-controller-manager", "system:kube-scheduler")
EKS_PREFIX: Final = "eks:"
"""EKS' own callers. No access entry's username may begin with it, nor with `system:`."""


def session_prefix(role: str) -> str:
    """How usernames of a role's sessions begin: an access entry of type STANDARD names the session's STS ARN, without a path.

    Args:
        role: `arn:<partition>:iam::<account>:role/<path><name>`.
    """
    partition, account, name = role.split(":")[1], role.split(":")[4], role.rpartition("/")[2]
    return f"arn:{partition}:sts::{account}:assumed-role/{name}/"


def people(graph: Graph) -> str:
    """A CEL expression: whether the caller is the deployer, has broken the glass, or is the server's own administrator."""
    account = graph.settings.account
    roles = sorted({session_prefix(account.deployer_role), session_prefix(account.security_contact_role)})
    return _callers(["system:masters"], roles)


def trusted(graph: Graph, namespaces: tuple[str, ...] = ()) -> str:
    """A CEL expression: whether the caller may do what a policy refuses to everybody else.

    Args:
        graph: its settings name the deployer and the break-glass role.
        namespaces: namespaces of the platform whose accounts may, beside Kubernetes' own.
    """
    groups = [f"system:serviceaccounts:{one}" for one in sorted({SYSTEM_NAMESPACE, *namespaces})]
    names = f"request.userInfo.username in {list(KUBERNETES)}"
    return " || ".join((people(graph), _callers(groups, [EKS_PREFIX]), names))


def _callers(groups: list[str], prefixes: list[str]) -> str:
    begun = (f"request.userInfo.username.startsWith('{prefix}')" for prefix in prefixes)
    return " || ".join((f"request.userInfo.?groups.orValue([]).exists(group, group in {groups})", *begun))


def region_objects(graph: Graph) -> tuple[Manifest, ...]:
    """The policies that hold everywhere or for every tenant, each with its binding."""
    tenants = {"namespaceSelector": {"matchExpressions": [{"key": TENANT_LABEL, "operator": "Exists"}]}}
    return tuple(
        one
        for control in of_engine("floor")
        if control.scope != "each-tenant"
        for one in _pair(graph, control, f"{PREFIX}-{control.id}", tenants if control.scope == "tenants" else {}, {})
    )


def tenant_objects(graph: Graph, region: str, tenant: str) -> tuple[Manifest, ...]:
    """The policies about one tenant's own workloads: which accounts are stores', outside the mesh, and none of a service."""
    where = {"namespaceSelector": {"matchLabels": {NAMESPACE_LABEL: tenant}}}
    stores = sorted(store.name for store in graph.stores_of(tenant))
    domain = graph.trust_domain(region)
    given = {"stores": f"{stores}", "proxy": f"'{proxy_image()}'", "network": f"'{region}'", "domain": f"'{domain}'"}
    return tuple(
        one
        for control in of_engine("floor")
        if control.scope == "each-tenant"
        for one in _pair(graph, control, f"{PREFIX}-{control.id}-{tenant}", where, given)
    )


def _pair(graph: Graph, control: Control, name: str, where: Mapping[str, Any], given: Mapping[str, str]) -> Iterator[Manifest]:
    said = yaml.safe_load((FOLDER / "floor" / f"{control.id}.yaml").read_text(encoding="utf-8"))
    conditions = [{"name": key, "expression": text} for key, text in said.get("conditions", {}).items()]
    exempt = said.get("trusted", True)
    if exempt:
        callers = people(graph) if exempt == "people" else trusted(graph, tuple(said.get("namespaces", ())))
        conditions.append({"name": "not-trusted", "expression": f"!({callers})"})
    variables = [{"name": key, "expression": text} for key, text in {**given, **said.get("variables", {})}.items()]
    yield manifest(
        API,
        "ValidatingAdmissionPolicy",
        name,
        annotations={"description": said["title"]},
        spec={
            # What cannot be decided is refused.
            "failurePolicy": "Fail",
            "matchConstraints": {"matchPolicy": "Equivalent", "resourceRules": said["resources"]},
            **({"matchConditions": conditions} if conditions else {}),
            **({"variables": variables} if variables else {}),
            "validations": [{**one, "reason": "Forbidden"} for one in said["validations"]],
        },
    )
    binding: dict[str, Any] = {"policyName": name, "validationActions": ["Deny", "Audit"]}
    if where:
        binding["matchResources"] = dict(where)
    yield manifest(API, "ValidatingAdmissionPolicyBinding", name, spec=binding)
