"""Turns everything wrong with a settings tree into one message: a sentence per key, with the value and the remedy."""

import difflib
import json
from collections.abc import Iterable, Mapping
from typing import Any, get_args, get_origin

import pulumi
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from components.settings.base import Model, Problem

LONGEST_VALUE = 60
WANTED = (
    ("int", "a whole number"),
    ("bool", "true or false"),
    ("string", "text in quotes"),
    ("tuple", "a list"),
    ("date", "a date in quotes, YYYY-MM-DD"),
    ("model", "a mapping of keys"),
    ("dict", "a mapping of keys"),
)
"""What pydantic's type errors, by the stem of their name, ask for."""


class SettingsError(pulumi.RunError):
    """Settings that must not load. Pulumi prints a RunError's message without a traceback; so does the offline preview."""

    user_facing = True

    def __init__(self, source: str, sentences: Iterable[str]) -> None:
        self.sentences = tuple(dict.fromkeys(sentences))
        count = len(self.sentences)
        head = f"{source}: {count} setting{'s' if count != 1 else ''} refused, nothing was done."
        super().__init__("\n".join([head, *(f"  {sentence}" for sentence in self.sentences)]))


def shown(value: object) -> str:
    """The value as the user wrote it, cut to a readable length."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def sentence(path: Iterable[object], value: object, remedy: str) -> str:
    """Return one sentence of the form `key = value: remedy.`."""
    key = ".".join(str(part) for part in path if part != "[key]")
    return f"{key or 'settings'} = {shown(value)}: {remedy.rstrip('.')}."


def sentences_of(error: ValidationError, root: type[BaseModel]) -> list[str]:
    """One sentence for each error pydantic found, in the order of the keys."""
    details = error.errors()
    return [text for detail in details if not _follows(detail, details) for text in _explain(detail, root)]


def _follows(detail: ErrorDetails, details: list[ErrorDetails]) -> bool:
    """Whether a list is only `too_short` because pydantic does not count its bad items, which are reported themselves."""
    loc = detail["loc"]
    below = (other["loc"] for other in details if len(other["loc"]) > len(loc))
    return detail["type"] == "too_short" and any(other[: len(loc)] == loc for other in below)


def _explain(detail: ErrorDetails, root: type[BaseModel]) -> list[str]:
    path, value, context = detail["loc"], detail["input"], detail.get("ctx", {})
    if detail["type"] == "problems":
        problems: tuple[Problem, ...] = context["problems"]
        return [sentence((*path, *problem.path), problem.value, problem.remedy) for problem in problems]
    return [sentence(path, None if detail["type"] == "missing" else value, _remedy(detail, root))]


def _remedy(detail: ErrorDetails, root: type[BaseModel]) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    bound = next(iter(context.values()), None)
    length = context.get("min_length", context.get("max_length"))
    fixed = {
        "refused": str(context.get("sentence")),
        "missing": f"this key is required; add it ({_meaning(root, detail['loc'])})",
        "extra_forbidden": _unknown_key(root, detail["loc"]) if kind == "extra_forbidden" else "",
        "enum": f"choose one of {context.get('expected')}",
        "literal_error": f"choose one of {context.get('expected')}",
        "string_pattern_mismatch": f"choose one of {context.get('pattern', '').strip('^$()').replace('|', ', ')}",
        "string_too_short": f"write at least {length} characters",
        "string_too_long": f"write at most {length} characters",
        "too_short": f"list at least {length}, not {context.get('actual_length')}",
        "too_long": f"list at most {length}, not {context.get('actual_length')}",
        "greater_than_equal": f"use a number of at least {bound}",
        "less_than_equal": f"use a number of at most {bound}",
    }
    if kind in fixed:
        return fixed[kind]
    return next(
        (f"write {words}, not {_kind_of(detail['input'])}" for stem, words in WANTED if kind.startswith(stem)), detail["msg"]
    )


def _kind_of(value: object) -> str:
    names = {
        bool: "true or false",
        int: "a number",
        float: "a decimal number",
        str: "text",
        list: "a list",
        dict: "a mapping",
        type(None): "nothing",
    }
    return names.get(type(value), type(value).__name__)


def _unknown_key(root: type[BaseModel], path: tuple[int | str, ...]) -> str:
    model = model_at(root, path[:-1])
    known = sorted(model.model_fields) if model else []
    if model and issubclass(model, Model) and str(path[-1]) in model.retired_keys:
        return model.retired_keys[str(path[-1])]
    close = difflib.get_close_matches(str(path[-1]), known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"remove it, or use one of {', '.join(known)}"
    return f"there is no such key; {hint}"


def _meaning(root: type[BaseModel], path: tuple[int | str, ...]) -> str:
    model = model_at(root, path[:-1])
    field = model.model_fields.get(str(path[-1])) if model else None
    return (field.description or "").split(".")[0].replace("\n", " ") if field else "see the schema"


def model_at(root: type[BaseModel], path: Iterable[object]) -> type[BaseModel] | None:
    """The settings model that stands at a path of keys, or None where a plain value stands."""
    model: type[BaseModel] | None = root
    entry_next = False
    for key in path:
        if entry_next:
            entry_next = False
            continue
        field = model.model_fields.get(str(key)) if model else None
        if field is None:
            return None
        model = _model_in(field.annotation)
        entry_next = model is not None and get_origin(field.annotation) in {dict, tuple}
    return None if entry_next else model


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _model_in(inner))), None)


def prune(data: Mapping[str, Any], error: ValidationError, root: type[BaseModel]) -> dict[str, Any] | None:
    """The settings without the offending keys, so that rules over several keys can still be asked.

    Returns None where an offending key has no default: what depends on it cannot be judged.
    """
    copy: dict[str, Any] = json.loads(json.dumps(data, default=str))
    for detail in error.errors():
        path = detail["loc"]
        if detail["type"] == "problems" or not path:
            return None
        model = model_at(root, path[:-1])
        field = model.model_fields.get(str(path[-1])) if model else None
        if detail["type"] != "extra_forbidden" and (field is None or field.is_required()):
            return None
        parent: Any = copy
        for part in path[:-1]:
            parent = parent[part]
        parent.pop(path[-1], None)
    return copy
