"""What the settings tell the ceremony of a region: `python -m components.vault.ceremony <stack file> <region> <folder>`.

Writes into the folder one key file per custodian and `ceremony.env`, which the shell reads before `ceremony.sh`.
"""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from components.graph.model import Graph
from components.graph.names import vault_host
from components.settings import Settings, load_file
from components.vault.provider import deployer_principal

FILES: Final = Path(__file__).parent / "files"
SCRIPT: Final = FILES / "ceremony.sh"
POLICY: Final = FILES / "deployer.hcl"


def variables(settings: Settings, region: str, folder: Path) -> Mapping[str, str]:
    """What `ceremony.sh` needs beside the server's address and authority.

    Raises:
        ValueError: for a region that the settings do not have, and without custodians.
    """
    if region not in settings.regions:
        msg = f"{region}: no such region; the settings have {', '.join(sorted(settings.regions))}"
        raise ValueError(msg)
    if not settings.vault.custodians:
        msg = "vault.custodians: name who holds the recovery shares before the ceremony"
        raise ValueError(msg)
    return {
        "SHARES": str(folder / "custodians"),
        "THRESHOLD": str(settings.vault.custodian_threshold),
        "DEPLOYER": deployer_principal(settings.account.deployer_role),
        "REGION": region,
        "HEADER": vault_host(Graph.of(settings).trust_domain(region)),
        "POLICY": str(POLICY),
        "OUT": str(folder / "shares"),
    }


def prepare(settings: Settings, region: str, folder: Path) -> Path:
    """Write the custodians' keys and `ceremony.env`; the file's path. Raises what `variables` raises."""
    told = variables(settings, region, folder)
    keys = Path(told["SHARES"])
    keys.mkdir(parents=True, exist_ok=True)
    for name, key in sorted(settings.vault.custodians.items()):
        (keys / f"{name}.asc").write_text(key, encoding="utf-8")
    written = folder / "ceremony.env"
    lines = (f"export {name}={shlex.quote(value)}\n" for name, value in told.items())
    written.write_text("".join(lines), encoding="utf-8")
    return written


def main(arguments: list[str]) -> int:
    """Command line entry; 1 with a sentence when the settings are not ready, 2 for wrong arguments."""
    if len(arguments) != 3:  # noqa: PLR2004 - the three of the usage line
        sys.stderr.write("usage: python -m components.vault.ceremony <stack file> <region> <folder>\n")
        return 2
    stack, region, folder = arguments
    try:
        sys.stdout.write(f"{prepare(load_file(Path(stack)), region, Path(folder).resolve())}\n")
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
