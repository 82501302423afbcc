"""One tenant's part of the plan as resources of Vault: engines, policies, logins, and what each engine issues.

Relies on: the region's login method, an unsealed Vault, in each database the role `vault_access`. Vault's provider is given by
the caller's options.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_vault as vault

from components.base import Component
from components.vault.access_plan import TenantPlan
from components.vault.database import PLUGIN, USERNAME, VAULT_CONNECTIONS, Connection, CredentialRole
from components.vault.engines import (
    AWS_MOST_SECONDS,
    KEY,
    KEY_ROTATION_SECONDS,
    ROOT_HOURS,
    AwsRole,
    CertificateRole,
    Engine,
)
from components.vault.roles import AUDIENCE, CLOCK_SKEW_SECONDS, NO_LEEWAY, SPIFFE_MOUNT, LoginMount, LoginRole


@dataclass(frozen=True, kw_only=True)
class ClientFiles:
    """What Vault shows to a tenant's databases, and by what it knows them; PEM."""

    authority: pulumi.Input[str]
    certificate: pulumi.Input[str]
    """Its common name is `vault_access`; the tenant's own authority of stores signed it."""
    key: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class AccessArgs:
    """One tenant, or the platform itself, in one region."""

    plan: TenantPlan
    mount: LoginMount
    region: str
    client: ClientFiles | None
    """Needed with a connection to a database. Without it the component raises ValueError."""
    after: Sequence[pulumi.Resource]


