"""Small programs that the real engine runs on a real API server. Each is a `main()` in the sense of the product's own."""

import os
from collections.abc import Callable
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

BACKGROUND = {"pulumi.com/deletionPropagationPolicy": "background"}
"""No controller of a real cluster's collects what a deletion in the foreground waits for."""
Program = Callable[[], None]


def provider(**more: Any) -> k8s.Provider:
    with open(os.environ["FIXTURE_KUBECONFIG"], encoding="utf-8") as file:  # noqa: PTH123
        return k8s.Provider("cluster", kubeconfig=file.read(), enable_server_side_apply=True, **more)


def metadata(name: str, **annotations: str) -> dict[str, Any]:
    return {"name": name, "namespace": "default", "annotations": BACKGROUND | annotations}


def settings(data: dict[str, str], *, word: str = "quiet", more: dict[str, str] | None = None) -> Program:
    """A ConfigMap and a Secret with a secret input."""

    def main() -> None:
        opts = pulumi.ResourceOptions(provider=provider(enable_config_map_mutable=True))
        made = k8s.core.v1.ConfigMap("settings", metadata=metadata("settings", **(more or {})), data=data, opts=opts)
        hidden = k8s.core.v1.Secret(
            "hidden", metadata=metadata("hidden"), string_data={"word": pulumi.Output.secret(word)}, opts=opts
        )
        pulumi.export("id", made.id)
        pulumi.export("uid", made.metadata.uid)
        pulumi.export("data", hidden.data)

    return main


def bound(role: str) -> Program:
    """A RoleBinding, whose role the server never changes."""

    def main() -> None:
        k8s.rbac.v1.RoleBinding(
            "binding",
            metadata=metadata("binding"),
            role_ref={"api_group": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
            subjects=[{"kind": "Group", "name": "auditors", "api_group": "rbac.authorization.k8s.io"}],
            opts=pulumi.ResourceOptions(provider=provider()),
        )

    return main


def deployed(name: str, *, timeout: str = "2s", **annotations: str) -> Program:
    """A Deployment that nothing here will ever run."""

    def main() -> None:
        labels = {"app": name}
        container = {"name": "main", "image": "registry.invalid/main:1"}
        k8s.apps.v1.Deployment(
            name,
            metadata=metadata(name, **annotations),
            spec={
                "selector": {"match_labels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
            opts=pulumi.ResourceOptions(
                provider=provider(), custom_timeouts=pulumi.CustomTimeouts(create=timeout, update=timeout)
            ),
        )

    return main


def patched(name: str, label: str | None) -> Program:
    """A label on a ConfigMap that somebody else made."""

    def main() -> None:
        cluster = provider()
        if label is not None:
            k8s.core.v1.ConfigMapPatch(
                "label",
                metadata={"name": name, "namespace": "default", "labels": {"reviewed": label}},
                opts=pulumi.ResourceOptions(provider=cluster),
            )

    return main


def looked_up(identifier: str) -> Program:
    """A Secret that is only read."""

    def main() -> None:
        found = k8s.core.v1.Secret.get("found", identifier, opts=pulumi.ResourceOptions(provider=provider()))
        pulumi.export("data", found.data)

    return main


def released(chart: str, values: dict[str, Any], **more: Any) -> Program:
    """One release."""

    def main() -> None:
        made = k8s.helm.v3.Release(
            "release",
            name="tiny",
            chart=chart,
            namespace="default",
            values=values,
            timeout=60,
            opts=pulumi.ResourceOptions(provider=provider()),
            **more,
        )
        pulumi.export("status", made.status)
        pulumi.export("names", made.resource_names)

    return main


def custom(*, chart: str | None) -> Program:
    """An object of a custom kind, behind the release that should bring the kind."""

    def main() -> None:
        cluster = provider()
        first = []
        if chart is not None:
            opts = pulumi.ResourceOptions(provider=cluster)
            first = [k8s.helm.v3.Release("operator", name="operator", chart=chart, version="1", namespace="default", opts=opts)]
        k8s.apiextensions.CustomResource(
            "issuer",
            api_version="cert-manager.io/v1",
            kind="ClusterIssuer",
            metadata={"name": "self", "annotations": BACKGROUND},
            spec={"selfSigned": {}},
            opts=pulumi.ResourceOptions(provider=cluster, depends_on=first),
        )

    return main
