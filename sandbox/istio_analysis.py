"""Istio's own analysis of a set of objects, without a cluster: dangling references, conflicts, rules that match nothing.

It complements the API server and replaces nothing of it: a misspelt key passes here unnoticed. istioctl is newer than the
Istio that the program installs (sandbox/charts.py says why).
"""

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.toolchain import build


class AnalysisError(Exception):
    """istioctl cannot read the objects; the message is its own."""

    user_facing = True


@dataclass(frozen=True)
class Finding:
    """One message: `code` as IST0101, `level` Info, Warning or Error, `origin` as `VirtualService bank-a/api`."""

    code: str
    level: str
    origin: str
    message: str


def findings(
    objects: Iterable[Mapping[str, Any]],
    *,
    mesh_config: Mapping[str, Any] | None = None,
    progress: Callable[[str], None] = lambda _line: None,
) -> list[Finding]:
    """What `istioctl analyze` says about the objects of every namespace, sorted.

    Args:
        objects: plain JSON values, all kinds; those Istio does not know are ignored.
        mesh_config: the mesh configuration the objects will live under; Istio's own default without it.
        progress: gets a line a second while istioctl itself is built.

    Raises:
        AnalysisError: when istioctl fails, not when it finds something.
        ToolError: when it cannot be built.
    """
    tool = build("istioctl", progress)
    with tempfile.TemporaryDirectory() as scratch:
        # without --all-namespaces it looks at `default` alone, and finds nothing
        command = [str(tool), "analyze", "--use-kube=false", "--all-namespaces", "--output", "json"]
        if mesh_config is not None:
            (Path(scratch) / "mesh.yaml").write_text(json.dumps(mesh_config), encoding="utf-8")
            command += ["--meshConfigFile", str(Path(scratch) / "mesh.yaml")]
        given = Path(scratch) / "objects.yaml"
        given.write_text("\n---\n".join(json.dumps(one) for one in objects), encoding="utf-8")
        done = subprocess.run([*command, str(given)], cwd=scratch, capture_output=True, text=True, check=False)
    try:
        said = json.loads(done.stdout)
    except ValueError:
        msg = f"istioctl analyze: {' '.join((done.stderr or done.stdout).split())}"
        raise AnalysisError(msg) from None
    found = (Finding(entry["code"], entry["level"], entry.get("origin", ""), entry["message"]) for entry in said)
    return sorted(found, key=lambda one: (one.origin, one.code, one.message))
