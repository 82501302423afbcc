"""What is kept below build/recordings is never an answer to another question."""

from pathlib import Path

import pulumi
import pytest
from pulumi_aws import s3

from tests.support import recordings
from tests.support.monitor import Recording, plain, record
from tests.support.recordings import UnknownSourceError, kept, nothing_unknown_is_read, state_of


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(recordings, "FOLDER", tmp_path)
    return tmp_path


def bucket(name: str) -> Recording:
    return record(lambda: s3.BucketObject(name, bucket="b", source=pulumi.StringAsset(name)))


def never() -> Recording:
    raise AssertionError


@pytest.mark.usefixtures("folder")
def test_what_was_recorded_is_read_again_whole():
    made, read = kept(lambda: bucket("one"), {"a": 1}, "dev"), kept(never, {"a": 1}, "dev")
    assert made.resources[0].inputs["source"].text == "one"
    assert [plain(one.inputs) for one in read.resources] == [plain(one.inputs) for one in made.resources]
    assert read.urns() == made.urns()


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("settings", "stack"), [({"a": 1, "b": 2}, "prod"), ({"b": 2, "a": 1}, "dev"), ({"a": 1, "b": "2"}, "dev")]
)
def test_other_settings_their_order_or_another_stack_are_recorded_anew(settings, stack):
    kept(lambda: bucket("one"), {"a": 1, "b": 2}, "dev")
    assert kept(lambda: bucket("two"), settings, stack).resources[0].name == "two"


def test_another_state_of_the_tree_is_recorded_anew_and_the_oldest_goes(folder, monkeypatch):
    for state in ("1", "2", "3"):
        monkeypatch.setattr(recordings, "BEGUN_WITH", state)
        monkeypatch.setattr(recordings, "state_of", lambda _, state=state: state)
        assert kept(lambda state=state: bucket(state), {}, "dev").resources[0].name == state
    assert {one.name for one in folder.iterdir()} == {"2", "3"}


def test_what_is_recorded_while_the_tree_changes_is_not_kept(folder, monkeypatch):
    monkeypatch.setattr(recordings, "state_of", lambda _: "another")
    assert kept(lambda: bucket("one"), {}, "dev").resources[0].name == "one"
    assert not [one for one in folder.rglob("*") if one.is_file() and one.suffix != ".lock"]


@pytest.mark.usefixtures("folder")
def test_a_program_that_fails_is_asked_again():
    with pytest.raises(AssertionError):
        kept(never, {}, "dev")
    assert kept(lambda: bucket("one"), {}, "dev").resources[0].name == "one"


def test_a_line_a_file_or_a_files_name_makes_another_state(tmp_path):
    (tmp_path / "part").mkdir()
    seen = set()
    for name, text in (("a.py", "1"), ("a.py", "2"), ("b.py", "2"), ("data.json", "{}")):
        (tmp_path / "part" / name).write_text(text, encoding="utf-8")
        seen.add(state_of(tmp_path, ["part"]))
    (tmp_path / "part" / "a.py").rename(tmp_path / "part" / "c.py")
    assert len({*seen, state_of(tmp_path, ["part"])}) == 5


def test_a_package_of_another_version_makes_another_state(tmp_path, monkeypatch):
    before = state_of(tmp_path, [])
    monkeypatch.setattr(recordings, "distributions", list)
    assert state_of(tmp_path, []) != before


def test_a_file_by_which_no_recording_is_known_may_not_be_read():
    with pytest.raises(UnknownSourceError, match=r"Pulumi\.yaml"), nothing_unknown_is_read():
        (recordings.ROOT / "Pulumi.yaml").read_text(encoding="utf-8")
    with nothing_unknown_is_read():
        (recordings.ROOT / "__main__.py").read_text(encoding="utf-8")


def test_compiled_code_counts_as_its_module():
    with pytest.raises(UnknownSourceError, match=r"policy/catalogue\.py"), nothing_unknown_is_read():
        recordings._see("open", (f"{recordings.ROOT}/policy/__pycache__/catalogue.cpython-311.pyc", "r", 0))
