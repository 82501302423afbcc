"""Kyverno's own command line: each policy's test, and objects as the policies leave them.

`python -m sandbox.kyverno` runs `kyverno test` over every policy's own.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from components.admission.controls import FOLDER
from sandbox.toolchain import build

Object = Mapping[str, Any]


class KyvernoError(Exception):
    """kyverno itself failed; the message has its last lines."""

    user_facing = True


def verify(folder: Path = FOLDER / "kyverno", progress: Callable[[str], None] = lambda _line: None) -> tuple[bool, str]:
    """Whether every test below the folder passes, and what kyverno printed."""
    ran = _run(["test", str(folder), "--remove-color"], progress)
    return ran.returncode == 0, ran.stdout + ran.stderr


def apply(
    policies: Sequence[Object], objects: Sequence[Object], progress: Callable[[str], None] = lambda _line: None
) -> list[dict[str, Any]]:
    """What the policies make of the objects: each as they leave it, and each one generated, once.

    Raises:
        KyvernoError: when kyverno cannot apply a policy.
    """
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        out = home / "out"
        out.mkdir()
        for name, several in (("policies.yaml", policies), ("objects.yaml", objects)):
            text = yaml.safe_dump_all([json.loads(json.dumps(one)) for one in several])
            (home / name).write_text(text, encoding="utf-8")
        ran = _run(["apply", str(home / "policies.yaml"), "-r", str(home / "objects.yaml"), "-o", str(out)], progress)
        if ran.returncode != 0:
            raise KyvernoError((ran.stdout + ran.stderr).strip()[-2000:])
        made = [one for file in sorted(out.rglob("*.yaml")) for one in yaml.safe_load_all(file.read_text(encoding="utf-8"))]
    last = {(one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]): one for one in made if one}
    return list(last.values())


def _run(arguments: Sequence[str], progress: Callable[[str], None]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(build("kyverno", progress)), *arguments], capture_output=True, text=True, check=False)


def main() -> int:
    """Command line entry; exit code 1 when a test fails."""
    right, said = verify(progress=lambda line: print(line, file=sys.stderr))  # noqa: T201
    sys.stdout.write(said)
    return 0 if right else 1


if __name__ == "__main__":
    raise SystemExit(main())
