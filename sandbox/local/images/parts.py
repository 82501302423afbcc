"""What images are put together from: tools of this project, programs of this machine with their libraries, folders, texts.

A program that is linked dynamically comes with what `ldd` says it loads, at the paths where its loader looks; what it opens
later by name (name service, certificates, time zones) is `BASE`.
"""

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from sandbox.local.images.oci import EXECUTABLE, PLAIN, File
from sandbox.toolchain import ToolError, build

Progress = Callable[[str], None]
_LOADED: Final = re.compile(r"^\s*(?:\S+ => )?(/\S+) \(0x", re.MULTILINE)
_CERTIFICATES: Final = Path("/etc/ssl/certs/ca-certificates.crt")
_NAME_SERVICE: Final = ("libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2")


class Part(Protocol):
    """Something that brings files into an image."""

    def files(self, progress: Progress) -> dict[str, File]:
        """Path in the image → file; a ToolError where this machine lacks what it needs."""


@dataclass(frozen=True)
class Tool:
    """A program that `sandbox.toolchain` builds; statically linked."""

    name: str
    at: str

    def files(self, progress: Progress) -> dict[str, File]:
        """The program alone."""
        return {self.at: File(source=build(self.name, progress))}


@dataclass(frozen=True)
class Program:
    """A program of this machine, by path or as PATH finds it, with its libraries."""

    name: str
    at: str
    package: str = ""
    """Debian's, to name it where the program is missing."""

    def files(self, progress: Progress) -> dict[str, File]:
        """The program and what it loads."""
        found = shutil.which(self.name)
        if found is None:
            remedy = f": apt-get install {self.package}" if self.package else ""
            msg = f"this machine has no {self.name}{remedy}"
            raise ToolError(msg)
        progress(f"reading the libraries of {self.name}")
        return {self.at: File(source=Path(found).resolve()), **libraries(Path(found).resolve())}


@dataclass(frozen=True)
class Folder:
    """A folder of this machine, whole; programs and libraries in it bring what they load from elsewhere."""

    source: Callable[[Progress], Path]
    at: str
    left_out: tuple[str, ...] = ()
    """Names of files and folders that stay out, at any depth."""
    linked: bool = False
    """Whether it holds programs and libraries whose own libraries are needed; they find each other as they lie."""
    owner: int = 0

    def files(self, progress: Progress) -> dict[str, File]:
        """Every file under the folder."""
        root = self.source(progress)
        progress(f"reading {root}")
        found: dict[str, File] = {self.at: File(owner=self.owner)}
        own = ":".join(sorted({str(each.parent) for each in root.rglob("*.so*")})) if self.linked else ""
        for path in sorted(root.rglob("*")):
            within = path.relative_to(root)
            if set(within.parts) & set(self.left_out):
                continue
            if path.is_dir():
                found[f"{self.at}/{within}"] = File(owner=self.owner)
            elif path.is_file():
                executable = bool(path.stat().st_mode & 0o100)
                mode = EXECUTABLE if executable else PLAIN
                found[f"{self.at}/{within}"] = File(source=path.resolve(), mode=mode, owner=self.owner)
                if self.linked and (executable or ".so" in path.name):
                    found |= {
                        at: file for at, file in libraries(path.resolve(), own).items() if not Path(at).is_relative_to(root)
                    }
        return found


@dataclass(frozen=True)
class Given:
    """Paths that are stated: texts, links, folders."""

    given: Mapping[str, File] = field(default_factory=dict)

    def files(self, progress: Progress) -> dict[str, File]:  # noqa: ARG002 - the protocol's
        """As stated."""
        return dict(self.given)


@dataclass(frozen=True)
class Copied:
    """One file that `source` finds when the image is made."""

    source: Callable[[Progress], Path]
    at: str
    mode: int = PLAIN

    def files(self, progress: Progress) -> dict[str, File]:
        """The file, and what it loads where it is a program."""
        source = self.source(progress)
        return {self.at: File(source=source, mode=self.mode), **(libraries(source) if self.mode == EXECUTABLE else {})}


@functools.cache
def libraries(program: Path, folders: str = "") -> dict[str, File]:
    """What the loader would load for a program or library, at the very paths; nothing for a static one.

    Args:
        program: a program or library of this machine.
        folders: where it is found among its own kind by whoever loads it, with `:` between them.

    Raises:
        ToolError: for a program one of whose libraries this machine lacks.
    """
    environment = {**os.environ, "LD_LIBRARY_PATH": folders}
    said = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False, env=environment)
    if "not found" in said.stdout:
        missing = [line.split()[0] for line in said.stdout.splitlines() if "not found" in line]
        msg = f"{program}: this machine lacks {', '.join(missing)}"
        raise ToolError(msg)
    paths = {Path(path) for path in _LOADED.findall(said.stdout)} if said.returncode == 0 else set()
    return {str(path): File(source=path.resolve()) for path in paths}


def users(**numbers: int) -> Given:
    """`/etc/passwd` and `/etc/group` with root, nobody's kind and these names."""
    named = {"root": 0, **numbers, "nonroot": 65532, "nobody": 65534}
    passwd = "".join(f"{name}:x:{number}:{number}::/home/{name}:/bin/sh\n" for name, number in named.items())
    group = "".join(f"{name}:x:{number}:\n" for name, number in named.items())
    return Given(
        {
            "/etc/passwd": File(data=passwd.encode(), mode=PLAIN),
            "/etc/group": File(data=group.encode(), mode=PLAIN),
            "/etc/nsswitch.conf": File(data=b"passwd: files\ngroup: files\nhosts: files dns\n", mode=PLAIN),
            "/tmp": File(mode=0o1777),  # noqa: S108 - the image's own
        }
    )


@dataclass(frozen=True)
class Base:
    """What programs open by name: the public authorities' certificates and, for linked ones, the C library's name service."""

    linked: bool = False

    def files(self, progress: Progress) -> dict[str, File]:  # noqa: ARG002 - the protocol's
        """At Debian's paths."""
        found: dict[str, File] = {}
        if _CERTIFICATES.is_file():
            found[str(_CERTIFICATES)] = File(source=_CERTIFICATES, mode=PLAIN)
        if self.linked:
            folder = next(path.parent for path in map(Path, libraries(Path("/bin/sh").resolve())) if path.name == "libc.so.6")
            for name in _NAME_SERVICE:
                if (folder / name).exists():
                    found[str(folder / name)] = File(source=(folder / name).resolve())
        return found


def shell(*commands: str) -> tuple[Program, ...]:
    """`/bin/sh` and these commands of this machine, at `/bin`."""
    return (Program("/bin/sh", "/bin/sh", "dash"), *(Program(name, f"/bin/{name}", "coreutils") for name in commands))
