"""Attacks with tokens: forged ones, real ones that are not meant for this, and none, at the gateway and at the callee."""

from typing import TYPE_CHECKING, Final

from sandbox.proof.attacks.ground import ATTACKER, CALLER, Headers, asked, good_token, pod, stolen, to_callee, to_gateway
from sandbox.proof.attacks.mesh import AT_GATEWAY, AT_SIDECAR, envoy_filter, standing, without_filter
from sandbox.proof.attacks.raw import Handshake
from sandbox.proof.attacks.registry import Making, Planned, Sent, Switch
from sandbox.proof.world import World

if TYPE_CHECKING:
    from sandbox.proof.tokens import Tokens

_ROUTE: Final = "/bank-b/transfer"
_CONDITION: Final = "that a call asks for a scope is said to OPA alone; Istio's rule of the call names caller, method and path"
_FORGED: Final = {
    "wrong-audience": "A token for another audience",
    "no-audience": "A token for no audience",
    "wrong-issuer": "A token of another issuer",
    "expired": "A token after its end",
    "not-yet-valid": "A token before its begin",
    "altered": "A token with more scopes than were signed",
    "alg-none": "A token that says it needs no signature",
    "alg-hs256-public-key": "A token signed with the public key as a shared secret",
    "other-key": "A token signed by another key under the issuer's name of it",
    "kid-path": "A token whose key is a path to an empty file",
    "embedded-key": "A token that brings its own key",
}
"""Forgeries that the signature, or what every token must say, gives away."""
_UNFIT: Final = {
    "wrong-scope": "Signed by the issuer's own key, with another scope than the route's",
    "no-scope": "Signed by the issuer's own key, without any scope",
}
"""What is well signed and not enough."""


def _bearer(token: str) -> Headers:
    return (("Authorization", f"Bearer {token}"),)


def _partner(world: World, tokens: "Tokens") -> str:
    return tokens.access_token(world.graph.clients["bank-b/partner"])


def _forged_at_gateway(kind: str) -> Making:
    def make(world: World, tokens: "Tokens") -> Sent:
        return to_gateway(world, "POST", _ROUTE, _bearer(tokens.forged(kind, _partner(world, tokens))))

    return make


def _at_callee(world: World, headers: Headers, note: str) -> Sent:
    return to_callee(world, asked(world, "POST", "/transfer", headers), Handshake(shown=stolen(world, CALLER)), note=note)


def _forged_at_callee(kind: str) -> Making:
    def make(world: World, tokens: "Tokens") -> Sent:
        return _at_callee(world, _bearer(tokens.forged(kind, good_token(world, tokens))), f"{kind}, past the gateway")

    return make


def _none_at_gateway(world: World, _tokens: "Tokens") -> Sent:
    return to_gateway(world, "POST", _ROUTE)


def _none_at_callee(world: World, _tokens: "Tokens") -> Sent:
    return _at_callee(world, (), "no token, past the gateway")


def _in_query(world: World, tokens: "Tokens") -> Sent:
    return to_gateway(world, "POST", f"{_ROUTE}?access_token={_partner(world, tokens)}")


def _in_other_header(world: World, tokens: "Tokens") -> Sent:
    token = _partner(world, tokens)
    return to_gateway(world, "POST", _ROUTE, (("X-Forwarded-Access-Token", token), ("X-Jwt-Payload", token)))


def _of_other_tenant(world: World, tokens: "Tokens") -> Sent:
    return to_gateway(world, "POST", _ROUTE, _bearer(good_token(world, tokens)))


def _of_other_client(world: World, tokens: "Tokens") -> Sent:
    """The route's tenant, audience and scope; of a client that there is."""
    other = world.graph.clients["bank-a/web"].client_id
    token = tokens.claimed(_partner(world, tokens), azp=other, client_id=other)
    return to_gateway(world, "POST", _ROUTE, _bearer(token))


def _unscoped_at_callee(world: World, tokens: "Tokens") -> Sent:
    """What the issuer gives a person whose client asks for less."""
    token = tokens.access_token(world.graph.clients["bank-a/web"], ("accounts.read",))
    return _at_callee(world, _bearer(token), "a token for accounts.read alone, past the gateway")


