"""GitOps as a tree of applications: a root for each tenant from the settings, and below it what the tenant's repository names.

The root is an application in Argo CD's namespace, made here. The folder it points at holds manifests of the tenant's own
applications, which live in the tenant's namespace; adding one is a signed commit and no run of this program. There is no list
of applications in the settings beside it: two ways to declare one would be two places to look for it.
A tenant gains nothing by naming its applications itself. There are two projects for each: the root's permits the kind
Application alone, the tenant's permits workloads and configuration and no application, so nothing that is delivered delivers on
and there is no loop. Argo CD takes an application into a project only out of the namespaces that the project names: the
tenant's project names the tenant's, the root's and `default` name none. Both take one repository, one namespace, signed commits.
A repository never delivers what this program owns: the services themselves (each is bound to its identity and its authorizer),
accounts, network and mesh rules, stores, secrets, limits. Three layers hold that apart: the projects' lists, the rights of the
accounts that write (`rights`), and admission policies (`guard`).

What goes: an application that leaves the root's folder is removed and what it delivered stays, as orphans that Argo CD warns of;
what leaves an application's folder is removed with it. So nobody deletes workloads by deleting one file of the root, an empty
root folder removes nothing, and the way out is to empty the application's folder first: with `allowEmpty` in the application, or
by a deployer's own synchronisation. Without the tenant's entry nothing is synchronised any more; what runs, runs on.
"""

from typing import Any, Final

from components.delivery.guard import IN_CLUSTER, guards
from components.delivery.rights import ACCOUNT, APPLICATION, ARGO, WRITTEN, region_rights, root_account, tenant_rights
from components.graph.model import Graph
from components.graph.names import GITOPS_NAMESPACE, TENANT_LABEL
from components.manifests import Manifest, manifest
from components.settings.delivery import TenantDeliverySettings

API: Final = f"{ARGO}/v1alpha1"
SYNC_OPTIONS: Final = ("CreateNamespace=false", "FailOnSharedResource=true", "ServerSideApply=true")


def root_project(tenant: str) -> str:
    """The project of the tenant's root. The dot keeps it out of every tenant's names."""
    return f"{tenant}.root"


def access_policy(graph: Graph) -> str:
    """`policy.csv`: operators look; tenants' groups have their projects' own roles. Nobody else has any right.

    An application outside Argo CD's namespace is `<project>/<namespace>/<name>`, a root is `<project>/<name>`. Argo CD's built-in
    policy makes whoever is called `admin` its administrator, a group of the issuer as well. What it gives is refused here, and a
    refusal prevails.
    """
    gitops = graph.settings.delivery.gitops
    rows = [
        f"p, role:operator, {resource}, get, {pattern}, allow"
        for tenant in sorted(gitops.tenants)
        for project, one in _objects(tenant).items()
        for resource, pattern in (("applications", one), ("projects", project))
    ]
    rows += [f"p, {builtin}, *, *, *, deny" for builtin in ("role:admin", "role:readonly")]
    return "".join(f"{row}\n" for row in (*rows, *(f"g, {group}, role:operator" for group in sorted(gitops.operators))))


def region_objects(graph: Graph) -> tuple[Manifest, ...]:
    """What stands before anything is synchronised: the policies of admission, the right to look for applications."""
    return (*guards(graph), *(region_rights() if graph.settings.delivery.gitops.tenants else ()))


def default_project() -> Manifest:
    """The project that Argo CD's server makes at its first start, permitting everything, made to permit nothing.

    The server's writing of it is overruled by force. Until then no application is in it: the settings make none, and it names no
    namespace beside Argo CD's. Argo CD drops empty lists when it writes a project, and where no kinds of a namespace are listed
    it takes all: hence the list of what is refused.
    """
    spec: dict[str, Any] = {
        "description": "Nothing belongs here.",
        "sourceRepos": [],
        "sourceNamespaces": [],
        "destinations": [],
        "clusterResourceWhitelist": [],
        "namespaceResourceWhitelist": [],
        "namespaceResourceBlacklist": [{"group": "*", "kind": "*"}],
    }
    return manifest(
        API, "AppProject", "default", namespace=GITOPS_NAMESPACE, annotations={"pulumi.com/patchForce": "true"}, spec=spec
    )


