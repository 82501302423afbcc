"""Gatekeeper's own command line: suites over the controls' samples, and objects judged by compiled constraints.

`python -m sandbox.gator` writes every control's suite into a folder of its own and runs `gator verify` over it.
"""

import copy
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from components.admission.constraints import PLATFORM, constraint, template
from components.admission.controls import Control, of_engine
from sandbox.toolchain import build

Object = Mapping[str, Any]
_SAMPLE: Final = "sample"


class GatorError(Exception):
    """gator itself failed; the message has its last lines."""

    user_facing = True


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One object refused by one constraint."""

    kind: str
    """The constraint's kind."""
    constraint: str
    object: str
    """`<kind> <namespace>/<name>`."""
    message: str


def samples(control: Control, verdict: str) -> list[dict[str, Any]]:
    """The control's samples: `allowed` or `refused`."""
    text = (control.folder / "samples" / f"{verdict}.yaml").read_text(encoding="utf-8")
    return [one for one in yaml.safe_load_all(text) if one]


def write_suite(folder: Path, control: Control) -> Path:
    """The control's suite as `gator verify` takes it: template, a constraint with the sample parameters, a file per sample."""
    home = folder / control.id
    home.mkdir(parents=True)
    wanted = constraint(control, _SAMPLE, control.sample)
    if control.scope not in {"everywhere", "cluster"}:
        wanted["spec"]["match"]["excludedNamespaces"] = list(PLATFORM)
    _write(home / "template.yaml", template(control))
    _write(home / "constraint.yaml", wanted)
    cases = []
    for verdict, expected in (("allowed", "no"), ("refused", "yes")):
        for number, one in enumerate(samples(control, verdict)):
            name = f"{verdict}-{number}.yaml"
            _write(home / name, one)
            title = f"{verdict}: {one['kind']} {one['metadata']['name']}"
            cases.append({"name": title, "object": name, "assertions": [{"violations": expected}]})
    test = {"name": control.id, "template": "template.yaml", "constraint": "constraint.yaml", "cases": cases}
    head = {"apiVersion": "test.gatekeeper.sh/v1alpha1", "kind": "Suite", "metadata": {"name": control.id}}
    _write(home / "suite.yaml", {**head, "tests": [test]})
    return home


def verify(controls: Iterable[Control], progress: Callable[[str], None] = lambda _line: None) -> tuple[bool, str]:
    """Whether every sample of the controls is judged as its file says, and what gator printed."""
    with tempfile.TemporaryDirectory() as scratch:
        for control in controls:
            write_suite(Path(scratch), control)
        ran = _run(["verify", f"{scratch}/...", "-v"], progress)
    return ran.returncode == 0, ran.stdout + ran.stderr


def judge(
    rules: Sequence[Object], objects: Sequence[Object], progress: Callable[[str], None] = lambda _line: None
) -> tuple[Violation, ...]:
    """What the constraints among `rules` (templates and constraints) say against the objects.

    Namespaces among the objects are what `namespaceSelector` reads; each object's namespace must be there.

    Raises:
        GatorError: when gator does not answer with a verdict.
    """
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "all.yaml"
        # JSON is YAML, and written a hundred times as fast.
        file.write_text("\n---\n".join(json.dumps(one) for one in (*rules, *objects)), encoding="utf-8")
        ran = _run(["test", f"--filename={file}", "--output=json"], progress)
    try:
        said = json.loads(ran.stdout or "[]") or []
    except ValueError:
        raise GatorError((ran.stdout + ran.stderr).strip()[-2000:]) from None
    if not said and ran.returncode != 0:
        raise GatorError((ran.stdout + ran.stderr).strip()[-2000:])
    return tuple(_violation(one) for one in said)


def constraint_definitions(templates: Iterable[Object]) -> list[dict[str, Any]]:
    """The custom resource definitions that Gatekeeper would make of the templates, for a server without Gatekeeper."""
    match = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    made = []
    for one in templates:
        wanted = one["spec"]["crd"]["spec"]
        kind = wanted["names"]["kind"]
        parameters = copy.deepcopy(wanted["validation"]["openAPIV3Schema"])
        fields = {"enforcementAction": {"type": "string"}, "match": match, "parameters": parameters}
        spec = {"type": "object", "properties": fields}
        version = {
            "name": "v1beta1",
            "served": True,
            "storage": True,
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}},
        }
        name = kind.lower()
        made.append(
            {
                "apiVersion": "apiextensions.k8s.io/v1",
                "kind": "CustomResourceDefinition",
                "metadata": {"name": f"{name}.constraints.gatekeeper.sh"},
                "spec": {
                    "group": "constraints.gatekeeper.sh",
                    "names": {"kind": kind, "plural": name, "singular": name, "listKind": f"{kind}List"},
                    "scope": "Cluster",
                    "versions": [version],
                },
            }
        )
    return made


def _violation(said: Mapping[str, Any]) -> Violation:
    about = said["violatingObject"]
    where = about["metadata"]
    return Violation(
        kind=said["constraint"]["kind"],
        constraint=said["constraint"]["metadata"]["name"],
        object=f"{about['kind']} {where.get('namespace', '')}/{where['name']}",
        message=said["msg"],
    )


def _run(arguments: Sequence[str], progress: Callable[[str], None]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(build("gator", progress)), *arguments], capture_output=True, text=True, check=False)


def _write(path: Path, one: Object) -> None:
    path.write_text(yaml.safe_dump(json.loads(json.dumps(one)), sort_keys=False), encoding="utf-8")


def main() -> int:
    """Command line entry; exit code 1 when a sample is judged otherwise than its file says."""
    right, said = verify(of_engine("gatekeeper"), lambda line: print(line, file=sys.stderr))  # noqa: T201
    sys.stdout.write(said)
    return 0 if right else 1


if __name__ == "__main__":
    raise SystemExit(main())
