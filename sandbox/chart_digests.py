"""Digests of the pinned charts: `python -m sandbox.chart_digests` (`make charts`) asks each chart's home what the version is.

A version says which chart was meant; a digest says which bytes. For a chart of a repository it is the archive's, as the
repository's index states it; for an OCI reference the manifest's, hashed here. A missing one is written into
components/charts.yaml with the version it was read at, and again when that version is no longer the pinned one; one that
differs at the same version is an error, since what was released must never change. None is recorded yet: this needs a network,
which a preview does not. Helm itself does not read it.
"""

import argparse
import hashlib
import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from components.helm import PINS, ChartPin

TIMEOUT_SECONDS: Final = 60
MANIFESTS: Final = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"
LOOPBACK: Final = ("127.0.0.1", "localhost")

Resolve = Callable[[ChartPin], str]


class DigestError(Exception):
    """A digest cannot be had or is not what was recorded; the message names the chart and says what to do."""

    user_facing = True


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a server said."""

    status: int
    headers: Mapping[str, str]
    """Lower-case names."""
    body: bytes


def get(url: str, headers: Mapping[str, str] | None = None) -> Answer:
    """One GET, by TLS unless the server is on loopback.

    Raises:
        DigestError: for another scheme, and when nobody answers.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        msg = f"{url}: charts come by https"
        raise DigestError(msg)
    request = urllib.request.Request(url, headers=dict(headers or {}))  # noqa: S310 - the scheme was checked
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - the same
            return Answer(status=answer.status, headers=_lower(answer.headers.items()), body=answer.read())
    except urllib.error.HTTPError as refused:
        with refused:
            return Answer(status=refused.code, headers=_lower(refused.headers.items()), body=refused.read())
    except OSError as error:
        msg = f"{url}: {error}"
        raise DigestError(msg) from None


def resolve(pin: ChartPin) -> str:
    """The digest of a pinned chart, `sha256:…`, from where the chart lies.

    Raises:
        DigestError: when the home does not answer, does not have the version, or contradicts itself.
    """
    return from_repository(pin) if pin.repository else from_registry(pin.chart.removeprefix("oci://"), pin.version)


def from_repository(pin: ChartPin) -> str:
    """The archive's digest in the index of a chart repository."""
    url = f"{(pin.repository or '').rstrip('/')}/index.yaml"
    answer = get(url)
    if answer.status != 200:  # noqa: PLR2004 - OK
        msg = f"{url}: status {answer.status}"
        raise DigestError(msg)
    index = yaml.load(answer.body, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
    for entry in index.get("entries", {}).get(pin.chart, ()):
        if str(entry.get("version")) == pin.version:
            return _formed(f"sha256:{str(entry.get('digest', '')).removeprefix('sha256:')}", f"{pin.chart} in {url}")
    msg = f"{url} has no {pin.chart} {pin.version}"
    raise DigestError(msg)


def from_registry(reference: str, version: str, scheme: str = "https") -> str:
    """The manifest's digest in an OCI registry, with an anonymous token where the registry asks for one."""
    host, _, name = reference.partition("/")
    # A tag takes no plus sign; Helm writes an underscore for it.
    url = f"{scheme}://{host}/v2/{name}/manifests/{version.replace('+', '_')}"
    headers = {"Accept": MANIFESTS}
    answer = get(url, headers)
    if answer.status == 401:  # noqa: PLR2004 - Unauthorized
        answer = get(url, {**headers, "Authorization": f"Bearer {_token(answer.headers.get('www-authenticate', ''), url)}"})
    if answer.status != 200:  # noqa: PLR2004 - OK
        msg = f"{url}: status {answer.status}"
        raise DigestError(msg)
    digest = f"sha256:{hashlib.sha256(answer.body).hexdigest()}"
    stated = answer.headers.get("docker-content-digest", digest)
    if stated != digest:
        msg = f"{url}: the registry states {stated}, what it sends is {digest}"
        raise DigestError(msg)
    return digest


def compare(pins: Mapping[str, ChartPin], ask: Resolve = resolve) -> dict[str, str]:
    """Digests that are not recorded at the pinned version yet, by the platform's name of the chart.

    Raises:
        DigestError: every chart that could not be asked or differs, one line each, after all were asked.
    """
    missing, wrong = {}, []
    for name, pin in pins.items():
        try:
            digest = ask(pin)
        except DigestError as error:
            wrong.append(f"{name}: {error}")
            continue
        version, _, recorded = (pin.digest or "").partition("@")
        if version != pin.version:
            missing[name] = f"{pin.version}@{digest}"
        elif recorded != digest:
            wrong.append(f"{name} {pin.version}: recorded {recorded}, its home has {digest}; do not install it, find out why")
    if wrong:
        raise DigestError("\n".join(wrong))
    return missing


def written(text: str, digests: Mapping[str, str]) -> str:
    """The pin file with these digests after `app_version`, everything else as it was."""
    lines: list[str] = []
    current = ""
    for line in text.splitlines():
        if line.startswith("  digest:") and current in digests:
            continue
        lines.append(line)
        if found := re.fullmatch(r"([a-z0-9-]+):", line):
            current = found[1]
        elif line.startswith("  app_version:") and current in digests:
            lines.append(f"  digest: {digests[current]}")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None, ask: Resolve = resolve) -> int:
    """Writes what is missing; 1 with a sentence per chart for what differs or cannot be asked, and nothing written."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.chart_digests", description="Digests of the pinned charts.")
    parser.add_argument("--pins", type=Path, default=PINS, help="the pin file")
    path: Path = parser.parse_args(arguments).pins
    text = path.read_text(encoding="utf-8")
    pins = {name: ChartPin(**pin) for name, pin in yaml.safe_load(text).items()}
    try:
        missing = compare(pins, ask)
    except DigestError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if missing:
        path.write_text(written(text, missing), encoding="utf-8")
    sys.stdout.write(f"{len(pins)} charts: {len(pins) - len(missing)} as recorded, {len(missing)} digests written\n")
    return 0


def _token(challenge: str, url: str) -> str:
    asked = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    if not challenge.lower().startswith("bearer ") or "realm" not in asked:
        msg = f"{url}: the registry wants {challenge or 'a login'}; charts are public"
        raise DigestError(msg)
    query = urllib.parse.urlencode({key: asked[key] for key in ("service", "scope") if key in asked})
    answer = get(f"{asked['realm']}?{query}")
    try:
        said = json.loads(answer.body)
        return str(said.get("token") or said["access_token"])
    except (ValueError, KeyError, AttributeError):
        msg = f"{asked['realm']}: status {answer.status} and no token"
        raise DigestError(msg) from None


def _formed(digest: str, where: str) -> str:
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        msg = f"{where}: {digest!r} is no sha256 digest"
        raise DigestError(msg)
    return digest


def _lower(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {key.lower(): value for key, value in headers}


if __name__ == "__main__":
    sys.exit(main())
