"""Images: the same files give the same bytes, every pattern leads to an image, and a program comes with its libraries."""

import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from sandbox.local.images.oci import File, Settings, key, write
from sandbox.local.images.parts import Folder, Program, libraries, users
from sandbox.local.images.prepare import prepare, tools, write_table
from sandbox.local.images.store import copy, store, unused
from sandbox.local.images.table import IMAGES, PATTERNS
from sandbox.toolchain import TOOLS, ToolError

FILES = {"/bin/x": File(data=b"x"), "/etc/y": File(link="/bin/x"), "/var/z": File(mode=0o1777, owner=26)}


def layer(archive: Path) -> dict[str, tarfile.TarInfo]:
    """Path → entry of an archive's only layer."""
    with tarfile.open(archive) as outer:

        def blob(digest: str) -> bytes:
            found = outer.extractfile("blobs/sha256/" + digest.removeprefix("sha256:"))
            assert found is not None
            return found.read()

        index = outer.extractfile("index.json")
        assert index is not None
        (manifest,) = json.load(index)["manifests"]
        (only,) = json.loads(blob(manifest["digest"]))["layers"]
        with tarfile.open(fileobj=io.BytesIO(blob(only["digest"]))) as inner:
            return {entry.name: entry for entry in inner}


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    backwards = dict(reversed(FILES.items()))
    digests = {write(tmp_path / "a.tar", FILES, Settings()), write(tmp_path / "b.tar", backwards, Settings())}
    assert len(digests) == 1
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


@pytest.mark.parametrize(
    ("files", "settings"),
    [
        ({**FILES, "/bin/x": File(data=b"y")}, Settings()),
        ({**FILES, "/bin/x": File(data=b"x", mode=0o4755)}, Settings()),
        ({**FILES, "/bin/x": File(data=b"x", owner=1)}, Settings()),
        ({"/bin/z": FILES["/bin/x"]}, Settings()),
        (FILES, Settings(user="0")),
    ],
)
def test_any_change_changes_the_key(files: dict[str, File], settings: Settings) -> None:
    assert key(files, settings) != key(FILES, Settings())


def test_a_changed_file_of_this_machine_changes_the_key(tmp_path: Path) -> None:
    (tmp_path / "p").write_text("1")
    files = {"/p": File(source=tmp_path / "p")}
    before = key(files, Settings())
    (tmp_path / "p").write_text("12")
    assert key(files, Settings()) != before


def test_a_layer_has_every_parent_folder_and_keeps_modes_owners_and_links(tmp_path: Path) -> None:
    write(tmp_path / "a.tar", FILES, Settings())
    found = layer(tmp_path / "a.tar")
    assert sorted(found) == ["bin", "bin/x", "etc", "etc/y", "var", "var/z"]
    assert (found["var/z"].mode, found["var/z"].uid, found["var/z"].isdir()) == (0o1777, 26, True)
    assert found["etc/y"].linkname == "/bin/x"
    assert {entry.mtime for entry in found.values()} == {0}


def test_every_pattern_leads_to_an_image_and_every_image_is_led_to() -> None:
    assert {name for _, name in PATTERNS} == set(IMAGES)


def test_every_program_of_an_image_is_one_that_the_toolchain_builds() -> None:
    assert set(tools()) <= set(TOOLS)


def test_the_table_leaves_out_what_was_not_made_and_keeps_the_order(tmp_path: Path) -> None:
    write_table(tmp_path / "t" / "images.json", {"app": Path("/a.tar"), "opa": Path("/o.tar")})
    rows = json.loads((tmp_path / "t" / "images.json").read_text())["patterns"]
    assert [(row["repository"], row["archive"]) for row in rows] == [
        ("*/platform/opa", "/o.tar"),
        ("*/bank-a/*", "/a.tar"),
        ("*/bank-b/*", "/a.tar"),
        ("*/shared/*", "/a.tar"),
    ]


def test_an_unknown_image_is_refused_by_its_name() -> None:
    with pytest.raises(ToolError, match="no-such: no such image; known: app, "):
        prepare(["no-such"], lambda _line: None)


def test_an_image_is_made_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sandbox.local.images.prepare.cache_root", lambda: tmp_path)
    said: list[str] = []
    first = prepare(["ownership"], said.append)
    assert prepare(["ownership"], said.append) == first
    assert said.count("writing the image ownership") == 1
    assert "bin/sh" in layer(first["ownership"])


def test_a_linked_program_comes_with_its_loader_and_its_library() -> None:
    found = Program("/bin/sh", "/bin/sh").files(lambda _line: None)
    assert any(path.rpartition("/")[2] == "libc.so.6" for path in found)
    assert any("ld-linux" in path for path in found)
    assert all(file.source is not None and file.source.is_file() for file in found.values())


def test_a_missing_program_is_named_with_its_package() -> None:
    with pytest.raises(ToolError, match="no no-such-program: apt-get install its-package"):
        Program("no-such-program", "/x", "its-package").files(lambda _line: None)


def test_what_is_linked_statically_needs_no_library(tmp_path: Path) -> None:
    (tmp_path / "script").write_text("#!/bin/sh\n")
    assert libraries(tmp_path / "script") == {}


def test_a_folder_comes_without_what_is_left_out_and_with_its_owner(tmp_path: Path) -> None:
    (tmp_path / "doc").mkdir()
    (tmp_path / "doc" / "a").write_text("")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "b").write_text("")
    found = Folder(lambda _line: tmp_path, "/opt/x", left_out=("doc",), owner=7).files(lambda _line: None)
    assert {path: file.owner for path, file in found.items()} == {"/opt/x": 7, "/opt/x/lib": 7, "/opt/x/lib/b": 7}


def test_users_are_named_by_number() -> None:
    passwd = users(postgres=26).files(lambda _line: None)["/etc/passwd"].data
    assert passwd is not None
    assert b"postgres:x:26:26:" in passwd


def test_a_nodes_copy_shares_what_is_never_written_to_and_has_databases_of_its_own(tmp_path: Path) -> None:
    made = store(prepare(["pause"], lambda _line: None), lambda _line: None)
    assert store(prepare(["pause"], lambda _line: None), lambda _line: pytest.fail("it is made once")) == made
    copy(made, tmp_path / "node")
    files = {each.relative_to(made) for each in made.rglob("*") if each.is_file()}
    assert any(each.name == "pause" for each in files)
    for each in files:
        assert (made / each).samefile(tmp_path / "node" / each) == (each.suffix != ".db"), each


def test_the_cache_keeps_the_entries_that_were_used_last(tmp_path: Path) -> None:
    for used in (3, 1, 4, 2, 5):
        (entry := tmp_path / str(used)).touch()
        os.utime(entry, (used, used))
    assert sorted(path.name for path in unused(tmp_path.iterdir())) == ["1", "2"]
