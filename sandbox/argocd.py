"""Argo CD's own verdicts on projects, applications and requests, by the release pinned in `tools/argocd-verdicts/go.mod`."""

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.toolchain import build

Object = Mapping[str, Any]


class ArgoCDError(Exception):
    """Argo CD refused a project, a policy or a job; the message is its own."""

    user_facing = True


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of object that an application would apply."""

    group: str
    kind: str
    namespaced: bool = True
    name: str = "some"


@dataclass(frozen=True, kw_only=True)
class Request:
    """A question to the API server's enforcer."""

    subject: str
    resource: str
    action: str
    object: str


@dataclass(frozen=True, kw_only=True)
class Job:
    """One application of one project, what it would apply, and perhaps a request."""

    project: Object
    application: Object
    kinds: Sequence[Kind] = ()
    policy: str = ""
    request: Request | None = None

    def line(self) -> str:
        """As the tool reads it."""
        asked: dict[str, Any] = {
            "project": self.project,
            "application": self.application,
            "resources": [
                {"group": one.group, "kind": one.kind, "name": one.name, "namespaced": one.namespaced} for one in self.kinds
            ],
            "policy": self.policy,
        }
        if self.request is not None:
            asked["request"] = vars(self.request)
        return json.dumps(asked)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is permitted; `kinds` in the job's order, `request` None without one."""

    source: bool
    destination: bool
    kinds: tuple[bool, ...] = field(default=())
    request: bool | None = None


def verdicts(jobs: Sequence[Job], progress: Callable[[str], None]) -> list[Verdict]:
    """A verdict for each job, in order.

    Raises:
        ArgoCDError: for a project, a policy or a job that Argo CD does not take.
    """
    tool = build("argocd-verdicts", progress)
    text = "".join(f"{job.line()}\n" for job in jobs)
    ran = subprocess.run([tool], input=text, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise ArgoCDError(ran.stderr.strip())
    answers = [json.loads(line) for line in ran.stdout.splitlines()]
    return [
        Verdict(
            source=bool(one["sources"]) and all(one["sources"]),
            destination=one["destination"],
            kinds=tuple(one["resources"]),
            request=one.get("rbac"),
        )
        for one in answers
    ]
