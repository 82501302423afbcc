"""Gatekeeper's objects: a template per control, and its constraints with parameters from the settings and the graph.

A control that holds everywhere has one constraint, which the settings' exemptions leave namespaces out of. One about a tenant's
own names has a constraint per tenant, so that a new tenant changes no other's, and one for the namespaces that nobody claims,
where no name is right. Pods are judged, not what makes them: every kind of workload, known and unknown, ends in pods, and they
are judged as the injector and Kyverno leave them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from components.admission.controls import ACCOUNTS, FOLDER, Control, excepted, exempt, host_paths, of_engine
from components.admission.decisions import DecisionPoint, decision_parameters
from components.graph.model import Graph
from components.graph.names import (
    GITOPS_ACCOUNT,
    PLATFORM_NAMESPACES,
    REGION_REACH_LABEL,
    SERVICE_LABEL,
    SYSTEM_NAMESPACE,
    TENANT_LABEL,
)
from components.helm import database_operator_image, istio_image, pins
from components.manifests import Manifest, manifest
from components.settings.tenants import PROXY_USER_ID

TEMPLATE_API: Final = "templates.gatekeeper.sh/v1"
CONSTRAINT_API: Final = "constraints.gatekeeper.sh/v1beta1"
TARGET: Final = "admission.k8s.gatekeeper.sh"
UNCLAIMED: Final = "unclaimed"
DATABASE_LABEL: Final = "cnpg.io/cluster"
IDENTITY_DRIVER: Final = "csi.spiffe.io"
SECRETS_DRIVER: Final = "secrets-store.csi.k8s.io"
VOLUMES_DRIVER: Final = "ebs.csi.aws.com"
STORE_CLIENT: Final = "client-tls"
"""Of the Secrets with the certificates that services show to stores: `<edge>-<this>`."""
PROXY: Final = "istio-proxy"
ARCHIVE_SIDECAR: Final = "ghcr.io/cloudnative-pg/plugin-barman-cloud-sidecar:{}"
"""Where the plug-in's chart has it from, unless images.backup says otherwise."""
READING_ROLES: Final[Mapping[str, str]] = {
    "system:metrics-server-aggregated-reader": "metrics.k8s.io",
    "aggregate-config-audit-reports-view": "aquasecurity.github.io",
    "aggregate-exposed-secret-reports-view": "aquasecurity.github.io",
    "aggregate-vulnerability-reports-view": "aquasecurity.github.io",
}
"""Cluster roles that charts add to the ones people are given, without a switch for it → the one API group they read."""
TOKEN_AUDIENCE: Final = "istio-ca"  # noqa: S105 - a name
"""Of the token the injector mounts for istiod; the API server takes it for nobody's."""
NOT_THE_PLATFORMS_TO_MAKE: Final = (SYSTEM_NAMESPACE, "kube-public", "kube-node-lease", "cilium-secrets", "amazon-guardduty")
PLATFORM: Final = tuple(sorted({*PLATFORM_NAMESPACES, *NOT_THE_PLATFORMS_TO_MAKE}))
"""Every namespace that is neither a tenant's nor unclaimed. `default` is unclaimed: nothing is to run there."""

MATCHES: Final[Mapping[str, tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]]] = {
    "pods": (("", ("Pod",), ("pods", "pods/ephemeralcontainers", "pods/resize")),),
    "services": (("", ("Service",), ("services",)),),
    "namespaces": (("", ("Namespace",), ("namespaces",)),),
    "volumes": (("", ("PersistentVolume",), ("persistentvolumes",)),),
    "entries": (
        ("networking.k8s.io", ("Ingress",), ("ingresses",)),
        ("networking.istio.io", ("EnvoyFilter", "Gateway"), ("envoyfilters", "gateways")),
        (
            "gateway.networking.k8s.io",
            ("Gateway", "GRPCRoute", "HTTPRoute", "TCPRoute", "TLSRoute", "UDPRoute"),
            ("gateways", "grpcroutes", "httproutes", "tcproutes", "tlsroutes", "udproutes"),
        ),
    ),
    "scaled": (
        (
            "apps",
            ("Deployment", "ReplicaSet", "StatefulSet"),
            tuple(f"{one}{part}" for one in ("deployments", "replicasets", "statefulsets") for part in ("", "/scale")),
        ),
        ("", ("ReplicationController",), ("replicationcontrollers", "replicationcontrollers/scale")),
        ("autoscaling", ("HorizontalPodAutoscaler", "Scale"), ("horizontalpodautoscalers",)),
        ("batch", ("Job",), ("jobs",)),
    ),
    "peers": (
        ("security.istio.io", ("PeerAuthentication",), ("peerauthentications",)),
        ("networking.istio.io", ("DestinationRule",), ("destinationrules",)),
    ),
    "authorizations": (("security.istio.io", ("AuthorizationPolicy",), ("authorizationpolicies",)),),
    "roles": (("rbac.authorization.k8s.io", ("Role", "RoleBinding"), ("roles", "rolebindings")),),
    "bindings": (("rbac.authorization.k8s.io", ("ClusterRoleBinding", "RoleBinding"), ("clusterrolebindings", "rolebindings")),),
    "cluster-roles": (("rbac.authorization.k8s.io", ("ClusterRole",), ("clusterroles",)),),
}
"""What controls are about: API group, kinds, and the resources (with subresources) that the webhook is asked about."""


