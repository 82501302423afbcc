"""Access tokens of the running Keycloak for every client of the graph, got as the client would, and forged ones made of them.

A machine proves itself by a key of its own; its public half is registered beside the client's for as long as the proof runs, as
docs/runbooks/first-up.md rotates one. A person signs in at the login page, with the authorization code flow and PKCE. Keycloak
is reached by its public name, resolver and load balancer. Nothing that is made here outlives the proof: `Tokens` is a context.
"""

import hashlib
import html
import http.client
import json
import re
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from http.cookies import SimpleCookie
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from components.graph.model import Client
from components.graph.names import ISSUER_NAMESPACE
from components.identity.issuer import realm_of
from sandbox.local.cloud import resolver_address
from sandbox.local.dns import ask
from sandbox.proof import jws
from sandbox.proof.administrator import MARK, Administrator
from sandbox.proof.jws import FORGERIES, Forger, Key
from sandbox.proof.world import ProofError, World

__all__ = ["FORGERIES", "Tokens"]
_EARLY_SECONDS: Final = 45.0
"""Before its end a token is replaced: what asks for one has a while to use it."""
_HTTPS: Final = 443
_SECONDS: Final = 60.0
_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_SECONDS: Final = 60
_FORM: Final = re.compile(r'<form[^>]*id="kc-form-login"[^>]*action="([^"]+)"|<form[^>]*action="([^"]+)"[^>]*id="kc-form-login"')
_SAID: Final = re.compile(r'id="(?:input-error[^"]*|kc-page-title)"[^>]*>\s*([^<]+)')
_STORE: Final = "accounts"
_STORE_SOCKET: Final = "/controller/run"
_SIGNING_KEY: Final = """
select config.value from component_config config join component on component.id = config.component_id
join realm on realm.id = component.realm_id
where realm.name = '{realm}' and component.provider_id = 'rsa-generated' and config.name = 'privateKey'"""