def _identity_as_token(world: World, _tokens: "Tokens") -> Sent:
    found = world.identity(pod(world, ATTACKER), "--audience=vault")
    return _at_callee(world, _bearer(found["token"]), "a JWT-SVID for Vault as a bearer token")


def _beside(kind: str) -> Making:
    """A real token of the issuer, for the right person, that is none for calls."""

    def make(world: World, tokens: "Tokens") -> Sent:
        found = tokens.beside(world.graph.clients["bank-a/web"], kind)
        return _at_callee(world, _bearer(found), f"the {kind} of a person's sign-in as a bearer token")

    return make


def _good_at_gateway(world: World, tokens: "Tokens") -> Sent:
    return to_gateway(world, "POST", _ROUTE, _bearer(_partner(world, tokens)))


def _good_at_callee(world: World, tokens: "Tokens") -> Sent:
    return _at_callee(world, _bearer(good_token(world, tokens)), "a good token, past the gateway")


def _past_gateway(world: World, tokens: "Tokens") -> Sent:
    """The service behind the gateway, by a workload of the cluster with a good token of a client."""
    sent = asked(world, "POST", "/transfer", _bearer(_partner(world, tokens)), callee="bank-b/api-ms")
    return to_callee(world, sent, Handshake(shown=stolen(world, CALLER)), callee="bank-b/api-ms", note="not by the gateway")


def _planned(key: str, title: str, expected: str, make: Making, *, case: str = "A25", single: str = "") -> Planned:
    techniques = ("T1606", "T1550.001") if expected == "request-authentication" else ("T1528", "T1550.001")
    return Planned(
        key=f"token-{key}",
        title=title,
        family="token",
        techniques=techniques,
        case=case,
        expected=expected,
        make=make,
        single=single,
    )


ATTACKS: Final = (
    _planned("none", "No token on a route from outside", "mesh-authorization", _none_at_gateway),
    _planned("in-query", "A good token in the query", "mesh-authorization", _in_query),
    _planned("in-other-header", "A good token in headers that nobody reads", "mesh-authorization", _in_other_header),
    _planned("other-tenant", "A token of tenant A on a route of tenant B", "mesh-authorization", _of_other_tenant, case="A26"),
    _planned("past-gateway", "A good token at the service, not by the gateway", "mesh-authorization", _past_gateway),
    *(_planned(kind, title, "request-authentication", _forged_at_gateway(kind)) for kind, title in _FORGED.items()),
    *(_planned(kind, title, "mesh-authorization", _forged_at_gateway(kind)) for kind, title in _UNFIT.items()),
    _planned(
        "wrong-client",
        "Signed by the issuer's own key, of another client that the route does not name",
        "mesh-authorization",
        _of_other_client,
    ),
    _planned("none-inside", "No token on a call that asks for one", "opa", _none_at_callee, single=_CONDITION),
    _planned(
        "wrong-scope-inside",
        "A real token without the call's scope, past the gateway",
        "opa",
        _unscoped_at_callee,
        single=_CONDITION,
    ),
    _planned("expired-inside", "A token after its end, past the gateway", "request-authentication", _forged_at_callee("expired")),
    _planned("alg-none-inside", "An unsigned token, past the gateway", "request-authentication", _forged_at_callee("alg-none")),
    _planned("identity-inside", "A person's ID token, as an access token", "request-authentication", _beside("id_token")),
    _planned(
        "refresh-inside", "A person's refresh token, as an access token", "request-authentication", _beside("refresh_token")
    ),
    _planned(
        "workload-identity",
        "A workload's JWT-SVID for Vault, replayed as an access token",
        "request-authentication",
        _identity_as_token,
        case="A35",
    ),
)
SWITCHES: Final = (
    Switch(
        layer="request-authentication",
        off=standing(
            envoy_filter("tokens", [without_filter("envoy.filters.http.jwt_authn", where) for where in (AT_SIDECAR, AT_GATEWAY)]),
            (0, 1, 2),
        ),
        closed="without verified claims nothing that asks for a token passes, a good one neither: the next layer fails closed",
        good=(_good_at_gateway, _good_at_callee),
    ),
)
