"""`python -m sandbox.render --stack dev`: every Kubernetes object the program would send, as YAML.

The program runs to the end on the real engine with the stand-ins, so that what it learns from other resources (names, ARNs,
addresses) is filled in; then the objects are read from the engine's own state. They go to
`build/manifests/<stack>/<region>/<namespace>/<kind>-<name>.yaml`, what has no namespace to `_cluster`, and each Helm release's
values to `_releases/<name>.yaml`.
"""

import argparse
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from components.settings import SettingsError
from sandbox.lifecycle import lifecycle
from sandbox.observed import REGION
from sandbox.session import BUILD, Place, program_file, program_of
from sandbox.toolchain import ROOT, ToolError

RELEASE: Final = "kubernetes:helm.sh/v3:Release"
CLUSTER_SCOPE: Final = "_cluster"
RELEASES: Final = "_releases"
SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
"""The key by which the engine's protocol marks a value that is not plain: a secret, an asset, a reference."""
SEALED: Final = "[secret]"
FIELDS: Final = ("data", "stringData")


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """One object or Helm release of a region. `body` is the object itself; of a release chart, version, namespace, values."""

    region: str
    path: Path
    body: Mapping[str, Any]
    is_release: bool


def region_of(provider: str) -> str:
    """The region of a Kubernetes provider, from its logical name.

    Raises:
        ValueError: for a provider that names no region; an object must say which cluster it goes to.
    """
    name = provider.rsplit("::", 2)[-2] if provider.count("::") > 3 else provider.rsplit("::", 1)[-1]  # noqa: PLR2004 - urn, then id
    found = REGION.match(name)
    if found is None:
        msg = f"provider {name or '(default)'} names no region"
        raise ValueError(msg)
    return found.group(1)


def _sealed(value: Any) -> bool:
    return isinstance(value, Mapping) and SIGNATURE in value


def whole_numbers(value: Any) -> Any:
    """The value with integers where the engine's protocol, which knows one kind of number, has 443.0 for 443.

    What the engine keeps secret is `[secret]` here; a Secret's fields that are secret as a whole are left empty.
    """
    if _sealed(value):
        return SEALED
    if isinstance(value, Mapping):
        return {key: {} if key in FIELDS and _sealed(item) else whole_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [whole_numbers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def rendered(kind: str, given: Mapping[str, Any], provider: str) -> Rendered:
    """One Kubernetes resource of the program as what is sent, from the inputs it was registered with."""
    region, inputs = region_of(provider), whole_numbers(given)
    if kind == RELEASE:
        body = {key: inputs[key] for key in ("chart", "version", "repositoryOpts", "namespace", "values") if key in inputs}
        return Rendered(region=region, path=Path(RELEASES, f"{inputs['name']}.yaml"), body=body, is_release=True)
    metadata = inputs["metadata"]
    place = metadata.get("namespace", CLUSTER_SCOPE)
    name = re.sub(r"[^a-z0-9.-]", "-", metadata["name"].lower())
    return Rendered(region=region, path=Path(place, f"{inputs['kind'].lower()}-{name}.yaml"), body=inputs, is_release=False)


def of_state(resources: Iterable[Mapping[str, Any]]) -> Iterator[Rendered]:
    """Every Kubernetes resource the engine's state holds as its own; what the program only read is not sent."""
    for resource in resources:
        kind = str(resource.get("type", ""))
        if kind.startswith("kubernetes:") and not resource.get("external"):
            yield rendered(kind, resource["inputs"], resource["provider"])


def write(objects: Iterable[Rendered], target: Path) -> int:
    """Writes the objects below a folder that is made anew; the number of files.

    Raises:
        ValueError: when two objects of a region would share a file.
    """
    if target.exists():
        shutil.rmtree(target)
    count = 0
    for one in objects:
        path = target / one.region / one.path
        if path.exists():
            msg = f"two objects want {one.region}/{one.path}"
            raise ValueError(msg)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(dict(one.body), sort_keys=True, allow_unicode=True, width=130), encoding="utf-8")
        count += 1
    return count


def run(stack: str, project: Path = ROOT) -> tuple[int, Path]:
    """Renders a stack of a project; the number of files and where they are.

    Raises:
        ToolError: without an engine.
        SettingsError: for settings that do not load.
    """

    def report(line: str) -> None:
        sys.stderr.write(f"{line}\n")

    with tempfile.TemporaryDirectory(prefix="zerotrust-render-") as scratch:
        place = Place.of(stack, project, Path(scratch))
        with lifecycle(stack, program_of(program_file(project)), place, report) as life:
            life.up()
            objects = list(of_state(life.state()))
    target = BUILD / "manifests" / (stack if project == ROOT else f"{project.name}-{stack}")
    return write(objects, target), target


def main() -> int:
    """Command line entry; exit code 1 when the program does not come through."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stack", required=True)
    parser.add_argument("--project", type=Path, default=ROOT, help="another project folder, for example examples/ecommerce")
    wanted = parser.parse_args()
    try:
        count, target = run(wanted.stack, wanted.project.resolve())
    except (ToolError, SettingsError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{count} objects in {target.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
