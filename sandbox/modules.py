"""Folders of pinned Go modules: the definitions and charts that a module carries beside its code.

`tools/<folder>/go.mod` pins a module and its `go.sum` the sums of its archive; `go mod download` fetches it, verifies it
against that sum and says where it lies. No dependency graph is built, so modules whose dependencies conflict can stand
in one file, each exactly in the version it names.
"""

import functools
import json
import re
import subprocess
from pathlib import Path
from typing import Final

from sandbox.toolchain import ROOT, ToolError, toolchain

_REQUIRED: Final = re.compile(r"^\s*(?:require\s+)?([\w.\-~/]+\.[\w.\-~/]+)\s+(v\S+)", re.MULTILINE)


def pinned(folder: str) -> dict[str, str]:
    """Module path → version, for every requirement of `tools/<folder>/go.mod`."""
    return dict(_REQUIRED.findall((ROOT / "tools" / folder / "go.mod").read_text(encoding="utf-8")))


@functools.cache
def module_folders(folder: str, *modules: str) -> dict[str, Path]:
    """Module path → the folder of its files, fetched if the module cache has none.

    Args:
        folder: which `tools/<folder>` pins them.
        modules: the module paths; all of the pinned ones when none is named.

    Raises:
        ToolError: without Go, for a module that is not pinned, or with Go's own sentence (not to be had, wrong sum).
    """
    versions = pinned(folder)
    if unknown := [module for module in modules if module not in versions]:
        msg = f"tools/{folder}/go.mod does not require {', '.join(unknown)}"
        raise ToolError(msg)
    wanted = [f"{module}@{versions[module]}" for module in modules or sorted(versions)]
    # one failure ends the whole command, and Go says which module it was on stderr or in the object's Error
    done = subprocess.run(
        [toolchain(), "mod", "download", "-json", *wanted],
        cwd=ROOT / "tools" / folder,
        capture_output=True,
        text=True,
        check=False,
    )
    found = {entry["Path"]: entry for entry in _objects(done.stdout)}
    if failed := {path: entry["Error"] for path, entry in found.items() if "Error" in entry}:
        msg = "; ".join(f"{path}: {' '.join(error.split())}" for path, error in sorted(failed.items()))
        raise ToolError(msg)
    if done.returncode != 0:
        msg = f"fetching {', '.join(wanted)}: " + " ".join(done.stderr.split())
        raise ToolError(msg)
    return {path: Path(entry["Dir"]) for path, entry in found.items()}


def _objects(text: str) -> list[dict[str, str]]:
    """The JSON objects that stand one after another in `text`."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while (start := text.find("{", at)) >= 0:
        entry, at = decoder.raw_decode(text, start)
        found.append(entry)
    return found
