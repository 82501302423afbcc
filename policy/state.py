"""Recorded resources out of a state file: what ``pulumi stack export`` writes, or a checkpoint."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from policy.client import Recorded, RecordedProvider
from policy.values import SECRET_SIGNATURE, SIGNATURE_KEY, UNKNOWN


class StateError(ValueError):
    """A file that is no state."""


def read(path: Path) -> list[Recorded]:
    """The resources of a state file.

    Raises:
        StateError: for a file that is none.
    """
    try:
        return parse(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        if isinstance(error, StateError):
            raise
        msg = f"{path.name} cannot be read as a state file"
        raise StateError(msg) from error


def parse(data: Any) -> list[Recorded]:
    """The resources of a state, without those that wait for deletion or belong to somebody else.

    Raises:
        StateError: for anything but a state.
    """
    deployment = data.get("deployment") if isinstance(data, dict) else None
    if deployment is None and isinstance(data, dict):
        checkpoint = data.get("checkpoint")
        deployment = checkpoint.get("latest") if isinstance(checkpoint, dict) else None
    listed = deployment.get("resources") if isinstance(deployment, dict) else None
    if not isinstance(listed, list) or not all(isinstance(one, dict) and "urn" in one for one in listed):
        msg = "the file has no deployment.resources"
        raise StateError(msg)
    by_urn = {one["urn"]: one for one in listed}
    return [_recorded(one, by_urn) for one in listed if not one.get("delete") and not one.get("external")]


def _recorded(one: Mapping[str, Any], by_urn: Mapping[str, Mapping[str, Any]]) -> Recorded:
    outputs = dict(_open(one.get("outputs") or {}))
    if one.get("id") and not isinstance(outputs.get("id"), str):
        outputs["id"] = one["id"]
    dependencies = one.get("propertyDependencies") or {}
    return Recorded(
        type=str(one.get("type", "")),
        urn=one["urn"],
        props=_open(one.get("inputs") or {}),
        # A property the provider does not return is judged as it was given.
        outputs={**_open(one.get("inputs") or {}), **outputs},
        parent=one.get("parent") or "",
        property_dependencies={key: tuple(urns or ()) for key, urns in dependencies.items()},
        provider=_provider(str(one.get("provider") or ""), by_urn),
    )


def _provider(reference: str, by_urn: Mapping[str, Mapping[str, Any]]) -> RecordedProvider | None:
    if not reference:
        return None
    urn = reference.rsplit("::", maxsplit=1)[0]
    found = by_urn.get(urn, {})
    parts = urn.split("::")
    kind = parts[2].rsplit("$", maxsplit=1)[-1] if len(parts) > 3 else ""  # noqa: PLR2004 stack, project, type, name
    return RecordedProvider(type=kind, urn=urn, name=parts[-1], props=_open(found.get("inputs") or {}))


def _open(value: Any) -> Any:
    """A value with its secrets opened where the file has them in plain text, and UNKNOWN where it does not."""
    if isinstance(value, dict):
        if value.get(SIGNATURE_KEY) == SECRET_SIGNATURE:
            return json.loads(value["plaintext"]) if isinstance(value.get("plaintext"), str) else UNKNOWN
        return {key: _open(item) for key, item in value.items()}
    return [_open(item) for item in value] if isinstance(value, list) else value
