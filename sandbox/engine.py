"""Picks the Pulumi CLI: one on PATH, else the official download, else the build from source.

The download is verified against the checksums file its release publishes. Where neither is to be had (no network), the
same version is built from the module that `tools/pulumi` pins. What was once downloaded or built is kept per version.
"""

import argparse
import hashlib
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from sandbox.toolchain import ToolError, build, cache_root, cached, pinned_version

SUPPORTED: Final = ((3, 200), (4, 0))  # from, below
TIMEOUT_SECONDS: Final = 5.0
DOWNLOAD: Final = "https://get.pulumi.com/releases/sdk/pulumi-{version}-{platform}.tar.gz"
CHECKSUMS: Final = "https://github.com/pulumi/pulumi/releases/download/{version}/pulumi-{number}-checksums.txt"

Source = Literal["path", "download", "build"]
Report = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A usable Pulumi CLI: its version (`v3.250.0`), where it came from and where it lies."""

    version: str
    source: Source
    path: Path


def _quiet(_: str) -> None:
    """Reports to nobody."""


def version_of(binary: Path | str) -> str | None:
    """What a Pulumi CLI says its version is; None if it cannot be run."""
    try:
        said = subprocess.run([str(binary), "version"], capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"v\d+\.\d+\.\d+\S*", said.stdout)
    return found.group(0) if found else None


def is_supported(version: str | None) -> bool:
    """Whether a CLI of this version may run the program."""
    found = re.match(r"v(\d+)\.(\d+)", version or "")
    if found is None:
        return False
    return SUPPORTED[0] <= (int(found.group(1)), int(found.group(2))) < SUPPORTED[1]


def _on_path(report: Report) -> Engine | None:
    found = shutil.which("pulumi")
    if found is None:
        return None
    version = version_of(found)
    if version is None or not is_supported(version):
        report(f"the pulumi on PATH is {version or 'not runnable'}; needed is 3.200 or newer, below 4")
        return None
    return Engine(version=version, source="path", path=Path(found))


def platform_name() -> str:
    """The release's name of this platform, such as `linux-x64`."""
    machine = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
    return f"{platform.system().lower()}-{machine.get(platform.machine().lower(), platform.machine().lower())}"


def _fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310  both addresses are https
        return bytes(answer.read())


def verified(archive: bytes, checksums: str, name: str) -> bool:
    """Whether the checksums file lists this archive under this name with this SHA-256."""
    lines = (line.split() for line in checksums.splitlines())
    wanted = {line[1].lstrip("*"): line[0] for line in lines if len(line) == 2}  # noqa: PLR2004
    return wanted.get(name) == hashlib.sha256(archive).hexdigest()


def _downloaded() -> Path:
    return cache_root() / "pulumi" / pinned_version("pulumi") / "official" / "pulumi"


def download(report: Report) -> Path | None:
    """The official release of the pinned version; None, after one line to `report`, if it cannot be had."""
    version, target = pinned_version("pulumi"), _downloaded()
    url = DOWNLOAD.format(version=version, platform=platform_name())
    name = url.rsplit("/", 1)[-1]
    try:
        # The small file first: offline, nothing else is tried.
        checksums = _fetch(CHECKSUMS.format(version=version, number=version.removeprefix("v"))).decode()
        archive = _fetch(url)
    except (OSError, urllib.error.URLError, ValueError) as error:
        reason = getattr(error, "reason", error)
        report(f"the official download of pulumi {version} is not reachable ({reason})")
        return None
    if not verified(archive, checksums, name):
        report(f"the official download of pulumi {version} does not match its published checksum; not used")
        return None
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        file = Path(scratch) / name
        file.write_bytes(archive)
        with tarfile.open(file) as tar:
            tar.extract("pulumi/pulumi", scratch, filter="data")
        (Path(scratch) / "pulumi" / "pulumi").replace(target)
    return target


def resolve(report: Report = _quiet) -> Engine:
    """The CLI to use; `report` gets one line per step that did not work and the build's progress.

    Raises:
        ToolError: if none of the three ways leads to one.
    """
    found = _on_path(report)
    if found is not None:
        return found
    version = pinned_version("pulumi")
    if _downloaded().is_file():
        return Engine(version=version, source="download", path=_downloaded())
    if cached("pulumi").is_file():
        return Engine(version=version, source="build", path=cached("pulumi"))
    fetched = download(report)
    if fetched is not None:
        return Engine(version=version, source="download", path=fetched)
    try:
        return Engine(version=version, source="build", path=build("pulumi", report))
    except ToolError as error:
        msg = f"no Pulumi CLI: none on PATH, none to download, and none can be built: {error}"
        raise ToolError(msg) from error


def _to_stderr(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def main() -> int:
    """Prints version, source and path; exit code 1 when there is no CLI."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    try:
        engine = resolve(_to_stderr)
    except ToolError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"pulumi {engine.version} ({engine.source}) {engine.path}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
