"""What is running: the file that `ZEROTRUST_SANDBOX` names, and how a cluster in it is reached.

    {"regions": {"eu-west-1": {"kubeconfig": "<path>"}}, "home": "<folder>", "left_out": {"cilium": "<reason>"},
     "values": {"istiod": ["<path>"]}, "without": {"v1/ConfigMap": ["data.extra"]}}

`regions` alone is needed. `home` is where the live providers write (the file's folder unless said); `left_out` names charts,
as `components/charts.yaml` does, that are declared and not installed, and objects (`Deployment bank-a/api-ms`) that the server
judges and does not keep, each with its reason. `values` names, for a chart, the values files
that go over the program's values, the last one over the others. `without` names, for a kind, the fields that are not sent,
because what they speak of is not on this machine.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

VARIABLE: Final = "ZEROTRUST_SANDBOX"
LIVE: Final = ("kubernetes", "vault")
"""Packages whose provider acts on what is running; every other stays a stand-in."""


class RunningError(Exception):
    """The file, or a kubeconfig it names, cannot be used; the message says which and why."""

    user_facing = True


@dataclass(frozen=True, kw_only=True)
class Access:
    """One cluster and its administrator; certificates and key are PEM."""

    region: str
    url: str
    kubeconfig: Path
    authority: str
    certificate: str
    key: str


@dataclass(frozen=True, kw_only=True)
class Running:
    """Everything that is running, by region."""

    home: Path
    regions: Mapping[str, Access]
    left_out: Mapping[str, str]
    values: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    without: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def cluster(self, kubeconfig: str) -> Access:
        """The cluster that a provider's kubeconfig leads to, with the administrator's certificate instead of a token of AWS.

        Args:
            kubeconfig: its text, or the path of a file.

        Raises:
            RunningError: for a server that is none of the sandbox's.
        """
        text = kubeconfig
        if "\n" not in text and not text.lstrip().startswith("{") and Path(text).is_file():
            text = Path(text).read_text(encoding="utf-8")
        server = str(_current(text, "the provider's kubeconfig")[0].get("server"))
        for access in self.regions.values():
            if access.url == server:
                return access
        msg = f"the provider's kubeconfig leads to {server}, which is none of the sandbox's clusters ({', '.join(self.regions)})"
        raise RunningError(msg)


def running(file: str) -> Running:
    """What a file says is running.

    Raises:
        RunningError: when it cannot be read.
    """
    path = Path(file)
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        regions = {code: _access(code, Path(entry["kubeconfig"])) for code, entry in said["regions"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"{VARIABLE} names {file}, which cannot be used: {type(error).__name__}: {error}"
        raise RunningError(msg) from error
    return Running(
        home=Path(said.get("home") or path.parent),
        regions=regions,
        left_out=dict(said.get("left_out") or {}),
        values={name: tuple(map(Path, files)) for name, files in (said.get("values") or {}).items()},
        without={kind: tuple(paths) for kind, paths in (said.get("without") or {}).items()},
    )


def _current(text: str, what: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Cluster and user of a kubeconfig's current context."""
    try:
        document = yaml.safe_load(text)
        contexts = {one["name"]: one["context"] for one in document["contexts"]}
        context = contexts[document["current-context"]]
        clusters = {one["name"]: one["cluster"] for one in document["clusters"]}
        users = {one["name"]: one.get("user") or {} for one in document.get("users") or []}
        return dict(clusters[context["cluster"]]), dict(users.get(context["user"], {}))
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        msg = f"{what} is not one: {type(error).__name__}: {error}"
        raise RunningError(msg) from error


def _access(region: str, path: Path) -> Access:
    cluster, user = _current(path.read_text(encoding="utf-8"), str(path))

    def pem(entry: Mapping[str, Any], key: str) -> str:
        if f"{key}-data" in entry:
            return base64.b64decode(str(entry[f"{key}-data"])).decode()
        # a kubeconfig's relative paths start at its own folder
        return (path.parent / str(entry[key])).read_text(encoding="utf-8")

    return Access(
        region=region,
        url=str(cluster["server"]),
        kubeconfig=path,
        authority=pem(cluster, "certificate-authority"),
        certificate=pem(user, "client-certificate"),
        key=pem(user, "client-key"),
    )
