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
    """A kind of object that an application would apply; without a namespace it goes where the application goes."""

    group: str
    kind: str
    namespaced: bool = True
    name: str = "some"
    namespace: str = ""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A question to the API server's enforcer; without an object it is about the job's application, as Argo CD names it."""

    subject: str
    resource: str
    action: str
    object: str = ""


@dataclass(frozen=True, kw_only=True)
class Job:
    """An application among projects, of which it names one; what it would apply; perhaps a signature and a request.

    `namespaces` are those in which Argo CD looks for applications beside its own, `argocd`. `verification` is what git says about
    the revision's signature, the empty text for none.
    """

    projects: Sequence[Object]
    application: Object
    namespaces: Sequence[str] = ()
    kinds: Sequence[Kind] = ()
    verification: str | None = None
    policy: str = ""
    request: Request | None = None

    def line(self) -> str:
        """As the tool reads it."""
        asked: dict[str, Any] = {
            "projects": list(self.projects),
            "application": self.application,
            "namespaces": list(self.namespaces),
            "resources": [vars(one) for one in self.kinds],
            "verification": self.verification,
            "policy": self.policy,
        }
        if self.request is not None:
            asked["request"] = vars(self.request)
        return json.dumps(asked)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is permitted; `kinds` in the job's order, `signed` and `request` None where nothing was asked.

    `refused` says why the application is in no project; nothing but the request is judged then, and all else is False.
    """

    refused: str = ""
    source: bool = False
    destination: bool = False
    kinds: tuple[bool, ...] = field(default=())
    signed: bool | None = None
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
            refused=one["refused"],
            source=bool(one["sources"]) and all(one["sources"]),
            destination=one["destination"],
            kinds=tuple(one["resources"]),
            signed=one.get("signed"),
            request=one.get("rbac"),
        )
        for one in answers
    ]