def webhook_rules() -> list[dict[str, Any]]:
    """Rules of the webhook: what some control is about and nothing else, so that its outage stops no lease and no event."""
    wanted: dict[str, set[str]] = {}
    for control in of_engine("gatekeeper"):
        for group, _, resources in (entry for name in control.match for entry in MATCHES[name]):
            wanted.setdefault(group, set()).update(resources)
    return [
        {
            "apiGroups": [group],
            "apiVersions": ["*"],
            "operations": ["CREATE", "UPDATE"],
            "resources": sorted(resources),
            "scope": "*",
        }
        for group, resources in sorted(wanted.items())
    ]


def template(control: Control) -> Manifest:
    """The ConstraintTemplate of a control: its rule, and the library that the rule imports."""
    source: dict[str, Any] = {"version": "v1", "rego": control.rule}
    if "data.lib.pods" in control.rule:
        source["libs"] = [(FOLDER / "gatekeeper" / "lib" / "pods.rego").read_text(encoding="utf-8")]
    schema = {"type": "object", "properties": dict(control.parameters)}
    return manifest(
        TEMPLATE_API,
        "ConstraintTemplate",
        control.kind.lower(),
        annotations={"description": control.title},
        spec={
            "crd": {"spec": {"names": {"kind": control.kind}, "validation": {"openAPIV3Schema": schema}}},
            "targets": [{"target": TARGET, "code": [{"engine": "Rego", "source": source}]}],
        },
    )


def constraint(control: Control, name: str, parameters: Mapping[str, Any], **where: Any) -> Manifest:
    """A constraint that refuses; `where` is added to its match.

    Raises:
        ValueError: for parameters that are not exactly the control's.
    """
    if set(parameters) != set(control.parameters):
        msg = f"{control.id}: wants the parameters {sorted(control.parameters)}, not {sorted(parameters)}"
        raise ValueError(msg)
    kinds = [{"apiGroups": [group], "kinds": list(names)} for match in control.match for group, names, _ in MATCHES[match]]
    spec: dict[str, Any] = {"enforcementAction": "deny", "match": {"kinds": kinds, **where}}
    if parameters:
        spec["parameters"] = dict(parameters)
    return manifest(CONSTRAINT_API, control.kind, name, spec=spec)


def region_templates() -> tuple[Manifest, ...]:
    """Every template; the same in every region."""
    return tuple(template(control) for control in of_engine("gatekeeper"))


def region_constraints(graph: Graph) -> tuple[Manifest, ...]:
    """The constraints that no single tenant owns."""
    found = []
    for control in of_engine("gatekeeper"):
        match control.scope:
            case "everywhere":
                excluded = exempt(graph, control.id)
                where: dict[str, Any] = {"excludedNamespaces": list(excluded)} if excluded else {}
                found.append(constraint(control, control.id, _general(graph, control), **where))
            case "unclaimed-and-tenants":
                found.append(constraint(control, control.id, _general(graph, control), excludedNamespaces=list(PLATFORM)))
            case "each-tenant":
                selector = {"matchExpressions": [{"key": TENANT_LABEL, "operator": "DoesNotExist"}]}
                nobody = {key: [] if schema["type"] == "array" else "" for key, schema in control.parameters.items()}
                where = {"excludedNamespaces": list(PLATFORM), "namespaceSelector": selector}
                found.append(constraint(control, UNCLAIMED, nobody, **where))
            case _:
                found.append(constraint(control, control.id, _general(graph, control)))
    return tuple(found)


def tenant_constraints(graph: Graph, region: str, tenant: str, deciders: Sequence[DecisionPoint]) -> tuple[Manifest, ...]:
    """The constraints about one tenant's own names. `deciders` has who decides in each service's pods.

    Raises:
        ValueError: for deciders that are not of exactly the tenant's services in the region.
    """
    wanted, given = sorted(one.name for one in graph.workloads_of(tenant, region)), sorted(one.account for one in deciders)
    if given != wanted:
        msg = f"decision-point: {tenant} in {region} has the services {wanted}, not {given}"
        raise ValueError(msg)
    return tuple(
        constraint(control, tenant, _of_tenant(graph, region, tenant, control, deciders), namespaces=[tenant])
        for control in of_engine("gatekeeper")
        if control.scope == "each-tenant"
    )


