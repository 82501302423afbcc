"""Where the definitions come from: pinned modules whose sums are checked, a folder for the rest, nothing twice."""

import shutil
from pathlib import Path

import pytest
import yaml

from sandbox import crds, modules
from sandbox.crds import CrdError, crd_files, folder, load_crds, unjudged
from sandbox.modules import module_folders, pinned
from sandbox.toolchain import ROOT, ToolError


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def definition(name: str, kind: str = "CustomResourceDefinition") -> str:
    webhook = {"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"]}}
    return yaml.safe_dump(
        {"kind": kind, "metadata": {"name": name}, "spec": {"conversion": webhook, "group": "bank"}, "status": {}}
    )


def serve(monkeypatch: pytest.MonkeyPatch, where: Path, **sources: str) -> None:
    files = {}
    for source, text in sources.items():
        (where / source).write_text(text, encoding="utf-8")
        files[source] = [where / source]
    monkeypatch.setattr(crds, "crd_files", lambda: files)


def test_every_source_of_the_table_has_files_in_its_pinned_module(monkeypatch):
    monkeypatch.setattr(crds, "_BESIDE", Path("/nonexistent"))
    monkeypatch.delenv(crds.SETTING, raising=False)
    found = crd_files()
    assert found.keys() == crds.FROM_MODULES.keys()
    assert all(found.values())


def test_a_module_without_the_files_is_refused_by_name(monkeypatch):
    moved = crds.Source(module="istio.io/api", files=("elsewhere/*.yaml",))
    monkeypatch.setattr(crds, "FROM_MODULES", {**crds.FROM_MODULES, "istio": moved})
    with pytest.raises(CrdError, match=r"istio \(istio\.io/api\)"):
        crd_files()


def test_the_folder_fills_in_what_no_module_brings_and_the_rest_stays_unjudged(tmp_path, monkeypatch):
    (tmp_path / "chaos-mesh").mkdir()
    (tmp_path / "chaos-mesh" / "one.yaml").write_text(definition("pods.chaos-mesh.org"), encoding="utf-8")
    monkeypatch.setenv(crds.SETTING, str(tmp_path))
    assert folder() == tmp_path
    assert crd_files()["chaos-mesh"] == [tmp_path / "chaos-mesh" / "one.yaml"]
    assert unjudged().keys() == crds.FROM_FOLDER.keys() - {"chaos-mesh"}


def test_a_folder_that_is_not_there_is_refused_by_the_settings_name(monkeypatch):
    monkeypatch.setenv(crds.SETTING, "/nonexistent/definitions")
    with pytest.raises(CrdError, match="ZEROTRUST_CRDS names /nonexistent/definitions"):
        folder()


def test_a_definition_loses_what_nobody_here_answers_and_other_objects_are_left_out(own_cache, monkeypatch):
    serve(monkeypatch, own_cache, one=definition("a.bank") + "---\n" + definition("b.bank", kind="Deployment"))
    assert load_crds() == [{"kind": "CustomResourceDefinition", "metadata": {"name": "a.bank"}, "spec": {"group": "bank"}}]


def test_two_sources_of_one_name_are_refused(own_cache, monkeypatch):
    serve(monkeypatch, own_cache, one=definition("a.bank"), two=definition("a.bank"))
    with pytest.raises(CrdError, match=r"a\.bank is defined by one and by two"):
        load_crds()


def test_a_changed_file_is_read_anew(own_cache, monkeypatch):
    serve(monkeypatch, own_cache, one=definition("a.bank"))
    assert [one["metadata"]["name"] for one in load_crds()] == ["a.bank"]
    serve(monkeypatch, own_cache, one=definition("b.bank"))
    assert [one["metadata"]["name"] for one in load_crds()] == ["b.bank"]


def test_an_unchanged_file_is_not_parsed_twice(own_cache, monkeypatch):
    serve(monkeypatch, own_cache, one=definition("a.bank"))
    first = load_crds()
    monkeypatch.setattr(crds, "_parse", lambda _texts: pytest.fail("parsed again"))
    assert load_crds() == first


def test_a_module_whose_archive_has_another_sum_is_refused(tmp_path, monkeypatch):
    pins = tmp_path / "tools" / "wrong"
    shutil.copytree(ROOT / "tools" / "crds", pins)
    sums = (pins / "go.sum").read_text(encoding="utf-8")
    line = next(line for line in sums.splitlines() if line.startswith("istio.io/api ") and "/go.mod" not in line)
    (pins / "go.sum").write_text(sums.replace(line, line[:-5] + "AAAA="), encoding="utf-8")
    monkeypatch.setattr(modules, "ROOT", tmp_path)
    with pytest.raises(ToolError, match=r"istio\.io/api@v\S+: checksum mismatch"):
        module_folders("wrong", "istio.io/api")


def test_every_pinned_module_has_the_sum_of_its_archive():
    sums = (ROOT / "tools" / "crds" / "go.sum").read_text(encoding="utf-8").splitlines()
    assert {tuple(line.split()[:2]) for line in sums if "/go.mod " not in line} == set(pinned("crds").items())


def test_a_module_that_is_not_pinned_is_refused():
    with pytest.raises(ToolError, match=r"tools/crds/go\.mod does not require example\.org/nothing"):
        module_folders("crds", "example.org/nothing")
