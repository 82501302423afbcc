"""Everything an operator decides, in one frozen tree.

`load` takes the stack's configuration, `load_file` a `Pulumi.<stack>.yaml`; both raise `SettingsError` with one sentence
for each thing wrong. `json_schema` is what editors complete and check against.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from components.settings.errors import SettingsError, prune, sentence, sentences_of
from components.settings.root import Settings

CONFIG_KEY = "zerotrust:settings"

__all__ = ["CONFIG_KEY", "Settings", "SettingsError", "json_schema", "load", "load_file"]


def load(data: object, source: str = "settings") -> Settings:
    """Validate a settings mapping.

    Raises:
        SettingsError: with one sentence per bad key: its path, its value, the remedy.
    """
    if not isinstance(data, Mapping):
        raise SettingsError(source, [sentence((), data, f"write a mapping of keys under {CONFIG_KEY}")])
    try:
        return Settings.model_validate_json(json.dumps(data, default=str))
    except ValidationError as error:
        sentences = sentences_of(error, Settings)
        pruned = prune(data, error, Settings)
        if pruned is not None:
            try:
                Settings.model_validate_json(json.dumps(pruned))
            except ValidationError as rest:
                sentences += sentences_of(rest, Settings)
        raise SettingsError(source, sentences) from None


class _UniqueKeys(yaml.SafeLoader):
    """YAML that refuses a key given twice, which PyYAML would silently overwrite."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                line = key_node.start_mark.line + 1
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key} = line {line}: this key stands here twice; keep one.", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def load_file(path: Path) -> Settings:
    """Read and validate `Pulumi.<stack>.yaml`.

    Raises:
        SettingsError: for a file that is missing or no YAML, a key given twice, or settings that must not load.
    """
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeys)  # noqa: S506 - a SafeLoader
    except FileNotFoundError:
        raise SettingsError(
            path.name, [sentence(("stack",), path.name, "there is no such file; copy Pulumi.dev.yaml and change it")]
        ) from None
    except yaml.MarkedYAMLError as error:
        problem = str(error.problem)
        raise SettingsError(
            path.name,
            [problem if "twice" in problem else sentence(("yaml",), str(error.problem_mark), f"write valid YAML ({problem})")],
        ) from None
    config = document.get("config") if isinstance(document, dict) else None
    return load(config.get(CONFIG_KEY) if isinstance(config, dict) else None, path.name)


def json_schema() -> dict[str, Any]:
    """JSON Schema of a stack file, for editors (draft 2020-12)."""
    settings = Settings.model_json_schema()
    definitions = settings.pop("$defs")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Pulumi.<stack>.yaml of the zero-trust platform",
        "type": "object",
        "properties": {"config": {"type": "object", "properties": {CONFIG_KEY: settings}, "required": [CONFIG_KEY]}},
        "required": ["config"],
        "$defs": definitions,
    }
