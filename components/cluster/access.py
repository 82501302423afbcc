"""Who may call the Kubernetes API: settings' access entries as EKS wants them, and a kubeconfig without a secret in it."""

import json
from collections.abc import Mapping
from typing import Any

from components.settings.cluster import AccessEntrySettings

POLICY_PREFIX = "arn:aws:eks::aws:cluster-access-policy/"
CLUSTER_POLICIES = {"admin": "AmazonEKSClusterAdminPolicy", "view": "AmazonEKSViewPolicy"}
"""On the whole cluster. `view` reads no secrets; settings refuse `edit` here."""
NAMESPACE_POLICIES = {"admin": "AmazonEKSAdminPolicy", "edit": "AmazonEKSEditPolicy", "view": "AmazonEKSViewPolicy"}


def access_entries(access: Mapping[str, AccessEntrySettings], tags: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The access entries by the settings' names, in the EKS component's snake_case form (control EKS-07).

    Raises:
        KeyError: for a policy that its scope does not know; the settings refuse that before.
    """
    entries: dict[str, dict[str, Any]] = {}
    for name, entry in sorted(access.items()):
        scope: dict[str, Any] = {"type": "cluster"}
        policy = (NAMESPACE_POLICIES if entry.namespaces else CLUSTER_POLICIES)[entry.policy]
        if entry.namespaces:
            scope = {"type": "namespace", "namespaces": sorted(entry.namespaces)}
        entries[name] = {
            "principal_arn": entry.principal,
            "type": "STANDARD",
            "access_policies": {entry.policy: {"policy_arn": f"{POLICY_PREFIX}{policy}", "access_scope": scope}},
            "tags": dict(tags),
        }
    return entries


def kubeconfig(cluster: str, region: str, endpoint: str, certificate_authority: str, role: str) -> str:
    """A kubeconfig as JSON that fetches a short-lived token for a role each time: there is nothing in it to steal.

    Args:
        cluster: the cluster's name.
        region: its region, so that the shell's default does not matter.
        endpoint: https URL of the API server.
        certificate_authority: its CA certificate, base64 as EKS gives it.
        role: ARN of the role to assume; it needs an access entry.
    """
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": cluster, "cluster": {"server": endpoint, "certificate-authority-data": certificate_authority}}],
            "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": cluster}}],
            "current-context": cluster,
            "users": [
                {
                    "name": cluster,
                    "user": {
                        "exec": {
                            "apiVersion": "client.authentication.k8s.io/v1",
                            "command": "aws",
                            "args": [
                                *("--region", region, "eks", "get-token", "--output", "json"),
                                *("--cluster-name", cluster, "--role-arn", role),
                            ],
                            "interactiveMode": "Never",
                        }
                    },
                }
            ],
        },
        sort_keys=True,
    )
