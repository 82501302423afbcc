"""Signed tokens by the machine's `openssl` (3.0 or newer): taken apart, signed, and forged from a real one.

A key is handed to openssl through a pipe and never reaches the disk.
"""

import base64
import hashlib
import hmac
import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_HALF: Final = 32
"""Bytes of each of the two numbers of a P-256 signature."""
_HOUR_SECONDS: Final = 3600
_FOREIGN: Final = "https://elsewhere.example"


class SigningError(Exception):
    """openssl is missing or refuses, or a token is none; the message says which."""

    user_facing = True


def b64(data: bytes) -> str:
    """Base64 of URLs, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """The bytes of what `b64` wrote."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a token; nothing is verified.

    Raises:
        SigningError: it is no token.
    """
    try:
        header, claims, _ = token.split(".")
        return json.loads(unb64(header)), json.loads(unb64(claims))
    except ValueError as error:
        msg = f"not a signed token: {token[:20]}…"
        raise SigningError(msg) from error


@dataclass(frozen=True)
class Key:
    """A private key in PEM; of RSA it signs RS256, of P-256 ES256.

    Raises:
        SigningError: from every method, without openssl or in its words.
    """

    pem: str

    @classmethod
    def rsa(cls) -> "Key":
        """A new one of 2048 bits."""
        return cls(_openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048").decode())

    @classmethod
    def p256(cls) -> "Key":
        """A new one of P-256."""
        return cls(_openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256").decode())

    @classmethod
    def read(cls, encoded: str) -> "Key":
        """One of RSA in PKCS#1, in base64 as Keycloak keeps its own."""
        lines = base64.encodebytes(base64.b64decode(encoded)).decode()
        return cls(
            _openssl("pkey", given=f"-----BEGIN RSA PRIVATE KEY-----\n{lines}-----END RSA PRIVATE KEY-----\n".encode()).decode()
        )

    @property
    def is_rsa(self) -> bool:
        """Whether it is a key of RSA."""
        return b"rsaEncryption" in _openssl("asn1parse", given=self.pem.encode())

    def point(self) -> dict[str, str]:
        """The public half of a P-256 key as a JWK has it."""
        der = _openssl("pkey", "-pubout", "-outform", "DER", given=self.pem.encode())
        return {"kty": "EC", "crv": "P-256", "x": b64(der[-2 * _HALF : -_HALF]), "y": b64(der[-_HALF:])}

    def modulus(self) -> dict[str, str]:
        """The public half of an RSA key as a JWK has it; openssl's exponent is 65537."""
        text = _openssl("rsa", "-modulus", "-noout", given=self.pem.encode()).decode()
        return {"kty": "RSA", "n": b64(bytes.fromhex(text.strip().partition("=")[2])), "e": "AQAB"}

    def sign(self, claims: Mapping[str, Any], **header: Any) -> str:
        """A token; `header` goes over the usual one."""
        rsa = self.is_rsa
        signed = _unsigned({"alg": "RS256" if rsa else "ES256", "typ": "JWT", **header}, claims)
        reading, writing = os.pipe()
        try:
            with os.fdopen(writing, "w", encoding="utf-8") as pipe:
                pipe.write(self.pem)
            made = _openssl("dgst", "-sha256", "-sign", f"/dev/fd/{reading}", given=signed.encode(), kept=(reading,))
        finally:
            os.close(reading)
        return f"{signed}.{b64(made if rsa else _numbers(made))}"


def public_pem(certificate: str) -> str:
    """The public key of a certificate, which is base64 as in a JWK's `x5c`."""
    given = base64.b64decode(certificate)
    return _openssl("x509", "-inform", "DER", "-pubkey", "-noout", given=given).decode()


def expires(token: str) -> float:
    """When a token ends, in seconds since 1970."""
    return float(parts(token)[1]["exp"])


