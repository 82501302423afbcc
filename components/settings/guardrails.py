"""Settings of what admission refuses, and for whom not.

An exemption names its controls, its namespaces, a reason, who approved it and the day it ends. There is no other way round a
control: neither a label nor an annotation of the object exempts it. In the namespaces it names the accounts whose pods it is for,
and of the node's files each folder by its path.
"""

import datetime as dt
from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import Field

from components.settings.base import Model, Problem
from components.types import Name

HostAccess = Literal["read", "write", "share"]
AccountName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
HostPath = Annotated[str, Field(pattern=r"^/$|^(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$")]
"""Absolute, without a slash at the end and without `..`: compared letter by letter."""
HOST_FILES: Final = "host-files"
WHOLE: Final = "kube-system"
"""The one namespace that may be exempt as a whole: the webhook is never asked about it."""

LONGEST_EXEMPTION_DAYS = 400
"""A year, and the weeks that a review takes."""


def today() -> dt.date:
    """The day exemptions are measured by, UTC."""
    return dt.datetime.now(tz=dt.UTC).date()


class ExemptionSettings(Model):
    """Service accounts of the platform to which some controls do not apply, until a day."""

    controls: tuple[Name, ...] = Field(min_length=1)
    """Controls by id (docs/guardrails.md)."""
    namespaces: tuple[Name, ...] = Field(min_length=1)
    """Namespaces of the platform, in full; a tenant is never exempt."""
    accounts: tuple[AccountName, ...] = ()
    """Service accounts in those namespaces; every other pod there is judged. None for the whole of kube-system alone."""
    host_paths: dict[HostPath, HostAccess] = Field(default_factory=dict)
    """Folders of the node that these accounts' pods may mount, in place of an exemption from `host-files`: `read`, `write`,
    or `share` where what they mount inside must appear on the node."""
    reason: str = Field(min_length=20, max_length=300)
    """What the pods there need, and why."""
    approver: str = Field(min_length=3, max_length=80)
    """Who answers for it."""
    expires: dt.date
    """Last day it holds, at most 400 days ahead."""

    def problems(self) -> Iterator[Problem]:
        if self.expires > today() + dt.timedelta(days=LONGEST_EXEMPTION_DAYS):
            yield Problem(("expires",), self.expires, f"set a date at most {LONGEST_EXEMPTION_DAYS} days ahead")
        if not self.accounts and set(self.namespaces) != {WHOLE}:
            yield Problem(("accounts",), list(self.accounts), f"name the service accounts; only {WHOLE} is exempt as a whole")
        if self.host_paths and (HOST_FILES in self.controls or not self.accounts):
            remedy = f"give the paths and the accounts, or {HOST_FILES} as a whole"
            yield Problem(("host_paths",), sorted(self.host_paths), remedy)
        if self.accounts and HOST_FILES in self.controls:
            yield Problem(("controls",), HOST_FILES, "give accounts their host_paths, not every folder of the node")
        for key in ("controls", "namespaces", "accounts"):
            named = getattr(self, key)
            if len(set(named)) < len(named):
                yield Problem((key,), list(named), "name each once")


class UnclaimedSettings(Model):
    """What a namespace may use that belongs neither to the platform nor to a tenant."""

    cpu: str = Field(default="500m", pattern=r"^[1-9]\d*m$")
    """Sum of CPU requests."""
    memory: str = Field(default="512Mi", pattern=r"^[1-9]\d*(Mi|Gi)$")
    """Sum of memory requests and limits."""
    pods: int = Field(default=5, ge=0, le=50)
    """Number of pods."""


class GuardrailSettings(Model):
    """What admission refuses, and for whom not."""

    exemptions: dict[Name, ExemptionSettings] = Field(default_factory=dict)
    """By a name of your choice. One that is over does not load with assurance high, and is dropped otherwise."""
    extra_images: dict[Name, tuple[str, ...]] = Field(default_factory=dict)
    """Repositories whose images a tenant's pods may run beside its declared ones, by tenant, in full:
    `<registry>/<repository>`, no tag, no digest."""
    replicas_maximum: int = Field(default=100, ge=3, le=1000)
    """Most replicas that a tenant's workload may have or be scaled to."""
    memory_maximum_mebibytes: int = Field(default=16384, ge=256, le=262144)
    """Most memory that one container of a tenant may be given."""
    unclaimed: UnclaimedSettings = UnclaimedSettings()
    """Limits of namespaces that nobody claims."""

    def problems(self) -> Iterator[Problem]:
        for tenant, repositories in sorted(self.extra_images.items()):
            for repository in repositories:
                first = repository.split("/")[0]
                if "@" in repository or ":" in repository.rpartition("/")[2] or "*" in repository or "." not in first:
                    yield Problem(
                        ("extra_images", tenant),
                        repository,
                        "give <registry>/<repository> without tag, digest or wildcard",
                    )

    def in_force(self, day: dt.date) -> dict[str, ExemptionSettings]:
        """The exemptions that hold on a day, by name."""
        return {name: one for name, one in sorted(self.exemptions.items()) if one.expires >= day}

    def over(self, day: dt.date) -> tuple[str, ...]:
        """Names of those that do not hold any more."""
        return tuple(sorted(set(self.exemptions) - set(self.in_force(day))))