def proxy_image() -> str:
    """The injected proxy's image, as istiod is told to name it."""
    return istio_image("proxyv2")


def installed_images(graph: Graph) -> tuple[str, ...]:
    """What pinned charts put into tenants' pods by a released tag: the proxy, CloudNativePG's manager, the archive's helper."""
    archive = (ARCHIVE_SIDECAR.format(pins()["plugin-barman-cloud"].app_version),) if graph.settings.images.backup is None else ()
    return (database_operator_image(), proxy_image(), *archive)


def helper_images(graph: Graph) -> tuple[str, ...]:
    """What runs beside a tenant's containers and serves nobody: Vault's two, and the archive's beside a database."""
    own = graph.settings.images
    archive = (
        ARCHIVE_SIDECAR.format(pins()["plugin-barman-cloud"].app_version) if own.backup is None else own.backup.archive_sidecar
    )
    return (own.spiffe_helper, own.vault, archive)


def repository(image: str) -> str:
    """`<registry>/<repository>` of an image."""
    bare = image.partition("@")[0]
    head, slash, last = bare.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"


def _general(graph: Graph, control: Control) -> dict[str, Any]:
    limits = graph.settings.guardrails
    given: dict[str, dict[str, Any]] = {
        "host-files": {"csiDrivers": [IDENTITY_DRIVER, SECRETS_DRIVER], "paths": host_paths(graph)},
        "host-volumes": {"csiDrivers": [VOLUMES_DRIVER]},
        # Where a chart's container shares the node's network it may be asked on loopback; nobody else's address may be.
        "probe-hosts": {"loopback": ["127.0.0.1", "localhost"]},
        "proxy-user": {"user": PROXY_USER_ID, "proxies": [PROXY, "istio-validation"], "image": proxy_image()},
        "resources": {"memoryMaximumMebibytes": limits.memory_maximum_mebibytes},
        "aggregation": {"reading": [{"name": name, "group": group} for name, group in sorted(READING_ROLES.items())]},
        "rights": {"writer": GITOPS_ACCOUNT},
        "probes": {"helpers": sorted(map(repository, helper_images(graph)))},
        "digests": {"installed": list(installed_images(graph))},
        "labels": {"service": SERVICE_LABEL, "tenant": TENANT_LABEL},
        "scaling": {"maximum": limits.replicas_maximum},
        "namespaces": {"platform": list(PLATFORM), "tenant": TENANT_LABEL},
    }
    accounts = {ACCOUNTS: [one.as_json() for one in excepted(graph, control.id)]} if ACCOUNTS in control.parameters else {}
    return {**accounts, **given.get(control.id, {})}


def _of_store(graph: Graph, tenant: str, store: str) -> set[str]:
    """Images of a store's pods: its own, and what its operator and the archive's plug-in put there."""
    own, wanted = graph.settings.images, graph.settings.tenants[tenant]
    if store not in wanted.databases:
        return {own.valkey}
    archive = ARCHIVE_SIDECAR.format(pins()["plugin-barman-cloud"].app_version)
    return {
        own.postgres[wanted.databases[store].version],
        database_operator_image(),
        archive if own.backup is None else own.backup.archive_sidecar,
    }


def _of_tenant(graph: Graph, region: str, tenant: str, control: Control, deciders: Sequence[DecisionPoint]) -> dict[str, Any]:
    settings = graph.settings
    workloads = graph.workloads_of(tenant, region)
    stores = graph.stores_of(tenant)
    names = {kind: sorted(store.name for store in stores if store.kind == kind) for kind in ("database", "cache")}
    own = settings.images
    images = [
        *(workload.settings.image for workload in workloads),
        own.opa,
        *([own.spiffe_helper, own.vault] if any(graph.fetches(workload) for workload in workloads) else []),
        proxy_image(),
    ]
    given: dict[str, dict[str, Any]] = {
        "registries": {
            "repositories": sorted({*map(repository, images), *settings.guardrails.extra_images.get(tenant, ())}),
            "stores": [
                {"account": store.name, "repositories": sorted(map(repository, _of_store(graph, tenant, store.name)))}
                for store in stores
            ],
        },
        "identity": {
            "services": sorted(workload.name for workload in workloads),
            "databases": names["database"],
            "caches": names["cache"],
            "driver": IDENTITY_DRIVER,
            "label": SERVICE_LABEL,
            "database": DATABASE_LABEL,
            "reach": REGION_REACH_LABEL,
        },
        "tokens": {"databases": names["database"], "audiences": [TOKEN_AUDIENCE]},
        "decision-point": decision_parameters(deciders),
        "own-secrets": {
            "stores": sorted(store.name for store in stores),
            "secrets": [
                {"account": workload.name, "names": sorted(f"{edge.key}-{STORE_CLIENT}" for edge in graph.data_of(workload))}
                for workload in sorted(workloads, key=lambda one: one.name)
            ],
        },
    }
    return given[control.id]
