"""Settings of game days: whether faults can be injected at all, and where."""

from collections.abc import Iterator
from datetime import date
from typing import Annotated

from pydantic import Field

from components.settings.base import Model, Problem
from components.types import matching

_DAY = matching(r"20\d\d-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])", "write a day as YYYY-MM-DD, in quotes")
Day = Annotated[str, *_DAY]
LONGEST_WINDOW_DAYS = 14


class ChaosNamespaceSettings(Model):
    """One namespace in which faults may be injected."""

    approved_by: str = Field(min_length=3, max_length=120)
    """Who answers for it."""
    first_day: Day | None = None
    """The first day on which it may be; together with `last_day`."""
    last_day: Day | None = None
    """The last day; with assurance high the settings do not load after it, so the permission cannot be forgotten."""

    def problems(self) -> Iterator[Problem]:
        if (self.first_day is None) != (self.last_day is None):
            yield Problem(("last_day",), self.last_day, "name both days of the window, or neither")
        elif self.first_day is not None and self.last_day is not None:
            days = (date.fromisoformat(self.last_day) - date.fromisoformat(self.first_day)).days
            if not 0 <= days <= LONGEST_WINDOW_DAYS:
                yield Problem(("last_day",), self.last_day, f"end the window 0 to {LONGEST_WINDOW_DAYS} days after first_day")


class ChaosSettings(Model):
    """Whether faults can be injected, and where."""

    enabled: bool = False
    """Whether Chaos Mesh is installed at all. Its daemon is privileged on every node; without it nothing of it exists."""
    namespaces: dict[str, ChaosNamespaceSettings] = Field(default_factory=dict)
    """Namespaces, of tenants and of the platform, in which faults may be injected; nowhere else, whatever an experiment says."""

    def problems(self) -> Iterator[Problem]:
        if self.namespaces and not self.enabled:
            yield Problem(("namespaces",), sorted(self.namespaces), "turn enabled on, or take the namespaces out")