@dataclass(frozen=True, kw_only=True)
class Forger:
    """What makes forged tokens of real ones.

    The issuer's own key signs those with one wrong claim, so that nothing but the claim is wrong; who has no key of the
    issuer's makes the others.
    """

    issuer: Key
    public: str
    """The issuer's public key in PEM, as everybody can have it."""
    other: Key
    """A key of RSA that the issuer does not know."""

    def make(self, kind: str, token: str) -> str:
        """One forgery of a real token; a KeyError when there is no such kind."""
        return _FORGERIES[kind](self, *parts(token), token)

    def claimed(self, token: str, **claims: Any) -> str:
        """The token with other claims, signed by the issuer's own key; a claim of None is left out."""
        header, known = parts(token)
        return self.issuer.sign({name: value for name, value in {**known, **claims}.items() if value is not None}, **header)


_Header = dict[str, Any]
_Forging = Callable[[Forger, _Header, _Header, str], str]


def _expired(forger: Forger, _header: _Header, _claims: _Header, token: str) -> str:
    now = int(time.time())
    return forger.claimed(token, iat=now - 2 * _HOUR_SECONDS, exp=now - _HOUR_SECONDS)


def _early(forger: Forger, _header: _Header, _claims: _Header, token: str) -> str:
    return forger.claimed(token, nbf=int(time.time()) + _HOUR_SECONDS)


def _altered(_forger: Forger, _header: _Header, claims: _Header, token: str) -> str:
    head, _, signature = token.split(".")
    more = {**claims, "scope": f"{claims.get('scope', '')} admin"}
    return f"{head}.{b64(json.dumps(more).encode())}.{signature}"


def _none(_forger: Forger, header: _Header, claims: _Header, _token: str) -> str:
    return f"{_unsigned({**header, 'alg': 'none'}, claims)}."


def _with_secret(secret: bytes, header: _Header, claims: _Header) -> str:
    signed = _unsigned({**header, "alg": "HS256"}, claims)
    return f"{signed}.{b64(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"


def _embedded(forger: Forger, header: _Header, claims: _Header, _token: str) -> str:
    own = {**forger.other.modulus(), "use": "sig", "alg": "RS256", "kid": header["kid"]}
    return forger.other.sign(claims, **{**header, "jwk": own})


_FORGERIES: Final[Mapping[str, _Forging]] = {
    "wrong-audience": lambda forger, _header, _claims, token: forger.claimed(token, aud=_FOREIGN),
    "wrong-issuer": lambda forger, _header, claims, token: forger.claimed(token, iss=f"{claims['iss']}-of-others"),
    "wrong-scope": lambda forger, _header, _claims, token: forger.claimed(token, scope="profile"),
    "no-audience": lambda forger, _header, _claims, token: forger.claimed(token, aud=None),
    "no-scope": lambda forger, _header, _claims, token: forger.claimed(token, scope=None),
    "expired": _expired,
    "not-yet-valid": _early,
    "altered": _altered,
    "alg-none": _none,
    "alg-hs256-public-key": lambda forger, header, claims, _token: _with_secret(forger.public.encode(), header, claims),
    "other-key": lambda forger, header, claims, _token: forger.other.sign(claims, **header),
    "kid-path": lambda _forger, header, claims, _token: _with_secret(b"", {**header, "kid": "../../../../../dev/null"}, claims),
    "embedded-key": _embedded,
}
FORGERIES: Final = tuple(_FORGERIES)
"""Kinds of forged tokens. All with wrong claims are signed by the issuer's own key."""


def _unsigned(header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    return ".".join(b64(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))


def _numbers(der: bytes) -> bytes:
    """An ECDSA signature as a token has it: two numbers of one length, one after the other."""
    at, found = 2, b""
    for _ in range(2):
        length = der[at + 1]
        found += der[at + 2 : at + 2 + length].lstrip(b"\0").rjust(_HALF, b"\0")
        at += 2 + length
    return found


def _openssl(*arguments: str, given: bytes = b"", kept: Sequence[int] = ()) -> bytes:
    try:
        done = subprocess.run(["openssl", *arguments], input=given, capture_output=True, check=False, pass_fds=kept)
    except FileNotFoundError:
        msg = "no openssl on PATH: tokens need version 3.0 or newer"
        raise SigningError(msg) from None
    if done.returncode != 0:
        msg = f"openssl {arguments[0]}: {' | '.join(done.stderr.decode(errors='replace').splitlines()[-3:])}"
        raise SigningError(msg)
    return done.stdout
