"""The weights of the nodes' control groups while a proof runs. By files of either version's names, no kernel."""

from pathlib import Path

import pytest

from sandbox.local.plan import plan
from sandbox.proof.processors import pods_first


@pytest.mark.parametrize(
    ("hierarchy", "name", "usual", "within"), [("cpu", "cpu.shares", 1024, 8192), ("", "cpu.weight", 100, 800)]
)
def test_pods_go_before_who_asks_them_and_only_while_he_does(
    tmp_path: Path, hierarchy: str, name: str, usual: int, within: int
) -> None:
    made = plan({"eu-west-1": ("10.1.0.0/16", "172.30.0.0/20")}, home=tmp_path / "home")
    groups = tmp_path / "groups"
    nodes = [node.name for region in made.regions for node in region.nodes]
    files = [groups / hierarchy / node / name for node in nodes]
    other = groups / hierarchy / "another" / name
    for file in (*files, other):
        file.parent.mkdir(parents=True)
        file.write_text(str(usual), encoding="utf-8")

    def fails() -> None:
        with pods_first(made, groups):
            assert {int(file.read_text()) for file in files} == {within}
            assert int(other.read_text()) == usual
            files[0].unlink()  # a node of a sandbox that was ended
            files[0].parent.rmdir()
            raise ZeroDivisionError

    assert files
    with pytest.raises(ZeroDivisionError):
        fails()
    assert {int(file.read_text()) for file in files[1:]} == {usual}
