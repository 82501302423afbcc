"""The platform's own pages as clients of the realm, and the scopes that a realm made from a file lacks.

Keycloak makes none of its own scopes in a realm whose file names any (RealmManager.importRealm, 26.0), and leaves out without an
error what a client asks of them: without `basic` no token has a `sub`. So every scope that a client names is written here. A page
is a public client, authorization code with PKCE: there is no secret. Its token is nobody's pass to the API: it lacks the audience
that every enforcing layer asks for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

Scope = dict[str, Any]


def _mapper(name: str, kind: str, **config: str) -> dict[str, Any]:
    where = {f"{place}.claim": "true" for place in ("access.token", "id.token", "introspection.token", "userinfo.token")}
    settings = {key.replace("_", "."): value for key, value in config.items()}
    return {"name": name, "protocol": "openid-connect", "protocolMapper": kind, "config": {**where, **settings}}


def _attribute(claim: str, attribute: str) -> dict[str, Any]:
    return _mapper(claim, "oidc-usermodel-attribute-mapper", user_attribute=attribute, claim_name=claim, jsonType_label="String")


def _scope(name: str, *mappers: dict[str, Any], told: bool = True) -> Scope:
    attributes = {"include.in.token.scope": str(told).lower(), "display.on.consent.screen": "false"}
    return {"name": name, "protocol": "openid-connect", "attributes": attributes, "protocolMappers": list(mappers)}


OWN_SCOPES: Final[tuple[Scope, ...]] = (
    _scope("basic", _mapper("sub", "oidc-sub-mapper"), told=False),
    _scope("email", _attribute("email", "email")),
    _scope("groups", _mapper("groups", "oidc-group-membership-mapper", full_path="false", claim_name="groups")),
    _scope("profile", _attribute("preferred_username", "username"), _mapper("name", "oidc-full-name-mapper")),
    _scope(
        "roles",
        _mapper("roles", "oidc-usermodel-realm-role-mapper", claim_name="roles", multivalued="true", jsonType_label="String"),
        told=False,
    ),
)
"""Scopes by the names that OpenID Connect and the pages use."""


@dataclass(frozen=True, kw_only=True)
class PageClient:
    """One page of the platform that people sign in to."""

    client_id: str
    redirect_uris: tuple[str, ...]
    """In full; no wildcard."""
    roles: tuple[str, ...] = ()
    """Roles of the realm that its `roles` claim may name; no other role of a person's is told to it."""


def page_client(page: PageClient) -> dict[str, Any]:
    """The page as the realm's file has it."""
    return {
        "clientId": page.client_id,
        "enabled": True,
        "protocol": "openid-connect",
        "publicClient": True,
        "standardFlowEnabled": True,
        "implicitFlowEnabled": False,
        "directAccessGrantsEnabled": False,
        "serviceAccountsEnabled": False,
        "fullScopeAllowed": False,
        "redirectUris": list(page.redirect_uris),
        "webOrigins": ["+"],
        "attributes": {"pkce.code.challenge.method": "S256", "use.refresh.tokens": "true"},
        "defaultClientScopes": [scope["name"] for scope in OWN_SCOPES],
        "optionalClientScopes": [],
        "protocolMappers": [],
    }


def page_roles(pages: Sequence[PageClient]) -> dict[str, Any]:
    """The realm's roles of pages, and which page is told which; nothing without roles."""
    names = sorted({role for page in pages for role in page.roles})
    if not names:
        return {}
    return {
        "roles": {"realm": [{"name": name} for name in names]},
        "scopeMappings": [{"client": page.client_id, "roles": sorted(page.roles)} for page in pages if page.roles],
    }
