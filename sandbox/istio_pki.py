"""Identities to put before Istio's listeners: SPIFFE certificates and signed tokens, made by tools/istio-verdicts.

Authorities and keys lie in a folder and are used again; what is made is good for a day. For tests only: nothing here protects
the keys.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote_plus

from sandbox import toolchain

TOOL: Final = "istio-verdicts"


class VerdictError(Exception):
    """The machinery failed; this is never a verdict."""


class RefusedError(VerdictError):
    """Istio, or the strict check before it, refuses the objects; `faults` names each object and field."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path


@dataclass(frozen=True, kw_only=True)
class Token:
    """A JWT to sign; `HS256` takes the key's public half for a secret, as a forger would."""

    key: str
    claims: Mapping[str, Any]
    alg: Literal["RS256", "HS256", "none"] = "RS256"


def _report(line: str) -> None:
    sys.stderr.write(line + "\n")


def run_tool(command: str, job: object, folder: Path, progress: Callable[[str], None] = _report) -> Any:
    """The tool's answer to a job; both lie in the folder afterwards.

    Raises:
        RefusedError: when the job is refused.
        VerdictError: when the tool fails.
        sandbox.toolchain.ToolError: when it cannot be built.
    """
    folder.mkdir(parents=True, exist_ok=True)
    asked, answered = folder / f"{command}.json", folder / f"{command}-result.json"
    asked.write_text(json.dumps(job), encoding="utf-8")
    binary = toolchain.build(TOOL, progress)
    with (folder / f"{command}.log").open("w+", encoding="utf-8") as log:
        code = subprocess.run([str(binary), command, str(asked), str(answered)], stdout=log, stderr=log, check=False).returncode
        log.seek(0)
        said = log.read().splitlines()[-5:]
    if code == 2:  # noqa: PLR2004 - the tool's own code for a refused job
        raise RefusedError(json.loads(answered.read_text(encoding="utf-8"))["errors"])
    if code != 0:
        msg = f"{TOOL} {command} failed: " + " | ".join(said)
        raise VerdictError(msg)
    return json.loads(answered.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Pki:
    """Certificate authorities, one per trust domain, and token keys, kept in a folder."""

    folder: Path

    def roots(self, trust_domain: str) -> Path:
        """The authority's certificate, as a PEM file."""
        return self.folder / f"{trust_domain}.ca.pem"

    def authorities(self, *trust_domains: str) -> None:
        """Make authorities that are not there yet."""
        run_tool("mint", {"folder": str(self.folder), "authorities": {name: name for name in trust_domains}}, self.folder)

    def leaves(self, identities: Mapping[str, str], *, signed_by: str) -> dict[str, Leaf]:
        """A certificate per name, with the SPIFFE ID given for it, from the authority of a trust domain."""
        files = {name: f"{signed_by}-{quote_plus(name)}" for name in identities}
        wanted = {files[name]: {"authority": signed_by, "uris": [spiffe_id]} for name, spiffe_id in identities.items()}
        job = {"folder": str(self.folder), "authorities": {signed_by: signed_by}, "leaves": wanted}
        run_tool("mint", job, self.folder)
        return {
            name: Leaf(certificate=self.folder / f"{file}.pem", key=self.folder / f"{file}.key") for name, file in files.items()
        }

    def tokens(self, wanted: Mapping[str, Token]) -> dict[str, str]:
        """A compact JWT per name."""
        made = {name: {"key": token.key, "alg": token.alg, "claims": dict(token.claims)} for name, token in wanted.items()}
        result: dict[str, str] = run_tool("mint", {"folder": str(self.folder), "tokens": made}, self.folder)["tokens"]
        return result

    def key_set(self, key: str) -> str:
        """The JWKS of a signing key, as text."""
        result: str = run_tool("mint", {"folder": str(self.folder), "key_sets": [key]}, self.folder)["key_sets"][key]
        return result