class Access(Component, token="zerotrust:vault:Access"):
    """What one tenant, or the platform itself, has in Vault."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: AccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._prefix, self._after, self._region = name, list(args.after), args.region
        plan, client = args.plan, args.client
        if plan.connections and client is None:
            msg = f"{name}: its databases are reached by a client certificate, and none is given"
            raise ValueError(msg)
        engines = {engine.path: self._engine(engine) for engine in plan.engines}
        policies = {
            policy.name: vault.Policy(f"{name}-policy-{policy.name}", name=policy.name, policy=policy.text, opts=self._options())
            for policy in plan.policies
        }
        logins = [self._login(role, args.mount, policies[role.policy]) for role in plan.logins]
        made = [self._key(engine.path, engines[engine.path]) for engine in plan.keyed]
        if client is not None:
            made += [self._connection(wanted, client, engines[wanted.mount]) for wanted in plan.connections]
        made += [self._credential(wanted, engines[wanted.mount]) for wanted in plan.credentials]
        made += [self._certificate(wanted, engines[wanted.mount]) for wanted in plan.certificates]
        made += [self._aws(wanted, engines[wanted.mount]) for wanted in plan.aws]
        self.ready = (*engines.values(), *logins, *made)
        self.register_outputs({})

    def _options(self, *more: pulumi.Resource) -> pulumi.ResourceOptions:
        return self.child(depends_on=[*self._after, *more])

    def _within(self, engine: pulumi.Resource) -> pulumi.ResourceOptions:
        """Of what goes when its engine does: nobody, the deployer included, may remove a root or a key by itself."""
        return self.child(depends_on=[*self._after, engine], deleted_with=engine)

    def _engine(self, engine: Engine) -> pulumi.Resource:
        name = f"{self._prefix}-{engine.kind}"
        if engine.kind == "aws":
            # No key of its own: Vault asks STS as the role of its service account.
            return vault.aws.SecretBackend(
                name,
                path=engine.path,
                description=engine.description,
                region=self._region,
                sts_region=self._region,
                sts_endpoint=f"https://sts.{self._region}.amazonaws.com",
                default_lease_ttl_seconds=AWS_MOST_SECONDS,
                max_lease_ttl_seconds=AWS_MOST_SECONDS,
                opts=self._options(),
            )
        most = ROOT_HOURS * 3600 if engine.kind == "pki" else None
        mount = vault.Mount(
            name,
            path=engine.path,
            type=engine.kind,
            description=engine.description,
            options={"version": "2"} if engine.kind == "kv" else None,
            max_lease_ttl_seconds=most,
            opts=self._options(),
        )
        if engine.kind == "pki":
            vault.pkisecret.SecretBackendRootCert(
                f"{name}-root",
                backend=engine.path,
                type="internal",
                common_name=engine.description,
                ttl=f"{ROOT_HOURS}h",
                key_type="ec",
                key_bits=384,
                exclude_cn_from_sans=True,
                opts=self._within(mount),
            )
        return mount

    def _login(self, role: LoginRole, mount: LoginMount, policy: pulumi.Resource) -> pulumi.Resource:
        if mount.path == SPIFFE_MOUNT:
            return vault.spiffe.AuthBackendRole(
                f"{self._prefix}-login-{role.name}",
                mount=mount.path,
                name=role.name,
                workload_id_patterns=[role.subject.removeprefix(f"spiffe://{mount.trust_domain}")],
                token_policies=[role.policy],
                token_no_default_policy=True,
                token_ttl=role.ttl_seconds,
                token_max_ttl=role.max_ttl_seconds,
                token_explicit_max_ttl=role.max_ttl_seconds,
                token_type="service",  # noqa: S106 - the kind of token
                opts=self._options(policy),
            )
        return vault.jwt.AuthBackendRole(
            f"{self._prefix}-login-{role.name}",
            backend=mount.path,
            role_name=role.name,
            role_type="jwt",
            bound_audiences=[AUDIENCE],
            bound_subject=role.subject,
            user_claim="sub",
            clock_skew_leeway=CLOCK_SKEW_SECONDS,
            expiration_leeway=NO_LEEWAY,
            not_before_leeway=NO_LEEWAY,
            token_policies=[role.policy],
            token_no_default_policy=True,
            token_ttl=role.ttl_seconds,
            token_max_ttl=role.max_ttl_seconds,
            token_explicit_max_ttl=role.max_ttl_seconds,
            # A batch token cannot be renewed, and its leases cannot be ended with it.
            token_type="service",  # noqa: S106 - the kind of token
            opts=self._options(policy),
        )

    def _key(self, path: str, engine: pulumi.Resource) -> pulumi.Resource:
        return vault.transit.SecretBackendKey(
            f"{self._prefix}-key",
            backend=path,
            name=KEY,
            type="aes256-gcm96",
            exportable=False,
            allow_plaintext_backup=False,
            deletion_allowed=False,
            auto_rotate_period=KEY_ROTATION_SECONDS,
            opts=self._within(engine),
        )

    def _connection(self, wanted: Connection, client: ClientFiles, engine: pulumi.Resource) -> pulumi.Resource:
        return vault.database.SecretBackendConnection(
            f"{self._prefix}-database-{wanted.name}",
            backend=wanted.mount,
            name=wanted.name,
            plugin_name=PLUGIN,
            allowed_roles=list(wanted.roles),
            # The database may come up after Vault is told of it; the first credential proves the connection.
            verify_connection=False,
            postgresql=vault.database.SecretBackendConnectionPostgresqlArgs(
                connection_url=wanted.url,
                username=wanted.username,
                tls_ca=client.authority,
                tls_certificate=client.certificate,
                private_key=pulumi.Output.secret(client.key),
                # PostgreSQL logs statements that make roles; so no password is in one.
                password_authentication="scram-sha-256",  # noqa: S106 - a method
                username_template=USERNAME,
                max_open_connections=VAULT_CONNECTIONS,
            ),
            opts=self._options(engine),
        )

    def _credential(self, wanted: CredentialRole, engine: pulumi.Resource) -> pulumi.Resource:
        return vault.database.SecretBackendRole(
            f"{self._prefix}-credential-{wanted.name}",
            backend=wanted.mount,
            name=wanted.name,
            db_name=wanted.connection,
            creation_statements=list(wanted.creation),
            revocation_statements=list(wanted.revocation),
            # Not renewable: what is called its life is its whole life.
            default_ttl=wanted.ttl_seconds,
            max_ttl=wanted.ttl_seconds,
            opts=self._options(engine),
        )

    def _certificate(self, wanted: CertificateRole, engine: pulumi.Resource) -> pulumi.Resource:
        hours = f"{wanted.ttl_hours * 3600}"
        return vault.pkisecret.SecretBackendRole(
            f"{self._prefix}-certificate-{wanted.name}",
            backend=wanted.mount,
            name=wanted.name,
            allowed_domains=[wanted.domain],
            allow_bare_domains=True,
            allow_subdomains=False,
            allow_glob_domains=False,
            allow_wildcard_certificates=False,
            allow_any_name=False,
            allow_ip_sans=False,
            allow_localhost=False,
            enforce_hostnames=True,
            server_flag=True,
            client_flag=True,
            key_type="ec",
            key_bits=256,
            ttl=hours,
            max_ttl=hours,
            opts=self._options(engine),
        )

    def _aws(self, wanted: AwsRole, engine: pulumi.Resource) -> pulumi.Resource:
        return vault.aws.SecretBackendRole(
            f"{self._prefix}-aws-{wanted.name}",
            backend=wanted.mount,
            name=wanted.name,
            credential_type="assumed_role",
            role_arns=[wanted.arn],
            default_sts_ttl=wanted.ttl_seconds,
            max_sts_ttl=wanted.ttl_seconds,
            opts=self._options(engine),
        )
