"""Attacks against secrets: Vault by its paths and by its logins, credentials of databases, tokens of service accounts.

A credential that is had against the rules is used at once: behind Vault stands the database, which asks for a certificate of the
edge's own. Databases are reached past the proxy here, as one would from a node; what the proxy does is another attack.
"""

import time
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from components.graph.model import Store, Workload
from components.graph.names import DISCOVERY_SERVICE, SPIRE_SERVER_NAMESPACE, service_host
from components.vault.engines import database_mount
from components.vault.policies import workload_name
from components.vault.roles import AUDIENCE, JWT_MOUNT
from sandbox.proof.attacks.admission import attacker, home
from sandbox.proof.attacks.apiserver import Asked, account, ask, attempted
from sandbox.proof.attacks.registry import Attempted, Planned, Switch
from sandbox.proof.attacks.stores import Credential, StoresRefusedError, Told, connect, credential, log_in, reach_vault, store_of
from sandbox.proof.results import Evidence
from sandbox.proof.world import MESH_USER, Pod, ProofError, World

if TYPE_CHECKING:
    from sandbox.proof.tokens import Tokens

FAMILY: Final = "secrets"
OWN, VICTIM, STRANGER = "bank-a/trans-ms", "bank-b/trans-ms", "bank-b/worker"
"""The attacker's service, whose secrets it wants, and another tenant's service that Vault knows too."""
_ELSEWHERE: Final = "proof"
"""An audience that is not Vault's."""
_MINTED_SECONDS, _EXPIRED_SECONDS = 2, 14.0
"""The life of a token that SPIRE's server mints, and how long until it is past Vault's allowance for clocks."""
_LEASE_SECONDS, _ENDED_SECONDS = 3, 10.0
"""The life of a lease, and how long until the database itself ends it: Vault tells it five seconds more."""
_SPIRE_SERVER: Final = "/opt/spire/bin/spire-server"
_P256: Final = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
"""Before the point of a public key, in SubjectPublicKeyInfo (RFC 5480)."""


def _workload(world: World, ref: str) -> Workload:
    return world.graph.workloads[ref]


def _pod(world: World, ref: str, region: str = "") -> Pod:
    return world.pod(region or world.home_region, _workload(world, ref))


def _svid(world: World, ref: str, audience: str = AUDIENCE, region: str = "") -> str:
    return str(world.identity(_pod(world, ref, region), f"--audience={audience}")["token"])


def _role(world: World, ref: str) -> str:
    return workload_name(_workload(world, ref))


def _path(world: World, ref: str) -> str:
    edge, store = store_of(world, _workload(world, ref))
    return f"/v1/{database_mount(store.tenant)}/creds/{edge}"


def _store(world: World, ref: str) -> Store:
    return store_of(world, _workload(world, ref))[1]


def _attempt(made: Callable[[World], str]) -> Callable[[World, "Tokens"], Attempted]:
    """An attack that goes as far as it gets; what it says at its end is what it got."""

    def make(world: World, _tokens: "Tokens") -> Attempted:
        try:
            got = made(world)
        except StoresRefusedError as error:
            return error.seen
        return Attempted(stopped=False, by="", evidence=Evidence(source="the attacker", words=got))

    return make


def _used(world: World, pod: Pod, store: Store, shown: Credential) -> str:
    return f"in the database as {connect(world, pod, store, shown)}"


def _foreign_path(world: World) -> str:
    pod = _pod(world, OWN)
    token = log_in(world, pod, _role(world, OWN), _svid(world, OWN))
    return _used(world, pod, _store(world, VICTIM), credential(world, pod, _path(world, VICTIM), token))


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
    pod = _pod(world, OWN)
    token = log_in(world, pod, _role(world, OWN), _svid(world, OWN))
    own, foreign = _path(world, OWN), _path(world, VICTIM)
    mount, _, rest = foreign.removeprefix("/v1/").partition("/")
    tried: list[tuple[str, dict[str, str]]] = [(path, {}) for path in _tricks(own, foreign)]
    tried.append((f"/v1/{rest}", {"X-Vault-Namespace": mount}))
    last: StoresRefusedError | None = None
    for path, headers in tried:
        try:
            got = credential(world, pod, path, token, headers)
        except StoresRefusedError as error:
            last = error
        else:
            return _used(world, pod, _store(world, VICTIM), got)
    if last is None:
        msg = "no path was tried"
        raise ProofError(msg)
    seen = last.seen
    words = f"{len(tried)} spellings refused; the last: {seen.evidence.words}"
    raise StoresRefusedError(Attempted(stopped=True, by=seen.by, evidence=Evidence(source=seen.evidence.source, words=words)))


