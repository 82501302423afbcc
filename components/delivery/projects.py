"""A tenant's project: what may come from where into which namespace, said to Argo CD and once more to the API server.

A repository delivers workloads beside the tenant's services, and configuration. It never delivers what this program owns: the
services themselves (each is bound to its identity and its authorizer), accounts, network and mesh rules, stores, secrets, limits.
Three layers hold that apart: the project's lists, the rights of the namespace's account that writes, and an admission policy that
keeps this account off the program's objects and identities. The root of the tree of applications is the settings: an
application is made here or not at all, so no repository can name another repository, project or namespace.
"""

import json
from typing import Any, Final

from components.graph.model import Graph
from components.graph.names import GITOPS_ACCOUNT, GITOPS_NAMESPACE, SERVICE_LABEL, TENANT_LABEL
from components.manifests import LABELS, Manifest, manifest
from components.settings.delivery import TenantDeliverySettings

API: Final = "argoproj.io/v1alpha1"
IN_CLUSTER: Final = "https://kubernetes.default.svc"
ACCOUNT: Final = GITOPS_ACCOUNT
READING: Final = "gitops.reading"
WRITTEN: Final = (("", "ConfigMap"), ("apps", "Deployment"), ("batch", "CronJob"), ("batch", "Job"))
"""What a repository may deliver, by group and kind."""
MADE: Final = (("", "Pod"), ("apps", "ReplicaSet"))
"""What controllers make of it: looked at, never written."""
GUARD: Final = "gitops-leaves-the-platforms-alone"
_MANAGED_BY, _PLATFORM = next(iter(LABELS.items()))


def watched_kinds() -> tuple[tuple[str, str], ...]:
    """Every kind that Argo CD reads."""
    return tuple(sorted((*WRITTEN, *MADE)))


def _rules(kinds: tuple[tuple[str, str], ...], *verbs: str) -> list[dict[str, Any]]:
    groups = sorted({group for group, _ in kinds})
    return [
        {
            "apiGroups": [group],
            "resources": sorted(f"{kind.lower()}s" for own, kind in kinds if own == group),
            "verbs": list(verbs),
        }
        for group in groups
    ]


def access_policy(graph: Graph) -> str:
    """`policy.csv`: operators look; tenants' groups have their projects' own roles. Nobody else has any right.

    Argo CD's built-in policy makes whoever is called `admin` its administrator, a group of the issuer as well. What it gives is
    refused here, and a refusal prevails.
    """
    gitops = graph.settings.delivery.gitops
    rows = [
        f"p, role:operator, {resource}, get, {pattern}, allow"
        for tenant in sorted(gitops.tenants)
        for resource, pattern in (("applications", f"{tenant}/*"), ("projects", tenant))
    ]
    rows += [f"p, {builtin}, *, *, *, deny" for builtin in ("role:admin", "role:readonly")]
    return "".join(f"{row}\n" for row in (*rows, *(f"g, {group}, role:operator" for group in sorted(gitops.operators))))


def tenant_objects(graph: Graph, tenant: str) -> tuple[Manifest, ...]:
    """The tenant's project, applications, the account that writes for them, and who may read; nothing without an entry."""
    wanted = graph.settings.delivery.gitops.tenants.get(tenant)
    if wanted is None:
        return ()
    return (*_rights(tenant), project(tenant, wanted), *applications(tenant, wanted))


def region_objects(graph: Graph) -> tuple[Manifest, ...]:
    """The admission policy over every tenant's writing account; nothing where no tenant is delivered to."""
    tenants = sorted(graph.settings.delivery.gitops.tenants)
    if not tenants:
        return ()
    owned = ", ".join(f"'{tenant}': {json.dumps(_owned(graph, tenant))}" for tenant in tenants)
    pod = (
        "object == null || object.kind == 'ConfigMap' ? null : "
        "object.kind == 'CronJob' ? object.spec.jobTemplate.spec.template : object.spec.template"
    )
    claimed = "has({0}.metadata.labels) && '{1}' in {0}.metadata.labels && {0}.metadata.labels['{1}']"
    account = "variables.pod.spec.serviceAccountName"
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "resourceRules": [
                {**rule, "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE", "DELETE"]} for rule in _matched()
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
    version = "admissionregistration.k8s.io/v1"
    binding = {"policyName": GUARD, "validationActions": ["Deny"]}
    return (
        manifest(version, "ValidatingAdmissionPolicy", GUARD, spec=spec),
        manifest(version, "ValidatingAdmissionPolicyBinding", GUARD, spec=binding),
    )


def _matched() -> list[dict[str, Any]]:
    return [{"apiGroups": rule["apiGroups"], "resources": rule["resources"]} for rule in _rules(WRITTEN)]


