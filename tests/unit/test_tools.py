"""The table of programs against the folders that pin them: nothing is built here."""

import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox import toolchain
from sandbox.toolchain import ROOT, ToolError, build_all, cached, pinned_version
from sandbox.tools import TOOLS

SHARED = {name: tool.folder for name, tool in TOOLS.items() if tool.folder}


def _folder(name: str) -> Path:
    return ROOT / "tools" / (TOOLS[name].folder or name)


@pytest.mark.parametrize("name", sorted(name for name, tool in TOOLS.items() if tool.module))
def test_every_pinned_program_has_a_version_and_the_sum_of_its_module(name: str) -> None:
    tool, version = TOOLS[name], pinned_version(name)
    released = version.rpartition("-")[0] if tool.package.startswith(".") else version
    sums = (_folder(name) / "go.sum").read_text(encoding="utf-8")
    assert re.search(rf"^{re.escape(f'{tool.module} {released}')} h1:", sums, re.MULTILINE)


@pytest.mark.parametrize("name", sorted(name for name, tool in TOOLS.items() if not tool.package.startswith(".")))
def test_every_pinned_program_is_a_package_of_its_module(name: str) -> None:
    tool = TOOLS[name]
    assert tool.module is not None
    assert f"{tool.package}/".startswith(f"{tool.module}/")


@pytest.mark.parametrize("name", sorted(SHARED))
def test_programs_of_one_folder_have_one_version_and_binaries_of_their_own(name: str) -> None:
    others = [other for other in TOOLS if _folder(other) == _folder(name)]
    assert len(others) > 1
    assert {pinned_version(other) for other in others} == {pinned_version(name)}
    assert len({cached(other) for other in others}) == len(others)


def test_no_folder_of_go_pins_is_left_without_a_program() -> None:
    used = {_folder(name).name for name in TOOLS} | {"crds"}
    assert {file.parent.name for file in (ROOT / "tools").glob("*/go.mod")} <= used


def test_a_program_of_our_own_on_a_pinned_library_is_built_anew_when_either_changes() -> None:
    version, digest = pinned_version("cert-manager-webhook").split("-")
    assert version in (_folder("cert-manager-webhook") / "go.mod").read_text(encoding="utf-8")
    assert re.fullmatch(r"[0-9a-f]{16}", digest)


def test_the_linker_is_told_only_what_is_known_of_a_version() -> None:
    for tool in TOOLS.values():
        assert "{" not in tool.ldflags.format(version="v1", number="1")


def test_programs_of_one_folder_are_never_built_at_once_while_folders_are(monkeypatch: pytest.MonkeyPatch) -> None:
    both, running, overlaps = threading.Barrier(2), set[str](), list[str]()

    def build(name: str, _progress: Callable[[str], None]) -> Path:
        overlaps.extend(other for other in running if _folder(other) == _folder(name))
        running.add(name)
        if name in {"spire-server", "gator"}:
            both.wait(timeout=60)  # each is only left while the other is being built
        running.remove(name)
        return Path(name)

    monkeypatch.setattr(toolchain, "build", build)
    wanted = ["spire-server", "spire-agent", "spire-oidc", "gator", "gatekeeper"]
    assert build_all(wanted, lambda _line: None) == {name: Path(name) for name in wanted}
    assert not overlaps


def test_what_cannot_be_built_is_said_after_the_others_are_built(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(name: str, _progress: Callable[[str], None]) -> Path:
        if name == "helm":
            raise ToolError(name)
        return Path(name)

    monkeypatch.setattr(toolchain, "build", build)
    made = build_all(["helm", "etcd"], lambda _line: None)
    assert made["etcd"] == Path("etcd")
    assert isinstance(made["helm"], ToolError)


@pytest.mark.parametrize(
    "module",
    [
        "github.com/go-logr/logr",
        "github.com/go-openapi/swag",
        "golang.org/x/net",
        "golang.org/x/sys",
        "golang.org/x/text",
        "google.golang.org/protobuf",
        "k8s.io/utils",
    ],
)
def test_what_most_programs_compile_is_one_version_in_all_of_them(module: str) -> None:
    pinned: dict[str, list[str]] = {}
    for file in (ROOT / "tools").glob("*/go.mod"):
        if file.parent.name == "vault":  # built on request, beside no other
            continue
        for version in re.findall(rf"^\s*(?:require\s+)?{module} (v\S+)", file.read_text(encoding="utf-8"), re.MULTILINE):
            pinned.setdefault(version, []).append(file.parent.name)
    assert len(pinned) == 1, f"{module} is compiled once per version: `go get {module}@<the newest>` in the others, of {pinned}"
