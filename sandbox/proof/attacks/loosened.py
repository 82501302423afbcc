"""What Vault was told, loosened in one way each for as long as an attack needs, and whose secrets are attacked."""

from base64 import b64encode, urlsafe_b64decode
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from components.graph.model import Store, Workload
from components.graph.names import DISCOVERY_SERVICE, SPIRE_SERVER_NAMESPACE, service_host
from components.vault.engines import database_mount
from components.vault.policies import workload_name
from components.vault.roles import AUDIENCE, JWT_MOUNT
from sandbox.proof.attacks.registry import Switch
from sandbox.proof.attacks.stores import Told, store_of
from sandbox.proof.world import MESH_USER, Pod, ProofError, World

OWN, VICTIM, STRANGER = "bank-a/trans-ms", "bank-b/trans-ms", "bank-b/worker"
"""The attacker's service, whose secrets it wants, and another tenant's service that Vault knows too."""
ELSEWHERE: Final = "proof"
"""An audience that is not Vault's."""
_P256: Final = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
"""Before the point of a public key, in SubjectPublicKeyInfo (RFC 5480)."""


def workload(world: World, ref: str) -> Workload:
    """A workload of the graph."""
    return world.graph.workloads[ref]


def pod_of(world: World, ref: str, region: str = "") -> Pod:
    """Its pod, at home unless a region is said."""
    return world.pod(region or world.home_region, workload(world, ref))


def role_of(world: World, ref: str) -> str:
    """What Vault calls a service: its role and its policy."""
    return workload_name(workload(world, ref))


def path_of(world: World, ref: str) -> str:
    """Where Vault has the credential of a service for its database."""
    edge, store = store_of(world, workload(world, ref))
    return f"/v1/{database_mount(store.tenant)}/creds/{edge}"


def asked_database(world: World, store: Store, text: str, *variables: str) -> str:
    """What a store says to its own superuser.

    Raises:
        ProofError: in PostgreSQL's words.
    """
    server = next(pod for pod in world.pods(world.home_region, store.tenant) if pod.name.startswith(f"{store.name}-"))
    named = [part for one in variables for part in ("-v", one)]
    done = world.run(server, ["psql", "-d", store.name, "-v", "ON_ERROR_STOP=1", *named, "-Atq"], container="postgres", text=text)
    if done.returncode != 0:
        msg = f"{store.ref}: {done.stderr.strip()}"
        raise ProofError(msg)
    return done.stdout.strip()


def _config(world: World) -> Told:
    return Told(world, world.home_region)


def _policy_open(world: World) -> AbstractContextManager[None]:
    told, path = _config(world), f"sys/policies/acl/{role_of(world, OWN)}"
    attacked = path_of(world, VICTIM).removeprefix("/v1/")
    opened = f'{told.read(path)["policy"]}path "{attacked}" {{\n  capabilities = ["read"]\n}}\n'
    return told.changed(path, policy=opened)


def _subject_open(world: World) -> AbstractContextManager[None]:
    subjects = [f"spiffe://{world.graph.principal(workload(world, ref), world.home_region)}" for ref in (OWN, VICTIM)]
    return _config(world).changed(
        f"auth/{JWT_MOUNT}/role/{role_of(world, VICTIM)}", bound_subject="", bound_claims={"sub": subjects}
    )


def _own_role(world: World, **fields: object) -> AbstractContextManager[None]:
    return _config(world).changed(f"auth/{JWT_MOUNT}/role/{role_of(world, OWN)}", **fields)


def _audience_open(world: World) -> AbstractContextManager[None]:
    return _own_role(world, bound_audiences=[AUDIENCE, ELSEWHERE])


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
    answer = world.call(pod_of(world, OWN, region), f"https://{host}/keys", *flags, user=MESH_USER)
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
    edge, store = store_of(world, workload(world, OWN))
    told, path = _config(world), f"{database_mount(store.tenant)}/roles/{edge}"
    statements = told.read(path)["revocation_statements"]
    with told.changed(path, revocation_statements=["SELECT 1"]):
        yield
    _remove_ended(world, store, edge, statements)


def _remove_ended(world: World, store: Store, edge: str, statements: list[str]) -> None:
    listed = "select rolname from pg_roles where rolname like :'names' and rolvaliduntil < now();"
    for name in asked_database(world, store, listed, f"names=v_{edge[:24]}_%").split():
        asked_database(world, store, statements[0].replace("{{name}}", name) + ";")


POLICY: Final = Switch(layer="vault", part="policy", off=_policy_open)
SUBJECT: Final = Switch(layer="vault", part="subject", off=_subject_open)
FOREIGN_AUDIENCE: Final = Switch(layer="vault", part="audience", off=_audience_open)
KEYS: Final = Switch(layer="vault", part="keys", off=_keys_open)
EXPIRY: Final = Switch(layer="vault", part="expiry", off=_expiry_open)
REVOCATION: Final = Switch(layer="vault", part="revocation", off=_leases_unended)
