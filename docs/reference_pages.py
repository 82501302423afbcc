"""The pages below docs/reference, each from the code that it describes."""

import ast
import importlib
import inspect
import json
import pkgutil
import re
import textwrap
from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import BaseModel, WithJsonSchema
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

import components
from components import types
from components.base import Component
from components.settings import Settings, json_schema
from components.settings.errors import _model_in
from docs.access_pages import access_pages
from docs.markdown import GENERATED, row, table
from docs.platform_pages import platform_pages
from policy import catalogue
from policy import reference as controls
from sandbox.observed import Observed, Seen
from tests.support.monitor import Recording
from tests.support.program import STACKS, record_stack

UNRECORDED: Final = (
    "A preview counts a few more: what the EKS component adds to the\ncluster layer while the engine runs, and what is read and "
    "not registered: in the identity layer the\ntrust bundles of other regions, in the vault layer certificates issued to it."
)
SCHEMA: Final = "docs/reference/settings.schema.json"


@cache
def class_node(cls: type) -> ast.ClassDef:
    """A class's source, parsed."""
    node = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    assert isinstance(node, ast.ClassDef)  # noqa: S101 - getsource of a class
    return node


def attributes(cls: type) -> dict[str, tuple[ast.AnnAssign, str]]:
    """Annotated attributes of a class body by name, each with the docstring below it."""
    body = class_node(cls).body
    found: dict[str, tuple[ast.AnnAssign, str]] = {}
    for statement, following in zip(body, [*body[1:], None], strict=True):
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            continue
        value = following.value if isinstance(following, ast.Expr) else None
        text = value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""
        found[statement.target.id] = (statement, inspect.cleandoc(text))
    return found


def _readable(annotation: str) -> str:
    text = annotation.replace("pulumi.", "")
    text = re.sub(r"Literal\[(.*?)\]", lambda found: " or ".join(found[1].split(", ")), text)
    text = re.sub(r"tuple\[(.*), \.\.\.\]", r"list of \1", text)
    text = re.sub(r"dict\[(\w+), (\w+)\]", r"mapping of \1 to \2", text)
    return text.replace(" | None", ", or nothing")


def _bounds(field: FieldInfo) -> str:
    words = {
        Ge: ("ge", "at least {}"),
        Le: ("le", "at most {}"),
        MinLen: ("min_length", "{} or more"),
        MaxLen: ("max_length", "{} or fewer"),
    }
    parts = [
        text.format(getattr(each, attribute))
        for each in field.metadata
        for kind, (attribute, text) in words.items()
        if isinstance(each, kind)
    ]
    return f" ({', '.join(parts)})" if parts else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    if field.default_factory is not None:
        return "none"
    value: Any = field.default
    if isinstance(value, BaseModel):
        return "as below"
    if value is None or value in ((), PydanticUndefined):
        return "none"
    return f"`{json.dumps(value)}`"


def _settings_of(model: type[BaseModel], path: str) -> Iterator[str]:
    rows, below = [], []
    annotations = attributes(model)
    for name, field in model.model_fields.items():
        here = f"{path}.{name}" if path else name
        inner = _model_in(field.annotation)
        kind = ast.unparse(annotations[name][0].annotation) if name in annotations else str(field.annotation)
        rows.append(row(f"`{here}`", f"{_readable(kind)}{_bounds(field)}", _default(field), field.description or ""))
        if inner:
            suffix = ".<name>" if kind.startswith("dict[") else "[]" if kind.startswith("tuple[") else ""
            below.append((inner, f"{here}{suffix}"))
    yield f"## {f'`{path}`' if path else 'The top level'}\n\n{' '.join((model.__doc__ or '').split())}\n"
    yield table(("key", "kind", "default", "meaning"), rows) + "\n"
    for inner, here in below:
        yield from _settings_of(inner, here)


def _kinds() -> str:
    rows = []
    for name, kind in sorted(vars(types).items()):
        schemas = (each.json_schema for each in getattr(kind, "__metadata__", ()) if isinstance(each, WithJsonSchema))
        rows += [row(f"`{name}`", schema["description"]) for schema in schemas if schema and "description" in schema]
    return table(("kind", "rule"), rows)


def settings_page() -> str:
    """Every setting."""
    head = (
        f"# Settings\n\n{GENERATED}\nEverything below stands under `zerotrust:settings` in `Pulumi.<stack>.yaml`.\n"
        "An unknown key is refused. Editors complete the file from [settings.schema.json](settings.schema.json);\n"
        "`python -m components.settings Pulumi.<stack>.yaml` checks it and names everything wrong at once.\n"
    )
    return "\n".join([head, *_settings_of(Settings, ""), f"## Kinds of value\n\n{_kinds()}"]) + "\n"


