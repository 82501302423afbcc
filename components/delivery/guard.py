"""What the API server itself refuses of GitOps, before Argo CD is asked and should Argo CD be wrong.

One policy keeps the tenants' writing accounts off the program's objects and identities. The other is about applications outside
Argo CD's namespace, whoever writes them: each is of its namespace's project and delivers into its namespace. None carries a
finalizer: deletion would wait for a controller that has no right there any more once the tenant's entry or the whole of Argo CD
is gone. And a repository does not write what Argo CD writes, `operation` and `status`: a running operation names a source of its
own, which is not held against the project.
"""

import json
from typing import Any, Final

from components.delivery.rights import ACCOUNT, ARGO, ROOT, WRITTEN, rules
from components.graph.model import Graph
from components.graph.names import GITOPS_NAMESPACE, SERVICE_LABEL
from components.manifests import LABELS, Manifest, manifest

IN_CLUSTER: Final = "https://kubernetes.default.svc"
GUARD: Final = "gitops-leaves-the-platforms-alone"
APPLICATIONS_GUARD: Final = "gitops-stays-in-its-namespace"
BUILT_IN_FINALIZERS: Final = ("foregroundDeletion", "orphan")
"""The API server's own, of a deletion under way; its garbage collector takes them off."""
_MANAGED_BY, _PLATFORM = next(iter(LABELS.items()))
_VERSION: Final = "admissionregistration.k8s.io/v1"


def guards(graph: Graph) -> tuple[Manifest, ...]:
    """Both policies with their bindings; nothing where no tenant is delivered to."""
    tenants = sorted(graph.settings.delivery.gitops.tenants)
    if not tenants:
        return ()
    return (*_policy(GUARD, _written(graph, tenants)), *_policy(APPLICATIONS_GUARD, _applications()))


def _policy(name: str, spec: dict[str, Any]) -> tuple[Manifest, Manifest]:
    binding = {"policyName": name, "validationActions": ["Deny"]}
    return (
        manifest(_VERSION, "ValidatingAdmissionPolicy", name, spec={"failurePolicy": "Fail", **spec}),
        manifest(_VERSION, "ValidatingAdmissionPolicyBinding", name, spec=binding),
    )


def _written(graph: Graph, tenants: list[str]) -> dict[str, Any]:
    owned = ", ".join(f"'{tenant}': {json.dumps(_owned(graph, tenant))}" for tenant in tenants)
    pod = (
        "object == null || object.kind == 'ConfigMap' ? null : "
        "object.kind == 'CronJob' ? object.spec.jobTemplate.spec.template : object.spec.template"
    )
    claimed = "has({0}.metadata.labels) && '{1}' in {0}.metadata.labels && {0}.metadata.labels['{1}']"
    account = "variables.pod.spec.serviceAccountName"
    return {
        "matchConstraints": {
            "resourceRules": [
                {
                    "apiGroups": rule["apiGroups"],
                    "resources": rule["resources"],
                    "apiVersions": ["v1"],
                    "operations": ["CREATE", "UPDATE", "DELETE"],
                }
                for rule in rules(WRITTEN)
            ]
        },
        "matchConditions": [
            {"name": "written-by-gitops", "expression": f"request.userInfo.username.endsWith(':{ACCOUNT}')"},
        ],
        "variables": [
            {"name": "owned", "expression": f"{{{owned}}}"},
            {"name": "pod", "expression": pod},
        ],
        "validations": [
            {
                "expression": f"oldObject == null || !({claimed.format('oldObject', _MANAGED_BY)} == '{_PLATFORM}')",
                "message": "this object is the platform's; change the settings",
            },
            {
                "expression": f"object == null || !({claimed.format('object', _MANAGED_BY)} == '{_PLATFORM}')",
                "message": f"leave {_MANAGED_BY}: {_PLATFORM} to the platform",
            },
            {
                "expression": f"variables.pod == null || !has({account}) || {account} == 'default'",
                "message": "a delivered pod has no account; who may call what is the settings' to say",
            },
            {
                "expression": "variables.pod == null || !has(variables.pod.metadata) || !("
                f"{claimed.format('variables.pod', SERVICE_LABEL)} in variables.owned[request.namespace])",
                "message": f"{SERVICE_LABEL} names a service or store of the settings; choose another value",
            },
        ],
    }


def _applications() -> dict[str, Any]:
    passing = ", ".join(f"'{one}'" for one in BUILT_IN_FINALIZERS)
    root = f"request.userInfo.username.startsWith('system:serviceaccount:{GITOPS_NAMESPACE}:{ROOT}.')"
    return {
        "matchConstraints": {
            "resourceRules": [
                {
                    "apiGroups": [ARGO],
                    "resources": ["applications"],
                    "apiVersions": ["*"],
                    "operations": ["CREATE", "UPDATE"],
                }
            ]
        },
        "matchConditions": [{"name": "outside-argo-cd", "expression": f"request.namespace != '{GITOPS_NAMESPACE}'"}],
        "variables": [{"name": "into", "expression": "object.spec.destination"}],
        "validations": [
            {
                "expression": "object.spec.project == request.namespace",
                "message": "an application is of the project that is called as its namespace",
            },
            {
                "expression": "variables.into.?namespace.orValue('') == request.namespace && "
                f"variables.into.?server.orValue('') == '{IN_CLUSTER}' && !has(variables.into.name)",
                "message": f"an application delivers into its own namespace, of server {IN_CLUSTER}",
            },
            {
                "expression": f"!has(object.metadata.finalizers) || object.metadata.finalizers.all(one, one in [{passing}])",
                "message": "an application has no finalizer; empty its folder before it is removed",
            },
            {
                "expression": f"!({root}) || (oldObject == null ? !has(object.operation) && !has(object.status) : "
                "object.?operation == oldObject.?operation && object.?status == oldObject.?status)",
                "message": "operation and status are Argo CD's to write",
            },
        ],
    }


def _owned(graph: Graph, tenant: str) -> list[str]:
    settings = graph.settings.tenants[tenant]
    return sorted({*settings.services, *settings.databases, *settings.caches})
