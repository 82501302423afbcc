"""The catalogue, typed: every control with what it maps to, what it reads and what may be configured."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

from policy.model import Findings, Params, Resource, Stack

FILE = Path(__file__).with_name("catalogue.yaml")
RULES = Path(__file__).with_name("rules")
ANY_TYPE = "*"

ResourceRule = Callable[[Resource, Params], Findings]
StackRule = Callable[[Stack, Params], Findings]


@dataclass(frozen=True, kw_only=True)
class Control:
    """One control as the catalogue states it."""

    id: str
    title: str
    policy: str
    kind: Literal["resource", "stack"]
    level: Literal["mandatory", "advisory"]
    severity: Literal["low", "medium", "high", "critical"]
    tokens: tuple[str, ...]
    nist: tuple[str, ...]
    soc2: tuple[str, ...]
    cis: tuple[str, ...]
    refs: tuple[str, ...]
    remediation: str
    rationale: str
    parameters: Mapping[str, Mapping[str, Any]]

    @property
    def module(self) -> str:
        """The rule's module name: NET-01 is ``net_01``."""
        return self.id.lower().replace("-", "_")

    @property
    def defaults(self) -> dict[str, Any]:
        """What each parameter is where the configuration does not say."""
        return {name: schema["default"] for name, schema in self.parameters.items()}

    def rule(self) -> Any:
        """The rule's ``validate``."""
        return importlib.import_module(f"policy.rules.{self.module}").validate


def _control(entry: dict[str, Any]) -> Control:
    lists = {key: tuple(entry[key]) for key in ("tokens", "nist", "soc2", "cis", "refs")}
    rest = {key: value for key, value in entry.items() if key not in lists}
    return Control(**{"parameters": {}, **rest, **lists})


@cache
def load() -> tuple[Control, ...]:
    """All controls, in the catalogue's order."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    entries = yaml.load(FILE.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 a safe loader either way
    return tuple(_control(entry) for entry in entries)


def by_id() -> dict[str, Control]:
    """The controls by id."""
    return {control.id: control for control in load()}