def _foreign_subject(world: World) -> str:
    pod = _pod(world, OWN)
    token = log_in(world, pod, _role(world, VICTIM), _svid(world, OWN))
    return _used(world, pod, _store(world, VICTIM), credential(world, pod, _path(world, VICTIM), token))


def _replayed(world: World, svid: str) -> str:
    """A token of the attacked service, shown by another tenant's pod."""
    pod = _pod(world, STRANGER)
    token = log_in(world, pod, _role(world, OWN), svid)
    return _used(world, pod, _store(world, OWN), credential(world, pod, _path(world, OWN), token))


def _foreign_audience(world: World) -> str:
    return _replayed(world, _svid(world, OWN, _ELSEWHERE))


def _foreign_region(world: World) -> str:
    return _replayed(world, _svid(world, OWN, region=world.other_region))


@lru_cache(maxsize=1)
def _expired(world: World) -> str:
    """A token that SPIRE made and that has ended by now; it let its bearer in while it had not."""
    server = next(pod for pod in world.pods(world.home_region, SPIRE_SERVER_NAMESPACE) if "spire-server" in pod.processes)
    subject = f"spiffe://{world.graph.principal(_workload(world, OWN), world.home_region)}"
    asked = [_SPIRE_SERVER, "jwt", "mint", f"-spiffeID={subject}", f"-audience={AUDIENCE}", f"-ttl={_MINTED_SECONDS}s"]
    done = world.run(server, asked, container="spire-server")
    svid = done.stdout.strip().removeprefix("token:").strip()
    if done.returncode != 0 or svid.count(".") != 2:  # noqa: PLR2004
        msg = f"SPIRE mints no token: {done.stderr.strip()}"
        raise ProofError(msg)
    log_in(world, _pod(world, OWN), _role(world, OWN), svid)
    time.sleep(_EXPIRED_SECONDS)
    return svid


def _expired_svid(world: World) -> str:
    return _replayed(world, _expired(world))


def _ended_credential(world: World) -> str:
    """One's own credential with one's own certificate, after its lease: it was let in before."""
    pod, store = _pod(world, OWN), _store(world, OWN)
    token = log_in(world, pod, _role(world, OWN), _svid(world, OWN))
    got = credential(world, pod, _path(world, OWN), token)
    edge, _ = store_of(world, _workload(world, OWN))
    shown = f"{store.tenant}/{edge}-client-tls"
    connect(world, pod, store, got, shown)
    asked = {"lease_id": got.lease, "increment": _LEASE_SECONDS}
    reach_vault(world, pod, "PUT", "/v1/sys/leases/renew", body=asked, token=token)
    time.sleep(_ENDED_SECONDS)
    return f"in the database as {connect(world, pod, store, got, shown)}"


def _reads_secrets(world: World, _tokens: "Tokens") -> Attempted:
    mine = attacker(world)
    path = f"/api/v1/namespaces/{mine.tenant}/secrets"
    return attempted(ask(home(world), Asked("GET", path), account(mine)), account(mine))


def _config(world: World) -> Told:
    return Told(world, world.home_region)


def _policy_open(world: World) -> AbstractContextManager[None]:
    told, path = _config(world), f"sys/policies/acl/{_role(world, OWN)}"
    opened = f'{told.read(path)["policy"]}path "{_path(world, VICTIM).removeprefix("/v1/")}" {{\n  capabilities = ["read"]\n}}\n'
    return told.changed(path, policy=opened)


def _subject_open(world: World) -> AbstractContextManager[None]:
    subjects = [f"spiffe://{world.graph.principal(_workload(world, ref), world.home_region)}" for ref in (OWN, VICTIM)]
    return _config(world).changed(
        f"auth/{JWT_MOUNT}/role/{_role(world, VICTIM)}", bound_subject="", bound_claims={"sub": subjects}
    )


def _own_role(world: World, **fields: object) -> AbstractContextManager[None]:
    return _config(world).changed(f"auth/{JWT_MOUNT}/role/{_role(world, OWN)}", **fields)


def _audience_open(world: World) -> AbstractContextManager[None]:
    return _own_role(world, bound_audiences=[AUDIENCE, _ELSEWHERE])


def _expiry_open(world: World) -> AbstractContextManager[None]:
    return _own_role(world, clock_skew_leeway=3600, expiration_leeway=3600)


