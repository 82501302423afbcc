"""Settings of detection at run time and whom it tells.

Every event goes to the audit stream, to Loki and, from a priority on, to Alertmanager, which groups and silences; Slack and
PagerDuty hear directly only what must reach somebody even when Prometheus and Alertmanager are down.
"""

import re
from collections.abc import Iterator
from typing import Final, Literal, get_args

from pydantic import Field

from components.settings.base import Model, Problem
from components.types import Image

Priority = Literal["debug", "informational", "notice", "warning", "error", "critical", "alert", "emergency"]
PRIORITIES: Final[tuple[str, ...]] = get_args(Priority)
"""From the least on."""
Direct = Literal["critical", "alert", "emergency"]
"""What may pass Alertmanager by: nothing groups or silences it on this way."""


EXECUTABLE = re.compile(r"[A-Za-z0-9_.+@:-]{1,64}")
"""Name of a file, without its folder: rules compare a process's name with it."""
SLACK_HOST = "hooks.slack.com"
SLACK_KEY, PAGERDUTY_KEY = "slack_webhook_url", "pagerduty_routing_key"
PAGERDUTY_HOSTS = {"us": "events.pagerduty.com", "eu": "events.eu.pagerduty.com"}


class SlackSettings(Model):
    """A Slack channel; its webhook's URL lies in Vault under `falcosidekick/outputs`, key `slack_webhook_url`."""

    minimum_priority: Direct = "critical"
    """Least priority that is posted."""


class PagerDutySettings(Model):
    """A PagerDuty service; its routing key lies in Vault under `falcosidekick/outputs`, key `pagerduty_routing_key`."""

    region: Literal["us", "eu"] = "eu"
    """The service region of the account."""
    minimum_priority: Direct = "critical"
    """Least priority that pages."""


class ResponderSettings(Model):
    """What acts on events: it raises the risk of the workload that did it, and at high risk puts its pod into quarantine."""

    image: Image
    """The program of `tools/responder`."""
    minimum_priority: Priority = "warning"
    """Least priority that is posted to it and raises the risk, to medium."""
    high_priority: Priority = "error"
    """Least priority that raises the risk to high and puts the pod into quarantine."""

    def problems(self) -> Iterator[Problem]:
        if PRIORITIES.index(self.high_priority) < PRIORITIES.index(self.minimum_priority):
            remedy = f"name {self.minimum_priority} or above: what is below minimum_priority is never posted"
            yield Problem(("high_priority",), self.high_priority, remedy)


class RuntimeSettings(Model):
    """Detection at run time and whom it tells."""

    minimum_priority: Priority = "notice"
    """Falco loads no rule of a lesser priority."""
    loki_minimum_priority: Priority = "notice"
    """Least priority that is written to Loki, under the tenant `security`."""
    alert_minimum_priority: Priority = "warning"
    """Least priority that becomes an alert in Alertmanager, which groups by rule and workload."""
    alert_expiry_minutes: int = Field(default=60, ge=5, le=1440)
    """Minutes after its last event that an alert is taken for resolved."""
    slack: SlackSettings | None = None
    """Slack, from critical on; none tells nobody there."""
    pagerduty: PagerDutySettings | None = None
    """PagerDuty, from critical on; what it hears directly Alertmanager files as a ticket, so nobody is woken twice."""
    responder: ResponderSettings | None = None
    """Who acts on events by itself; none leaves them to people."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Keys that the secret `falcosidekick/outputs` in Vault must hold."""
        wanted = ((PAGERDUTY_KEY, self.pagerduty), (SLACK_KEY, self.slack))
        return tuple(key for key, output in wanted if output is not None)

    @property
    def output_hosts(self) -> tuple[str, ...]:
        """Hosts of the internet that the outputs turned on are at."""
        slack = (SLACK_HOST,) if self.slack else ()
        return (*slack, *((PAGERDUTY_HOSTS[self.pagerduty.region],) if self.pagerduty else ()))
