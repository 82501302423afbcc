"""The rules that hold between the platform's own branches: networks, people's access, copies, faults, and what production asks.

Pure: each reads the whole tree and yields one problem for each sentence that an operator gets.
"""

from __future__ import annotations

import ipaddress
import itertools
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from components.settings.backup import LEAST_LOCK_DAYS
from components.settings.base import Problem
from components.settings.guardrails import today
from components.settings.rules_access import unknown_regions
from components.settings.runtime import EXECUTABLE
from components.settings.tenants import RESERVED_NAMESPACES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from components.settings.root import Settings

EXAMPLE_DOMAINS = (
    "example",
    "example.com",
    "example.net",
    "example.org",
    "test",
    "invalid",
    "localhost",
    "cluster.local",
    "mycompany.internal",
)
REGIONS_FOR_HIGH_ASSURANCE = 2


def addresses(tree: Settings) -> Iterator[Problem]:
    """No two networks overlap."""
    networks = [
        (("regions", code, key), getattr(region, key))
        for code, region in sorted(tree.regions.items())
        for key in ("vpc_cidr", "service_cidr")
    ]
    for (first, one), (second, other) in itertools.combinations(networks, 2):
        if ipaddress.IPv4Network(one).overlaps(ipaddress.IPv4Network(other)):
            yield Problem(second, other, f"choose a network that does not overlap {'.'.join(first)} ({one})")


def tenants(tree: Settings) -> Iterator[Problem]:
    """A tenant's name is free, its databases' images pinned, its regions declared, its processes plain names."""
    for tenant, settings in sorted(tree.tenants.items()):
        if tenant in RESERVED_NAMESPACES:
            yield Problem(("tenants", tenant), tenant, "choose another name; the platform owns this namespace")
        for database, wanted in sorted(settings.databases.items()):
            if wanted.version not in tree.images.postgres:
                yield Problem(
                    ("tenants", tenant, "databases", database, "version"),
                    wanted.version,
                    f"pin this version's image under images.postgres; pinned: {', '.join(sorted(tree.images.postgres))}",
                )
        for service, workload in sorted(settings.services.items()):
            yield from unknown_regions(tree, ("tenants", tenant, "services", service, "regions"), workload.regions)
            for process in workload.processes:
                if not EXECUTABLE.fullmatch(process):
                    yield Problem(
                        ("tenants", tenant, "services", service, "processes"),
                        process,
                        "write the executable's file name alone, without its folder; detection compares names",
                    )


def principals(tree: Settings) -> Iterator[Problem]:
    """Who may administer what."""
    trusted = {tree.account.deployer_role, tree.account.security_contact_role}
    for name, entry in sorted(tree.cluster.access.items()):
        if entry.policy == "admin" and not entry.namespaces and entry.principal not in trusted:
            yield Problem(
                ("cluster", "access", name, "policy"),
                entry.policy,
                "list namespaces or choose view; only the deployer and the break-glass role administer the whole cluster",
            )
        owned = sorted(set(entry.namespaces) - set(tree.tenants))
        if entry.policy != "view" and owned and entry.principal not in trusted:
            yield Problem(
                ("cluster", "access", name, "namespaces"),
                owned,
                "name namespaces of tenants; who may make a pod in the platform's own takes its identity, and so the cluster",
            )
    if not any(
        entry.principal == tree.account.deployer_role and entry.policy == "admin" for entry in tree.cluster.access.values()
    ):
        yield Problem(
            ("cluster", "access"),
            sorted(tree.cluster.access),
            "give account.deployer_role an admin entry; without one nobody could install the platform",
        )


def open_paths(tree: Settings) -> Iterator[Problem]:
    """What is answered without a token must be nobody's route."""
    tenant = tree.edge.failover.health_path.split("/")[1]
    if tenant in tree.tenants:
        yield Problem(
            ("edge", "failover", "health_path"),
            tree.edge.failover.health_path,
            f"choose a path outside of tenant {tenant}'s; it is answered without a token",
        )
    if tree.identity.issuer_kind == "keycloak" and urlsplit(tree.identity.issuer).hostname == tree.edge.domain:
        yield Problem(
            ("identity", "issuer"),
            tree.identity.issuer,
            "give the issuer a host of its own; its paths need no token, and on edge.domain they would be the tenants' too",
        )


