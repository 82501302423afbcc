"""The executables the engine finds on its PATH: one per stand-in, and the one that starts a Python policy pack."""

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from sandbox.hosting import HOST_VARIABLE
from sandbox.live.running import LIVE, VARIABLE
from sandbox.standin.provider import DRIFT_VARIABLE
from sandbox.standin.schema import MODULES, package_version
from sandbox.toolchain import ROOT

Kind = Literal["stand-in", "live", "real"]
SETTING: Final = "PLUGINS"
COMPONENTS: Final = "eks"
"""The package whose stand-in runs components, on the SDK's process-wide state: a process of its own."""


def installed(package: str) -> bool:
    """Whether the real plugin in the installed SDK's version lies in Pulumi's own plugin folder."""
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    return (home / "plugins" / f"resource-{package}-v{package_version(package)}").is_dir()


def chosen() -> dict[str, Kind]:
    """Stand-ins for every package; with `PLUGINS=real`, the real plugin where one is installed.

    Where clusters run (`ZEROTRUST_SANDBOX`), `kubernetes` and `vault` act there and nowhere else.
    """
    real = os.environ.get(SETTING) == "real"
    plugins: dict[str, Kind] = {package: "real" if real and installed(package) else "stand-in" for package in MODULES}
    return plugins | (dict.fromkeys(LIVE, "live") if os.environ.get(VARIABLE) else {})


# The engine hands the pack's runtime options (virtualenv, toolchain, …) to this executable; here the interpreter is
# already chosen, and `pulumi.policy` does not know them.
_WITHOUT_RUNTIME_OPTIONS: Final = """for argument do
  shift
  case "$argument" in -virtualenv=*|-toolchain=*|-typechecker=*|-root=*) ;; *) set -- "$@" "$argument" ;; esac
done
"""


# Asks the run's host for a server instead of starting one; without the site packages, which it does not need.
_HOSTED: Final = """#!{python} -IS
import os, socket, sys
port = os.environ.get("{variable}")
if not port:
    os.environ["PYTHONPATH"] = {root!r}
    os.execv(sys.executable, [sys.executable, "-m", "sandbox.standin", "{package}", *sys.argv[1:]])
with socket.create_connection(("127.0.0.1", int(port))) as host:
    engine = sys.argv[1] if len(sys.argv) > 1 else ""
    request = ["{package}", engine, os.environ.get("{drift}", ""), os.environ.get("{live}", "")]
    host.sendall(("\\t".join(request) + "\\n").encode())
    answer = host.makefile()
    print(answer.readline().strip(), flush=True)
    answer.read()
"""


def _module_script(path: Path, module: str, *arguments: str, before: str = "") -> None:
    call = " ".join(map(shlex.quote, [sys.executable, "-m", module, *arguments]))
    _write(path, f'#!/bin/sh\n{before}PYTHONPATH={shlex.quote(str(ROOT))} exec {call} "$@"\n')


def _hosted_script(path: Path, package: str) -> None:
    names = {"variable": HOST_VARIABLE, "drift": DRIFT_VARIABLE, "live": VARIABLE}
    _write(path, _HOSTED.format(python=sys.executable, root=str(ROOT), package=package, **names))


def _write(path: Path, text: str) -> None:
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
        if kind == "real":
            path.unlink(missing_ok=True)
        elif package == COMPONENTS:
            _module_script(path, "sandbox.standin", package)
        else:
            _hosted_script(path, package)
    _module_script(folder / "pulumi-analyzer-policy-python", "pulumi.policy", before=_WITHOUT_RUNTIME_OPTIONS)
