"""Attacks against secrets: Vault by its paths and by its logins, credentials of databases, tokens of service accounts.

A credential that is had against the rules is used at once, with the certificate that the attacker's own service has for its own
database: behind Vault stands the attacked one, which asks for one of its tenant's. Databases are reached past the proxy here, as
one would from a node; what the proxy does is another attack.
"""

import re
import time
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from components.graph.model import Store
from components.graph.names import SPIRE_SERVER_NAMESPACE
from components.vault.roles import AUDIENCE
from sandbox.proof.attacks.apiserver import CORE, Asked, account, ask, attacker, attempted, home
from sandbox.proof.attacks.loosened import (
    ELSEWHERE,
    EXPIRY,
    FOREIGN_AUDIENCE,
    KEYS,
    OWN,
    POLICY,
    REVOCATION,
    STRANGER,
    SUBJECT,
    VICTIM,
    asked_database,
    path_of,
    pod_of,
    role_of,
    workload,
)
from sandbox.proof.attacks.registry import Attempted, Planned, Switch
from sandbox.proof.attacks.stores import Credential, StoresRefusedError, connect, credential, log_in, reach_vault, store_of
from sandbox.proof.results import Evidence
from sandbox.proof.world import ProofError, World

if TYPE_CHECKING:
    from sandbox.proof.tokens import Tokens

FAMILY: Final = "secrets"
_MINTED_SECONDS, _EXPIRED_SECONDS = 2, 14.0
"""The life of a token that SPIRE's server mints, and how long until it is past Vault's allowance for clocks."""
_LEASE_SECONDS, _ENDED_SECONDS = 3, 10.0
"""The life of a lease, and how long until the database itself ends it: Vault tells it five seconds more."""
_SPIRE_SERVER: Final = "/opt/spire/bin/spire-server"
_NO_SUCH_PATH: Final = re.compile(r"relative paths not supported|namespace not found")
"""Vault's answers to a spelling that is no path of any credential."""


def _svid(world: World, ref: str, audience: str = AUDIENCE, region: str = "") -> str:
    return str(world.identity(pod_of(world, ref, region), f"--audience={audience}")["token"])


def _store(world: World, ref: str) -> Store:
    return store_of(world, workload(world, ref))[1]


def _attempt(made: Callable[[World], str]) -> Callable[[World, "Tokens"], Attempted]:
    """An attack that goes as far as it gets; what it says at its end is what it got."""

    def make(world: World, _tokens: "Tokens") -> Attempted:
        try:
            got = made(world)
        except StoresRefusedError as error:
            return error.seen
        return Attempted(stopped=False, by="", evidence=Evidence(source="the attacker", words=got))

    return make


def _certificate(world: World, ref: str) -> str:
    """The Secret of what a service shows its own database."""
    edge, store = store_of(world, workload(world, ref))
    return f"{store.tenant}/{edge}-client-tls"


def _used(world: World, attacker: str, attacked: str, shown: Credential) -> str:
    """Who the database takes the attacker for, with the certificate of its own edge."""
    pod, store = pod_of(world, attacker), _store(world, attacked)
    return f"in the database as {connect(world, pod, store, shown, _certificate(world, attacker))}"


def _foreign_path(world: World) -> str:
    pod = pod_of(world, OWN)
    token = log_in(world, pod, role_of(world, OWN), _svid(world, OWN))
    return _used(world, OWN, VICTIM, credential(world, pod, path_of(world, VICTIM), token))


def _tricks(own: str, foreign: str) -> tuple[str, ...]:
    """Paths that mean another one to whoever reads them carelessly; both given begin with `/v1/`."""
    beyond = foreign.removeprefix("/v1/")
    mount, _, rest = beyond.partition("/")
    return (
        f"{own}/../../../{beyond}",
        f"{own}/%2e%2e/%2e%2e/%2e%2e/{beyond}",
        f"/v1//{beyond}",
        f"{foreign}/",
        f"/v1/{mount}/./{rest}",
        f"/v1/+/{rest}",
        f"{own};/{beyond}",
    )


def _path_tricks(world: World) -> str:
    pod = pod_of(world, OWN)
    token = log_in(world, pod, role_of(world, OWN), _svid(world, OWN))
    own, foreign = path_of(world, OWN), path_of(world, VICTIM)
    mount, _, rest = foreign.removeprefix("/v1/").partition("/")
    tried: list[tuple[str, dict[str, str]]] = [(path, {}) for path in _tricks(own, foreign)]
    tried.append((f"/v1/{rest}", {"X-Vault-Namespace": mount}))
    refused: list[Attempted] = []
    unknown = 0
    for path, headers in tried:
        try:
            got = credential(world, pod, path, token, headers)
        except StoresRefusedError as error:
            if error.seen.by:
                refused.append(error.seen)
            elif _NO_SUCH_PATH.search(error.seen.evidence.words):
                unknown += 1
            else:
                raise
        else:
            return _used(world, OWN, VICTIM, got)
    if not refused:
        msg = "no spelling of the path was refused"
        raise ProofError(msg)
    seen = refused[-1].evidence
    words = f"{len(refused)} of {len(tried)} spellings refused, {unknown} name nothing at all; the last refusal: {seen.words}"
    raise StoresRefusedError(Attempted(stopped=True, by="vault", evidence=Evidence(source=seen.source, words=words)))


def _foreign_subject(world: World) -> str:
    pod = pod_of(world, OWN)
    # the same token is good for its own role
    log_in(world, pod, role_of(world, OWN), _svid(world, OWN))
    token = log_in(world, pod, role_of(world, VICTIM), _svid(world, OWN))
    return _used(world, OWN, VICTIM, credential(world, pod, path_of(world, VICTIM), token))