def component_classes() -> list[type[Component]]:
    """Every component of the code, by token."""
    for module in pkgutil.walk_packages(components.__path__, "components."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    waiting, found = [Component], []
    while waiting:
        below = waiting.pop().__subclasses__()
        found += [cls for cls in below if cls.__module__.startswith("components.")]
        waiting += below
    return sorted(found, key=lambda cls: cls.token)


def _init(cls: type[Component]) -> ast.FunctionDef:
    return next(each for each in class_node(cls).body if isinstance(each, ast.FunctionDef) and each.name == "__init__")


def _component(cls: type[Component]) -> str:
    signature = inspect.signature(cls.__init__).parameters
    takes = [parameter for name, parameter in signature.items() if name not in {"self", "name", "opts"}]
    args: type = takes[0].annotation
    module = inspect.getmodule(cls)
    doc = " ".join((cls.__doc__ or "").split())
    parts = [f"### `{cls.token}`\n", f"{doc} In `{cls.__module__.replace('.', '/')}.py`.\n"]
    about = inspect.getdoc(module) or ""
    relies = re.search(r"Relies on:(.*?)(?:\n\n|$)", about, re.DOTALL)
    if relies:
        parts.append(f"Relies on:{' ' + ' '.join(relies[1].split())}\n")
    if args is Settings:
        parts.append("Takes the [settings](settings.md).\n")
    elif takes[0].name != "args":
        written = {each.arg: each.annotation for each in _init(cls).args.kwonlyargs}
        rows = [row(f"`{name}`", f"`{ast.unparse(kind).replace('pulumi.', '')}`") for name, kind in written.items() if kind]
        rows = [each for each in rows if not each.startswith("| `opts`")]
        parts.append(table(("argument", "type"), rows) + "\n")
    else:
        rows = [
            row(
                f"`{name}`",
                f"`{ast.unparse(node.annotation).replace('pulumi.', '')}`",
                f"`{ast.unparse(node.value)}`" if node.value else "required",
                text,
            )
            for name, (node, text) in attributes(args).items()
        ]
        parts.append(table((f"`{args.__name__}`", "type", "default", "meaning"), rows) + "\n")
    outputs = {name: pair for name, pair in attributes(cls).items() if not name.startswith("_")}
    if outputs:
        rows = [
            row(f"`{name}`", f"`{ast.unparse(node.annotation).replace('pulumi.', '')}`", text)
            for name, (node, text) in outputs.items()
        ]
        parts.append(table(("gives", "type", "meaning"), rows) + "\n")
    return "\n".join(parts)


def components_page() -> str:
    """Every component, by layer."""
    parts = [f"# Components\n\n{GENERATED} One section per type token; what a component takes and what it gives.\n"]
    layer = ""
    for cls in component_classes():
        if cls.token.split(":")[1] != layer:
            layer = cls.token.split(":")[1]
            parts.append(f"## {layer}\n")
        parts.append(_component(cls))
    return "\n".join(parts)


def observed(recording: Recording) -> Observed:
    """A recording as the preview's own summarizer sees one."""
    seen = (
        Seen(urn=resource.urn, type=resource.type, parent=resource.parent, custom=resource.custom, operation="create")
        for resource in recording.resources
    )
    return Observed(resources={each.urn: each for each in seen})


def resources_page() -> str:
    """Counts by layer and by type for each shipped stack."""
    parts = [f"# Resources\n\n{GENERATED}\nWhat the program itself registers. {UNRECORDED}\n"]
    views = {stack: observed(record_stack(stack)) for stack in STACKS}
    for stack, view in views.items():
        counts = view.table()
        regions = sorted({region for each in counts.values() for region in each})
        rows = [row(layer, *(each[region] or "" for region in regions), each.total()) for layer, each in counts.items()]
        totals = Counter[str]()
        for each in counts.values():
            totals.update(each)
        rows.append(row("**all**", *(totals[region] for region in regions), f"**{totals.total()}**"))
        parts.append(f"## {stack}\n\n" + table(("layer", *(f"{region}:" for region in regions), "all:"), rows) + "\n")
    by_type = {stack: view.by_type() for stack, view in views.items()}
    names = sorted({name for each in by_type.values() for name in each})
    rows = [row(f"`{name}`", *(by_type[stack].get(name, "") for stack in STACKS)) for name in names]
    parts.append("## By type\n\n" + table(("type", *(f"{stack}:" for stack in STACKS)), rows))
    return "\n".join(parts) + "\n"


@cache
def pages() -> dict[str, str]:
    """Every generated page by its path from the repository's root."""
    return {
        SCHEMA: json.dumps(json_schema(), indent=2) + "\n",
        "docs/reference/components.md": components_page(),
        "docs/reference/controls.md": controls.render(catalogue.load()),
        "docs/reference/resources.md": resources_page(),
        "docs/reference/settings.md": settings_page(),
        **access_pages(),
        **platform_pages(),
    }
