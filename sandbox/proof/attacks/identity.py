"""Attacks on identity: certificates of nobody who may sign, real identities that have no business here, and claims of one."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sandbox.proof.attacks.certificates import forged, has_ended, minted, self_signed
from sandbox.proof.attacks.ground import ATTACKER, CALLER, NEIGHBOUR, as_workload, asked, name_of, to_callee
from sandbox.proof.attacks.mesh import AUTHORITIES
from sandbox.proof.attacks.raw import Handshake, Shown
from sandbox.proof.attacks.registry import Making, Planned, Sent
from sandbox.proof.world import World

if TYPE_CHECKING:
    from sandbox.proof.tokens import Tokens

_EVERYTHING: Final = "whoever may sign for a name is that name to every layer behind; the authorities are the root of it all"
_UNTRUSTED: Final = ("T1649", "T1557")


def _showing(note: str, made: Callable[[World], Shown | None]) -> Making:
    def make(world: World, _tokens: "Tokens") -> Sent:
        return to_callee(world, asked(world, "POST", "/authorize"), Handshake(shown=made(world)), note=note)

    return make


def _ended(world: World) -> Shown:
    shown = minted(world, world.home_region, name_of(world, NEIGHBOUR), 1)
    World.wait("the end of an identity of a second", lambda: has_ended(shown))
    return shown


def _shown(key: str, title: str, note: str, made: Callable[[World], Shown | None], single: str = "") -> Planned:
    return Planned(
        key=key,
        title=title,
        family="identity",
        techniques=_UNTRUSTED,
        case="A27",
        expected="mesh-mtls",
        make=_showing(note, made),
        single=single,
        switch=AUTHORITIES,
    )


def _real(key: str, title: str, make: Making, techniques: tuple[str, ...], case: str) -> Planned:
    return Planned(
        key=key, title=title, family="identity", techniques=techniques, case=case, expected="mesh-authorization", make=make
    )


_SPOOFED: Final = (
    ("X-Forwarded-Client-Cert", "By=spiffe://x;Hash=0;URI=spiffe://eu-west-1.local.mycompany.internal/ns/bank-a/sa/api-ms"),
)

ATTACKS: Final = (
    _shown(
        "identity-none",
        "A handshake without a certificate",
        "no certificate",
        lambda _world: None,
    ),
    _shown(
        "identity-own-authority",
        "The right SPIFFE ID, signed by an authority of the attacker's",
        "an own authority",
        lambda world: forged(name_of(world, NEIGHBOUR)),
        _EVERYTHING,
    ),
    _shown(
        "identity-self-signed",
        "The right SPIFFE ID, signed by itself",
        "self-signed",
        lambda world: self_signed(name_of(world, NEIGHBOUR)),
        _EVERYTHING,
    ),
    _shown(
        "identity-expired", "A real SVID that SPIRE minted, after its end", "an SVID of one second, ended", _ended, _EVERYTHING
    ),
    _shown(
        "identity-foreign-domain",
        "A workload of a trust domain that nobody federates with, by that domain's own authority",
        "spiffe://elsewhere.example",
        lambda world: forged(name_of(world, NEIGHBOUR, "elsewhere.example")),
    ),
    _shown(
        "identity-other-domain",
        "The right path in a trust domain whose name ends like ours, by its own authority",
        "the right path, another domain",
        lambda world: forged(name_of(world, NEIGHBOUR, world.settings.identity.trust_domain_base)),
    ),
    _shown(
        "identity-no-spiffe-id",
        "A name that is no SPIFFE ID, signed by an authority of the attacker's",
        "a name of the web",
        lambda _world: forged("https://trans-ms.bank-b.svc.cluster.local"),
    ),
    _shown(
        "identity-two-names",
        "Two SPIFFE IDs, neither of them a caller's, signed by an authority of the attacker's",
        "two SPIFFE IDs",
        lambda world: forged(name_of(world, ATTACKER), name_of(world, "bank-a/trans-ms")),
    ),
    _real(
        "identity-federated",
        "A federated workload of the other region that no call names",
        as_workload(ATTACKER, "POST", "/transfer", from_other_region=True, token=True),
        ("T1199", "T1210"),
        "A27",
    ),
    _real(
        "identity-federated-elsewhere",
        "A caller's name in the other region, for a call that stays in its own",
        as_workload(NEIGHBOUR, "POST", "/authorize", from_other_region=True),
        ("T1199", "T1210"),
        "A27",
    ),
    _real(
        "identity-lateral",
        "Another tenant's workload, with a good identity and token, to a service that it does not call",
        as_workload(ATTACKER, "POST", "/transfer", token=True),
        ("T1210", "T1021"),
        "A22",
    ),
    _real(
        "identity-forwarded-certificate",
        "A header that says the caller was somebody else",
        as_workload(ATTACKER, "POST", "/transfer", _SPOOFED, token=True),
        ("T1036", "T1134"),
        "A24",
    ),
    _real(
        "identity-tenant-header",
        "Headers that say the caller is of the callee's tenant, and inside",
        as_workload(
            ATTACKER,
            "POST",
            "/authorize",
            (("X-Tenant-Id", "bank-b"), ("X-Envoy-Internal", "true"), ("X-Forwarded-For", "127.0.0.1")),
        ),
        ("T1036", "T1134"),
        "A24",
    ),
    _real(
        "identity-callers-other-call",
        "A caller of one path on the path of another caller",
        as_workload(CALLER, "POST", "/authorize", token=True),
        ("T1210",),
        "A22",
    ),
)
