"""Builds the images that are missing into the cache and says to the nodes' image services which is where.

`python -m sandbox.local.images.prepare [name …]` builds these, or all, and prints their paths.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from sandbox.local.images.oci import key, write
from sandbox.local.images.parts import Progress, Tool
from sandbox.local.images.store import unused
from sandbox.local.images.table import IMAGES, PATTERNS
from sandbox.toolchain import ToolError, cache_root


def tools(names: Iterable[str] = IMAGES) -> tuple[str, ...]:
    """The programs of `sandbox.toolchain` that these images need: whoever builds several at a time begins with them."""
    return tuple(sorted({part.name for name in names for part in IMAGES[name].parts if isinstance(part, Tool)}))


def prepare(names: Iterable[str], progress: Progress) -> dict[str, Path]:
    """The archives of these images, each built unless the cache has it.

    Raises:
        ToolError: for an unknown name, or with what an image needs and this machine has not.
    """
    made = {}
    for name in sorted(set(names)):
        if name not in IMAGES:
            msg = f"{name}: no such image; known: {', '.join(sorted(IMAGES))}"
            raise ToolError(msg)
        image = IMAGES[name]
        files = image.files(progress)
        target = cache_root() / "images" / name / f"{key(files, image.settings)}.tar"
        if not target.is_file():
            progress(f"writing the image {name}")
            for old in unused(target.parent.glob("*.tar")):
                old.unlink()  # of another version, and no running node's
            write(target, files, image.settings)
        os.utime(target)
        made[name] = target
    return made


def write_table(path: Path, archives: Mapping[str, Path]) -> None:
    """What an image service reads: `{"patterns": [{"repository", "archive"}]}`, of the images that there are."""
    rows = [{"repository": pattern, "archive": str(archives[name])} for pattern, name in PATTERNS if name in archives]
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_suffix(".new")
    made.write_text(json.dumps({"patterns": rows}, indent=1), encoding="utf-8")
    made.replace(path)


def main() -> int:
    """Command line entry; exit code 1 where an image cannot be made, after the others."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", nargs="*", default=[], help="a local name; all when none is named")
    code = 0
    for name in parser.parse_args().image or sorted(IMAGES):
        try:
            made = prepare([name], lambda line: print(line, file=sys.stderr))  # noqa: T201
            sys.stdout.write(f"{name} {made[name]} {made[name].stat().st_size >> 20} MiB\n")
        except ToolError as error:
            sys.stderr.write(f"{name}: {error}\n")
            code = 1
    return code


if __name__ == "__main__":
    raise SystemExit(main())
