"""amtool: Alertmanager's own judge of its configuration, and of where an alert goes."""

import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from sandbox.toolchain import build


def _run(config: Mapping[str, Any], command: list[str], labels: list[str], progress: Callable[[str], None]) -> tuple[bool, str]:
    tool = build("amtool", progress)
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "alertmanager.yaml"
        file.write_text(yaml.safe_dump(dict(config)), encoding="utf-8")
        given = [str(file)] if command == ["check-config"] else [f"--config.file={file}", *labels]
        done = subprocess.run([str(tool), *command, *given], capture_output=True, text=True, check=False)
    return done.returncode == 0, (done.stdout + done.stderr).strip()


def check_config(config: Mapping[str, Any], progress: Callable[[str], None] = lambda _line: None) -> tuple[bool, str]:
    """Whether Alertmanager accepts a configuration, and what it says. Raises ToolError when amtool cannot be built."""
    return _run(config, ["check-config"], [], progress)


def receivers_of(
    config: Mapping[str, Any], labels: Mapping[str, str], progress: Callable[[str], None] = lambda _line: None
) -> list[str]:
    """Receivers of an alert with these labels, in order. Raises ToolError when amtool cannot be built."""
    good, said = _run(config, ["config", "routes", "test"], [f"{key}={value}" for key, value in labels.items()], progress)
    return said.split(",") if good else []
