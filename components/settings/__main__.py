"""`python -m components.settings FILE…` checks stack files; exit code 1 and every refusal when one must not load."""

import sys
from pathlib import Path

from components.settings import SettingsError, load_file


def main(paths: list[str]) -> int:
    """Check each file and print what is wrong with it."""
    failed = 0
    for path in paths:
        try:
            load_file(Path(path))
        except SettingsError as error:
            sys.stderr.write(f"{error}\n")
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
