"""The access graph in a region's Vault, and what it is made from: the certificates by which Vault knows the databases and SPIRE.

The authorities stand in the cluster (cert-manager), so what Vault must hold of them is read from there: for each tenant with
databases a client certificate of its own authority, and (`platform_secrets`) the authority of SPIRE's discovery provider. The
keys pass the state, where they are encrypted. Reading waits for the certificate to be issued, and in a preview for the
certificate to exist.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_kubernetes as k8s
import pulumi_vault as vault

from components.assembly.place import ClusterPlace
from components.base import Component
from components.certificates import issued, leaf
from components.graph.names import DATABASE_ACCESS_ROLE, SPIRE_SERVER_NAMESPACE, TENANT_LABEL
from components.manifests import Manifest, ManifestsArgs, VaultManifests, manifest
from components.tenancy.stores import issuer_of
from components.vault.access import VaultAccess, VaultAccessArgs
from components.vault.access_plan import vault_access
from components.vault.access_tenant import ClientFiles
from components.vault.delivery import CA_CONFIG_MAP, CA_KEY

CLIENT: Final = "vault-client-tls"
"""In a tenant's namespace: what Vault shows to the tenant's databases."""
DISCOVERY_TRUST: Final = "discovery-trust"
"""In SPIRE's namespace: carries the authority's certificate; the key in it opens nothing."""


@dataclass(frozen=True, kw_only=True)
class VaultGrantsArgs:
    """The graph's part of Vault in one cluster."""

    place: ClusterPlace
    authority: pulumi.Input[str]
    """PEM of who signs Vault's own certificate: what every agent trusts."""
    provider: vault.Provider | None
    """Of everything inside this Vault; None before the ceremony, when nothing inside is declared."""
    after: Sequence[pulumi.Resource]
    """Gates everything: the tenants' namespaces and stores, SPIRE, Vault's audit devices and login."""


def authority_objects(place: ClusterPlace, authority: pulumi.Input[str]) -> tuple[Manifest, ...]:
    """Who signs Vault's certificate, in the namespace of every tenant whose workloads fetch anything."""
    graph = place.graph
    return tuple(
        manifest("v1", "ConfigMap", CA_CONFIG_MAP, namespace=tenant, labels={TENANT_LABEL: tenant}, data={CA_KEY: authority})
        for tenant in graph.tenants
        if any(graph.fetches(workload) for workload in graph.workloads_of(tenant, place.region))
    )


def discovery_trust() -> Manifest:
    """What carries the certificate of the authority that signs the discovery provider's."""
    return leaf(SPIRE_SERVER_NAMESPACE, DISCOVERY_TRUST, common_name="trust", usages=("client auth",))


def opened(data: Mapping[str, str], key: str) -> str:
    """One file of a secret as the API gives it. Raises KeyError where it is not."""
    return base64.b64decode(data[key]).decode()


def issued_files(
    parent: Component, name: str, certificate: Manifest, after: Sequence[pulumi.Resource]
) -> pulumi.Output[Mapping[str, str]]:
    """What a certificate's secret holds, once it is issued; secret, base64. Both resources are the parent's children."""
    made = VaultManifests(f"{name}-certificate", ManifestsArgs(objects=(issued(certificate),), after=after), opts=parent.child())
    place = f"{certificate['metadata']['namespace']}/{certificate['metadata']['name']}"
    # Not known before the certificate stands: a preview of a new tenant reads nothing.
    known = made.objects[0].id.apply(lambda _: place)  # type: ignore[attr-defined]
    secret = k8s.core.v1.Secret.get(f"{name}-files", known, opts=parent.child(depends_on=list(made.ready)))
    data: pulumi.Output[Mapping[str, str]] = pulumi.Output.secret(secret.data)
    return data


class VaultGrants(Component, token="zerotrust:vault:Grants"):
    """What the graph grants in one region's Vault. The cluster's provider is given by the caller."""

    ready: tuple[pulumi.Resource, ...]
    """What workloads that fetch from Vault may wait for."""

    def __init__(self, name: str, args: VaultGrantsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        place = args.place
        graph = place.graph
        trusted = VaultManifests(
            f"{name}-authority",
            ManifestsArgs(objects=authority_objects(place, args.authority), after=args.after),
            opts=self.child(),
        )
        self.ready = trusted.ready
        if args.provider is not None:
            plan = vault_access(graph, place.region)
            clients = {
                tenant: self._client(f"{name}-{tenant}", place, tenant, args.after)
                for tenant, part in sorted(plan.tenants.items())
                if part.connections
            }
            access = VaultAccess(
                f"{name}-access",
                VaultAccessArgs(
                    graph=graph,
                    region=place.region,
                    clients=clients,
                    after=args.after,
                ),
                opts=pulumi.ResourceOptions(parent=self, provider=args.provider),
            )
            self.ready = (*trusted.ready, *access.ready)
        self.register_outputs({})

    def _client(self, name: str, place: ClusterPlace, tenant: str, after: Sequence[pulumi.Resource]) -> ClientFiles:
        certificate = leaf(
            tenant,
            CLIENT,
            common_name=DATABASE_ACCESS_ROLE,
            usages=("client auth",),
            labels={TENANT_LABEL: tenant},
            issuer=issuer_of(place.graph, tenant),
        )
        data = issued_files(self, name, certificate, after)
        return ClientFiles(
            authority=data.apply(lambda found: opened(found, "ca.crt")),
            certificate=data.apply(lambda found: opened(found, "tls.crt")),
            key=data.apply(lambda found: opened(found, "tls.key")),
        )
