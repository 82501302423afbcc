"""Tokens are signed and forged as they say, by openssl's own word; what a proof registers at the issuer, it takes away again."""

import base64
import hashlib
import hmac
import json
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from components.graph.model import Graph
from components.settings import load_file
from sandbox.proof import jws, tokens
from sandbox.proof.jws import FORGERIES, Forger, Key, SigningError, parts, unb64
from sandbox.proof.tokens import Tokens
from sandbox.toolchain import ROOT

if TYPE_CHECKING:
    from sandbox.proof.world import World

CLAIMS = {"iss": "https://id.example/realms/bank", "aud": "https://api.example", "azp": "bank-a.web", "scope": "openid a.read"}
SIGNED_BY_THE_ISSUER = {
    "wrong-audience",
    "wrong-issuer",
    "wrong-scope",
    "no-audience",
    "no-scope",
    "expired",
    "not-yet-valid",
}
CHANGED = {
    "wrong-audience": {"aud"},
    "wrong-issuer": {"iss"},
    "wrong-scope": {"scope"},
    "no-audience": {"aud"},
    "no-scope": {"scope"},
    "expired": {"iat", "exp"},
    "not-yet-valid": {"nbf"},
    "altered": {"scope"},
}


def public(key: Key) -> str:
    return subprocess.run(["openssl", "pkey", "-pubout"], input=key.pem, capture_output=True, text=True, check=True).stdout


