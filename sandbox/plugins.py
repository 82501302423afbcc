"""The executables the engine finds on its PATH: one per stand-in, and the one that starts a Python policy pack."""

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from sandbox.standin.schema import MODULES, package_version
from sandbox.toolchain import ROOT

Kind = Literal["stand-in", "real"]
SETTING: Final = "PLUGINS"


def installed(package: str) -> bool:
    """Whether the real plugin in the installed SDK's version lies in Pulumi's own plugin folder."""
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    return (home / "plugins" / f"resource-{package}-v{package_version(package)}").is_dir()


def chosen() -> dict[str, Kind]:
    """Stand-ins for every package; with `PLUGINS=real`, the real plugin where one is installed."""
    real = os.environ.get(SETTING) == "real"
    return {package: "real" if real and installed(package) else "stand-in" for package in MODULES}


# The engine hands the pack's runtime options (virtualenv, toolchain, …) to this executable; here the interpreter is
# already chosen, and `pulumi.policy` does not know them.
_WITHOUT_RUNTIME_OPTIONS: Final = """for argument do
  shift
  case "$argument" in -virtualenv=*|-toolchain=*|-typechecker=*|-root=*) ;; *) set -- "$@" "$argument" ;; esac
done
"""


def _script(path: Path, module: str, *arguments: str, before: str = "") -> None:
    call = " ".join(map(shlex.quote, [sys.executable, "-m", module, *arguments]))
    text = f'#!/bin/sh\n{before}PYTHONPATH={shlex.quote(str(ROOT))} exec {call} "$@"\n'
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_text(text, encoding="utf-8")
    fresh.chmod(0o755)
    fresh.replace(path)


def install(folder: Path, plugins: Mapping[str, Kind]) -> None:
    """Writes the executables into `folder`; a package that uses its real plugin gets none."""
    folder.mkdir(parents=True, exist_ok=True)
    for package, kind in plugins.items():
        path = folder / f"pulumi-resource-{package}"
        if kind == "stand-in":
            _script(path, "sandbox.standin", package)
        else:
            path.unlink(missing_ok=True)
    _script(folder / "pulumi-analyzer-policy-python", "pulumi.policy", before=_WITHOUT_RUNTIME_OPTIONS)
