"""Kubernetes objects as plain data, and the one component that registers them.

A layer's compiler is a pure function that returns `Manifest`s; tests hand the same objects to the API server and to the
engines that enforce them. What is registered is what was judged.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_kubernetes as k8s

from components.base import Component

Manifest = dict[str, Any]
"""One object: apiVersion, kind, metadata and the rest, JSON values only (a component may put an `Output` in it)."""

LABELS: Final[Mapping[str, str]] = {"app.kubernetes.io/managed-by": "pulumi"}

_TYPED: Final[Mapping[tuple[str, str], type[pulumi.CustomResource]]] = {
    ("v1", "ConfigMap"): k8s.core.v1.ConfigMap,
    ("v1", "LimitRange"): k8s.core.v1.LimitRange,
    ("v1", "Namespace"): k8s.core.v1.Namespace,
    ("v1", "ResourceQuota"): k8s.core.v1.ResourceQuota,
    ("v1", "Service"): k8s.core.v1.Service,
    ("v1", "ServiceAccount"): k8s.core.v1.ServiceAccount,
    ("apps/v1", "Deployment"): k8s.apps.v1.Deployment,
    ("apps/v1", "StatefulSet"): k8s.apps.v1.StatefulSet,
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy"): k8s.admissionregistration.v1.ValidatingAdmissionPolicy,
    (
        "admissionregistration.k8s.io/v1",
        "ValidatingAdmissionPolicyBinding",
    ): k8s.admissionregistration.v1.ValidatingAdmissionPolicyBinding,
    ("apps/v1", "DaemonSet"): k8s.apps.v1.DaemonSet,
    ("batch/v1", "CronJob"): k8s.batch.v1.CronJob,
    ("batch/v1", "Job"): k8s.batch.v1.Job,
    ("rbac.authorization.k8s.io/v1", "ClusterRole"): k8s.rbac.v1.ClusterRole,
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): k8s.rbac.v1.ClusterRoleBinding,
    ("autoscaling/v2", "HorizontalPodAutoscaler"): k8s.autoscaling.v2.HorizontalPodAutoscaler,
    ("networking.k8s.io/v1", "IngressClass"): k8s.networking.v1.IngressClass,
    ("networking.k8s.io/v1", "NetworkPolicy"): k8s.networking.v1.NetworkPolicy,
    ("policy/v1", "PodDisruptionBudget"): k8s.policy.v1.PodDisruptionBudget,
    ("rbac.authorization.k8s.io/v1", "Role"): k8s.rbac.v1.Role,
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): k8s.rbac.v1.RoleBinding,
    ("scheduling.k8s.io/v1", "PriorityClass"): k8s.scheduling.v1.PriorityClass,
    ("storage.k8s.io/v1", "StorageClass"): k8s.storage.v1.StorageClass,
}
"""Core kinds by the SDK's own class; every other kind is a CustomResource."""

WITHOUT_AWAIT: Final = {"pulumi.com/skipAwait": "true"}
"""Annotation of what gets ready only by what comes later: a release, an image that a tenant has not pushed."""

WHEN_READY: Final = {"pulumi.com/waitFor": "condition=Ready"}
"""Annotation of an object that counts as made when its controller says so, not when the API server has it."""


def manifest(
    api_version: str,
    kind: str,
    name: str,
    *,
    namespace: str | None = None,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    **fields: Any,
) -> Manifest:
    """One object with the platform's labels. `fields` are its top-level fields, `spec` or `data`."""
    metadata: dict[str, Any] = {"name": name}
    if namespace is not None:
        metadata["namespace"] = namespace
    metadata["labels"] = dict(sorted({**LABELS, **(labels or {})}.items()))
    if annotations:
        metadata["annotations"] = dict(sorted(annotations.items()))
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}


def object_key(wanted: Manifest) -> str:
    """What tells an object from every other in a cluster, and its resource's name from every other: `<kind>-<ns>-<name>`."""
    metadata = wanted["metadata"]
    return "-".join(part for part in (wanted["kind"].lower(), metadata.get("namespace", ""), metadata["name"]) if part)


@dataclass(frozen=True, kw_only=True)
class ManifestsArgs:
    """Objects of one layer and what they wait for."""

    objects: Sequence[Manifest]
    after: Sequence[pulumi.Resource] = ()
    """Gates every object itself: the release that brings the kind's CRD, the namespace's owner."""
    ignore_changes: Mapping[str, Sequence[str]] | None = None
    """Properties the cluster owns after creation, by kind."""


