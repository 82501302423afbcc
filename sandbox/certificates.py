"""Certificates of one local control plane: an authority, what its servers present, what its clients present.

Made by the machine's `openssl` (3.0 or newer); ECDSA P-256, valid for one day, keys readable by this user only.
"""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_DAYS: Final = "1"
_CURVE: Final = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc")
# etcd presents its serving certificate as a client to its own peers too
_SERVES: Final = "extendedKeyUsage=serverAuth,clientAuth"
_LOOPBACK: Final = ("DNS:localhost", "DNS:kubernetes.default.svc", "IP:127.0.0.1")


class CertificateError(Exception):
    """openssl is missing or refuses; the message says which and why."""

    user_facing = True


class Authority:
    """A certificate authority in a folder of its own; every leaf is a pair (certificate, key) of files.

    Raises:
        CertificateError: from every method, without openssl or with its last line.
    """

    certificate: Path

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, mode=0o700)
        self._folder = folder
        self.certificate, self._key = folder / "ca.crt", folder / "ca.key"
        extensions = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign")
        self._request("/CN=sandbox", extensions, self.certificate, self._key)

    def server(self, name: str, *, also: Sequence[str] = ()) -> tuple[Path, Path]:
        """For a server on loopback, and under what `also` says in openssl's words (`IP:10.0.0.1`, `DNS:name`)."""
        return self._leaf(f"/CN={name}", name, (f"subjectAltName={','.join((*_LOOPBACK, *also))}", _SERVES))

    def client(self, name: str, group: str = "") -> tuple[Path, Path]:
        """For a client: the server sees the user `name`, in `group` if one is given."""
        subject = (f"/O={group}" if group else "") + f"/CN={name}"
        return self._leaf(subject, name.replace(":", "-"), ("extendedKeyUsage=clientAuth",))

    def signing_key(self, name: str) -> tuple[Path, Path]:
        """A key pair alone (public, private; PEM): service account tokens are verified and signed with it."""
        public, private = self._folder / f"{name}.pub", self._folder / f"{name}.key"
        self._openssl(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(private)])
        private.chmod(0o600)
        self._openssl(["pkey", "-in", str(private), "-pubout", "-out", str(public)])
        return public, private

    def _leaf(self, subject: str, name: str, extensions: Sequence[str]) -> tuple[Path, Path]:
        certificate, key = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        usual = ("basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature")
        signer = ("-CA", str(self.certificate), "-CAkey", str(self._key))
        self._request(subject, (*usual, *extensions), certificate, key, signer)
        return certificate, key

    def _request(self, subject: str, extensions: Sequence[str], certificate: Path, key: Path, signer: Sequence[str] = ()) -> None:
        added = [part for extension in extensions for part in ("-addext", extension)]
        files = ["-keyout", str(key), "-out", str(certificate)]
        # without a configuration of its own openssl adds the machine's extensions, twice the ones named here
        plain = ["-config", "/dev/stdin"]
        command = ["req", "-x509", *plain, *_CURVE, "-days", _DAYS, "-subj", subject, *added, *signer, *files]
        self._openssl(command, "[req]\ndistinguished_name = dn\n[dn]\n")
        key.chmod(0o600)

    @staticmethod
    def _openssl(arguments: Sequence[str], given: str = "") -> None:
        try:
            done = subprocess.run(["openssl", *arguments], input=given, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            msg = "no openssl on PATH: the local control plane needs version 3.0 or newer for its certificates"
            raise CertificateError(msg) from None
        if done.returncode != 0:
            msg = f"openssl {arguments[0]}: {' | '.join(done.stderr.splitlines()[-3:])}"
            raise CertificateError(msg)
