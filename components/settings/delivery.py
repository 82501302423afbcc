"""Settings of GitOps, scans and runners: what a repository may deliver, what is scanned, whose workflows run beside the API."""

import datetime as dt
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from components.settings.base import Model, Problem
from components.settings.guardrails import LONGEST_EXEMPTION_DAYS, today
from components.types import DnsName, Name, matching

_REPOSITORY = matching(
    r"https://[a-z0-9.-]+\.[a-z]+(/[A-Za-z0-9_][A-Za-z0-9._-]*)+",
    "use the https URL of one repository, without user, port, wildcard or closing slash",
)
Repository = Annotated[str, *_REPOSITORY]
_FOLDER = matching(
    r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*", "use a relative folder of plain segments, without . or .."
)
Folder = Annotated[str, *_FOLDER]
_REVISION = matching(
    r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}", "use a branch, a tag or a commit; HEAD follows a default branch that may change"
)
Revision = Annotated[str, *_REVISION]
_KEY = matching(r"[0-9A-F]{16}", "use the 16 capital hex digits of the key's long id, as gpg --keyid-format long prints it")
KeyId = Annotated[str, *_KEY]
_GROUP = matching(
    r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}", "use a group as the issuer writes it in the groups claim, without comma or space"
)
Group = Annotated[str, *_GROUP]
_GITHUB = matching(
    r"https://github\.com/[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9_][A-Za-z0-9._-]{0,99}",
    "use the https URL of one repository on github.com; an organisation would give every repository of it the runner's rights",
)
GitHubRepository = Annotated[str, *_GITHUB]
_SCHEDULE = matching(r"(\S+ ){4}\S+", "use a cron schedule of five fields")
Schedule = Annotated[str, *_SCHEDULE]
_ARMOR = ("-----BEGIN PGP PUBLIC KEY BLOCK-----", "-----END PGP PUBLIC KEY BLOCK-----")


class RootSettings(Model):
    """The folder that says which applications a tenant has."""

    path: Folder
    """The folder of manifests of kind Application, each in the tenant's namespace and project; folders in it are not read."""
    revision: Revision = "main"
    """Branch, tag or commit; what it points at must be signed by one of the tenant's keys."""

    def problems(self) -> Iterator[Problem]:
        if self.revision == "HEAD":
            yield Problem(("revision",), self.revision, "name the branch; HEAD follows whatever the host calls the default")


class FreezeSettings(Model):
    """A time in which nothing is synchronised by itself."""

    schedule: Schedule
    """When it begins: cron, UTC."""
    hours: int = Field(ge=1, le=168)
    """How long it lasts."""


class TenantDeliverySettings(Model):
    """What one tenant's repository delivers into the tenant's namespace."""

    repository: Repository
    """The only source, of the root and of every application."""
    root: RootSettings
    """Where the tenant's applications are declared."""
    signing_keys: dict[KeyId, str] = Field(min_length=1)
    """Armored public OpenPGP keys by long id. A commit that none of them signed is not rendered."""
    deployers: tuple[Group, ...] = ()
    """Groups that may ask for a synchronisation of this tenant's applications."""
    readers: tuple[Group, ...] = ()
    """Groups that may look at them."""
    freezes: dict[Name, FreezeSettings] = Field(default_factory=dict)
    """Times without automatic synchronisation; a deployer may still ask for one."""

    def problems(self) -> Iterator[Problem]:
        for key, armored in sorted(self.signing_keys.items()):
            text = armored.strip()
            if not (text.startswith(_ARMOR[0]) and text.endswith(_ARMOR[1])):
                yield Problem(("signing_keys", key), "…", "paste the armored public key whole, as gpg --armor --export prints it")
        for group in sorted(set(self.deployers) & set(self.readers)):
            yield Problem(("readers",), group, "a deployer reads already; name each group once")


