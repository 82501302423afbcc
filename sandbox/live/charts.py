"""Where a release's chart comes from on this machine, and whose it is.

In this order: the path that the release names; the folder of charts in `ZEROTRUST_CHARTS`; the chart's own repository, asked
once and never with `ZEROTRUST_OFFLINE=1`; the chart in a pinned Go module, stamped with the version that `components/charts.yaml`
pins; a chart of ours in `sandbox/local/charts`.
"""

import hashlib
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from components.helm import pins
from sandbox.charts import CHARTS, complete
from sandbox.local.charts import local_chart
from sandbox.modules import module_folders
from sandbox.toolchain import build, cache_root

FOLDER: Final = "ZEROTRUST_CHARTS"
OFFLINE: Final = "ZEROTRUST_OFFLINE"
_PULL_SECONDS: Final = 40.0
_unreachable: set[str] = set()
_pulling = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart that is here: its folder or archive, and where it is from."""

    path: Path
    origin: str


def pin_of(chart: str, version: str) -> str:
    """What `components/charts.yaml` calls a release's chart; the last part of its name when it is not pinned there."""
    for name, pin in pins().items():
        if pin.chart == chart and version in ("", pin.version):
            return name
    return chart.rstrip("/").rsplit("/", 1)[-1]


def find(chart: str, version: str, repository: str, values: Mapping[str, Any], scratch: Path) -> Chart | None:
    """The chart of a release, None when nothing brings it.

    Args:
        chart: `oci://…`, a name in `repository`, or a path.
        version: the one that the release names, empty for any.
        repository: a URL, or empty.
        values: the release's; they say which sub-charts are wanted.
        scratch: an empty folder that lives as long as the chart is used.

    Raises:
        ChartError: when the values turn on a sub-chart that a module does not carry.
        ToolError: when Helm cannot be built or a module cannot be fetched.
    """
    if not repository and (Path(chart) / "Chart.yaml").is_file():
        return Chart(path=Path(chart).resolve(), origin="path")
    name = pin_of(chart, version)
    if kept := _kept(chart.rsplit("/", 1)[-1], name, version):
        return Chart(path=kept, origin=FOLDER)
    if pulled := _pulled(chart, version, repository):
        return Chart(path=pulled, origin="repository")
    if name in CHARTS:
        return Chart(path=_from_module(name, values, scratch), origin="module")
    return _own(name)


def _kept(base: str, name: str, version: str) -> Path | None:
    folder = os.environ.get(FOLDER)
    if not folder:
        return None
    candidates = [Path(folder) / f"{base}-{version}.tgz", Path(folder) / f"{base}-{version.removeprefix('v')}.tgz"]
    found = [path for path in candidates if path.is_file()]
    found += [Path(folder) / each for each in (name, base) if (Path(folder) / each / "Chart.yaml").is_file()]
    return found[0] if found else None


def _pulled(chart: str, version: str, repository: str) -> Path | None:
    host = urlsplit(repository or chart).hostname or ""
    if not host or not version:
        return None
    folder = cache_root() / "charts" / hashlib.sha256(f"{repository} {chart} {version}".encode()).hexdigest()[:16]
    with _pulling:
        if found := sorted(folder.glob("*.tgz")):
            return found[0]
        # one silent network is enough to know
        if os.environ.get(OFFLINE) == "1" or _unreachable:
            return None
        helm = build("helm", lambda _line: None)
        fresh = folder.with_suffix(".part")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        command = [str(helm), "pull", chart, "--version", version, "--destination", str(fresh)]
        command += ["--repo", repository] if repository else []
        homes = {f"HELM_{part}_HOME": str(fresh / part) for part in ("CACHE", "CONFIG", "DATA")}
        try:
            done = subprocess.run(
                command, env={**os.environ, **homes}, capture_output=True, text=True, timeout=_PULL_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            done = None
        archives = sorted(fresh.glob("*.tgz"))
        if done is None or done.returncode != 0 or not archives:
            _unreachable.add(host)
            shutil.rmtree(fresh, ignore_errors=True)
            return None
        _verify(pin_of(chart, version), archives[0], done.stdout + done.stderr)
        for part in ("CACHE", "CONFIG", "DATA"):
            shutil.rmtree(fresh / part, ignore_errors=True)
        fresh.replace(folder)
        return folder / archives[0].name


class WrongDigestError(Exception):
    """A chart that came from its repository is not the one that is pinned."""


def _verify(name: str, archive: Path, said: str) -> None:
    """Holds what came to the pin's digest: of the archive, or of the OCI manifest, which Helm prints."""
    pinned = str(pins()[name].digest or "").rpartition("@")[2] if name in pins() else ""
    printed = re.search(r"sha256:[0-9a-f]{64}", said)
    came = printed[0] if printed else f"sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()}"
    if pinned and came != pinned:
        msg = f"{name}: its repository gives {came}, pinned is {pinned}"
        raise WrongDigestError(msg)


def _from_module(name: str, values: Mapping[str, Any], scratch: Path) -> Path:
    """A copy of a module's chart with the pinned versions in place of a source tree's placeholders."""
    pinned_in, module, below = CHARTS[name]
    copy = scratch / "stamped"
    shutil.copytree(module_folders(pinned_in, module)[module] / below, copy, copy_function=shutil.copyfile)
    for folder in (copy, *(path for path in copy.rglob("*") if path.is_dir())):
        folder.chmod(0o755)
    about = yaml.safe_load((copy / "Chart.yaml").read_text(encoding="utf-8"))
    about |= {"version": pins()[name].version, "appVersion": pins()[name].app_version}
    (copy / "Chart.yaml").write_text(yaml.safe_dump(about), encoding="utf-8")
    return complete(copy, values, scratch / "complete")


def _own(name: str) -> Chart | None:
    ours = local_chart(name)
    return None if ours is None else Chart(path=ours.folder, origin="ours")
