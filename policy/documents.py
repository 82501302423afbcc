"""IAM documents in every spelling: JSON text or object, one statement or many, strings or lists, any letter case."""

import fnmatch
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from policy.model import CouldNotRun, Resource, Violation
from policy.values import UNKNOWN, UNKNOWN_SENTINELS, Unknown, elements, is_set, look

# Conditions that tie a statement open to everybody to one organisation, account, network or calling resource.
NARROWING_KEYS = frozenset(
    {
        "aws:principalorgid",
        "aws:principalorgpaths",
        "aws:principalaccount",
        "aws:principalarn",
        "aws:sourcearn",
        "aws:sourceaccount",
        "aws:sourceorgid",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "kms:calleraccount",
    },
)
NARROWING_OPERATORS = frozenset({"stringequals", "stringequalsignorecase", "stringlike", "arnequals", "arnlike"})
EVERYTHING = re.compile(r"^(\*+|arn:[^:]*(:\*+)+)$")


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement with its path; the members of its lists may be UNKNOWN."""

    path: str
    body: dict[str, Any]
    names: dict[str, str] = field(repr=False)

    def raw(self, key: str) -> Any:
        """The value under a key, whatever its letter case."""
        name = self.names.get(key.lower())
        return None if name is None else self.body[name]

    def members(self, key: str) -> list[tuple[str, Any]]:
        """The members under a key with their paths."""
        return list(elements(self.raw(key), f"{self.path}.{key}"))

    @property
    def effect(self) -> Any:
        """``allow``, ``deny``, UNKNOWN, or whatever else stands there."""
        value = self.raw("Effect")
        return value.strip().lower() if isinstance(value, str) else value

    @property
    def may_allow(self) -> bool:
        """Whether it allows, or may once it is known. A statement that is neither is treated as one that allows."""
        return bool(self.effect != "deny")


class UnreadableDocumentError(ValueError):
    """The text is no JSON object of the IAM form."""


def _mark(value: Any) -> Any:
    if isinstance(value, str):
        return UNKNOWN if any(sentinel in value for sentinel in UNKNOWN_SENTINELS) else value
    if isinstance(value, dict):
        return {key: _mark(item) for key, item in value.items()}
    return [_mark(item) for item in value] if isinstance(value, list) else value


def _object(document: Any) -> dict[str, Any] | Unknown:
    if isinstance(document, str) and document not in UNKNOWN_SENTINELS:
        try:
            document = json.loads(document)
        except ValueError as error:
            msg = "is no JSON"
            raise UnreadableDocumentError(msg) from error
    marked: Any = _mark(document)
    if not isinstance(marked, dict | Unknown):
        msg = "is no JSON object"
        raise UnreadableDocumentError(msg)
    return marked


def statements(document: Any, path: str) -> list[Statement] | Unknown:
    """The statements of a document.

    Raises:
        UnreadableDocumentError: for what IAM would not read either; the message holds nothing of the text.
    """
    readable = _object(document)
    if not isinstance(readable, dict):
        return readable
    names = {str(key).lower(): key for key in readable}
    found = []
    for where, body in elements(readable.get(names.get("statement", "Statement")), f"{path}.Statement"):
        if isinstance(body, Unknown):
            return body
        if not isinstance(body, dict):
            msg = "has a statement that is no object"
            raise UnreadableDocumentError(msg)
        found.append(Statement(path=where, body=body, names={str(key).lower(): key for key in body}))
    if not found:
        msg = "has no statement"
        raise UnreadableDocumentError(msg)
    return found


def is_everything(value: Any) -> bool:
    """Whether a resource pattern means all resources."""
    return isinstance(value, str) and bool(EVERYTHING.match(value.strip()))


def is_every_action(value: Any) -> bool:
    """Whether an action pattern means all actions of all services."""
    return isinstance(value, str) and not value.replace("*", "").replace(":", "").strip()


def is_service_wide(value: Any) -> bool:
    """Whether an action pattern takes a whole service, or services by pattern."""
    if not isinstance(value, str):
        return False
    service, colon, action = value.strip().partition(":")
    return not colon or "*" in service or "?" in service or not action.strip("*?")


def matches_any(value: str, patterns: tuple[str, ...]) -> bool:
    """Whether a pattern of the list covers the value; letter case does not matter to IAM."""
    return any(fnmatch.fnmatchcase(value.lower(), pattern.lower()) for pattern in patterns)


def principals(statement: Statement) -> Iterator[tuple[str, str, Any]]:
    """Path, kind (``AWS``, ``Service``, … or ``*``) and value of each principal."""
    value = statement.raw("Principal")
    path = f"{statement.path}.Principal"
    if isinstance(value, dict):
        for kind, listed in value.items():
            for where, member in elements(listed, f"{path}.{kind}"):
                yield where, str(kind), member
    elif value is not None:
        for where, member in elements(value, path):
            yield where, "*", member


def is_anyone(kind: str, value: Any) -> bool:
    """Whether a principal means everybody, with or without an account of their own."""
    return kind.lower() in ("*", "aws") and isinstance(value, str) and not value.strip().strip("*")


def conditions(statement: Statement) -> Iterator[tuple[str, str, list[Any]]]:
    """Operator, key (lower case) and values of each condition."""
    value = statement.raw("Condition")
    if not isinstance(value, dict):
        return
    for operator, keys in value.items():
        if isinstance(keys, dict):
            for key, listed in keys.items():
                yield str(operator).lower(), str(key).lower(), [member for _, member in elements(listed, "")]


def narrowed(statement: Statement) -> bool | None:
    """Whether a condition confines a statement open to everybody; None where the preview cannot tell."""
    if statement.raw("Condition") is UNKNOWN:
        return None
    undecided = False
    for operator, key, values in conditions(statement):
        if operator not in NARROWING_OPERATORS or key not in NARROWING_KEYS or not values:
            continue
        if any(value is UNKNOWN for value in values):
            undecided = True
        elif all(isinstance(value, str) and value.strip("*?:") and not is_everything(value) for value in values):
            return True
    return None if undecided else False


def documents_of(resource: Resource) -> Iterator[Statement | Violation | CouldNotRun]:
    """The statements of every permission document a resource carries, or why they could not be read."""
    named = [("policy", resource.get("policy"))]
    named += [
        (f"{path}.policy", UNKNOWN if inline is UNKNOWN else look(inline, "policy"))
        for path, inline in elements(resource.get("inlinePolicies"), "inlinePolicies")
    ]
    for path, document in named:
        if not is_set(document):
            continue
        try:
            found = statements(document, path)
        except UnreadableDocumentError as error:
            yield Violation(path=path, problem=str(error), urn=resource.urn)
            continue
        if found is UNKNOWN:
            yield CouldNotRun(path=path, urn=resource.urn)
        else:
            yield from found
