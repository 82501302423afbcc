"""Settings of metrics, logs, traces and alerts: how long they are kept, and who is told."""

from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import Field

from components.settings.base import Model, Problem
from components.settings.tenants import mebibytes
from components.types import Days, DnsName, IssuerUrl, Memory, Name, RegionCode, Storage, matching

_WORKSPACE = matching(r"ws-[0-9a-f-]{36}", "use the id of a workspace of Amazon Managed Service for Prometheus, ws-<uuid>")
WorkspaceId = Annotated[str, *_WORKSPACE]
_CHANNEL = matching(r"#[a-z0-9_-]{1,79}", "write a Slack channel with its #, in quotes")
Channel = Annotated[str, *_CHANNEL]

PAGER_HOST, CHAT_HOST = "events.pagerduty.com", "hooks.slack.com"
LEAST_VOLUME: Final = "10Gi"
"""Badger keeps two files of values of 1 GiB each open, and rewrites one to give room back."""
PLATFORM_LOGS = ("audit", "platform", "security")
"""Names under which the platform's own logs are kept, beside a name for each tenant."""


class MetricsSettings(Model):
    """Prometheus, two of it in every cluster."""

    retention_days: Days = 15
    """Days a sample is kept in the cluster."""
    storage: Storage = "100Gi"
    """Volume of each Prometheus; nine tenths of it are used before the oldest samples go."""
    memory: Memory = "4Gi"
    """Memory of each Prometheus."""
    workspaces: dict[RegionCode, WorkspaceId] = Field(default_factory=dict)
    """Workspaces of Amazon Managed Service for Prometheus that a region's samples are also written to."""


class TenantLogSettings(Model):
    """What one tenant's logs may take."""

    retention_days: Days = 30
    """Days a line is kept."""
    mebibytes_per_second: int = Field(default=4, ge=1, le=256)
    """Lines taken in; what is above is refused and counted, so that one tenant's noise does not silence another."""
    streams: int = Field(default=5000, ge=100, le=500_000)
    """Active streams at once."""


class LogSettings(Model):
    """Loki, on the region's bucket of logs."""

    tenants: dict[Name, TenantLogSettings] = Field(default_factory=dict)
    """Limits by tenant, or by `audit`, `platform`, `security`; whoever is not named has the defaults."""
    cache: Storage = "20Gi"
    """Volume of each Loki: what is not yet in the bucket, and the index in use."""


class TraceSettings(Model):
    """The store of traces: Tempo on the region's bucket, or a Jaeger for each tenant on a volume of its own."""

    store: Literal["tempo", "jaeger"] = "tempo"
    """Who keeps traces. Jaeger has no bucket: what it holds is gone with its volume, or with the volume's zone."""
    retention_days: Days = 14
    """Days a trace is kept."""
    cache: Storage = "20Gi"
    """Tempo: volume of what is not yet in the bucket."""
    volume: Storage | None = None
    """Jaeger: volume of each tenant's traces, all of `retention_days`; encrypted with the region's data key."""

    def problems(self) -> Iterator[Problem]:
        if self.store == "tempo" and self.volume is not None:
            yield Problem(("volume",), self.volume, "leave it out, or set store to jaeger: Tempo keeps traces in the bucket")
        if self.store == "jaeger" and self.volume is None:
            yield Problem(("volume",), None, "give a size, for example 100Gi: Jaeger keeps every trace on it, it has no bucket")
        if self.volume is not None and mebibytes(self.volume) < mebibytes(LEAST_VOLUME):
            yield Problem(("volume",), self.volume, f"give at least {LEAST_VOLUME}: the files that Jaeger opens would fill it")


class AlertSettings(Model):
    """Who is told. Keys and addresses that are secrets are Vault's; here stands whether and where."""

    pagerduty: bool = False
    """Wake somebody by PagerDuty for alerts of severity page."""
    slack_channel: Channel | None = None
    """Channel of alerts of severity ticket, and of pages beside the pager."""
    deadman_host: DnsName | None = None
    """Host outside the platform that is told every minute that alerts work, and raises one itself when it is not."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Keys that the secret `alertmanager/receivers` in Vault must hold: a routing key and two addresses."""
        wanted = (("deadman", self.deadman_host), ("pagerduty", self.pagerduty), ("slack", self.slack_channel))
        return tuple(key for key, receiver in wanted if receiver)


class LoginSettings(Model):
    """Endpoints of an issuer, as its /.well-known/openid-configuration has them."""

    auth_url: IssuerUrl
    """The authorization_endpoint, which the person's browser opens."""
    token_url: IssuerUrl
    """The token_endpoint."""
    userinfo_url: IssuerUrl
    """The userinfo_endpoint."""


class DashboardSettings(Model):
    """Grafana."""

    login: LoginSettings | None = None
    """Where people sign in, with an external issuer; None for Keycloak's paths below the issuer."""

    client_id: str = Field(default="grafana", min_length=1, max_length=80)
    """Public client of the environment's issuer, authorization code with PKCE: there is no secret."""
    admin_role: str = Field(default="platform-security", min_length=1, max_length=80)
    """Role in the `roles` claim that may change data sources."""
    viewer_role: str = Field(default="platform-viewer", min_length=1, max_length=80)
    """Role in the `roles` claim that may read; whoever has neither is not let in."""


class ObservabilitySettings(Model):
    """Metrics, logs, traces and alerts."""

    metrics: MetricsSettings = MetricsSettings()
    """Metrics."""
    logs: LogSettings = LogSettings()
    """Logs."""
    traces: TraceSettings = TraceSettings()
    """Traces."""
    alerts: AlertSettings = AlertSettings()
    """Who is told."""
    dashboards: DashboardSettings = DashboardSettings()
    """Who may sign in to Grafana."""
    runbooks_url: IssuerUrl | None = None
    """Where docs/runbooks/alerts is published, without a closing slash; each alert then carries its runbook's address."""

    @property
    def alert_hosts(self) -> tuple[str, ...]:
        """Hosts that alerts are sent to."""
        wanted = (
            PAGER_HOST if self.alerts.pagerduty else None,
            CHAT_HOST if self.alerts.slack_channel else None,
            self.alerts.deadman_host,
        )
        return tuple(sorted(host for host in wanted if host))

    def problems(self) -> Iterator[Problem]:
        if self.runbooks_url and self.runbooks_url.endswith("/"):
            yield Problem(("runbooks_url",), self.runbooks_url, "drop the closing slash")
        roles = self.dashboards
        if roles.admin_role == roles.viewer_role:
            yield Problem(("dashboards", "viewer_role"), roles.viewer_role, "name another role than admin_role's")
