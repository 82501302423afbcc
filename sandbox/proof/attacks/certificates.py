"""Certificates of an attacker: of an authority of its own, of nobody but itself, and real ones that SPIRE's server mints."""

import re
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from components.graph.names import SPIRE_SERVER_NAMESPACE
from sandbox.certificates import Authority
from sandbox.proof.attacks.raw import Shown
from sandbox.proof.world import ProofError, World

_SERVER: Final = "/opt/spire/bin/spire-server"
_SOCKET: Final = "/tmp/spire-server/private/api.sock"  # noqa: S108 - in the server's own container
_CONTAINER: Final = "spire-server"
_PEM: Final = r"(?ms)^%s:\n(-----BEGIN [A-Z ]+-----.+?-----END [A-Z ]+-----\n)"


def forged(*names: str) -> Shown:
    """A certificate for SPIFFE IDs, of an authority that nobody trusts, which is shown with it."""
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(Path(folder) / "authority")
        certificate, key = authority.server("workload", also=[f"URI:{name}" for name in names])
        behind = authority.certificate.read_text(encoding="ascii")
        return Shown(chain=certificate.read_text(encoding="ascii") + behind, key=key.read_text(encoding="ascii"))


def self_signed(name: str) -> Shown:
    """A certificate for a SPIFFE ID that only itself vouches for."""
    made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-subj", "/O=SPIRE", "-days", "1"]
    written = _openssl([*made, "-addext", f"subjectAltName=URI:{name}", "-keyout", "-"])
    key, _, certificate = written.partition("-----BEGIN CERTIFICATE-----")
    return Shown(chain=f"-----BEGIN CERTIFICATE-----{certificate}", key=key)


def minted(world: World, region: str, name: str, seconds: int = 300) -> Shown:
    """A real SVID of a region's trust domain, as a stolen one would be: minted by SPIRE's server for this SPIFFE ID.

    Raises:
        ProofError: in the server's words.
    """
    server = next((pod for pod in world.pods(region, SPIRE_SERVER_NAMESPACE) if _CONTAINER in pod.processes), None)
    if server is None:
        msg = f"SPIRE's server does not run in {region}"
        raise ProofError(msg)
    asked = [_SERVER, "x509", "mint", "-spiffeID", name, "-ttl", f"{seconds}s", "-socketPath", _SOCKET]
    done = world.run(server, asked, container=_CONTAINER)
    chain, key = (re.search(_PEM % what, done.stdout) for what in ("X509-SVID", "Private key"))
    if done.returncode != 0 or chain is None or key is None:
        msg = f"SPIRE's server mints nothing for {name}: {done.stderr.strip()}"
        raise ProofError(msg)
    return Shown(chain=chain[1], key=key[1])


def has_ended(shown: Shown) -> bool:
    """Whether a certificate has ended by now."""
    done = subprocess.run(
        ["openssl", "x509", "-noout", "-checkend", "0"], input=shown.chain, capture_output=True, text=True, check=False
    )
    return done.returncode == 1


def _openssl(arguments: list[str]) -> str:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        msg = f"openssl {arguments[0]}: {done.stderr.strip()}"
        raise ProofError(msg)
    return done.stdout
