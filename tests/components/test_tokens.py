"""Type tokens are part of every URN: literal, of one form, and each stated once."""

import importlib
import pkgutil
import re
from collections import Counter
from pathlib import Path

import pulumi
import pytest

import components
from components.base import TOKEN_FORM, Component

ROOT = Path(components.__file__).parent


def all_components() -> list[type[Component]]:
    for module in pkgutil.walk_packages([str(ROOT)], "components."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return [kind for kind in descendants(Component) if kind.__module__.startswith("components.")]


def descendants(kind: type[Component]) -> list[type[Component]]:
    return [each for child in kind.__subclasses__() for each in (child, *descendants(child))]


def test_every_token_is_well_formed_and_unique():
    tokens = Counter(kind.token for kind in all_components())
    assert len(tokens) > 20
    assert [token for token, count in tokens.items() if count > 1] == []
    assert all(TOKEN_FORM.match(token) for token in tokens)


def test_a_token_names_its_class_and_its_layer():
    """What composes layers stands outside their packages and carries the layer it composes."""
    layers = {path.name for path in ROOT.iterdir() if path.is_dir()} | {path.stem for path in ROOT.glob("*.py")}
    for kind in all_components():
        _, layer, name = kind.token.split(":")
        package = kind.__module__.split(".")[1]
        composes = package == "assembly" or (ROOT / f"{package}.py").is_file()
        assert layer in (layers if composes else {package})
        assert name in {kind.__name__, kind.__name__.removeprefix("Account"), kind.__name__.removeprefix(layer.capitalize())}


@pytest.mark.parametrize("token", [None, "zerotrust:Network:Vpc", "aws:network:Vpc", "zerotrust:network:vpc"])
def test_a_class_without_a_proper_token_does_not_exist(token):
    with pytest.raises(TypeError, match=r"zerotrust:<layer>:<Kind>"):
        type("Wrong", (Component,), {}, token=token)


def test_no_component_reads_the_environment_or_looks_anything_up():
    calls = re.compile(r"os\.environ|os\.getenv|boto3|pulumi\.Config\(|StackReference|\.get_[a-z_]+_output\(|pulumi\.export\(")
    found = {
        str(path.relative_to(ROOT)) for path in ROOT.rglob("*.py") if "files" not in path.parts and calls.search(path.read_text())
    }
    assert not found


def test_no_component_shadows_an_attribute_of_the_sdks_resources():
    """`self._protect = True` on a component protected every child once: the SDK keeps the option under that name."""
    owned = {name for kind in pulumi.ComponentResource.__mro__ for name in getattr(kind, "__annotations__", {})}
    assert {"_protect", "_providers"} <= owned
    assigned = re.compile(r"self\.(_\w+)\s*(?:=|,|:)")
    found = {
        (str(path.relative_to(ROOT)), name)
        for path in ROOT.rglob("*.py")
        for name in assigned.findall(path.read_text())
        if name in owned
    }
    assert not found
