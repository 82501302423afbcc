"""Workload and user identity."""

import re
from collections.abc import Iterator
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field

from components.settings.base import Model, Problem
from components.types import Arn, CountryCode, DnsName, IssuerUrl

_REALM = re.compile(r"https://[a-z0-9.-]+/realms/[a-z0-9-]+")


class UpstreamAuthoritySettings(Model):
    """What signs a region's SPIRE certificate authority."""

    kind: Literal["kms_root", "aws_private_ca"] = "kms_root"
    """A self-signed root held in KMS, or AWS Private CA."""
    private_ca: Arn | None = None
    """The private CA's ARN, with `aws_private_ca`."""


class IdentitySettings(Model):
    """SPIFFE identities of workloads and the issuer of users' tokens."""

    trust_domain_base: DnsName
    """Each region's trust domain is `<region>.<trust_domain_base>`; it can never be changed in place."""
    ca_country: CountryCode
    """Country of the authorities' subject, two letters."""
    x509_svid_ttl_minutes: int = Field(default=60, ge=5, le=60)
    """Minutes an X.509-SVID lives; it is rotated at half of that."""
    jwt_svid_ttl_minutes: int = Field(default=5, ge=1, le=15)
    """Minutes a JWT-SVID lives."""
    upstream_authority: UpstreamAuthoritySettings = UpstreamAuthoritySettings()
    """What the regional certificate authorities hang from."""
    issuer: IssuerUrl
    """The OIDC issuer of users' and clients' access tokens: Keycloak on the cluster, or an external one."""
    issuer_kind: Literal["keycloak", "external"] = "keycloak"
    """Whether the platform runs the issuer."""
    jwks_url: IssuerUrl | None = None
    """The issuer's jwks_uri, needed with `external`; Keycloak's follows from the issuer."""
    access_token_ttl_minutes: int = Field(default=5, ge=1, le=60)
    """Minutes an access token lives."""

    @property
    def issuer_host(self) -> str:
        """The host of the issuer's URL."""
        return str(urlsplit(self.issuer).hostname)

    @property
    def keys_url(self) -> str:
        """Where the issuer publishes the keys of its tokens."""
        return self.jwks_url or f"{self.issuer}/protocol/openid-connect/certs"

    @property
    def keys_host(self) -> str:
        """The host of `keys_url`."""
        return str(urlsplit(self.keys_url).hostname)

    def problems(self) -> Iterator[Problem]:
        if self.issuer_kind == "keycloak" and not _REALM.fullmatch(self.issuer):
            yield Problem(("issuer",), self.issuer, "write https://<host>/realms/<realm>: Keycloak issues under its realm's path")
        if self.issuer_kind == "keycloak" and self.issuer.endswith("/realms/master"):
            yield Problem(
                ("issuer",), self.issuer, "name a realm of its own; master administers Keycloak and is not for the public"
            )
        if self.issuer_kind == "external" and self.jwks_url is None:
            yield Problem(("jwks_url",), None, "write the jwks_uri of the issuer's /.well-known/openid-configuration")
