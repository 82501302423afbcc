"""Outputs that must be true where clusters run: how a region's cluster is reached, and passwords that nobody can compute."""

import base64
import secrets
import string
from collections.abc import Mapping
from typing import Any, Final

from sandbox.live.running import running

CLUSTER: Final = "aws:eks/cluster:Cluster"
_PASSWORDS: Final = frozenset({"random:index/randomPassword:RandomPassword", "random:index/randomString:RandomString"})
_CLASSES: Final[Mapping[str, str]] = {
    "lower": string.ascii_lowercase,
    "upper": string.ascii_uppercase,
    "numeric": string.digits,
    "special": "!@#$%&*()-_=+[]{}<>:?",
}


def running_outputs(token: str, region: str, inputs: Mapping[str, Any], file: str) -> dict[str, Any]:
    """The outputs of a resource that are real in a local run; empty for what stays a stand-in's.

    Args:
        token: the resource's type.
        region: where it is.
        inputs: as the program has them.
        file: what is running.

    Raises:
        RunningError: when the file cannot be read.
    """
    if token == CLUSTER:
        access = running(file).regions.get(region)
        if access is None:
            return {}
        authority = {"data": base64.b64encode(access.authority.encode()).decode()}
        return {"endpoint": access.url, "certificateAuthority": authority, "certificateAuthorities": [authority]}
    return {"result": _password(inputs)} if token in _PASSWORDS else {}


def _password(inputs: Mapping[str, Any]) -> str:
    """Of the asked length and classes; each class, unless it is refused, may occur."""
    alphabet = "".join(letters for name, letters in _CLASSES.items() if inputs.get(name) is not False)
    return "".join(secrets.choice(alphabet) for _ in range(int(inputs.get("length") or 16)))
