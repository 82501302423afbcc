"""What runs through a region while it is disturbed: requests that the access graph allows, and requests that it does not."""

import re
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from components.graph.model import Call, Route, Workload
from components.graph.names import INGRESS, SERVICE_LABEL
from sandbox.local import cloud
from sandbox.proof.load import Load, Stream
from sandbox.proof.world import MESH_USER, Pod, World

if TYPE_CHECKING:
    from sandbox.proof.tokens import Tokens

CALLS: Final = ("bank-a-frontend-to-api", "bank-a-api-to-auth", "bank-b-worker-to-trans", "bank-a-api-to-bank-b-trans")
"""Keys of the calls that are made: inside a tenant, from a worker, and from one bank to another under conditions."""
ROUTE: Final = "bank-a-web"
"""The way in that is used from outside."""
OTHER_PATH, WITHOUT_TOKEN, AROUND, OUTSIDE = "another path", "without a token", "around the sidecar", "from outside"
AMOUNT: Final = 5
_OFTEN_SECONDS: Final = 0.4
_CALLERS: Final = 3
_KEYS_SECONDS: Final = 150.0
"""Every two minutes at least a proxy is configured anew (components/mesh/istio.py), and then has a key that istiod missed."""
_VARIABLE: Final = re.compile(r"\{[^}]*\}|\*")


def sample(path: str) -> str:
    """A path that the settings' pattern covers."""
    return _VARIABLE.sub("7", path)


def call_of(world: World, key: str) -> Call:
    """The call of this key in the settings."""
    return next(call for call in world.graph.calls if call.key == key)


def route_of(world: World) -> Route:
    """The route that is used from outside."""
    return next(route for route in world.graph.routes if route.key == ROUTE)


def allowed(world: World, tokens: "Tokens", region: str, key: str) -> Stream:
    """A declared call, with what its conditions ask for."""
    call = call_of(world, key)
    client, scopes = route_of(world).clients[0], call.conditions.scopes
    return Stream(
        name=key,
        authorised=True,
        pod=world.pod(region, call.caller),
        url=_url(world, call),
        callees=_principals(world, call.callee),
        flags=_flags(call),
        token=partial(tokens.access_token, client, scopes) if scopes else None,
    )


def wait_for_keys(world: World, tokens: "Tokens") -> None:
    """Returns when every region honours the issuer's tokens: one that stood before the issuer has its keys later.

    Raises:
        ProofError: a region does not; with what it answers.
    """
    call = call_of(world, CALLS[-1])
    tokens.access_token(route_of(world).clients[0], call.conditions.scopes)  # the first takes a minute: it makes an administrator
    asking = (replace(allowed(world, tokens, region.code, call.key), name=region.code) for region in world.plan.regions)
    with Load(world, tuple(asking), steady_seconds=_KEYS_SECONDS):
        pass


def forbidden(world: World, region: str) -> tuple[Stream, ...]:
    """What must be refused whatever happens: an undeclared path, a condition that is not met, the way around the own sidecar."""
    declared, conditional = call_of(world, "bank-a-api-to-auth"), call_of(world, "bank-a-api-to-bank-b-trans")
    caller, callee = world.pod(region, declared.caller), world.pod(region, declared.callee)
    payer, path = world.pod(region, conditional.caller), sample(declared.operations[0].paths[0])
    return (
        Stream(
            name=OTHER_PATH,
            authorised=False,
            pod=caller,
            url=world.url(declared.callee, "/accounts"),
            callees=_principals(world, declared.callee),
            flags=_flags(declared),
            refused_by="mesh-authorization",
            passes=(*_everywhere(world, declared.callee), caller),
        ),
        Stream(
            name=WITHOUT_TOKEN,
            authorised=False,
            pod=payer,
            url=_url(world, conditional),
            callees=_principals(world, conditional.callee),
            flags=_flags(conditional),
            refused_by="opa",
            passes=(*_everywhere(world, conditional.callee), payer),
        ),
        Stream(
            name=AROUND,
            authorised=False,
            pod=caller,
            url=f"http://{callee.address}:{declared.callee.port}{path}",
            callees=_principals(world, declared.callee),
            flags=_flags(declared),
            user=MESH_USER,
            refused_by="mesh-mtls",
            passes=(callee,),
        ),
    )


def _principals(world: World, workload: Workload) -> frozenset[str]:
    return frozenset(f"spiffe://{world.graph.principal(workload, region)}" for region in workload.regions)


def _everywhere(world: World, workload: Workload) -> list[Pod]:
    return [one for region in workload.regions for one in world.pods(region, workload.tenant, **{SERVICE_LABEL: workload.name})]


def everyday(world: World, tokens: "Tokens", region: str) -> tuple[Stream, ...]:
    """Inside a region: about eight authorised requests a second and six that are none."""
    return (*(allowed(world, tokens, region, key) for key in CALLS), *forbidden(world, region))


def busy(world: World, tokens: "Tokens", region: str, key: str) -> tuple[Stream, ...]:
    """One call several times at once, so that the callee needs several connections of its own; and what must be refused."""
    one = allowed(world, tokens, region, key)
    return (
        *(replace(one, name=f"{key} {number}", every=_OFTEN_SECONDS) for number in range(_CALLERS)),
        *forbidden(world, region),
    )


def straight(world: World, tokens: "Tokens", region: str, key: str, callee: Pod) -> Stream:
    """A call to one pod of the callee, by a handshake with the caller's identity: the mesh prefers pods of the caller's zone."""
    call, one = call_of(world, key), allowed(world, tokens, region, key)
    url = f"https://{callee.address}:{call.callee.port}{sample(call.operations[0].paths[0])}"
    flags = (*one.flags, "-svid", "-any-server")
    return replace(one, name=f"{key} at {callee.name}", url=url, flags=flags, user=MESH_USER, every=_OFTEN_SECONDS)


def from_outside(world: World, tokens: "Tokens", region: str) -> tuple[Stream, ...]:
    """Through the region's public load balancer and ingress gateway: with a client's token, and without."""
    route = route_of(world)
    client = route.clients[0]
    operation = route.operations[0]
    where = next(one for one in world.plan.regions if one.code == region)
    path = route.prefix + sample(next(path for path in operation.paths if path != "/"))
    flags = (
        f"-method={operation.methods[0]}",
        f"-ca={world.plan.home / 'public' / 'ca.crt'}",
        f"-address={cloud.public_address(where)}:443",
    )
    url = f"https://{world.settings.edge.domain}{path}"
    callees = _principals(world, route.service)
    gateways = tuple(world.pods(region, INGRESS.namespace, **INGRESS.selector))
    token = partial(tokens.access_token, client, route.settings.scopes)
    return (
        Stream(name=OUTSIDE, authorised=True, pod=None, url=url, callees=callees, flags=flags, token=token),
        Stream(
            name=f"{OUTSIDE} {WITHOUT_TOKEN}",
            authorised=False,
            pod=None,
            url=url,
            callees=callees,
            flags=flags,
            refused_by="mesh-authorization",
            passes=gateways,
        ),
    )


def _url(world: World, call: Call) -> str:
    return world.url(call.callee, sample(call.operations[0].paths[0]))


def _flags(call: Call) -> tuple[str, ...]:
    method = call.operations[0].methods[0]
    if method != "POST":
        return (f"-method={method}",)
    # the amount is read of a body that says to be JSON
    return (f"-method={method}", "-header=Content-Type: application/json", f'-body={{"amount_minor_units": {AMOUNT}}}')
