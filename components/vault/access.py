"""The access graph in a region's Vault: who logs in, what each may ask for, and the engines that answer.

Registers what `access_plan` says and decides nothing itself. Every component stands under the Vault provider that the caller
gives in its options. Relies on: an unsealed Vault, SPIRE's published keys, and in each database the role `vault_access`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_vault as vault

from components.base import Component
from components.graph.model import Graph
from components.vault.access_plan import vault_access
from components.vault.access_tenant import Access, AccessArgs, ClientFiles
from components.vault.roles import ALGORITHMS, AUDIENCE, LoginMount


@dataclass(frozen=True, kw_only=True)
class PlatformAccessArgs:
    """How anybody logs in to one region's Vault, and what the platform's own parts read there."""

    graph: Graph
    region: str
    keys_authority: pulumi.Input[str]
    """PEM of who signs the certificate of SPIRE's discovery provider: one that outlives SPIRE's own authorities, which turn
    over every day."""
    bundle: pulumi.Input[str] | None = None
    """With `vault.login: spiffe`: the region's bundle document."""
    after: Sequence[pulumi.Resource] = ()
    """Gates everything: the server, initialised."""


@dataclass(frozen=True, kw_only=True)
class VaultAccessArgs:
    """The tenants' part of one region's Vault."""

    graph: Graph
    region: str
    clients: Mapping[str, ClientFiles] = field(default_factory=dict)
    """By tenant: for each that has a database in the plan."""
    after: Sequence[pulumi.Resource] = ()
    """Gates everything: the login of the platform's part."""


@dataclass(frozen=True, kw_only=True)
class LoginArgs:
    """How workloads log in to one region's Vault."""

    mount: LoginMount
    keys_authority: pulumi.Input[str]
    bundle: pulumi.Input[str] | None
    after: Sequence[pulumi.Resource]


class Login(Component, token="zerotrust:vault:Login"):
    """How workloads log in."""

    method: pulumi.Resource

    def __init__(self, name: str, args: LoginArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        mount = args.mount
        after = self.child(depends_on=list(args.after))
        if mount.kind == "jwt":
            self.method = vault.jwt.AuthBackend(
                f"{name}-jwt",
                type="jwt",
                path=mount.path,
                description="Workloads, by their JWT-SVIDs",
                jwks_url=mount.keys_url,
                jwks_ca_pem=args.keys_authority,
                bound_issuer=mount.issuer,
                jwt_supported_algs=list(ALGORITHMS),
                opts=after,
            )
        else:
            backend = vault.AuthBackend(
                f"{name}-spiffe",
                type="spiffe",
                path=mount.path,
                description="Workloads, by their SVIDs",
                tune=vault.AuthBackendTuneArgs(passthrough_request_headers=["Authorization"]),
                opts=after,
            )
            self.method = vault.spiffe.AuthBackendConfig(
                f"{name}-spiffe-bundle",
                mount=backend.path,
                trust_domain=mount.trust_domain,
                profile="static",
                bundle=args.bundle,
                audiences=[AUDIENCE],
                opts=self.child(),
            )
        self.register_outputs({})


class PlatformAccess(Component, token="zerotrust:vault:PlatformAccess"):
    """The login, and what the platform's own parts read. It needs no tenant, so that no part of the platform waits for one."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: PlatformAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        plan = vault_access(args.graph, args.region)
        login = Login(
            f"{name}-login",
            LoginArgs(mount=plan.login, keys_authority=args.keys_authority, bundle=args.bundle, after=args.after),
            opts=self.child(),
        )
        after = [*args.after, login.method]
        part = Access(
            f"{name}-platform",
            AccessArgs(plan=plan.platform, mount=plan.login, region=args.region, client=None, after=after),
            opts=self.child(),
        )
        self.ready = (login.method, *part.ready)
        self.register_outputs({})


class VaultAccess(Component, token="zerotrust:vault:VaultAccess"):
    """What the graph gives the tenants of a region. `ready` is what workloads that fetch from Vault may wait for."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: VaultAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        plan = vault_access(args.graph, args.region)
        parts = [
            Access(
                f"{name}-{tenant}",
                AccessArgs(plan=part, mount=plan.login, region=args.region, client=args.clients.get(tenant), after=args.after),
                opts=self.child(),
            )
            for tenant, part in sorted(plan.tenants.items())
        ]
        self.ready = tuple(resource for part in parts for resource in part.ready)
        self.register_outputs({})
