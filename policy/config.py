"""The configuration of the pack per environment, resolved as the Pulumi CLI resolves it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from policy.catalogue import Control

FOLDER = Path(__file__).with_name("config")
LEVELS = ("advisory", "mandatory", "disabled")
ALL = "all"
LEVEL_KEY = "enforcementLevel"


class ConfigError(ValueError):
    """A configuration file that the pack cannot use."""


@dataclass(frozen=True, kw_only=True)
class PolicyConfig:
    """Level and parameters of one policy."""

    level: str
    params: dict[str, Any]


def file_for(environment: str, folder: Path = FOLDER) -> Path:
    """The configuration file of an environment.

    Raises:
        ConfigError: for an environment without one.
    """
    path = folder / f"{environment}.json"
    if not path.is_file():
        msg = f"there is no policy configuration {path.name}"
        raise ConfigError(msg)
    return path


def resolve(data: Any, controls: Sequence[Control]) -> dict[str, PolicyConfig]:
    """Level and parameters per policy: the policy's own level, else ``all``, else the catalogue's.

    Raises:
        ConfigError: for a name, level or parameter that does not exist.
    """
    if not isinstance(data, dict):
        msg = "a policy configuration must be an object"
        raise ConfigError(msg)
    unknown = sorted(set(data) - {control.policy for control in controls} - {ALL})
    if unknown:
        msg = f"the configuration names policies that do not exist: {', '.join(unknown)}"
        raise ConfigError(msg)
    common, _ = _split(ALL, data.get(ALL, {}), None)
    resolved = {}
    for control in controls:
        own, params = _split(control.policy, data.get(control.policy, {}), control)
        resolved[control.policy] = PolicyConfig(level=own or common or control.level, params={**control.defaults, **params})
    return resolved


def _split(name: str, value: Any, control: Control | None) -> tuple[str | None, dict[str, Any]]:
    entry = {LEVEL_KEY: value} if isinstance(value, str) else value
    if not isinstance(entry, dict):
        msg = f"{name}: must be a level or an object"
        raise ConfigError(msg)
    level = entry.get(LEVEL_KEY)
    if level is not None and level not in LEVELS:
        msg = f"{name}: {LEVEL_KEY} is none of {', '.join(LEVELS)}"
        raise ConfigError(msg)
    params = {key: item for key, item in entry.items() if key != LEVEL_KEY}
    strangers = sorted(set(params) - set(control.parameters if control else ()))
    if strangers:
        msg = f"{name}: has no parameter {', '.join(strangers)}"
        raise ConfigError(msg)
    return level, params


def load(path: Path, controls: Sequence[Control]) -> dict[str, PolicyConfig]:
    """A configuration file, resolved.

    Raises:
        ConfigError: for a file that is no such configuration.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        msg = f"{path.name} is no JSON"
        raise ConfigError(msg) from error
    return resolve(data, controls)