class Manifests(Component, token="zerotrust:manifests:Manifests"):
    """Objects in a cluster, in the order given: Namespaces first, then what lives in them. A layer takes the class of its name.

    The objects stand beside each other, but for the last: it waits for every other, so whoever waits for it waits for all, and
    goes before all of them when everything is taken down. A hundred objects that each waited for a hundred would be ten
    thousand edges, and the SDK walks everything behind an edge to look for cycles. What an update removes alone has no order to
    what it leaves standing: the engine orders removals by direct edges between what is removed.

    Raises:
        ValueError: for two objects with the same kind, namespace and name; for a custom kind with more than a spec.
    """

    objects: tuple[pulumi.Resource, ...]
    """Every object."""
    ready: tuple[pulumi.Resource, ...]
    """What to wait for: the last object, which stands for all. Empty without objects."""

    def __init__(self, name: str, args: ManifestsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        keys = [object_key(wanted) for wanted in args.objects]
        if twice := sorted(key for key, count in Counter(keys).items() if count > 1):
            msg = f"{name}: compiled twice: {', '.join(twice)}"
            raise ValueError(msg)
        namespaces: dict[str, pulumi.Resource] = {}
        made: list[pulumi.Resource] = []
        for place, (key, wanted) in enumerate(zip(keys, args.objects, strict=True), start=1):
            home = namespaces.get(str(wanted["metadata"].get("namespace")))
            others = made if place == len(keys) else [home] if home else []
            one = self._register(f"{name}-{key}", wanted, args, [*args.after, *others])
            if wanted["kind"] == "Namespace":
                namespaces[str(wanted["metadata"]["name"])] = one
            made.append(one)
        self.objects = tuple(made)
        self.ready = self.objects[-1:]
        self.register_outputs({})

    def _register(self, name: str, wanted: Manifest, args: ManifestsArgs, after: Iterable[pulumi.Resource]) -> pulumi.Resource:
        options = self.child(
            depends_on=list(after), ignore_changes=list((args.ignore_changes or {}).get(wanted["kind"], ())) or None
        )
        api_version, kind = wanted["apiVersion"], wanted["kind"]
        fields = {key: value for key, value in wanted.items() if key not in {"apiVersion", "kind", "metadata"}}
        typed = _TYPED.get((api_version, kind))
        if typed is not None:
            made: pulumi.Resource = typed(name, metadata=wanted["metadata"], **_arguments(fields), opts=options)  # type: ignore[call-arg]
            return made
        if set(fields) != {"spec"}:
            msg = f"{name}: a custom kind carries a spec and nothing else, this has {', '.join(sorted(fields)) or 'no field'}"
            raise ValueError(msg)
        return k8s.apiextensions.CustomResource(
            name, api_version=api_version, kind=kind, metadata=wanted["metadata"], spec=fields["spec"], opts=options
        )


class AdmissionManifests(Manifests, token="zerotrust:admission:Manifests"):
    """What may be made at all: constraints, mutations, the floor in the API server."""


class BackupManifests(Manifests, token="zerotrust:backup:Manifests"):
    """Schedules and places of backups."""


class ChaosManifests(Manifests, token="zerotrust:chaos:Manifests"):
    """Game days."""


class CniManifests(Manifests, token="zerotrust:cni:Manifests"):
    """Network policies."""


class DecisionManifests(Manifests, token="zerotrust:decision:Manifests"):
    """Policies and data of the authorizers."""


class DeliveryManifests(Manifests, token="zerotrust:delivery:Manifests"):
    """Projects and applications, runners and scans."""


class IdentityManifests(Manifests, token="zerotrust:identity:Manifests"):
    """Registrations, and what issues them."""


class MeshManifests(Manifests, token="zerotrust:mesh:Manifests"):
    """The mesh's rules, and what its gateways need."""


class ObservabilityManifests(Manifests, token="zerotrust:observability:Manifests"):
    """Rules, dashboards, and what collects."""


class OperatorsManifests(Manifests, token="zerotrust:operators:Manifests"):
    """Storage, records and targets."""


class RuntimeManifests(Manifests, token="zerotrust:runtime:Manifests"):
    """What detects at run time, and whom it tells."""


class TenancyManifests(Manifests, token="zerotrust:tenancy:Manifests"):
    """Namespaces, stores and workloads."""


class VaultManifests(Manifests, token="zerotrust:vault:Manifests"):
    """What Vault stands on, and who fetches secrets."""


def _arguments(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Top-level fields as the SDK's classes name them: `automountServiceAccountToken` → `automount_service_account_token`."""
    return {"".join(f"_{c.lower()}" if c.isupper() else c for c in key): value for key, value in fields.items()}