def tenant_objects(graph: Graph, tenant: str) -> tuple[Manifest, ...]:
    """The tenant's accounts, who may read, both projects and the root; nothing without an entry."""
    wanted = graph.settings.delivery.gitops.tenants.get(tenant)
    if wanted is None:
        return ()
    return (*tenant_rights(tenant), *projects(tenant, wanted), root(tenant, wanted))


def projects(tenant: str, wanted: TenantDeliverySettings) -> tuple[Manifest, Manifest]:
    """What the tenant's applications may be, and what its root may be, in Argo CD's words."""
    own = {
        "description": f"What {tenant}'s repository delivers.",
        "sourceNamespaces": [tenant],
        "namespaceResourceWhitelist": [{"group": group, "kind": kind} for group, kind in WRITTEN],
        "orphanedResources": {"warn": True},
    }
    group, kind = APPLICATION
    above = {
        "description": f"Which applications {tenant} has.",
        "sourceNamespaces": [],
        "namespaceResourceWhitelist": [{"group": group, "kind": kind}],
    }
    return (
        _project(tenant, tenant, wanted, ACCOUNT, own),
        _project(root_project(tenant), tenant, wanted, f"{GITOPS_NAMESPACE}:{root_account(tenant)}", above),
    )


def root(tenant: str, wanted: TenantDeliverySettings) -> Manifest:
    """The tenant's root, called as the tenant: the manifests of one folder, without the folders in it."""
    spec = {
        "project": root_project(tenant),
        "source": {
            "repoURL": wanted.repository,
            "path": wanted.root.path,
            "targetRevision": wanted.root.revision,
            "directory": {"recurse": False},
        },
        "destination": {"server": IN_CLUSTER, "namespace": tenant},
        "syncPolicy": {
            "automated": {"prune": True, "selfHeal": True, "allowEmpty": False},
            "syncOptions": list(SYNC_OPTIONS),
            "retry": {"limit": 5, "backoff": {"duration": "10s", "factor": 2, "maxDuration": "3m"}},
        },
        "revisionHistoryLimit": 10,
    }
    return manifest(API, "Application", tenant, namespace=GITOPS_NAMESPACE, labels={TENANT_LABEL: tenant}, spec=spec)


def _objects(tenant: str) -> dict[str, str]:
    """By project: its applications, as a request names them."""
    return {tenant: f"{tenant}/{tenant}/*", root_project(tenant): f"{root_project(tenant)}/{tenant}"}


def _project(name: str, tenant: str, wanted: TenantDeliverySettings, account: str, of_its_own: dict[str, Any]) -> Manifest:
    actions = {"deployer": ("get", "sync"), "reader": ("get",)}
    groups = {"deployer": wanted.deployers, "reader": wanted.readers}
    into = {"server": IN_CLUSTER, "namespace": tenant}
    spec: dict[str, Any] = {
        **of_its_own,
        "sourceRepos": [wanted.repository],
        "destinations": [into],
        "destinationServiceAccounts": [{**into, "defaultServiceAccount": account}],
        "clusterResourceWhitelist": [],
        "signatureKeys": [{"keyID": key} for key in sorted(wanted.signing_keys)],
        "roles": [
            {
                "name": role,
                "description": f"{role} of {tenant}",
                "groups": sorted(groups[role]),
                "policies": [f"p, proj:{name}:{role}, applications, {action}, {_objects(tenant)[name]}, allow" for action in own],
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
                "applications": ["*"],  # of this project
                "manualSync": True,
            }
            for _, freeze in sorted(wanted.freezes.items())
        ],
    }
    spec = {key: value for key, value in spec.items() if value or key == "clusterResourceWhitelist"}
    return manifest(API, "AppProject", name, namespace=GITOPS_NAMESPACE, labels={TENANT_LABEL: tenant}, spec=spec)
