"""What attacks on the data path have in common: the call they bend, the identities they hold, the way they go in.

The attacker stands in a tenant's pod, goes around its sidecar, and begins the handshake itself. The identity it shows is one
that SPIRE's server mints for it, as a stolen key would be.
"""

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final

from components.graph import identity
from components.graph.model import Workload
from components.graph.names import INGRESS_PORT, service_host
from sandbox.proof.attacks import raw
from sandbox.proof.attacks.certificates import minted
from sandbox.proof.attacks.mesh import CALLEE, gateway
from sandbox.proof.attacks.raw import Handshake, Shown
from sandbox.proof.attacks.registry import Sent
from sandbox.proof.declared import is_open
from sandbox.proof.world import Pod, World

if TYPE_CHECKING:
    from sandbox.proof.tokens import Tokens

ATTACKER: Final = "bank-a/frontend"
"""Whose pod the attacker stands in."""
CALLER: Final = "bank-a/api-ms"
"""Who may call the callee's `/transfer` with a token."""
NEIGHBOUR: Final = "bank-b/auth-ms"
"""Who may call the callee's `/authorize` without one."""
WORKER: Final = "bank-b/worker"
"""Who may read everything below the callee's `/settlements/`."""
BODY: Final = '{"amount_minor_units": 1}'
_KEPT_SECONDS: Final = 120.0
_PODS_SECONDS: Final = 15.0
_ANSWER_SECONDS: Final = 30.0
Headers = Sequence[tuple[str, str]]


def workload(world: World, ref: str) -> Workload:
    """A workload of the graph."""
    return world.graph.workloads[ref]


def pod(world: World, ref: str) -> Pod:
    """Its pod in the home region, as of the last quarter of a minute."""
    return _pod(world, ref, int(time.monotonic() / _PODS_SECONDS))


@lru_cache(maxsize=64)
def _pod(world: World, ref: str, _while: int) -> Pod:
    return world.pod(world.home_region, workload(world, ref))


@lru_cache(maxsize=4)
def _gateway(world: World, _while: int) -> Pod:
    return gateway(world)


def host(world: World, ref: str) -> str:
    """What a request to it says as its host."""
    found = workload(world, ref)
    return f"{service_host(found.tenant, found.name)}:{found.port}"


def name_of(world: World, ref: str, domain: str = "") -> str:
    """Its SPIFFE ID in the home region, or the same path in another trust domain."""
    found = workload(world, ref)
    return f"spiffe://{identity.principal(domain or world.graph.trust_domain(world.home_region), found.tenant, found.name)}"


def stolen(world: World, ref: str, region: str = "") -> Shown:
    """The identity of a workload in a region; at home unless said. The same one for a while."""
    return _stolen(world, ref, region or world.home_region, int(time.monotonic() / _KEPT_SECONDS))


@lru_cache(maxsize=64)
def _stolen(world: World, ref: str, region: str, _while: int) -> Shown:
    return minted(world, region, name_of(world, ref, world.graph.trust_domain(region)))


def asked(world: World, method: str, target: str, headers: Headers = (), *, body: str = BODY, callee: str = CALLEE) -> bytes:
    """The bytes of a request to a workload; a `Host` among the headers goes over the workload's own."""
    usual = [("Host", host(world, callee)), ("Content-Type", "application/json")]
    said = {name.lower() for name, _ in headers}
    return raw.request(method, target, [*(one for one in usual if one[0].lower() not in said), *headers], body)


def to_callee(world: World, sent: bytes, tls: Handshake | None, *, port: int = 0, callee: str = CALLEE, note: str = "") -> Sent:
    """Sends bytes to a workload's pod from the attacker's, around both the service and the attacker's own sidecar."""
    target = pod(world, callee)
    answer = raw.send(pod(world, ATTACKER), (target.address, port or workload(world, callee).port), sent, tls)
    return Sent(answer=answer, callee=target, note=note)


def as_workload(
    ref: str,
    method: str,
    target: str,
    headers: Headers = (),
    *,
    body: str = BODY,
    from_other_region: bool = False,
    token: bool = False,
) -> Callable[[World, "Tokens"], Sent]:
    """An attack that is a request to the callee with the identity of a workload.

    Args:
        ref: whose identity is shown.
        method: as it stands in the request.
        target: the path, byte for byte.
        headers: beside host and content type.
        body: what is sent.
        from_other_region: whether the identity is of the other region's trust domain.
        token: whether a good token goes with it.
    """

    def make(world: World, tokens: "Tokens") -> Sent:
        number = f"attack-{uuid.uuid4()}"
        more = [*headers, ("X-Request-Id", number)]
        if token:
            more.append(("Authorization", f"Bearer {good_token(world, tokens)}"))
        where = world.other_region if from_other_region else world.home_region
        sent = asked(world, method, target, more, body=body)
        note = f"{method} {target} as {ref} of {where}"
        return replace(to_callee(world, sent, Handshake(shown=stolen(world, ref, where)), note=note), request=number)

    return make


def good_token(world: World, tokens: "Tokens") -> str:
    """A token that the documents' call needs: of a client whose scopes are all that the call asks for."""
    client = world.graph.clients["bank-a/web"]
    return tokens.access_token(client)


def to_gateway(
    world: World, method: str, target: str, headers: Headers = (), *, body: str = BODY, tls: Handshake | None = None
) -> Sent:
    """Sends a request to the ingress gateway as the load balancer would, from inside the cluster."""
    entry, name = _gateway(world, int(time.monotonic() / _PODS_SECONDS)), world.settings.edge.domain
    usual = [("Host", name), ("Content-Type", "application/json")]
    said = {key.lower() for key, _ in headers}
    sent = raw.request(method, target, [*(one for one in usual if one[0].lower() not in said), *headers], body)
    shaken = tls or Handshake(server_name=name)
    answer = raw.send(pod(world, ATTACKER), (entry.address, INGRESS_PORT), sent, shaken)
    behind = tuple(pod(world, route.service.ref) for route in world.graph.routes)
    return Sent(
        answer=answer, callee=entry, others=behind, path=target.partition("?")[0], note=f"{method} {target.partition('?')[0]}"
    )


def answered(world: World, tokens: "Tokens") -> None:
    """What attacks bend is answered when it is not bent; a sandbox that refuses everything would stop every attack.

    Raises:
        ProofError: it is not, with the last answer.
    """
    partner = tokens.access_token(world.graph.clients["bank-b/partner"])
    bearer = (("Authorization", f"Bearer {partner}"),)
    good: dict[str, Callable[[], Sent]] = {
        f"{NEIGHBOUR} to {CALLEE}": lambda: as_workload(NEIGHBOUR, "POST", "/authorize")(world, tokens),
        f"{WORKER} to {CALLEE}": lambda: as_workload(WORKER, "GET", "/settlements/7", body="")(world, tokens),
        "a client at the gateway": lambda: to_gateway(world, "POST", "/bank-b/transfer", bearer),
    }
    (call,) = (one for one in world.graph.calls if (one.caller.ref, one.callee.ref) == (CALLER, CALLEE))
    if call.conditions.hours is None or is_open(call.conditions.hours, datetime.now(UTC)):
        good[f"{CALLER} to {CALLEE}"] = lambda: as_workload(CALLER, "POST", "/transfer", token=True)(world, tokens)
    for what, send in good.items():
        World.wait(f"{what}, which is allowed, to be answered", partial(_is_answered, send), _ANSWER_SECONDS)


def _is_answered(send: Callable[[], Sent]) -> bool:
    return send().answer.is_allowed