def _keys_open(world: World) -> AbstractContextManager[None]:
    keys = [_pem(key["x"], key["y"]) for key in _published(world, world.other_region)]
    return _config(world).changed(f"auth/{JWT_MOUNT}/config", jwks_url="", jwks_ca_pem="", jwt_validation_pubkeys=keys)


def _published(world: World, region: str) -> list[dict[str, str]]:
    service = world.clusters[region].get("v1", "Service", SPIRE_SERVER_NAMESPACE, DISCOVERY_SERVICE)
    if service is None:
        msg = f"no keys are published in {region}"
        raise ProofError(msg)
    host = service_host(SPIRE_SERVER_NAMESPACE, DISCOVERY_SERVICE)
    flags = ("-any-server", f"-address={service['spec']['clusterIP']}:443")
    answer = world.call(_pod(world, OWN, region), f"https://{host}/keys", *flags, user=MESH_USER)
    if not answer.is_allowed:
        msg = f"no keys are published in {region}: {answer}"
        raise ProofError(msg)
    return [key for key in answer.json()["keys"] if key.get("crv") == "P-256"]


def _pem(x: str, y: str) -> str:
    point = b"\4" + b"".join(urlsafe_b64decode(part + "=" * (-len(part) % 4)).rjust(32, b"\0") for part in (x, y))
    text = b64encode(_P256 + point).decode()
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""])


@contextmanager
def _leases_unended(world: World) -> Iterator[None]:
    """Vault ends no credential of the edge; afterwards those that have ended by themselves are removed by its own statement."""
    edge, store = store_of(world, _workload(world, OWN))
    told, path = _config(world), f"{database_mount(store.tenant)}/roles/{edge}"
    statements = told.read(path)["revocation_statements"]
    with told.changed(path, revocation_statements=["SELECT 1"]):
        yield
    _remove_ended(world, store, edge, statements)


def _remove_ended(world: World, store: Store, edge: str, statements: list[str]) -> None:
    server = next(pod for pod in world.pods(world.home_region, store.tenant) if pod.name.startswith(f"{store.name}-"))
    psql = ["psql", "-d", store.name, "-v", "ON_ERROR_STOP=1", "-v", f"names=v_{edge[:24]}_%", "-Atq"]
    listed = "select rolname from pg_roles where rolname like :'names' and rolvaliduntil < now();"
    found = world.run(server, psql, container="postgres", text=listed)
    removed = [
        world.run(server, psql, container="postgres", text=statements[0].replace("{{name}}", name) + ";")
        for name in found.stdout.split()
    ]
    for done in (found, *removed):
        if done.returncode != 0:
            msg = f"{store.ref}: what Vault did not end could not be removed: {done.stderr.strip()}"
            raise ProofError(msg)


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
        make=_attempt(made),
        switch=switch,
    )


_POLICY: Final = Switch(layer="vault", part="policy", off=_policy_open)
_SUBJECT: Final = Switch(layer="vault", part="subject", off=_subject_open)
_AUDIENCE: Final = Switch(layer="vault", part="audience", off=_audience_open)
_KEYS: Final = Switch(layer="vault", part="keys", off=_keys_open)
_EXPIRY: Final = Switch(layer="vault", part="expiry", off=_expiry_open)
_REVOCATION: Final = Switch(layer="vault", part="revocation", off=_leases_unended)
ATTACKS: Final = (
    _planned(
        *("foreign-path", "another tenant's credential, by its path in Vault", ("T1555",), _foreign_path),
        case="A34",
        switch=_POLICY,
    ),
    _planned(
        *("path-tricks", "the same by paths that are spelt otherwise, and by a namespace", ("T1555",), _path_tricks),
        case="A34",
        switch=_POLICY,
    ),
    _planned(
        *("foreign-subject", "a login to Vault as another tenant's service", ("T1078",), _foreign_subject),
        case="A35",
        switch=_SUBJECT,
    ),
    _planned(
        *("foreign-audience", "a JWT-SVID made for somebody else, replayed to Vault", ("T1550.001",), _foreign_audience),
        case="A35",
        switch=_AUDIENCE,
    ),
    _planned(
        *("foreign-region", "a JWT-SVID of the other region, replayed to Vault", ("T1550.001",), _foreign_region),
        switch=_KEYS,
    ),
    _planned(
        *("expired-svid", "a JWT-SVID replayed after its end", ("T1550.001",), _expired_svid),
        case="A27",
        switch=_EXPIRY,
    ),
    _planned(
        *("ended-credential", "a database's credential after its lease", ("T1078",), _ended_credential),
        expected="postgres",
        switch=_REVOCATION,
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
SWITCHES: Final[tuple[Switch, ...]] = ()
"""Each attack has its own."""
