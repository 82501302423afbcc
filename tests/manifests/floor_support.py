"""The floor on a real API server: who asks, and how long until a policy that was just written is judged by."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sandbox.apiclient import ApiServer, RefusedError

PATIENCE = 60.0


class Caller(ApiServer):
    """The server's administrator in somebody else's name: what EKS would say of a caller, said by impersonation."""

    def __init__(self, server: ApiServer, user: str, groups: Sequence[str] = ("system:authenticated",)) -> None:
        super().__init__(server.url, authority=server.authority, certificate=server.certificate, key=server.key)
        plain = self._connection.putheader
        given = [("Impersonate-User", user), *(("Impersonate-Group", group) for group in groups)]
        first = self._connection.endheaders

        def ended(*arguments: Any, **named: Any) -> None:
            for header in given:
                plain(*header)
            first(*arguments, **named)

        self._connection.endheaders = ended  # type: ignore[method-assign]


def everything(name: str, group: str) -> dict[str, Any]:
    """A binding by which a group may do everything: what is refused then the floor refuses."""
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    head = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name}}
    return {**head, "roleRef": role, "subjects": [subject]}


def refused(caller: ApiServer, method: str, path: str, body: Mapping[str, Any] | None = None) -> str:
    """What the server says against a trial of the request; the empty text when it would do it."""
    try:
        # Whoever is let through to a pod finds none: a connection has no trial.
        connects = path.endswith(("/exec", "/portforward"))
        caller.request(method, path, body, query=None if connects else {"dryRun": "All"})
    except RefusedError as error:
        return error.message
    return ""


def wait_until(asked: Iterator[bool]) -> None:
    """Until a question is answered yes: the server compiles a policy a moment after it is written."""
    deadline = time.monotonic() + PATIENCE
    while not next(asked):
        if time.monotonic() > deadline:
            msg = "the policies are not judged by"
            raise AssertionError(msg)
        time.sleep(0.2)
