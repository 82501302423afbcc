"""Argo CD: what a tenant's signed repository says is what runs in the tenant's namespace, and it can reach nothing else.

Guarantees: nobody logs in but by the issuer (authorization code with PKCE: a public client, no client secret); there is no local
admin, no shell into pods, no right by default. Argo CD knows the cluster as the list of the tenants' namespaces that have an
entry, reads in each, and writes as an account of that tenant (`rights`); an application counts there and in Argo CD's own
namespace (`projects`). It renders plain manifests only; no chart, kustomization or plug-in of a repository is run.
The cache is one instance on purpose: what is lost with it is rendered again. Its password is made in the cluster by the chart's
hook, and is in no file and no state. Relies on: the issuer's client, the namespaces' network rules.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import yaml

from components.base import Component
from components.delivery.guard import IN_CLUSTER
from components.delivery.projects import access_policy
from components.delivery.rights import watched_kinds
from components.graph.model import Graph
from components.graph.names import GITOPS_NAMESPACE, SERVICE_LABEL
from components.helm import install
from components.pods import pod_resources, spread_over_zones, system_placement

PORT_FORWARD: Final = "localhost:8443"
"""Where `kubectl port-forward svc/argocd-server 8443:443` is opened; the platform publishes no way to it."""
SERVER_PORT, REPOSITORY_PORT, CACHE_PORT = 8080, 8081, 6379
CONTROLLER_METRICS, SERVER_METRICS, REPOSITORY_METRICS = 8082, 8083, 8084


def split(image: str) -> dict[str, str]:
    """An image by digest in a chart that joins repository and tag by `:`."""
    name, digest = image.split("@sha256:")
    return {"repository": f"{name}@sha256", "tag": digest}


def chart_values(graph: Graph) -> dict[str, Any]:
    """The chart's values."""
    images = graph.settings.images.delivery
    placed = system_placement()
    observed = {"enabled": True, "serviceMonitor": {"enabled": True}}
    values: dict[str, Any] = {
        "createClusterRoles": False,  # the chart's would be every verb on every kind
        "crds": {"install": True, "keep": True},
        "global": {
            "domain": graph.settings.delivery.gitops.host or PORT_FORWARD,
            "networkPolicy": {"create": False},  # on since chart 10; the platform's own rules hold, in both kinds
            "logging": {"format": "json", "level": "info"},
            "securityContext": {"runAsNonRoot": True, "runAsUser": 999, "seccompProfile": {"type": "RuntimeDefault"}},
            **placed,
        },
        "configs": {
            "cm": _configuration(graph),
            "params": _parameters(graph),
            "rbac": {"policy.default": "", "policy.csv": access_policy(graph), "scopes": "[groups]", "policy.matchMode": "glob"},
            "gpg": {"keys": _keys(graph)},
            # Without entries no host key is trusted: repositories are reached by https alone.
            "ssh": {"knownHosts": ""},
            "clusterCredentials": {
                "in-cluster": {
                    "server": IN_CLUSTER,
                    "namespaces": ",".join(sorted(graph.settings.delivery.gitops.tenants)),
                    "config": {"tlsClientConfig": {"insecure": False}},  # no credential: its own account's token
                }
            },
        },
        "controller": {
            "replicas": 1,
            "resources": pod_resources("250m", "1Gi", memory_limit="2Gi"),
            "metrics": observed,
        },
        "server": {
            **_thrice("argocd-server"),
            "resources": pod_resources("100m", "256Mi", memory_limit="512Mi"),
            "metrics": observed,
            "service": {"type": "ClusterIP"},
        },
        "repoServer": {
            **_thrice("argocd-repo-server"),
            "resources": pod_resources("100m", "512Mi", memory_limit="1Gi"),
            "metrics": observed,
            "automountServiceAccountToken": False,
            "clusterRoleRules": {"enabled": False},
        },
        "redis": {
            "resources": pod_resources("50m", "128Mi", memory_limit="256Mi"),
            "automountServiceAccountToken": False,
        },
        "redis-ha": {"enabled": False},
        "redisSecretInit": {"enabled": True, "resources": pod_resources("50m", "64Mi", memory_limit="128Mi")},
        "dex": {"enabled": False},
        "notifications": {"enabled": False},
        "applicationSet": {"replicas": 0},  # a tenant writes its applications out; nothing generates them
        "commitServer": {"enabled": False},
    }
    if images is not None:
        values["global"]["image"] = split(images.argocd)
        values["redis"]["image"] = split(graph.settings.images.valkey)
    return values


def _thrice(name: str) -> dict[str, Any]:
    return {
        "replicas": 3,
        "pdb": {"enabled": True, "minAvailable": 2},
        "topologySpreadConstraints": spread_over_zones({SERVICE_LABEL: name}),
    }


def _configuration(graph: Graph) -> dict[str, Any]:
    identity, gitops = graph.settings.identity, graph.settings.delivery.gitops
    kinds = [{"apiGroups": [group], "kinds": [kind], "clusters": [IN_CLUSTER]} for group, kind in watched_kinds()]
    return {
        "admin.enabled": False,
        "users.anonymous.enabled": "false",
        "exec.enabled": False,
        "statusbadge.enabled": False,
        "application.resourceTrackingMethod": "annotation",
        "application.sync.impersonation.enabled": True,  # a synchronisation has the rights of its namespace's account
        "helm.enable": "false",
        "kustomize.enable": "false",
        "jsonnet.enable": "false",
        # All that is ever looked at; backups, certificates and reports are not among it.
        "resource.inclusions": yaml.safe_dump(kinds, sort_keys=True),
        "oidc.config": yaml.safe_dump(
            {
                "name": "Platform",
                "issuer": identity.issuer,
                "clientID": gitops.client_id,
                "enablePKCEAuthentication": True,
                "requestedScopes": ["openid", "profile", "email", "groups"],
            },
            sort_keys=True,
        ),
    }


def _parameters(graph: Graph) -> dict[str, Any]:
    return {
        "server.insecure": "false",
        "server.disable.auth": "false",
        "server.x.frame.options": "deny",
        "server.tls.minversion": "1.3",
        "reposerver.tls.minversion": "1.3",
        "reposerver.enable.git.submodule": "false",  # a submodule would be a repository that no setting names
        "reposerver.max.combined.directory.manifests.size": "10M",
        "application.namespaces": ",".join(sorted(graph.settings.delivery.gitops.tenants)),
        # That comparison is a writing request in the controller's own name, which has the right to none.
        "controller.diff.server.side": "false",
    }


def _keys(graph: Graph) -> dict[str, str]:
    wanted = graph.settings.delivery.gitops.tenants
    return {key: text for tenant in sorted(wanted) for key, text in sorted(wanted[tenant].signing_keys.items())}


@dataclass(frozen=True, kw_only=True)
class ArgoCDArgs:
    """Argo CD in one cluster."""

    graph: Graph
    after: Sequence[pulumi.Resource]
    """Gates the release itself: the namespace and its rules, the monitoring kinds."""


class ArgoCD(Component, token="zerotrust:delivery:ArgoCD"):
    """The release. `ready` gates every project and application."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: ArgoCDArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        release = install(
            f"{name}-release",
            "argo-cd",
            release="argocd",
            namespace=GITOPS_NAMESPACE,
            values=chart_values(args.graph),
            opts=self.child(depends_on=list(args.after)),
        )
        self.ready = (release,)
        self.register_outputs({})
