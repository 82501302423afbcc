"""`python -m sandbox.proof.report page|readme`: the page again, or the README's numbers, from a proof.json."""

import argparse
import sys
from pathlib import Path

from sandbox.proof.refusals import LAYERS
from sandbox.proof.report import readme
from sandbox.proof.report.page import page
from sandbox.proof.results import Proof


def main() -> int:
    """Command line entry; exit code 1 with one sentence when something cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.proof.report", description=__doc__)
    parser.add_argument("what", choices=("page", "readme"))
    parser.add_argument("proof", type=Path, help="proof.json")
    parser.add_argument("--into", type=Path, help="write there instead of to the terminal; a README needs the block's markers")
    chosen = parser.parse_args()
    try:
        proof = Proof.read(chosen.proof)
        if chosen.what == "readme" and chosen.into:
            readme.update(chosen.into, proof)
            return 0
        text = readme.block(proof) + "\n" if chosen.what == "readme" else page(proof, LAYERS)
        if chosen.into:
            chosen.into.write_text(text, encoding="utf-8")
        else:
            sys.stdout.write(text)
    except (readme.ReadmeError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except (ValueError, TypeError, KeyError) as error:
        sys.stderr.write(f"{chosen.proof} is no proof that this program wrote: {error!r}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