def copies(tree: Settings) -> Iterator[Problem]:
    """Copies reach another region, as the assurance asks."""
    high = tree.assurance == "high"
    for tenant in sorted(set(tree.backup.namespaces.tenants) - set(tree.tenants)):
        yield Problem(("backup", "namespaces", "tenants", tenant), tenant, "there is no such tenant; declare it under tenants")
    target = tree.backup.copy_region
    others = ", ".join(sorted(set(tree.regions) - {tree.home_region}))
    if target is not None and (target == tree.home_region or target not in tree.regions):
        yield Problem(
            ("backup", "copy_region"), target, f"name a declared region other than the home region: {others or 'none yet'}"
        )
    if high and target is None and others:
        yield Problem(("backup", "copy_region"), None, "name another region; assurance high survives the loss of one")
    if high and tree.backup.lock_days < LEAST_LOCK_DAYS:
        yield Problem(("backup", "lock_days"), tree.backup.lock_days, f"lock backups for at least {LEAST_LOCK_DAYS} days")
    if high and tree.images.backup is None:
        yield Problem(("images", "backup"), None, "pin the images of backups by digest; the charts' own are named by tag")


def faults(tree: Settings) -> Iterator[Problem]:
    """Faults reach declared namespaces, as the assurance asks."""
    high = tree.assurance == "high"
    if tree.chaos.enabled and tree.images.chaos is None:
        yield Problem(("images", "chaos"), None, "pin the images of Chaos Mesh by digest; its daemon is privileged")
    for namespace, wanted in sorted(tree.chaos.namespaces.items()):
        path = ("chaos", "namespaces", namespace)
        if namespace not in tree.tenants and namespace not in RESERVED_NAMESPACES:
            yield Problem(path, namespace, "name a tenant, or a namespace of the platform")
        elif high and namespace in tree.tenants and wanted.last_day is None:
            yield Problem(
                (*path, "last_day"), None, "name the window's days; no tenant of assurance high is open to faults for good"
            )
        elif high and wanted.last_day is not None and wanted.last_day < today().isoformat():
            yield Problem((*path, "last_day"), wanted.last_day, "the window is over; take the namespace out")


def high_assurance(tree: Settings) -> Iterator[Problem]:
    """What production must not have."""
    base = tree.identity.trust_domain_base
    if len(tree.regions) < REGIONS_FOR_HIGH_ASSURANCE:
        yield Problem(("regions",), sorted(tree.regions), "add a second region; assurance high survives the loss of one")
    if any(base == domain or base.endswith(f".{domain}") for domain in EXAMPLE_DOMAINS):
        yield Problem(
            ("identity", "trust_domain_base"),
            base,
            "choose a trust domain of your own; assurance high refuses example names",
        )
    if tree.network.nat != "per_zone":
        yield Problem(("network", "nat"), tree.network.nat, "use per_zone; assurance high survives the loss of a zone")
    if tree.audit.worm_mode != "COMPLIANCE":
        yield Problem(
            ("audit", "worm_mode"),
            tree.audit.worm_mode,
            "use COMPLIANCE; with GOVERNANCE a permission can delete evidence",
        )
    for key in ("log_retention_days", "worm_retention_days"):
        if getattr(tree.audit, key) < 365:  # noqa: PLR2004 - the catalogue's AUD-04 and S3-05 ask for a year
            yield Problem(("audit", key), getattr(tree.audit, key), "keep evidence for at least 365 days with assurance high")
    if tree.edge.waf.count_only:
        yield Problem(
            ("edge", "waf", "count_only"),
            list(tree.edge.waf.count_only),
            "empty it; with assurance high every rule blocks",
        )
    yield from _alone(tree)
    for guard, on in sorted(tree.account.guards.model_dump().items()):
        if not on:
            yield Problem(("account", "guards", guard), on, "turn it on; assurance high needs every account guard")


def _alone(tree: Settings) -> Iterator[Problem]:
    if tree.cluster.redundancy != "zones":
        yield Problem(("cluster", "redundancy"), tree.cluster.redundancy, "use zones; assurance high survives the loss of a zone")
    if tree.vault.replicas == 1:
        yield Problem(("vault", "replicas"), 1, "use 3 or 5; assurance high survives the loss of a server")
    for tenant, settings in sorted(tree.tenants.items()):
        for service, workload in sorted(settings.services.items()):
            if workload.replicas == 1:
                yield Problem(
                    ("tenants", tenant, "services", service, "replicas"),
                    1,
                    "use at least 2; assurance high survives the loss of one",
                )