class Tokens:
    """Tokens of this proof; for many threads at once.

    Raises:
        ProofError: from every method, in Keycloak's words or with what does not come up.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.RLock()
        self._cached: dict[tuple[str, str, str], dict[str, str]] = {}
        """(client, scopes, person) → what the issuer gave at once, by the names of OAuth's token response."""
        self._people: dict[tuple[str, str], tuple[str, str, str]] = {}
        """(tenant, person) → id, name and password."""
        self._keys: dict[str, tuple[str, Key]] = {}
        """Client id → name of the key, and the key."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @cached_property
    def issuer(self) -> str:
        """The `iss` of every real token."""
        return self._world.settings.identity.issuer

    @cached_property
    def forger(self) -> Forger:
        """What makes forged tokens. The issuer's private key is read from its database, as nobody but this machine's root can."""
        encoded = next(one for one in self.keys() if one["alg"] == "RS256" and one["use"] == "sig")["x5c"][0]
        return Forger(issuer=self._issuers_key(), public=jws.public_pem(encoded), other=Key.rsa())

    def keys(self) -> list[dict[str, Any]]:
        """The issuer's public keys, as everybody can have them."""
        found: list[dict[str, Any]] = json.loads(self._visit("GET", f"{self.issuer}/protocol/openid-connect/certs")[1])["keys"]
        return found

    def access_token(self, client: Client, scopes: Sequence[str] | None = None, user: str = "person") -> str:
        """A token that lives for another 45 seconds at least.

        Args:
            client: of the graph.
            scopes: what it asks for; all that are declared for it unless said. A machine's are given, not asked for.
            user: which person signs in, for a client of people: a user of the client's tenant, made when first named.
        """
        return self._given(client, scopes, user)["access_token"]

    def beside(self, client: Client, kind: str) -> str:
        """What a person's client gets beside the access token: `id_token` or `refresh_token`; a KeyError for anything else."""
        return self._given(client, None, "person")[kind]

    def _given(self, client: Client, scopes: Sequence[str] | None, user: str) -> dict[str, str]:
        people = client.settings.grant == "authorization_code"
        wanted = " ".join(sorted(client.settings.scopes if scopes is None else scopes)) if people else ""
        key = client.client_id, wanted, user if people else ""
        with self._lock:
            known = self._cached.get(key)
            if known is None or jws.expires(known["access_token"]) - time.time() < _EARLY_SECONDS:
                known = self._sign_in(client, wanted, user) if people else self._assert(client)
                self._cached[key] = known
            return known

    def forged(self, kind: str, token: str) -> str:
        """One of `FORGERIES`, made of a real token; a KeyError when there is no such kind."""
        return self.forger.make(kind, token)

    def claimed(self, token: str, **claims: Any) -> str:
        """The token with other claims, signed by the issuer's own key; a claim of None is left out."""
        return self.forger.claimed(token, **claims)

    def close(self) -> None:
        """Removes the people, the keys and the administrator that were made, and what proofs that were killed have left."""
        with self._lock:
            if "administrator" not in self.__dict__:
                return
            for identifier in self._everybody():
                self.administrator.request("DELETE", f"/{self._realm}/users/{identifier}")
            for client_id in self._machines():
                self._register(client_id, lambda keys: [one for one in keys if not one["kid"].startswith(MARK)])
            self.administrator.remove()
            self._people.clear()
            self._keys.clear()
            self._cached.clear()
            del self.__dict__["administrator"]

    def _everybody(self) -> list[str]:
        found = self.administrator.request("GET", f"/{self._realm}/users?max=1000&username={MARK}")
        return [one["id"] for one in found if one["username"].startswith(MARK)]

    def _machines(self) -> list[str]:
        clients = self._world.graph.clients.values()
        return [client.client_id for client in clients if client.settings.grant == "client_credentials"]

    @cached_property
    def administrator(self) -> Administrator:
        """Keycloak's temporary administrator; made when first asked for, which takes Keycloak two minutes of standstill."""
        return Administrator(self._world)

    @property
    def _realm(self) -> str:
        return realm_of(self.issuer)

    def _assert(self, client: Client) -> dict[str, str]:
        name, key = self._key(client)
        now = int(time.time())
        claims = {"iss": client.client_id, "sub": client.client_id, "aud": self.issuer, "jti": secrets.token_hex(16)}
        asked = {
            "grant_type": "client_credentials",
            "client_assertion_type": _ASSERTION,
            "client_assertion": key.sign({**claims, "iat": now, "exp": now + _ASSERTION_SECONDS}, kid=name),
        }
        return self._exchange(asked)

    def _key(self, client: Client) -> tuple[str, Key]:
        if client.client_id not in self._keys:
            name, key = f"{MARK}{secrets.token_hex(4)}", Key.p256()
            own = {**key.point(), "kid": name, "alg": "ES256", "use": "sig"}
            self._register(client.client_id, lambda keys: [*keys, own])
            self._keys[client.client_id] = name, key
        return self._keys[client.client_id]

    def _register(self, client_id: str, change: Any) -> None:
        found = self.administrator.request("GET", f"/{self._realm}/clients?clientId={quote(client_id)}")[0]
        attributes = found["attributes"]
        keys = change(json.loads(attributes["jwks.string"])["keys"])
        attributes["jwks.string"] = json.dumps({"keys": keys}, sort_keys=True)
        self.administrator.request("PUT", f"/{self._realm}/clients/{found['id']}", found)

    def _person(self, tenant: str, user: str) -> tuple[str, str, str]:
        if (tenant, user) not in self._people:
            name, password = f"{MARK}{tenant}-{user}-{secrets.token_hex(4)}", secrets.token_urlsafe(18)
            given = {
                "username": name,
                "enabled": True,
                "email": f"{name}@{tenant}.example",
                "emailVerified": True,
                "firstName": user,
                "lastName": tenant,
                "credentials": [{"type": "password", "value": password, "temporary": False}],
            }
            identifier = self.administrator.request("POST", f"/{self._realm}/users", given)
            self._people[tenant, user] = identifier, name, password
        return self._people[tenant, user]

    def _sign_in(self, client: Client, scopes: str, user: str) -> dict[str, str]:
        _, name, password = self._person(client.tenant, user)
        verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(12)
        challenge = jws.b64(hashlib.sha256(verifier.encode()).digest())
        back = client.settings.redirect_uris[0]
        asked = {
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": back,
            "scope": f"openid {scopes}".strip(),
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        cookies: dict[str, str] = {}
        _, page, _ = self._visit("GET", f"{self.issuer}/protocol/openid-connect/auth?{urlencode(asked)}", cookies=cookies)
        form = _FORM.search(page)
        if form is None:
            msg = f"Keycloak shows {client.client_id} no login page: {_words(page)}"
            raise ProofError(msg)
        action = html.unescape(form.group(1) or form.group(2))
        _, page, location = self._visit("POST", action, {"username": name, "password": password}, cookies)
        said = {key: values[0] for key, values in parse_qs(urlsplit(location).query).items()}
        if not location.startswith(back) or said.get("state") != state or "code" not in said:
            msg = f"{name} cannot sign in to {client.client_id}: {said.get('error_description') or location or _words(page)}"
            raise ProofError(msg)
        code = {"grant_type": "authorization_code", "code": said["code"], "redirect_uri": back, "code_verifier": verifier}
        return self._exchange({**code, "client_id": client.client_id})

    def _exchange(self, asked: Mapping[str, str]) -> dict[str, str]:
        status, text, _ = self._visit("POST", f"{self.issuer}/protocol/openid-connect/token", asked)
        if status != http.HTTPStatus.OK:
            msg = f"Keycloak gives no token by {asked['grant_type']}: {status} {text[:300]}"
            raise ProofError(msg)
        given: dict[str, str] = json.loads(text)
        return given

    def _visit(
        self, method: str, url: str, form: Mapping[str, str] | None = None, cookies: dict[str, str] | None = None
    ) -> tuple[int, str, str]:
        """One request as a browser sends it: status, body, and where it is sent on to; `cookies` are shown and kept."""
        where = urlsplit(url)
        host = str(where.hostname)
        home = self._world.plan.region(self._world.home_region)
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if form is not None else {}
        if cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        connection = http.client.HTTPConnection(host)
        try:
            address = ask(resolver_address(home), host)[0]
            plain = socket.create_connection((address, where.port or _HTTPS), _SECONDS)
            connection.sock = self._tls.wrap_socket(plain, server_hostname=host)
            payload = urlencode(form) if form is not None else None
            connection.request(method, where.path + (f"?{where.query}" if where.query else ""), payload, headers)
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        except (OSError, IndexError, http.client.HTTPException) as error:
            msg = f"{host} does not answer by the public load balancer: {type(error).__name__}: {error}"
            raise ProofError(msg) from error
        finally:
            connection.close()
        for line in answer.headers.get_all("Set-Cookie", []):
            for name, morsel in SimpleCookie(line).items():
                if cookies is not None:
                    cookies[name] = morsel.value
        return answer.status, text, answer.headers.get("Location", "")

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self._world.plan.home / "public" / "ca.crt"))

    def _issuers_key(self) -> Key:
        for pod in self._world.pods(self._world.home_region, ISSUER_NAMESPACE, **{"cnpg.io/cluster": _STORE}):
            query = _SIGNING_KEY.format(realm=self._realm)
            done = self._world.run(pod, ["psql", "-h", _STORE_SOCKET, "-d", _STORE, "-tAc", query])
            if done.returncode == 0 and done.stdout.strip():
                return Key.read(done.stdout.strip())
        msg = "the issuer's own key is not in its database"
        raise ProofError(msg)


def _words(page: str) -> str:
    return " ".join(found.strip() for found in _SAID.findall(page)) or page[:200]