def _owned(graph: Graph, tenant: str) -> list[str]:
    settings = graph.settings.tenants[tenant]
    return sorted({*settings.services, *settings.databases, *settings.caches})


def project(tenant: str, wanted: TenantDeliverySettings) -> Manifest:
    """What the tenant's applications may be, in Argo CD's words."""
    actions = {"deployer": ("get", "sync"), "reader": ("get",)}
    groups = {"deployer": wanted.deployers, "reader": wanted.readers}
    spec: dict[str, Any] = {
        "description": f"What {tenant}'s repository delivers.",
        "sourceRepos": [wanted.repository],
        "destinations": [{"server": IN_CLUSTER, "namespace": tenant}],
        "destinationServiceAccounts": [{"server": IN_CLUSTER, "namespace": tenant, "defaultServiceAccount": ACCOUNT}],
        "clusterResourceWhitelist": [],
        "namespaceResourceWhitelist": [{"group": group, "kind": kind} for group, kind in WRITTEN],
        "signatureKeys": [{"keyID": key} for key in sorted(wanted.signing_keys)],
        "orphanedResources": {"warn": True},
        "roles": [
            {
                "name": role,
                "description": f"{role} of {tenant}",
                "groups": sorted(groups[role]),
                "policies": [f"p, proj:{tenant}:{role}, applications, {action}, {tenant}/*, allow" for action in own],
            }
            for role, own in actions.items()
            if groups[role]
        ],
        "syncWindows": [
            {
                "kind": "deny",
                "schedule": freeze.schedule,
                "duration": f"{freeze.hours}h",
                "timeZone": "UTC",
                "applications": sorted(f"{tenant}-{name}" for name in wanted.applications),
                "manualSync": True,
            }
            for _, freeze in sorted(wanted.freezes.items())
        ],
    }
    spec = {key: value for key, value in spec.items() if value != [] or key == "clusterResourceWhitelist"}
    return manifest(API, "AppProject", tenant, namespace=GITOPS_NAMESPACE, labels={TENANT_LABEL: tenant}, spec=spec)


def applications(tenant: str, wanted: TenantDeliverySettings) -> tuple[Manifest, ...]:
    """One application for each folder, named `<tenant>-<folder's name>`."""
    return tuple(
        manifest(
            API,
            "Application",
            f"{tenant}-{name}",
            namespace=GITOPS_NAMESPACE,
            labels={TENANT_LABEL: tenant},
            spec={
                "project": tenant,
                "source": {
                    "repoURL": wanted.repository,
                    "path": one.path,
                    "targetRevision": one.revision,
                    "directory": {"recurse": True},
                },
                "destination": {"server": IN_CLUSTER, "namespace": tenant},
                "syncPolicy": {
                    "automated": {"prune": True, "selfHeal": True},
                    "syncOptions": ["CreateNamespace=false", "FailOnSharedResource=true", "ServerSideApply=true"],
                    "retry": {"limit": 5, "backoff": {"duration": "10s", "factor": 2, "maxDuration": "3m"}},
                },
                "revisionHistoryLimit": 10,
            },
        )
        for name, one in sorted(wanted.applications.items())
    )


def _rights(tenant: str) -> tuple[Manifest, ...]:
    """The writing account and its role; Argo CD's controller reads and may act as this account, its page reads."""
    rbac, labels = "rbac.authorization.k8s.io", {TENANT_LABEL: tenant}
    acting = {"apiGroups": [""], "resources": ["serviceaccounts"], "resourceNames": [ACCOUNT], "verbs": ["impersonate"]}
    reading = _rules(watched_kinds(), "get", "list", "watch")
    roles = {
        ACCOUNT: (
            _rules(WRITTEN, "get", "list", "watch", "create", "update", "patch", "delete"),
            tenant,
            (ACCOUNT,),
        ),
        READING: (reading, GITOPS_NAMESPACE, ("argocd-application-controller", "argocd-server")),
        "gitops.acting": ([acting], GITOPS_NAMESPACE, ("argocd-application-controller",)),
    }
    account = manifest("v1", "ServiceAccount", ACCOUNT, namespace=tenant, labels=labels, automountServiceAccountToken=False)
    made = [account]
    for name, (rules, home, accounts) in roles.items():
        subjects = [{"kind": "ServiceAccount", "name": one, "namespace": home} for one in accounts]
        role = {"apiGroup": rbac, "kind": "Role", "name": name}
        made += [
            manifest(f"{rbac}/v1", "Role", name, namespace=tenant, labels=labels, rules=rules),
            manifest(f"{rbac}/v1", "RoleBinding", name, namespace=tenant, labels=labels, roleRef=role, subjects=subjects),
        ]
    return tuple(made)