def is_signed(token: str, key: Key, folder: Path) -> bool:
    """Whether openssl takes the signature for the key's, of RSA."""
    head, claims, signature = token.split(".")
    (folder / "public.pem").write_text(public(key), encoding="utf-8")
    (folder / "signature").write_bytes(unb64(signature))
    command = ["openssl", "dgst", "-sha256", "-verify", str(folder / "public.pem"), "-signature", str(folder / "signature")]
    return subprocess.run(command, input=f"{head}.{claims}".encode(), capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def forger() -> Forger:
    issuer = Key.rsa()
    return Forger(issuer=issuer, public=public(issuer), other=Key.rsa())


@pytest.fixture(scope="module")
def real(forger: Forger) -> str:
    now = int(time.time())
    return forger.issuer.sign({**CLAIMS, "iat": now, "exp": now + 300}, kid="of-the-issuer")


def test_a_token_is_signed_by_its_key_and_by_no_other(forger: Forger, real: str, tmp_path: Path) -> None:
    assert is_signed(real, forger.issuer, tmp_path)
    assert not is_signed(real, forger.other, tmp_path)
    assert parts(real)[0] == {"alg": "RS256", "typ": "JWT", "kid": "of-the-issuer"}


@pytest.mark.parametrize("kind", FORGERIES)
def test_a_forgery_is_wrong_in_what_it_is_named_for_and_in_nothing_else(
    kind: str, forger: Forger, real: str, tmp_path: Path
) -> None:
    made = forger.make(kind, real)
    assert is_signed(made, forger.issuer, tmp_path) == (kind in SIGNED_BY_THE_ISSUER)
    before, after = parts(real)[1], parts(made)[1]
    assert {name for name in {*before, *after} if before.get(name) != after.get(name)} == CHANGED.get(kind, set())


def test_a_key_as_keycloak_keeps_it_signs_as_the_same_key(forger: Forger, tmp_path: Path) -> None:
    """PKCS#1 in base64 without lines; read as another form it would sign something else."""
    command = ["openssl", "rsa", "-traditional", "-outform", "DER"]
    der = subprocess.run(command, input=forger.issuer.pem.encode(), capture_output=True, check=True).stdout
    kept = Key.read(base64.b64encode(der).decode())
    assert is_signed(kept.sign(CLAIMS), forger.issuer, tmp_path)


def test_an_expired_token_is_over_and_an_early_one_has_not_begun(forger: Forger, real: str) -> None:
    assert jws.expires(forger.make("expired", real)) < time.time() - 60
    assert parts(forger.make("not-yet-valid", real))[1]["nbf"] > time.time() + 60


def test_algorithms_and_keys_are_confused_as_forgers_do(forger: Forger, real: str, tmp_path: Path) -> None:
    none = forger.make("alg-none", real)
    assert (parts(none)[0]["alg"], none.rpartition(".")[2]) == ("none", "")
    secrets = {"alg-hs256-public-key": forger.public.encode(), "kid-path": b""}
    for kind, secret in secrets.items():
        signed, _, signature = forger.make(kind, real).rpartition(".")
        assert parts(f"{signed}.")[0]["alg"] == "HS256"
        assert unb64(signature) == hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    assert parts(forger.make("kid-path", real))[0]["kid"].startswith("../")
    for kind in ("other-key", "embedded-key"):
        assert parts(forger.make(kind, real))[0]["kid"] == "of-the-issuer"
        assert is_signed(forger.make(kind, real), forger.other, tmp_path)
    assert parts(forger.make("embedded-key", real))[0]["jwk"]["n"] == forger.other.modulus()["n"]


def test_an_unknown_forgery_is_an_error_and_so_is_what_is_no_token(forger: Forger, real: str) -> None:
    with pytest.raises(KeyError):
        forger.make("other", real)
    with pytest.raises(SigningError, match="not a signed token"):
        parts("nothing")
    with pytest.raises(SigningError, match="openssl"):
        Key("no key").sign({})


def test_a_machines_key_signs_as_its_public_half_verifies(tmp_path: Path) -> None:
    """The two numbers of the signature are put back into openssl's form and verified with the point that is registered."""
    for _ in range(8):
        key = Key.p256()
        head, claims, signature = key.sign({"iss": "bank-b.partner"}, kid="k").split(".")
        raw = unb64(signature)
        assert len(raw) == 64
        numbers = b"".join(_integer(raw[at : at + 32]) for at in (0, 32))
        (tmp_path / "signature").write_bytes(bytes([0x30, len(numbers)]) + numbers)
        point = key.point()
        prefix = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
        der = prefix + unb64(point["x"]) + unb64(point["y"])
        lines = base64.encodebytes(der).decode()
        (tmp_path / "public.pem").write_text(f"-----BEGIN PUBLIC KEY-----\n{lines}-----END PUBLIC KEY-----\n", encoding="utf-8")
        command = ["openssl", "dgst", "-sha256", "-verify", str(tmp_path / "public.pem")]
        command += ["-signature", str(tmp_path / "signature")]
        subprocess.run(command, input=f"{head}.{claims}".encode(), capture_output=True, check=True)


def _integer(number: bytes) -> bytes:
    short = number.lstrip(b"\0")
    padded = b"\0" + short if short[0] & 0x80 else short
    return bytes([2, len(padded)]) + padded


class Registered:
    """Keycloak's administration, as far as it is used: clients and users, and whether it was removed."""

    def __init__(self, own: list[dict[str, str]]) -> None:
        self.keys = json.dumps({"keys": own}, sort_keys=True)
        self.users: dict[str, Any] = {}
        self.removed = False

    def request(self, method: str, path: str, body: Any = None) -> Any:
        if (method, path.partition("?")[0]) == ("GET", "/clearing/clients"):
            return [{"id": "c", "attributes": {"jwks.string": self.keys, "other": "kept"}}]
        if method == "PUT":
            assert (path, body["attributes"]["other"]) == ("/clearing/clients/c", "kept")
            self.keys = body["attributes"]["jwks.string"]
            return ""
        if method == "GET":
            assert path.partition("?")[0] == "/clearing/users"
            return [{"id": identifier, "username": user["username"]} for identifier, user in self.users.items()]
        if method == "POST":
            self.users[body["username"]] = body
            return body["username"]
        assert method == "DELETE"
        del self.users[path.rpartition("/")[2]]
        return None

    def remove(self) -> None:
        self.removed = True


class Issued(Tokens):
    """Gives tokens without a Keycloak; the rest is as it is."""

    lives = 300.0

    def __init__(self, registered: Registered) -> None:
        settings = load_file(ROOT / "Pulumi.local.yaml")
        super().__init__(cast("World", type("Told", (), {"settings": settings, "graph": Graph.of(settings)})()))
        self.__dict__["administrator"] = registered
        self.asked: list[dict[str, str]] = []

    def _exchange(self, asked: Any) -> dict[str, str]:
        self.asked.append(dict(asked))
        claims = {"exp": time.time() + self.lives, "n": len(self.asked)}
        made = ".".join([jws.b64(b"{}"), jws.b64(json.dumps(claims).encode()), ""])
        return {"access_token": made, "id_token": f"id-{len(self.asked)}"}

    def _sign_in(self, client: Any, scopes: str, user: str) -> dict[str, str]:
        self._person(client.tenant, user)
        return self._exchange({"scope": scopes, "user": user})


@pytest.fixture
def registered() -> Registered:
    return Registered([{"kid": "partner-2026"}])


@pytest.fixture
def issued(registered: Registered) -> Issued:
    return Issued(registered)


def test_a_machine_proves_itself_by_a_key_beside_its_own(issued: Issued, registered: Registered) -> None:
    partner = issued._world.graph.clients["bank-b/partner"]
    issued.access_token(partner)
    header, claims = parts(issued.asked[0]["client_assertion"])
    known = json.loads(registered.keys)["keys"]
    assert [known[0]["kid"], known[1]["kid"]] == ["partner-2026", header["kid"]]
    assert header["alg"] == "ES256"
    assert (claims["iss"], claims["sub"], claims["aud"]) == ("bank-b.partner", "bank-b.partner", issued.issuer)
    assert claims["exp"] - claims["iat"] <= 60


def test_nothing_that_was_made_stays(issued: Issued, registered: Registered) -> None:
    graph, before = issued._world.graph, registered.keys
    with issued:
        issued.access_token(graph.clients["bank-b/partner"])
        issued.access_token(graph.clients["bank-a/web"])
        assert registered.users
        assert registered.keys != before
    assert registered.removed
    assert not registered.users
    assert registered.keys == before


LEFT = ({"kid": "partner-2026"}, {"kid": "proof-left"})


def test_what_a_killed_proof_left_goes_with_the_next_one(registered: Registered, issued: Issued) -> None:
    """People of the tenants and their machines' own keys stay."""
    registered.keys = json.dumps({"keys": LEFT})
    registered.users = {name: {"username": name} for name in ("proof-bank-a-person-0", "ada", "a-proof-reader")}
    issued.close()
    assert json.loads(registered.keys)["keys"] == [LEFT[0]]
    assert set(registered.users) == {"ada", "a-proof-reader"}


def test_a_token_is_asked_for_once_while_it_lives(issued: Issued) -> None:
    web = issued._world.graph.clients["bank-a/web"]
    first = issued.access_token(web, ["accounts.read"])
    assert issued.access_token(web, ["accounts.read"]) == first
    assert issued.access_token(web, ["transfers.write"]) != first
    assert issued.access_token(web, ["accounts.read"], "other") != first
    assert [one["scope"] for one in issued.asked] == ["accounts.read", "transfers.write", "accounts.read"]


def test_what_comes_beside_an_access_token_is_of_the_same_sign_in(issued: Issued) -> None:
    web = issued._world.graph.clients["bank-a/web"]
    issued.access_token(web)
    assert issued.beside(web, "id_token") == "id-1"
    with pytest.raises(KeyError):
        issued.beside(web, "refresh_token")


def test_a_token_that_ends_soon_is_replaced(issued: Issued) -> None:
    issued.lives = tokens._EARLY_SECONDS - 1
    web = issued._world.graph.clients["bank-a/web"]
    assert issued.access_token(web) != issued.access_token(web)


def test_a_proof_that_asked_for_no_token_makes_no_administrator() -> None:
    issued = Issued(Registered([]))
    del issued.__dict__["administrator"]
    issued.close()
    assert "administrator" not in issued.__dict__


@pytest.mark.parametrize(
    "form",
    [
        '<form id="kc-form-login" class="x" onsubmit="y" action="https://id/a?b=1&amp;c=2" method="post">',
        '<form action="https://id/a?b=1&amp;c=2" method="post" id="kc-form-login">',
    ],
)
def test_the_login_form_is_found_whatever_the_order_of_its_attributes(form: str) -> None:
    found = tokens._FORM.search(f"<html>{form}</html>")
    assert found
    assert (found.group(1) or found.group(2)) == "https://id/a?b=1&amp;c=2"
