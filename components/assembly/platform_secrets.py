"""The platform's own parts at a region's Vault: how anybody logs in, who of them reads what, and what brings it into their pods.

It stands before whatever it serves and before every tenant: Alertmanager, the side-kick and the collector wait for their files,
and no part of the platform may wait for a tenant's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_vault as vault

from components.assembly.place import ClusterPlace
from components.assembly.vault_access import discovery_trust, issued_files, opened
from components.base import Component
from components.graph.model import Graph
from components.graph.names import ALERTMANAGER, COLLECTOR, SIDEKICK
from components.graph.readers import Reader, platform_readers
from components.manifests import ManifestsArgs, VaultManifests
from components.observability import alert_routing
from components.observability.telemetry.names import TOKEN_FOLDER
from components.observability.telemetry.releases import TokenDelivery
from components.observability.telemetry.sinks import PREFIX
from components.runtime.configuration import configuration_file
from components.runtime.names import SECRETS_DIRECTORY
from components.runtime.sidekick import CONFIG_FILE, SecretDelivery
from components.vault.access import PlatformAccess, PlatformAccessArgs
from components.vault.platform_delivery import Brought, Parcel, platform_delivery, platform_delivery_objects, value_template
from components.vault.readers import PLATFORM_MOUNT
from components.vault.writers import Writers, WritersArgs

FOLDERS: Final[Mapping[str, str]] = {
    ALERTMANAGER: alert_routing.SECRETS_DIRECTORY,
    COLLECTOR: TOKEN_FOLDER,
    SIDEKICK: SECRETS_DIRECTORY,
}
"""By account, where the part's own configuration looks for its files."""


@dataclass(frozen=True, kw_only=True)
class PlatformSecretsArgs:
    """The platform's own secrets in one cluster."""

    place: ClusterPlace
    authority: pulumi.Input[str]
    """PEM of who signs Vault's own certificate: what every agent trusts."""
    provider: vault.Provider | None
    """Of everything inside this Vault; None before the ceremony, when nobody reads anything."""
    bundle: pulumi.Input[str] | None = None
    """With `vault.login: spiffe`: the region's bundle document."""
    after: Sequence[pulumi.Resource]
    """Gates everything: the namespaces and their rules, SPIRE with its registrations, Vault's audit devices."""


def files_of(graph: Graph, reader: Reader) -> dict[str, str]:
    """File → template: the side-kick has its whole configuration made, the others one file for each value."""
    folder = FOLDERS[reader.account]
    if reader.account == SIDEKICK:
        return {f"{folder}/{CONFIG_FILE}": configuration_file(graph.settings.runtime, secrets_mount=PLATFORM_MOUNT)}
    if reader.account == COLLECTOR:
        sinks = {secret: secret.rpartition("/")[2] for secret in reader.secrets}
        return {
            f"{folder}/{PREFIX}-{sink}": value_template(secret, key)
            for secret, sink in sinks.items()
            for key in reader.secrets[secret]
        }
    return {f"{folder}/{key}": value_template(secret, key) for secret, keys in reader.secrets.items() for key in keys}


def parcels(graph: Graph) -> tuple[Parcel, ...]:
    """What each part that reads is brought."""
    return tuple(
        Parcel(reader=reader, folder=FOLDERS[reader.account], files=files_of(graph, reader))
        for reader in platform_readers(graph.settings)
    )


class PlatformSecrets(Component, token="zerotrust:vault:PlatformSecrets"):
    """The login, the platform's readers, and what is handed to who makes their pods. The cluster's provider is the caller's."""

    alerts: alert_routing.Delivery | None
    """For Alertmanager; None where it needs no key. Likewise the next two."""
    events: SecretDelivery | None
    """For the side-kick."""
    tokens: TokenDelivery | None
    """For the collector."""
    ready: tuple[pulumi.Resource, ...]
    """What those pods wait for, and every tenant's login; empty before the ceremony."""

    def __init__(self, name: str, args: PlatformSecretsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        graph, region = args.place.graph, args.place.region
        wanted = parcels(graph)
        brought = {parcel.reader.account: platform_delivery(graph, region, parcel) for parcel in wanted}
        self.alerts, self.events, self.tokens = deliveries(brought)
        self.ready = ()
        if args.provider is not None:
            keys = issued_files(self, f"{name}-discovery", discovery_trust(), args.after)
            access = PlatformAccess(
                f"{name}-access",
                PlatformAccessArgs(
                    graph=graph,
                    region=region,
                    keys_authority=pulumi.Output.unsecret(keys.apply(lambda data: opened(data, "ca.crt"))),
                    bundle=args.bundle,
                    after=args.after,
                ),
                opts=pulumi.ResourceOptions(parent=self, provider=args.provider),
            )
            writers = Writers(
                f"{name}-writers",
                WritersArgs(graph=graph, region=region, after=args.after),
                opts=pulumi.ResourceOptions(parent=self, provider=args.provider),
            )
            agents = VaultManifests(
                f"{name}-agents",
                ManifestsArgs(objects=platform_delivery_objects(graph, region, wanted, args.authority), after=args.after),
                opts=self.child(),
            )
            self.ready = (*access.ready, *writers.ready, *agents.ready)
        self.register_outputs({})


def deliveries(
    brought: Mapping[str, Brought],
) -> tuple[alert_routing.Delivery | None, SecretDelivery | None, TokenDelivery | None]:
    """What stands beside Alertmanager, the side-kick and the collector, each in the shape that its maker takes."""
    alerts, events, tokens = (brought.get(account) for account in (ALERTMANAGER, SIDEKICK, COLLECTOR))
    return (
        None
        if alerts is None
        else alert_routing.Delivery(
            init_containers=alerts.init_containers,
            volumes=alerts.volumes,
            volume_mounts=alerts.mounts,
            annotations=alerts.annotations,
        ),
        None
        if events is None
        else SecretDelivery(
            init_containers=events.init_containers,
            volumes=events.volumes,
            volume_mounts=events.mounts,
            annotations=events.annotations,
        ),
        None
        if tokens is None
        else TokenDelivery(
            init_containers=tokens.init_containers,
            volumes=tokens.volumes,
            volume_mounts=tokens.mounts,
            annotations=tokens.annotations,
        ),
    )
