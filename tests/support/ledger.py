"""The URN ledgers: every name the program gives, one file per stack. `python -m tests.support.ledger` rewrites them."""

from pathlib import Path

from tests.support.program import STACKS, record_stack

LEDGERS = Path(__file__).parents[1] / "program" / "ledger"


def lines(stack: str) -> list[str]:
    """The stack's URNs without their common beginning, sorted."""
    return sorted(urn.split("::", 2)[2].removeprefix("pulumi:pulumi:Stack$") for urn in record_stack(stack).urns())


def committed(stack: str) -> list[str]:
    """The ledger in the tree."""
    return (LEDGERS / f"{stack}.txt").read_text(encoding="utf-8").splitlines()


def main() -> None:
    """Rewrite the ledgers."""
    LEDGERS.mkdir(parents=True, exist_ok=True)
    for stack in STACKS:
        (LEDGERS / f"{stack}.txt").write_text("\n".join(lines(stack)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
