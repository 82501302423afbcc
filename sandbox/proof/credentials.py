"""Identities in use: SPIRE's server is asked by its own command, a proxy by its admin port, a handshake is made."""

import base64
import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from components.graph.names import SERVICE_LABEL, SPIRE_SERVER_NAMESPACE
from sandbox.proof.world import MESH_USER, Pod, ProofError, World

_SERVER: Final = "spire-server"
_COMMAND: Final = "/opt/spire/bin/spire-server"
_CERTIFICATES: Final = "http://127.0.0.1:15000/certs"
_HASH: Final = re.compile(r"Hash=([0-9a-f]{64})")


@dataclass(frozen=True, kw_only=True)
class Held:
    """What a proxy has loaded: serial numbers in hexadecimal, without leading zeros."""

    own: frozenset[str]
    """Of its own certificates."""
    authorities: frozenset[str]
    """Of the authorities that it believes."""


def held(world: World, pod: Pod) -> Held:
    """What a pod's proxy has loaded.

    Raises:
        ProofError: it does not say.
    """
    said = world.call(pod, _CERTIFICATES, user=MESH_USER)
    if not said.is_allowed:
        msg = f"the proxy of {pod} does not say what it has loaded: {said}"
        raise ProofError(msg)
    entries = said.json()["certificates"]
    return Held(own=_named(entries, "cert_chain"), authorities=_named(entries, "ca_cert"))


def _named(entries: Sequence[dict[str, Any]], kind: str) -> frozenset[str]:
    named = (one for entry in entries for one in entry.get(kind, []))
    # what is not SPIRE's has no name of a workload or a trust domain
    return frozenset(
        one["serial_number"].lstrip("0")
        for one in named
        if any(name.get("uri", "").startswith("spiffe://") for name in one.get("subject_alt_names", []))
    )


def caller_certificate(answer: str) -> str:
    """The hash of the certificate that the caller showed, from the header that the callee's proxy wrote; empty without one."""
    found = _HASH.search(answer)
    return found.group(1) if found else ""


def shown(world: World, caller: Pod, callee: Pod, port: int, path: str) -> tuple[str, str]:
    """A handshake of this moment between two pods: the hash of the caller's certificate, and the end of the callee's.

    Raises:
        ProofError: it is refused.
    """
    flags = ("-svid", "-any-server", "-method=POST", "-body={}")
    said = world.call(caller, f"https://{callee.address}:{port}{path}", *flags, user=MESH_USER)
    if not said.is_allowed or said.tls is None:
        msg = f"no handshake between {caller} and {callee}: {said}"
        raise ProofError(msg)
    return caller_certificate(said.body), str(said.tls["not_after"])


class Authority:
    """SPIRE's server of a region, asked by its own command in its pod.

    Raises:
        ProofError: from every method, in the command's words.
    """

    def __init__(self, world: World, region: str) -> None:
        self._world, self._region = world, region
        self.trust_domain = world.graph.trust_domain(region)

    def ask(self, *words: str) -> dict[str, Any]:
        """What a command answers."""
        pods = self._world.pods(self._region, SPIRE_SERVER_NAMESPACE, **{SERVICE_LABEL: "server"})
        if not pods:
            msg = f"SPIRE's server of {self._region} does not run"
            raise ProofError(msg)
        done = self._world.run(pods[0], [_COMMAND, *words, "-output", "json"], container=_SERVER)
        if done.returncode != 0:
            msg = f"spire-server {' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}"
            raise ProofError(msg)
        found: dict[str, Any] = json.loads(done.stdout or "{}")
        return found

    def active(self) -> str:
        """The authority that signs."""
        return str(self.ask("localauthority", "x509", "show")["active"]["authority_id"])

    def prepare(self) -> str:
        """Makes the next authority, or names the one that is made already."""
        known = self.ask("localauthority", "x509", "show").get("prepared")
        made = known or self.ask("localauthority", "x509", "prepare")["prepared_authority"]
        return str(made["authority_id"])

    def change(self, what: str, authority: str) -> None:
        """`activate`, `taint` or `revoke` an authority."""
        self.ask("localauthority", "x509", what, "-authorityID", authority)

    def bundle(self) -> frozenset[str]:
        """Serial numbers of the authorities that members of the trust domain believe."""
        return _authorities(self.ask("bundle", "show"))

    def believed_by(self, other: "Authority") -> frozenset[str]:
        """Serial numbers of this trust domain's authorities as another region has them, fetched anew."""
        name = f"spiffe://{self.trust_domain}"
        other.ask("federation", "refresh", "-id", name)
        listed = other.ask("bundle", "list", "-id", name)
        found = listed.get("bundles", [listed])
        return frozenset(serial for one in found for serial in _authorities(one))

    def agents(self) -> frozenset[str]:
        """Serial numbers of the agents' own certificates, as the server knows them."""
        return frozenset(str(one["x509svid_serial_number"]) for one in self.ask("agent", "list")["agents"])


def _authorities(bundle: dict[str, Any]) -> frozenset[str]:
    return frozenset(serial(base64.b64decode(one["asn1"])) for one in bundle.get("x509_authorities", []))


def serial(certificate: bytes) -> str:
    """A certificate's serial number, in hexadecimal without leading zeros.

    Args:
        certificate: DER, or PEM of which the first is read.

    Raises:
        ProofError: it is none.
    """
    form = "PEM" if certificate.startswith(b"-----") else "DER"
    command = ["openssl", "x509", "-inform", form, "-noout", "-serial"]
    done = subprocess.run(command, input=certificate, capture_output=True, check=False)
    if done.returncode != 0:
        raise ProofError(done.stderr.decode(errors="replace").strip())
    return done.stdout.decode().strip().partition("=")[2].lower().lstrip("0")
