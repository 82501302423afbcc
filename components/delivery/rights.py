"""What Argo CD and its two kinds of writers may do in Kubernetes, without one wildcard.

Argo CD itself reads; it writes no object that it delivers, for it synchronises as one of two accounts. A tenant's own account,
in the tenant's namespace, writes workloads and configuration and no application: what an application delivers makes no further
application. The root's account, in Argo CD's namespace, where no tenant's pod can take it, writes applications into the one
namespace and nothing else.
In the whole cluster Argo CD lists and watches applications, and no more: its informers ask for those of all namespaces as soon as
one beside its own counts.
"""

from typing import Any, Final

from components.graph.names import GITOPS_ACCOUNT, GITOPS_NAMESPACE, TENANT_LABEL
from components.manifests import Manifest, manifest

ACCOUNT: Final = GITOPS_ACCOUNT
READING: Final = "gitops.reading"
ACTING: Final = "gitops.acting"
FOLLOWING: Final = "gitops.following"
ROOT: Final = "gitops.root"
LISTING: Final = "gitops.listing"
CONTROLLER: Final = "argocd-application-controller"
SERVER: Final = "argocd-server"
ARGO: Final = "argoproj.io"
WRITTEN: Final = (("", "ConfigMap"), ("apps", "Deployment"), ("batch", "CronJob"), ("batch", "Job"))
"""What a tenant's applications may deliver, by group and kind."""
APPLICATION: Final = (ARGO, "Application")
"""All that a root may deliver."""
MADE: Final = (("", "Pod"), ("apps", "ReplicaSet"))
"""What controllers make of it: looked at, never written."""
_RBAC: Final = "rbac.authorization.k8s.io"


def watched_kinds() -> tuple[tuple[str, str], ...]:
    """Every kind that Argo CD reads in a tenant's namespace."""
    return tuple(sorted((*WRITTEN, *MADE, APPLICATION)))


def root_account(tenant: str) -> str:
    """The account in Argo CD's namespace that writes the tenant's applications."""
    return f"{ROOT}.{tenant}"


def rules(kinds: tuple[tuple[str, str], ...], *verbs: str) -> list[dict[str, Any]]:
    """RBAC rules for kinds whose resource is the kind's name with an s."""
    groups = sorted({group for group, _ in kinds})
    return [
        {
            "apiGroups": [group],
            "resources": sorted(f"{kind.lower()}s" for own, kind in kinds if own == group),
            "verbs": list(verbs),
        }
        for group in groups
    ]


def tenant_rights(tenant: str) -> tuple[Manifest, ...]:
    """Both writers of one tenant with their roles, and what Argo CD's own pods may do about them."""
    root = root_account(tenant)
    written = rules(WRITTEN, "get", "list", "watch", "create", "update", "patch", "delete")
    following = [
        *rules((APPLICATION,), "patch", "update"),  # the result of a synchronisation, and the wish for one
        {"apiGroups": [""], "resources": ["events"], "verbs": ["create"]},  # who asked for what
    ]
    return (
        _account(ACCOUNT, tenant, tenant),
        *_role(ACCOUNT, tenant, tenant, written, (tenant, ACCOUNT)),
        *_role(READING, tenant, tenant, rules(watched_kinds(), "get", "list", "watch"), *_argo(CONTROLLER, SERVER)),
        *_role(ACTING, tenant, tenant, [_impersonation(ACCOUNT)], *_argo(CONTROLLER)),
        *_role(FOLLOWING, tenant, tenant, following, *_argo(CONTROLLER, SERVER)),
        *_role(ROOT, tenant, tenant, rules((APPLICATION,), "get", "create", "update", "patch", "delete"), *_argo(root)),
        _account(root, GITOPS_NAMESPACE, tenant),
        *_role(f"{ACTING}.{tenant}", GITOPS_NAMESPACE, tenant, [_impersonation(root)], *_argo(CONTROLLER)),
    )


def region_rights() -> tuple[Manifest, ...]:
    """What Argo CD reads in the whole cluster; applications in a namespace that no setting names are read and left alone.

    The server also asks for application sets of all namespaces and is refused: it says so in its log and waits for none of them.
    """
    read = [{"apiGroups": [ARGO], "resources": ["applications"], "verbs": ["list", "watch"]}]
    subjects = [{"kind": "ServiceAccount", "name": name, "namespace": home} for home, name in _argo(CONTROLLER, SERVER)]
    role = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": LISTING}
    return (
        manifest(f"{_RBAC}/v1", "ClusterRole", LISTING, rules=read),
        manifest(f"{_RBAC}/v1", "ClusterRoleBinding", LISTING, roleRef=role, subjects=subjects),
    )


def _argo(*accounts: str) -> tuple[tuple[str, str], ...]:
    return tuple((GITOPS_NAMESPACE, name) for name in accounts)


def _impersonation(account: str) -> dict[str, Any]:
    return {"apiGroups": [""], "resources": ["serviceaccounts"], "resourceNames": [account], "verbs": ["impersonate"]}


def _account(name: str, namespace: str, tenant: str) -> Manifest:
    labels = {TENANT_LABEL: tenant}
    return manifest("v1", "ServiceAccount", name, namespace=namespace, labels=labels, automountServiceAccountToken=False)


def _role(
    name: str, namespace: str, tenant: str, granted: list[dict[str, Any]], *accounts: tuple[str, str]
) -> tuple[Manifest, Manifest]:
    labels = {TENANT_LABEL: tenant}
    subjects = [{"kind": "ServiceAccount", "name": one, "namespace": home} for home, one in accounts]
    role = {"apiGroup": _RBAC, "kind": "Role", "name": name}
    return (
        manifest(f"{_RBAC}/v1", "Role", name, namespace=namespace, labels=labels, rules=granted),
        manifest(f"{_RBAC}/v1", "RoleBinding", name, namespace=namespace, labels=labels, roleRef=role, subjects=subjects),
    )
