"""Releases on a real API server by the real Helm; and the kinds of a chart that is declared but not here."""

import json
from pathlib import Path

import pytest
import yaml

from sandbox.apiclient import ApiServer
from sandbox.live import charts
from sandbox.live.running import VARIABLE
from tests.sandbox import live_programs as programs
from tests.sandbox.test_live_kubernetes import Open, gone, home, refused, rehearse, server

__all__ = ["home", "rehearse", "server"]
pytestmark = [pytest.mark.timeout(1800), pytest.mark.xdist_group("live")]
WORD = "/api/v1/namespaces/default/configmaps/tiny"
TEMPLATE = """apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}}
data: {word: {{ required "a word is needed" .Values.word | quote }}}
"""


@pytest.fixture
def chart(tmp_path: Path) -> str:
    folder = tmp_path / "tiny"
    (folder / "templates").mkdir(parents=True)
    about = {"apiVersion": "v2", "name": "tiny", "version": "1.2.3", "appVersion": "4.5"}
    (folder / "Chart.yaml").write_text(yaml.safe_dump(about), encoding="utf-8")
    (folder / "templates" / "word.yaml").write_text(TEMPLATE, encoding="utf-8")
    return str(folder)


def test_a_release_is_installed_upgraded_and_removed(rehearse: Open, server: ApiServer, chart: str) -> None:
    run = rehearse(programs.released(chart, {"word": "one"}))
    run.up()
    assert server.request("GET", WORD)["data"] == {"word": "one"}
    status = run.outputs()["status"]
    assert (status["status"], status["version"], status["appVersion"], status["revision"]) == ("deployed", "1.2.3", "4.5", 1)
    assert run.outputs()["names"] == {"ConfigMap/v1": ["default/tiny"]}
    assert run.up().changed == []
    run = rehearse(programs.released(chart, {"word": "two"}))
    run.up()
    assert server.request("GET", WORD)["data"] == {"word": "two"}
    assert run.outputs()["status"]["revision"] == 2
    assert "a word is needed" in refused(rehearse(programs.released(chart, {})).up)
    run.destroy()
    assert gone(server, WORD)


def test_values_of_the_machine_go_over_the_programs(
    rehearse: Open, server: ApiServer, home: Path, chart: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = Path(chart).parent
    files = [beside / "first.yaml", beside / "last.yaml"]
    for file, word in zip(files, ("three", "four"), strict=True):
        file.write_text(yaml.safe_dump({"word": word}), encoding="utf-8")
    known = json.loads((home / "sandbox.json").read_text()) | {"values": {"tiny": list(map(str, files))}}
    (beside / "running.json").write_text(json.dumps(known), encoding="utf-8")
    monkeypatch.setenv(VARIABLE, str(beside / "running.json"))
    run = rehearse(programs.released(chart, {"word": "one"}))
    run.up()
    assert server.request("GET", WORD)["data"] == {"word": "four"}
    run.destroy()


def test_a_release_that_helm_refuses_fails_in_helms_words(rehearse: Open, server: ApiServer, chart: str) -> None:
    assert "release default/tiny" in (said := refused(rehearse(programs.released(chart, {})).up))
    assert "a word is needed" in said
    assert gone(server, WORD)


def test_a_chart_that_nothing_brings_is_declared_and_written_down_and_its_kinds_are_served(
    rehearse: Open, server: ApiServer, home: Path
) -> None:
    run = rehearse(programs.custom(chart="no-such-chart"))
    record = run.up()
    assert any("declared, not installed: no-such-chart" in line for line in record.said)
    assert json.loads((home / "not_installed.json").read_text()) == {"eu-west-1": {"operator": "no chart here"}}
    issuer = server.request("GET", "/apis/cert-manager.io/v1/clusterissuers/self")
    assert issuer["spec"] == {"selfSigned": {}}
    run.destroy()
    assert json.loads((home / "not_installed.json").read_text()) == {"eu-west-1": {}}


def test_a_chart_in_the_chosen_folder_comes_before_every_other(
    chart: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(charts.FOLDER, str(tmp_path))
    monkeypatch.setenv(charts.OFFLINE, "1")
    found = charts.find("tiny", "1.2.3", "https://charts.invalid", {}, tmp_path / "scratch")
    assert found == charts.Chart(path=Path(chart), origin=charts.FOLDER)
    assert charts.find("huge", "1.2.3", "https://charts.invalid", {}, tmp_path / "scratch") is None


@pytest.mark.parametrize("name", ["cert-manager", "istiod", "gatekeeper"])
def test_a_modules_chart_carries_the_pinned_version(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(charts.FOLDER, raising=False)
    monkeypatch.setenv(charts.OFFLINE, "1")
    pin = charts.pins()[name]
    found = charts.find(pin.chart, pin.version, pin.repository or "", {}, tmp_path)
    assert found is not None
    about = yaml.safe_load((found.path / "Chart.yaml").read_text(encoding="utf-8"))
    assert (about["version"], about["appVersion"]) == (pin.version, pin.app_version)
