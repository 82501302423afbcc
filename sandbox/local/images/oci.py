"""Images as OCI archives, made from files of this machine without a container runtime: one layer, no timestamps.

What an image is made of is data (`Image`); two builds of the same files give the same bytes, so an image keeps its digest.
Format: OCI image specification 1.1, a layout in a tar file, the layer uncompressed.
"""

import hashlib
import io
import json
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Final

MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
CONFIG: Final = "application/vnd.oci.image.config.v1+json"
LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
EXECUTABLE: Final = 0o755
PLAIN: Final = 0o644
_PART_BYTES: Final = 1 << 20


@dataclass(frozen=True, kw_only=True)
class File:
    """One path of an image: a file of this machine, bytes, a symbolic link, or a folder where all three are None."""

    source: Path | None = None
    data: bytes | None = None
    link: str | None = None
    mode: int = EXECUTABLE
    owner: int = 0
    """User and group."""

    @property
    def identity(self) -> str:
        """What the image's key counts of it: a file of this machine by path, size and time of change."""
        if self.source is None:
            what = self.link if self.data is None else hashlib.sha256(self.data).hexdigest()
        else:
            real = self.source.resolve()
            what = f"{real} {real.stat().st_size} {real.stat().st_mtime_ns}"
        return f"{what} {self.mode:o} {self.owner}"


Files = Mapping[str, File]
"""Absolute path in the image → what is there."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What an image says about running it."""

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str = "65532"
    """Number, or `number:number`."""
    folder: str = "/"

    def document(self) -> dict[str, Any]:
        """The `config` of the image's configuration."""
        path = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        return {
            "User": self.user,
            "WorkingDir": self.folder,
            "Env": [f"{name}={value}" for name, value in sorted({**path, **self.environment}.items())],
            **({"Entrypoint": list(self.entrypoint)} if self.entrypoint else {}),
            **({"Cmd": list(self.command)} if self.command else {}),
        }


def key(files: Files, settings: Settings) -> str:
    """16 hexadecimal digits that change with anything the image holds or says."""
    listed = [f"{path} {files[path].identity}" for path in sorted(files)]
    return hashlib.sha256(json.dumps([listed, settings.document()]).encode()).hexdigest()[:16]


def write(target: Path, files: Files, settings: Settings) -> str:
    """Writes the archive and returns the digest of its manifest, `sha256:…`.

    Raises:
        OSError: for a file that cannot be read; the target is left as it was.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        layer = Path(scratch) / "layer"
        _write_layer(layer, files)
        with layer.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        config = _json(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": settings.document(),
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            }
        )
        layers = [{"mediaType": LAYER, "digest": f"sha256:{digest}", "size": layer.stat().st_size}]
        described = {"mediaType": MANIFEST, "config": _descriptor(CONFIG, config), "layers": layers}
        manifest = _json({"schemaVersion": 2, **described})
        index = _json({"schemaVersion": 2, "manifests": [_descriptor(MANIFEST, manifest)]})
        made = Path(scratch) / "archive"
        with tarfile.open(made, "w", format=tarfile.PAX_FORMAT) as archive:
            _add(archive, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
            _add(archive, "index.json", index)
            for blob in (manifest, config):
                _add(archive, f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}", blob)
            entry = _entry(f"blobs/sha256/{digest}", PLAIN)
            entry.size = layer.stat().st_size
            with layer.open("rb") as stream:
                archive.addfile(entry, stream)
        made.replace(target)
    return f"sha256:{hashlib.sha256(manifest).hexdigest()}"


def _write_layer(target: Path, files: Files) -> None:
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as layer:
        for path, file in sorted(_with_parents(files).items()):
            entry = _entry(path.lstrip("/"), file.mode)
            entry.uid = entry.gid = file.owner
            if file.source is not None:
                entry.size = file.source.stat().st_size
                with file.source.open("rb", buffering=_PART_BYTES) as stream:
                    layer.addfile(entry, stream)
            elif file.data is not None:
                entry.size = len(file.data)
                layer.addfile(entry, io.BytesIO(file.data))
            elif file.link is not None:
                entry.type, entry.linkname = tarfile.SYMTYPE, file.link
                layer.addfile(entry)
            else:
                entry.type = tarfile.DIRTYPE
                layer.addfile(entry)


def _with_parents(files: Files) -> dict[str, File]:
    folders = {str(parent): File() for path in files for parent in PurePosixPath(path).parents if str(parent) != "/"}
    return folders | dict(files)


def _entry(name: str, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.mode = mode
    return entry


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = _entry(name, PLAIN)
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))


def _descriptor(media_type: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": f"sha256:{hashlib.sha256(blob).hexdigest()}", "size": len(blob)}


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
