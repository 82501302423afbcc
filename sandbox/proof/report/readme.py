"""The README's block of numbers, from proof.json: what it says is what one run saw, with its date and revision."""

import re
from pathlib import Path
from typing import Final

from sandbox.proof.report import figures
from sandbox.proof.results import PARTS, Proof

BEGIN: Final = "<!-- proof:begin (make prove) -->"
END: Final = "<!-- proof:end -->"
_BLOCK: Final = re.compile(rf"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)


class ReadmeError(Exception):
    """The file has no place for the block, or the proof is none to publish; the message says which."""

    user_facing = True


def block(proof: Proof) -> str:
    """The block with its markers.

    Raises:
        ReadmeError: the proof does not hold, is of some parts only, or of a tree that is not committed.
    """
    if missing := [figures.TITLES[part] for part in PARTS if part not in proof.asked]:
        msg = f"this proof leaves out {', '.join(missing)} and is not published"
        raise ReadmeError(msg)
    if proof.revision.endswith("+"):
        msg = f"this proof is of revision {proof.revision}, which nobody can have: commit first"
        raise ReadmeError(msg)
    if not proof.holds:
        msg = f"this proof does not hold and is not published: {figures.summary(proof)}"
        raise ReadmeError(msg)
    rows = [f"| {one.title} | {_cell(one.words)} |" for one in figures.sums(proof)]
    start = proof.figures.get("sandbox_seconds")
    memory = max(proof.figures.get("memory_gib", 0.0), proof.figures.get("sandbox_memory_gib", 0.0))
    took = f"{proof.seconds:.0f} s" + (f", after a start of {start:.0f} s" if start is not None else "")
    rows += [f"| Time | {took} |", *([f"| Most memory in use on the machine | {memory:.1f} GiB |"] if memory else [])]
    said = f"Seen on {proof.began[:10]} at revision `{proof.revision}`, all of it as it must be."
    return "\n".join([BEGIN, said, "", "| what | seen |", "| --- | --- |", *rows, END])


def update(readme: Path, proof: Proof) -> None:
    """Puts the block where the file's markers are.

    Raises:
        ReadmeError: it has not exactly one place for it, or the proof is none to publish.
    """
    text = readme.read_text(encoding="utf-8")
    fresh, count = _BLOCK.subn(lambda _found: block(proof), text)
    if count != 1:
        msg = f"{readme.name} has {count} places for the proof's numbers: one pair of `{BEGIN}` and `{END}` is needed"
        raise ReadmeError(msg)
    readme.write_text(fresh, encoding="utf-8")


def _cell(words: str) -> str:
    return words.replace("|", "\\|").replace("<", "&lt;")