class GitOpsSettings(Model):
    """Argo CD."""

    enabled: bool = False
    """Whether it is installed."""
    host: DnsName | None = None
    """The name people open it under, whose DNS and balancer are theirs; None for a port-forward to https://localhost:8443."""
    client_id: Name = "argocd"
    """The issuer's public client (authorization code with PKCE, groups in the claim `groups`); there is no client secret."""
    operators: tuple[Group, ...] = ()
    """Groups that may look at every tenant's applications and refresh them; nobody administers Argo CD but this program."""
    tenants: dict[Name, TenantDeliverySettings] = Field(default_factory=dict)
    """By tenant; a tenant without an entry is delivered nothing."""

    def problems(self) -> Iterator[Problem]:
        if self.tenants and not self.enabled:
            yield Problem(("tenants",), sorted(self.tenants), "turn enabled on, or take the tenants out")
        seen: dict[str, tuple[str, str]] = {}
        for tenant, wanted in sorted(self.tenants.items()):
            for key, armored in sorted(wanted.signing_keys.items()):
                first, known = seen.setdefault(key, (tenant, armored.strip()))
                if known != armored.strip():
                    yield Problem(
                        ("tenants", tenant, "signing_keys", key),
                        "…",
                        f"{first} gives another key under this id; one of them is not it",
                    )


class ScanningSettings(Model):
    """Trivy's operator: what runs is scanned again as findings become known."""

    enabled: bool = False
    """Whether it is installed."""
    database: str = "platform/trivy-db"
    """Repository of the vulnerability database in the account's own registry, mirrored there."""
    java_database: str = "platform/trivy-java-db"
    """The same, of Java archives."""
    severities: tuple[Literal["UNKNOWN", "LOW", "MEDIUM", "HIGH", "CRITICAL"], ...] = Field(
        default=("MEDIUM", "HIGH", "CRITICAL"), min_length=1
    )
    """What is reported."""
    report_hours: int = Field(default=24, ge=1, le=168)
    """Hours after which a report is made anew."""

    def problems(self) -> Iterator[Problem]:
        if "CRITICAL" not in self.severities:
            yield Problem(("severities",), list(self.severities), "include CRITICAL; an alert rests on it")


class RunnerCredentialSettings(Model):
    """The one credential that outlives a pod, and who answers for it: docs/runners.md says why there is one."""

    secret: Name
    """Secret in `arc-runners` with `github_app_id`, `github_app_installation_id` and `github_app_private_key`; made beforehand,
    outside the program."""
    reason: str = Field(min_length=20, max_length=300)
    """What it is for, and why nothing shorter-lived serves."""
    approver: str = Field(min_length=3, max_length=80)
    """Who answers for it."""
    expires: dt.date
    """Last day it is taken, at most 400 days ahead. Afterwards the settings do not load."""

    def problems(self) -> Iterator[Problem]:
        if self.expires > today() + dt.timedelta(days=LONGEST_EXEMPTION_DAYS):
            yield Problem(("expires",), self.expires, f"set a date at most {LONGEST_EXEMPTION_DAYS} days ahead")


class RunnerSettings(Model):
    """Runners of GitHub Actions: a pod for each job of one repository, in every region's cluster."""

    repository: GitHubRepository
    """Whose workflows they run."""
    group: Name | None = None
    """Runner group; None for GitHub's default."""
    minimum: int = Field(default=0, ge=0, le=20)
    """Runners that wait for a job."""
    maximum: int = Field(default=4, ge=1, le=50)
    """Most runners at a time, in each region."""
    hosts: tuple[DnsName, ...] = ()
    """Hosts that jobs reach beside GitHub's fixed ones, the charts' and AWS's: those that GitHub assigned, the state's bucket."""
    credential: RunnerCredentialSettings
    """The key of the GitHub App."""

    def problems(self) -> Iterator[Problem]:
        if self.minimum > self.maximum:
            yield Problem(("minimum",), self.minimum, f"wait with at most maximum ({self.maximum})")
        if len(set(self.hosts)) < len(self.hosts):
            yield Problem(("hosts",), list(self.hosts), "name each once")


class DeliverySettings(Model):
    """GitOps, scans and runners."""

    gitops: GitOpsSettings = GitOpsSettings()
    """What repositories deliver."""
    scanning: ScanningSettings = ScanningSettings()
    """What is scanned where it runs."""
    runners: RunnerSettings | None = None
    """Runners on the cluster; None for none."""
