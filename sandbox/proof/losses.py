"""What is taken away under load, and what is promised in writing for that time: components, and in the end a whole service."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from components.backup.objectives import detection_seconds, moved_seconds
from components.graph.names import (
    MESH_NAMESPACE,
    RATE_LIMIT_NAMESPACE,
    SERVICE_LABEL,
    SPIRE_SERVER_NAMESPACE,
    SPIRE_SYSTEM_NAMESPACE,
    VAULT_NAMESPACE,
)
from sandbox.proof import sights
from sandbox.proof.load import Outcome
from sandbox.proof.sights import TRANSFER, Sight
from sandbox.proof.traffic import OUTSIDE, call_of
from sandbox.proof.world import World

KEPT, UNTIL_EXPIRY, REFUSED, ELSEWHERE = "kept", "kept until expiry", "refused", "from another region"
FROZEN, KILLED = "frozen", "killed"
GAME_DAYS: Final = "components/chaos/game_days.py"
_DATABASE_SECONDS: Final = 60.0  # `postgres-primary-loss` promises less than a minute


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One component to be taken away, and what is promised for that time."""

    component: str
    how: str
    region: str
    promise: str
    source: str
    namespace: str
    container: str
    labels: dict[str, str] = field(default_factory=dict)
    hurts: frozenset[str] = frozenset()
    """Authorised streams that may fail; any other must go on."""
    within: float | None = None
    """Seconds after which the hurt streams must be answered again, where it is promised; they need not be refused until then."""
    outside: bool = False
    """Whether requests come in through the gateway as well."""
    looks: Callable[[World, str], Sequence[Sight]] | None = None
    """What else must be seen while it is frozen; one that is killed is away for too short a time to look."""
    after: Callable[[World, str, Sequence[Outcome]], Sequence[Sight]] | None = None
    """What must be seen when it is back."""


def planned(world: World) -> dict[str, list[Fault]]:
    """Region → what is taken away there, one after the other."""
    home, other = world.home_region, world.other_region
    return {home: _deciders(home), other: _issuers(other)}


def _deciders(region: str) -> list[Fault]:
    """What is asked for each request, and what keeps secrets and data."""
    opa = Fault(
        component="OPA of a service",
        how=FROZEN,
        region=region,
        promise=REFUSED,
        source=f"{GAME_DAYS}: opa-loss",
        namespace="bank-a",
        container="opa",
        labels={SERVICE_LABEL: "auth-ms"},
        hurts=frozenset({"bank-a-api-to-auth"}),
    )
    limiter = Fault(
        component="rate limiter",
        how=FROZEN,
        region=region,
        promise=REFUSED,
        source="components/mesh/limits.py",
        namespace=RATE_LIMIT_NAMESPACE,
        container="ratelimit",
        labels={SERVICE_LABEL: "ratelimit"},
        hurts=frozenset({OUTSIDE}),
        outside=True,
    )
    vault = Fault(
        component="Vault",
        how=FROZEN,
        region=region,
        promise=UNTIL_EXPIRY,
        source=f"{GAME_DAYS}: vault-loss",
        namespace=VAULT_NAMESPACE,
        container="vault",
        labels={"component": "server"},
        looks=sights.vault_gives_nothing,
    )
    cache = Fault(
        component="a tenant's Valkey",
        how=KILLED,
        region=region,
        promise=KEPT,
        source="components/tenancy/valkey.py",
        namespace="bank-b",
        container="valkey",
        labels={SERVICE_LABEL: "sessions"},
        after=sights.cache_was_missed,
    )
    database = Fault(
        component="a tenant's PostgreSQL",
        how=KILLED,
        region=region,
        promise=f"within {_DATABASE_SECONDS:.0f} s",
        source=f"{GAME_DAYS}: postgres-primary-loss",
        namespace="bank-b",
        container="postgres",
        labels={"cnpg.io/cluster": "ledger"},
        hurts=frozenset({TRANSFER}),
        within=_DATABASE_SECONDS,
        after=sights.no_transfer_is_missing,
    )
    counters = replace(limiter, component="rate limiter's Valkey", container="valkey", labels={SERVICE_LABEL: "counters"})
    return [opa, _killed(opa), limiter, counters, vault, _killed(vault), cache, database]


def _issuers(region: str) -> list[Fault]:
    """What gives identities and rules, which are asked for none of the requests."""
    server = Fault(
        component="SPIRE server",
        how=FROZEN,
        region=region,
        promise=UNTIL_EXPIRY,
        source=f"{GAME_DAYS}: spire-server-loss",
        namespace=SPIRE_SERVER_NAMESPACE,
        container="spire-server",
        labels={SERVICE_LABEL: "server"},
        looks=sights.identities_last,
    )
    agent = replace(
        server,
        component="SPIRE agent of a node",
        source=f"{GAME_DAYS}: spire-agent-loss",
        namespace=SPIRE_SYSTEM_NAMESPACE,
        container="spire-agent",
        labels={SERVICE_LABEL: "agent"},
        looks=sights.no_identity_is_given,
    )
    istiod = replace(
        server,
        component="istiod",
        promise=KEPT,
        source=f"{GAME_DAYS}: istiod-loss",
        namespace=MESH_NAMESPACE,
        container="discovery",
        labels={"app": "istiod"},
        looks=sights.no_pod_without_proxy,
    )
    return [server, _killed(server), agent, _killed(agent), istiod, _killed(istiod)]


def _killed(fault: Fault) -> Fault:
    return replace(fault, how=KILLED, looks=None)


def without_callee(world: World) -> Fault:
    """One service of a region scaled to none and its pods killed; the region's gateways and everything else stay."""
    callee = call_of(world, TRANSFER).callee
    most = float(detection_seconds(world.settings) + moved_seconds(world.settings))
    return Fault(
        component=f"every pod of {callee.ref}",
        how=KILLED,
        region=world.home_region,
        promise=ELSEWHERE,
        source=f"docs/runbooks/region-failover.md: {most:.0f} s, by itself",
        namespace=callee.tenant,
        container=callee.name,
        hurts=frozenset({TRANSFER}),
        within=most,
    )
