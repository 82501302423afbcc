"""Attacks on the wire: no encryption, an old one, other ports than the service's, bytes that two programs read differently."""

import ssl
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sandbox.proof.attacks.ground import NEIGHBOUR, asked, good_token, host, stolen, to_callee, to_gateway
from sandbox.proof.attacks.mesh import OLD_TLS, OLD_TLS_OUTSIDE, PLAIN_TEXT, TWO_ENDS
from sandbox.proof.attacks.raw import Handshake, last, request
from sandbox.proof.attacks.registry import Making, Planned, Sent
from sandbox.proof.world import World

if TYPE_CHECKING:
    from sandbox.proof.tokens import Tokens

_OLD: Final = ssl.TLSVersion.TLSv1_2
_ONCE: Final = "a version is agreed on once, by the end of TLS; nothing behind it can tell"
_UNREAD: Final = "a parser is not turned off: bytes that Envoy cannot read are no request, and come to no rule and to no service"


def _plain(port: int = 0) -> Making:
    def make(world: World, _tokens: "Tokens") -> Sent:
        return to_callee(world, asked(world, "POST", "/authorize"), None, port=port, note=f"plain text to port {port or 8080}")

    return make


def _old_version(world: World, _tokens: "Tokens") -> Sent:
    shaken = Handshake(shown=stolen(world, NEIGHBOUR), newest=_OLD)
    return to_callee(world, asked(world, "POST", "/authorize"), shaken, note="TLS 1.2 with a good identity")


def _old_version_outside(world: World, tokens: "Tokens") -> Sent:
    token = [("Authorization", f"Bearer {tokens.access_token(world.graph.clients['bank-b/partner'])}")]
    shaken = Handshake(server_name=world.settings.edge.domain, newest=_OLD)
    return to_gateway(world, "POST", "/bank-b/transfer", token, tls=shaken)


def _two_ways(name: str, *headers: tuple[str, str]) -> Making:
    """A request whose end two programs see in two places; behind it another one is hidden, which its caller may not make."""

    def make(world: World, tokens: "Tokens") -> Sent:
        number = f"attack-{uuid.uuid4()}"
        hidden = f"POST /transfer HTTP/1.1\r\nHost: x\r\nX-Request-Id: {number}\r\nConnection: close\r\n\r\n"
        kept = [
            ("Host", host(world, "bank-b/trans-ms")),
            ("Authorization", f"Bearer {good_token(world, tokens)}"),
            ("Connection", "keep-alive"),
        ]
        body = f"0\r\n\r\n{hidden}"
        lengths = [(key, value.replace("{all}", str(len(body)))) for key, value in headers]
        sent = to_callee(
            world, request("POST", "/authorize", [*kept, *lengths], body), Handshake(shown=stolen(world, NEIGHBOUR)), note=name
        )
        return replace(sent, answer=last(sent.answer), request=number)

    return make


ATTACKS: Final = (
    Planned(
        key="wire-plain-text",
        title="Plain text to a service's port, around the caller's sidecar",
        family="wire",
        techniques=("T1557", "T1040"),
        case="A19",
        expected="mesh-mtls",
        make=_plain(),
        switch=PLAIN_TEXT,
    ),
    Planned(
        key="wire-proxy-administration",
        title="The sidecar's administration port from another pod",
        family="wire",
        techniques=("T1046", "T1562.001"),
        expected="mesh-mtls",
        make=_plain(15000),
        switch=PLAIN_TEXT,
    ),
    Planned(
        key="wire-decision-port",
        title="The port of a pod's OPA from another pod",
        family="wire",
        techniques=("T1046", "T1562.001"),
        expected="mesh-mtls",
        make=_plain(9191),
        switch=PLAIN_TEXT,
    ),
    Planned(
        key="wire-old-tls",
        title="TLS 1.2 to a sidecar, with a good identity",
        family="wire",
        techniques=("T1557", "T1573"),
        expected="mesh-mtls",
        make=_old_version,
        switch=OLD_TLS,
        single=_ONCE,
    ),
    Planned(
        key="wire-old-tls-outside",
        title="TLS 1.2 to the ingress gateway, with a good token",
        family="wire",
        techniques=("T1557", "T1573"),
        expected="gateway",
        make=_old_version_outside,
        switch=OLD_TLS_OUTSIDE,
        single=_ONCE,
    ),
    Planned(
        key="wire-two-ends",
        title="A request smuggled behind a length and chunks at once",
        family="wire",
        techniques=("T1190",),
        expected="proxy",
        make=_two_ways("Content-Length and Transfer-Encoding", ("Content-Length", "4"), ("Transfer-Encoding", "chunked")),
        control="content_length_and_chunked",
        switch=TWO_ENDS,
    ),
    Planned(
        key="wire-two-lengths",
        title="A request smuggled behind two lengths",
        family="wire",
        techniques=("T1190",),
        expected="proxy",
        make=_two_ways("two Content-Length", ("Content-Length", "0"), ("Content-Length", "{all}")),
        unswitchable=_UNREAD,
    ),
    Planned(
        key="wire-other-coding",
        title="A request smuggled behind a coding that only some programs read",
        family="wire",
        techniques=("T1190",),
        expected="proxy",
        make=_two_ways("Transfer-Encoding: xchunked", ("Content-Length", "4"), ("Transfer-Encoding", "xchunked")),
        unswitchable=_UNREAD,
    ),
    Planned(
        key="wire-spaced-name",
        title="A request smuggled behind a header name with a space",
        family="wire",
        techniques=("T1190",),
        expected="proxy",
        make=_two_ways("a space before the colon", ("Transfer-Encoding ", "chunked"), ("Content-Length", "4")),
        unswitchable=_UNREAD,
    ),
)
