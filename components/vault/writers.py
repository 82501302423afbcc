"""Who writes the secrets that Vault keeps: by setting one group of the environment's issuer for each tenant and the platform.

A writer puts a value in and never gets one out: its policy has `create` and `update` on the paths that the settings declare of
its own engine, each in full, and nothing that reads, lists or deletes. Who shows a token of the issuer for the audience of this
login, with the group in its claim `groups`, is given that and ten minutes. Services log in elsewhere (`roles`): no SVID is a
writer's token, no writer's token a service's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_vault as vault

from components.base import Component
from components.graph.model import Graph
from components.graph.readers import platform_readers
from components.vault.engines import kv_mount
from components.vault.policies import AccessPolicy, Capability, Rule
from components.vault.readers import PLATFORM, secret_path
from components.vault.roles import CLOCK_SKEW_SECONDS, NO_LEEWAY

MOUNT: Final = "writers"
AUDIENCE: Final = "vault-writers"
"""The audience that the issuer's client for writers asks for; a token for any API of the platform has another."""
GROUPS_CLAIM: Final = "groups"
ALGORITHMS: Final = ("RS256", "ES256", "PS256")
TOKEN_SECONDS: Final = 600
WRITES: Final[tuple[Capability, ...]] = ("create", "update")


@dataclass(frozen=True, kw_only=True)
class Writer:
    """One owner's writers in one region."""

    owner: str
    """A tenant, or `platform`."""
    group: str
    paths: tuple[str, ...]

    @property
    def name(self) -> str:
        """Of the policy: two dots like a reader's of the platform, whose namespace is never called so."""
        return f"platform.writers.{self.owner}"

    @property
    def policy(self) -> AccessPolicy:
        """A value goes in: not even what the token may do with itself beside ending."""
        rules = tuple(Rule(path=path, capability=capability) for path in self.paths for capability in WRITES)
        return AccessPolicy(name=self.name, rules=(*rules, Rule(path="auth/token/revoke-self", capability="update")))


def written_paths(graph: Graph, region: str, owner: str) -> tuple[str, ...]:
    """Every secret of an owner that somebody of the region reads, by its path in full."""
    if owner == PLATFORM:
        return tuple(sorted(secret_path(secret) for reader in platform_readers(graph.settings) for secret in reader.secrets))
    return tuple(
        sorted(
            f"{kv_mount(owner)}/data/{workload.name}/{secret}"
            for workload in graph.workloads_of(owner, region)
            for secret in workload.settings.secrets
        )
    )


def writers(graph: Graph, region: str) -> tuple[Writer, ...]:
    """The writers of a region; none for an owner that has nothing to be written."""
    found = (
        Writer(owner=owner, group=wanted.group, paths=written_paths(graph, region, owner))
        for owner, wanted in sorted(graph.settings.vault.writers.items())
    )
    return tuple(writer for writer in found if writer.paths)


@dataclass(frozen=True, kw_only=True)
class WritersArgs:
    """Writers of one region's Vault."""

    graph: Graph
    region: str
    after: Sequence[pulumi.Resource] = ()
    """Gates everything: the server, initialised, its audit devices."""


class Writers(Component, token="zerotrust:vault:Writers"):
    """The writers' login and what each may write. Nothing is declared where nobody writes."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: WritersArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        identity, wanted = args.graph.settings.identity, writers(args.graph, args.region)
        self.ready = ()
        if wanted:
            login = vault.jwt.AuthBackend(
                f"{name}-login",
                type="jwt",
                path=MOUNT,
                description="Who writes secrets, by tokens of the environment's issuer",
                jwks_url=identity.keys_url,
                bound_issuer=identity.issuer,
                jwt_supported_algs=list(ALGORITHMS),
                opts=self.child(depends_on=list(args.after)),
            )
            self.ready = tuple(self._writer(name, writer, login) for writer in wanted)
        self.register_outputs({})

    def _writer(self, name: str, writer: Writer, login: pulumi.Resource) -> pulumi.Resource:
        policy = vault.Policy(
            f"{name}-policy-{writer.owner}",
            name=writer.name,
            policy=writer.policy.text,
            opts=self.child(depends_on=[login]),
        )
        claims: Mapping[str, str] = {GROUPS_CLAIM: writer.group}
        return vault.jwt.AuthBackendRole(
            f"{name}-role-{writer.owner}",
            backend=MOUNT,
            role_name=writer.owner,
            role_type="jwt",
            bound_audiences=[AUDIENCE],
            bound_claims=claims,
            bound_claims_type="string",
            user_claim="sub",
            clock_skew_leeway=CLOCK_SKEW_SECONDS,
            expiration_leeway=NO_LEEWAY,
            not_before_leeway=NO_LEEWAY,
            token_policies=[writer.name],
            token_no_default_policy=True,
            token_ttl=TOKEN_SECONDS,
            token_max_ttl=TOKEN_SECONDS,
            token_explicit_max_ttl=TOKEN_SECONDS,
            token_type="service",  # noqa: S106 - the kind of token
            opts=self.child(depends_on=[login, policy]),
        )