def _replayed(world: World, svid: str) -> str:
    """A token of the attacked service, shown by another tenant's pod."""
    pod = pod_of(world, STRANGER)
    token = log_in(world, pod, role_of(world, OWN), svid)
    return _used(world, STRANGER, OWN, credential(world, pod, path_of(world, OWN), token))


def _foreign_audience(world: World) -> str:
    return _replayed(world, _svid(world, OWN, ELSEWHERE))


def _foreign_region(world: World) -> str:
    return _replayed(world, _svid(world, OWN, region=world.other_region))


@lru_cache(maxsize=1)
def _expired(world: World) -> str:
    """A token that SPIRE made and that has ended by now; it let its bearer in while it had not."""
    server = next(pod for pod in world.pods(world.home_region, SPIRE_SERVER_NAMESPACE) if "spire-server" in pod.processes)
    subject = f"spiffe://{world.graph.principal(workload(world, OWN), world.home_region)}"
    asked = [_SPIRE_SERVER, "jwt", "mint", f"-spiffeID={subject}", f"-audience={AUDIENCE}", f"-ttl={_MINTED_SECONDS}s"]
    done = world.run(server, asked, container="spire-server")
    svid = done.stdout.strip().removeprefix("token:").strip()
    if done.returncode != 0 or svid.count(".") != 2:  # noqa: PLR2004
        msg = f"SPIRE mints no token: {done.stderr.strip()}"
        raise ProofError(msg)
    log_in(world, pod_of(world, OWN), role_of(world, OWN), svid)
    time.sleep(_EXPIRED_SECONDS)
    return svid


def _expired_svid(world: World) -> str:
    return _replayed(world, _expired(world))


def _ended_credential(world: World) -> str:
    """One's own credential with one's own certificate, after its lease: it was let in before."""
    pod, store = pod_of(world, OWN), _store(world, OWN)
    token = log_in(world, pod, role_of(world, OWN), _svid(world, OWN))
    got = credential(world, pod, path_of(world, OWN), token)
    shown = _certificate(world, OWN)
    connect(world, pod, store, got, shown)
    asked = {"lease_id": got.lease, "increment": _LEASE_SECONDS}
    reach_vault(world, pod, "PUT", "/v1/sys/leases/renew", body=asked, token=token)
    time.sleep(_ENDED_SECONDS)
    try:
        return f"in the database as {connect(world, pod, store, got, shown)}"
    except StoresRefusedError as error:
        seen = error.seen
        words = f"{seen.evidence.words}; {_why_ended(world, store, got.username)}"
        raise StoresRefusedError(replace(seen, evidence=replace(seen.evidence, words=words))) from error


def _why_ended(world: World, store: Store, role: str) -> str:
    """PostgreSQL tells whoever logs in the same in both cases; its own catalogue does not."""
    until = asked_database(world, store, "select rolvaliduntil from pg_roles where rolname = :'name';", f"name={role}")
    return f"the role was valid until {until}" if until else "the role is dropped"


def _reads_secrets(world: World, _tokens: "Tokens") -> Attempted:
    mine = attacker(world)
    path = f"{CORE}/namespaces/{mine.tenant}/secrets"
    return attempted(ask(home(world), Asked("GET", path), account(mine)), account(mine))


_ADMITTED: Final = (
    "what is read passes no admission: whoever RBAC lets read a Secret reads it, so tenants' accounts have no right at all"
)


def _planned(
    key: str,
    title: str,
    techniques: tuple[str, ...],
    made: Callable[[World], str],
    *,
    switch: Switch,
    control: str,
    behind: str = "",
    case: str = "",
    expected: str = "vault",
) -> Planned:
    return Planned(
        key=f"{FAMILY}-{key}",
        title=title,
        family=FAMILY,
        techniques=techniques,
        case=case,
        expected=expected,
        control=control,
        behind=behind,
        make=_attempt(made),
        switch=switch,
    )


ATTACKS: Final = (
    _planned(
        *("foreign-path", "another tenant's credential, by its path in Vault", ("T1555",), _foreign_path),
        case="A34",
        switch=POLICY,
        control="permission denied",
    ),
    _planned(
        *("path-tricks", "the same by paths that are spelt otherwise, and by a namespace", ("T1555",), _path_tricks),
        case="A34",
        switch=POLICY,
        control="permission denied",
    ),
    _planned(
        *("foreign-subject", "a login to Vault as another tenant's service", ("T1078",), _foreign_subject),
        case="A35",
        switch=SUBJECT,
        control="invalid subject",
    ),
    _planned(
        *("foreign-audience", "a JWT-SVID made for somebody else, replayed to Vault", ("T1550.001",), _foreign_audience),
        case="A35",
        switch=FOREIGN_AUDIENCE,
        control="invalid audience",
    ),
    _planned(
        *("foreign-region", "a JWT-SVID of the other region, replayed to Vault", ("T1550.001",), _foreign_region),
        switch=KEYS,
        control="failed to verify id token signature",
        behind="invalid issuer",
    ),
    _planned(
        *("expired-svid", "a JWT-SVID replayed after its end", ("T1550.001",), _expired_svid),
        case="A27",
        switch=EXPIRY,
        control="token is expired",
    ),
    _planned(
        *("ended-credential", "a database's credential after its lease", ("T1078",), _ended_credential),
        expected="postgres",
        switch=REVOCATION,
        control="the role is dropped",
        behind="the role was valid until",
    ),
    Planned(
        key=f"{FAMILY}-read",
        title="the Secrets of the tenant's namespace, read by its own account",
        family=FAMILY,
        techniques=("T1552.007",),
        expected="kubernetes-rbac",
        make=_reads_secrets,
        single=_ADMITTED,
    ),
)
