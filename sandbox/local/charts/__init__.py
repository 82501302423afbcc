"""Charts of our own for those that neither a pinned module nor the network brings, by the names of `components/charts.yaml`.

Each reads the values that the program sets for the real chart and makes what the real chart makes of them; its README says
what differs, `ignored.yaml` which of the program's values change nothing here. What one machine needs over the program's values
is in `<chart>/local.yaml`, or in `<chart>.local.yaml` for a chart that is not ours; it holds wherever the chart comes from.
What lies in a module (custom kinds, the operator's rights) is taken from there and not repeated.
"""

import functools
import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from sandbox.crds import load_crds
from sandbox.modules import module_folders
from sandbox.toolchain import cache_root

FOLDER: Final = Path(__file__).parent
NAMES: Final = ("cloudnative-pg", "keycloakx", "spire", "spire-crds", "vault")
KINDS: Final[Mapping[str, str]] = {"cloudnative-pg": "postgresql.cnpg.io", "spire-crds": "spire.spiffe.io"}
"""Chart → the API group whose custom kinds it brings."""
_OPERATOR: Final = "github.com/cloudnative-pg/cloudnative-pg"
MODULE_FILES: Final[Mapping[str, Mapping[str, tuple[str, str]]]] = {
    "cloudnative-pg": {
        "role.yaml": (_OPERATOR, "config/rbac/role.yaml"),
        "webhooks.yaml": (_OPERATOR, "config/webhook/manifests.yaml"),
        "queries.yaml": (_OPERATOR, "config/manager/default-monitoring.yaml"),
    }
}
"""Chart → file beside its templates → module that `tools/crds` pins, and the path in it."""
_OVER: Final = ".local.yaml"
_NOT_OF_THE_CHART: Final = ("README.md", "ignored.yaml", "local.yaml")


@dataclass(frozen=True, kw_only=True)
class LocalChart:
    """One chart of ours, complete."""

    name: str
    folder: Path
    """With `Chart.yaml`; what the real Helm is given."""


def local_chart(name: str) -> LocalChart | None:
    """The chart of ours with this name, None when there is none.

    Raises:
        CrdError: when the module no longer has the kinds.
        ToolError: when a module cannot be fetched.
    """
    if name not in NAMES:
        return None
    return LocalChart(name=name, folder=_complete(name))


def machine_values() -> dict[str, Path]:
    """Chart → the values file of what one machine needs over the program's values."""
    ours = {name: FOLDER / name / "local.yaml" for name in NAMES}
    return ours | {path.name.removesuffix(_OVER): path for path in FOLDER.glob(f"*{_OVER}")}


def differences(name: str) -> dict[str, Any]:
    """What one machine needs over the program's values."""
    return dict(yaml.safe_load(machine_values()[name].read_text(encoding="utf-8")))


def ignored(name: str) -> dict[str, str]:
    """Path of a value that the program sets and the chart of ours does not read → why."""
    path = FOLDER / name / "ignored.yaml"
    return dict(yaml.safe_load(path.read_text(encoding="utf-8"))) if path.is_file() else {}


@functools.cache
def _complete(name: str) -> Path:
    """The chart's folder, or a copy in the cache with what modules bring, named by all that went into it."""
    if name not in KINDS and name not in MODULE_FILES:
        return FOLDER / name
    places = {path.relative_to(FOLDER / name).as_posix(): path for path in (FOLDER / name).rglob("*") if path.is_file()}
    files = {place: path.read_bytes() for place, path in places.items() if place not in _NOT_OF_THE_CHART} | _of_modules(name)
    digest = hashlib.sha256()
    for place, content in sorted(files.items()):
        digest.update(f"{place}\0{len(content)}\0".encode() + content)
    target = cache_root() / "charts" / f"{name}-{digest.hexdigest()[:16]}"
    if not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            fresh = Path(scratch) / name
            for place, content in files.items():
                (fresh / place).parent.mkdir(parents=True, exist_ok=True)
                (fresh / place).write_bytes(content)
            _take(fresh, target)
    return target


def _take(fresh: Path, target: Path) -> None:
    """Moves a finished folder to its place; another process may have been first, with the same content."""
    try:
        fresh.rename(target)
    except OSError:
        if not target.is_dir():
            raise
        shutil.rmtree(fresh)


def _of_modules(name: str) -> dict[str, bytes]:
    group = KINDS.get(name)
    kinds = [kind for kind in load_crds() if kind["spec"]["group"] == group] if group else []
    found = {f"module/kinds/{kind['metadata']['name']}.yaml": yaml.safe_dump(kind, sort_keys=True).encode() for kind in kinds}
    for file, (module, path) in MODULE_FILES.get(name, {}).items():
        found[f"module/{file}"] = (module_folders("crds", module)[module] / path).read_bytes()
    return found
