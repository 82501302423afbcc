"""What a workload may do in Vault, compiled from the graph: every path in full, no glob in any.

Vault refuses what no rule names. So a policy is a list of paths with the least capability each needs: a credential is read, an
encryption is an update; nothing is listed or deleted, only writers create. No rule reaches `sys/` but for the token's own leases.
"""

from dataclasses import dataclass
from typing import Final, Literal

from components.graph.model import Graph, Workload
from components.vault.engines import KEY, aws_mount, database_mount, kv_mount, pki_mount, transit_mount

Capability = Literal["create", "read", "update"]
OWN_TOKEN: Final[tuple[tuple[str, Capability], ...]] = (
    ("auth/token/lookup-self", "read"),
    ("auth/token/renew-self", "update"),
    ("auth/token/revoke-self", "update"),
    ("sys/leases/renew", "update"),
)
"""What the agent beside a workload asks about its own token; a lease is renewed by its id, which nobody else is told. Vault's
`default` policy, which has these and much more, is given to nobody."""


@dataclass(frozen=True, kw_only=True, order=True)
class Rule:
    """One path and what may be done there.

    Raises:
        ValueError: for a path with a character that Vault reads as a pattern or a parent.
    """

    path: str
    capability: Capability

    def __post_init__(self) -> None:
        if not self.path or any(sign in self.path for sign in '*+{}"\\%') or ".." in self.path or "//" in self.path:
            msg = f"{self.path}: a rule names one path in full"
            raise ValueError(msg)


@dataclass(frozen=True, kw_only=True)
class AccessPolicy:
    """A policy in Vault."""

    name: str
    rules: tuple[Rule, ...]

    @property
    def text(self) -> str:
        """As Vault reads it."""
        allowed: dict[str, list[str]] = {}
        for rule in self.rules:
            allowed.setdefault(rule.path, []).append(f'"{rule.capability}"')
        return "".join(f'path "{path}" {{\n  capabilities = [{", ".join(each)}]\n}}\n' for path, each in allowed.items())


def workload_name(workload: Workload) -> str:
    """What the workload's policy and role are called; no name has a dot, so no two pairs are one name."""
    return f"{workload.tenant}.{workload.name}"


def granted(graph: Graph, workload: Workload) -> tuple[Rule, ...]:
    """What the graph gives a workload: a credential for each edge to a database, and what its settings declare."""
    tenant, name, wanted = workload.tenant, workload.name, workload.settings
    rules = [
        Rule(path=f"{database_mount(edge.store.tenant)}/creds/{edge.key}", capability="read")
        for edge in graph.data_of(workload)
        if edge.store.kind == "database"
    ]
    rules += [Rule(path=f"{kv_mount(tenant)}/data/{name}/{secret}", capability="read") for secret in wanted.secrets]
    if wanted.tenant_key:
        # `update` and not `create`: an encryption with a key that is not there would make one.
        rules += [Rule(path=f"{transit_mount(tenant)}/{verb}/{KEY}", capability="update") for verb in ("decrypt", "encrypt")]
    if wanted.aws_role is not None:
        rules.append(Rule(path=f"{aws_mount(tenant)}/creds/{name}", capability="read"))
    if graph.settings.vault.pki and workload.serves:
        rules.append(Rule(path=f"{pki_mount(tenant)}/issue/{name}", capability="update"))
    return tuple(sorted(rules))


def with_own_token(name: str, rules: tuple[Rule, ...]) -> AccessPolicy:
    """A policy of these rules and what every token needs for itself."""
    own = (Rule(path=path, capability=capability) for path, capability in OWN_TOKEN)
    return AccessPolicy(name=name, rules=(*rules, *own))


def workload_policy(graph: Graph, workload: Workload) -> AccessPolicy:
    """The workload's policy."""
    return with_own_token(workload_name(workload), granted(graph, workload))
