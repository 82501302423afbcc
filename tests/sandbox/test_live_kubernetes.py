"""The live provider under the real engine, on a real API server. No controller runs: nothing here says what a kubelet does."""

import base64
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pulumi.automation.errors import CommandError

from sandbox.apiclient import ApiServer, RefusedError
from sandbox.apiserver import KUBECONFIG, control_plane
from sandbox.lifecycle import Lifecycle, lifecycle
from sandbox.live.client import ServerError, client
from sandbox.live.running import VARIABLE, running
from sandbox.session import Place, Program
from tests.sandbox import live_programs as programs

pytestmark = [pytest.mark.timeout(1800), pytest.mark.xdist_group("live")]
Open = Callable[[Program], Lifecycle]
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    folder = tmp_path_factory.mktemp("cluster")
    with control_plane(folder, lambda line: sys.stderr.write(f"{line}\n")) as running:
        (folder / "sandbox.json").write_text(
            json.dumps({"regions": {"eu-west-1": {"kubeconfig": str(folder / KUBECONFIG)}}}), encoding="utf-8"
        )
        running.namespace("default")
        yield running


@pytest.fixture
def home(server: ApiServer) -> Path:
    return server.authority.parent.parent.parent


@pytest.fixture
def rehearse(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    project = tmp_path / "project"
    project.mkdir()
    (project / "Pulumi.yaml").write_text("name: fixture\nruntime: python\n", encoding="utf-8")
    monkeypatch.setenv(VARIABLE, str(home / "sandbox.json"))
    monkeypatch.setenv("ZEROTRUST_OFFLINE", "1")
    monkeypatch.setenv("FIXTURE_KUBECONFIG", str(home / KUBECONFIG))
    place = Place.of("dev", project, tmp_path / "build")
    with ExitStack() as stack:
        yield lambda program: stack.enter_context(lifecycle("dev", program, place, lambda _: None))


def gone(server: ApiServer, path: str) -> bool:
    try:
        server.request("GET", path)
    except RefusedError as error:
        return error.code == 404
    return False


def refused(run: Callable[[], object]) -> str:
    with pytest.raises(CommandError) as caught:
        run()
    return " ".join(str(caught.value).split())


def test_what_a_program_declares_is_on_the_server_and_a_second_update_changes_nothing(rehearse: Open, server: ApiServer) -> None:
    run = rehearse(programs.settings({"level": "high"}))
    planned = run.preview()
    assert gone(server, f"{CONFIG_MAPS}/settings")
    assert {step for step, _ in planned.steps} == {"create"}
    run.up()
    live = server.request("GET", f"{CONFIG_MAPS}/settings")
    assert live["data"] == {"level": "high"}
    assert run.outputs()["id"] == "default/settings"
    assert run.outputs()["uid"] == live["metadata"]["uid"]
    assert run.up().changed == []
    run.destroy()
    assert gone(server, f"{CONFIG_MAPS}/settings")


def test_a_changed_setting_changes_the_same_object_and_a_dropped_one_leaves_it(rehearse: Open, server: ApiServer) -> None:
    rehearse(programs.settings({"level": "high", "old": "yes"})).up()
    before = server.request("GET", f"{CONFIG_MAPS}/settings")
    run = rehearse(programs.settings({"level": "low"}))
    assert [step for step, _ in run.up().changed] == ["update"]
    after = server.request("GET", f"{CONFIG_MAPS}/settings")
    assert after["data"] == {"level": "low"}
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    run.destroy()


def test_what_is_not_on_this_machine_is_not_sent_and_nothing_else_is_missing(
    rehearse: Open, server: ApiServer, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = json.loads((home / "sandbox.json").read_text()) | {"without": {"v1/ConfigMap": ["data.bucket", "none.of.it"]}}
    (tmp_path / "running.json").write_text(json.dumps(known), encoding="utf-8")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "running.json"))
    run = rehearse(programs.settings({"level": "high", "bucket": "s3://nowhere"}))
    run.up()
    assert server.request("GET", f"{CONFIG_MAPS}/settings")["data"] == {"level": "high"}
    assert run.up().changed == []
    run.destroy()


def test_a_secret_input_is_on_the_server_and_nowhere_in_the_state(rehearse: Open, server: ApiServer, tmp_path: Path) -> None:
    run = rehearse(programs.settings({}, word="not for the state"))
    run.up()
    data = server.request("GET", "/api/v1/namespaces/default/secrets/hidden")["data"]
    assert base64.b64decode(data["word"]) == b"not for the state"
    texts = [file.read_text(encoding="utf-8") for file in (tmp_path / "build" / "state").rglob("dev.json")]
    assert ["default/hidden" in text for text in texts] == [True]
    assert "not for the state" not in texts[0]
    assert data["word"] not in texts[0]
    run.destroy()


def test_what_the_server_calls_immutable_is_replaced_and_the_old_one_goes_first(rehearse: Open, server: ApiServer) -> None:
    path = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings/binding"
    rehearse(programs.bound("reader")).up()
    before = server.request("GET", path)["metadata"]["uid"]
    run = rehearse(programs.bound("writer"))
    steps = [step for step, _ in run.up().changed]
    assert steps.index("delete-replaced") < steps.index("create-replacement")
    after = server.request("GET", path)
    assert after["roleRef"]["name"] == "writer"
    assert after["metadata"]["uid"] != before
    run.destroy()


def test_another_managers_field_is_a_conflict_until_the_program_takes_it_over(rehearse: Open, server: ApiServer) -> None:
    mine = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "default"}}
    server.apply({**mine, "data": {"level": "theirs"}})
    said = refused(rehearse(programs.settings({"level": "mine"})).up)
    assert "ConfigMap default/settings: Apply failed with 1 conflict" in said
    assert "pulumi.com/patchForce" in said
    assert server.request("GET", f"{CONFIG_MAPS}/settings")["data"] == {"level": "theirs"}
    run = rehearse(programs.settings({"level": "mine"}, more={"pulumi.com/patchForce": "true"}))
    run.up()
    assert server.request("GET", f"{CONFIG_MAPS}/settings")["data"] == {"level": "mine"}
    run.destroy()


def test_what_somebody_changed_shows_in_a_refresh_and_is_set_right(rehearse: Open, server: ApiServer) -> None:
    run = rehearse(programs.settings({"level": "high"}))
    run.up()
    assert run.refresh().changed == []
    assert run.preview().changed == []
    mine = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "default"}}
    server.request(
        "PATCH", f"{CONFIG_MAPS}/settings", {**mine, "data": {"level": "low"}}, query={"fieldManager": "x", "force": "true"}
    )
    run.refresh()
    assert 'conflict with "x": .data.level' in refused(run.preview)
    run = rehearse(programs.settings({"level": "high"}, more={"pulumi.com/patchForce": "true"}))
    assert [step for step, _ in run.up().changed] == ["update"]
    assert server.request("GET", f"{CONFIG_MAPS}/settings")["data"] == {"level": "high"}
    server.request("DELETE", f"{CONFIG_MAPS}/settings")
    run.refresh()
    assert [step for step, _ in run.preview().changed] == ["create"]
    server.request("DELETE", "/api/v1/namespaces/default/secrets/hidden")
    run.destroy()


def test_an_object_that_does_not_become_ready_fails_with_the_clusters_own_words(rehearse: Open, server: ApiServer) -> None:
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "told", "namespace": "default"},
        "involvedObject": {"kind": "ReplicaSet", "name": "slow-5d9f", "namespace": "default"},
        "type": "Warning",
        "reason": "FailedCreate",
        "message": "admission says no",
    }
    server.apply(event)
    run = rehearse(programs.deployed("slow"))
    said = refused(run.up)
    assert "Deployment default/slow is not ready: its controller has not seen it yet (not in 2 s)" in said
    assert "slow-5d9f: FailedCreate: admission says no" in said
    kept = [one for one in run.state() if one["type"] == "kubernetes:apps/v1:Deployment"]
    assert [one["id"] for one in kept] == ["default/slow"]
    assert kept[0]["initErrors"]
    run.destroy()
    assert gone(server, "/apis/apps/v1/namespaces/default/deployments/slow")


@pytest.mark.parametrize("annotations", [{"pulumi.com/skipAwait": "true"}, {"pulumi.com/waitFor": "jsonpath={.spec.replicas}=1"}])
def test_a_program_may_wait_for_nothing_or_for_something_else(rehearse: Open, annotations: dict[str, str]) -> None:
    run = rehearse(programs.deployed("calm", **annotations))
    run.up()
    run.destroy()


def test_a_patch_sets_its_own_fields_and_takes_them_away_again(rehearse: Open, server: ApiServer) -> None:
    mine = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs", "namespace": "default"}}
    assert "a patch changes only what is" in refused(rehearse(programs.patched("theirs", "yes")).up)
    server.apply({**mine, "data": {"keep": "me"}})
    rehearse(programs.patched("theirs", "yes")).up()
    assert server.request("GET", f"{CONFIG_MAPS}/theirs")["metadata"]["labels"] == {"reviewed": "yes"}
    rehearse(programs.patched("theirs", None)).up()
    left = server.request("GET", f"{CONFIG_MAPS}/theirs")
    assert left["data"] == {"keep": "me"}
    assert "labels" not in left["metadata"]
    server.request("DELETE", f"{CONFIG_MAPS}/theirs")


def test_what_is_only_looked_up_comes_from_the_server_and_is_secret(rehearse: Open, server: ApiServer, tmp_path: Path) -> None:
    about = {"name": "issued", "namespace": "default"}
    server.apply({"apiVersion": "v1", "kind": "Secret", "metadata": about, "stringData": {"word": "whisper"}})
    run = rehearse(programs.looked_up("default/issued"))
    run.up()
    assert base64.b64decode(run.outputs()["data"]["word"]) == b"whisper"
    texts = [file.read_text(encoding="utf-8") for file in (tmp_path / "build" / "state").rglob("dev.json")]
    assert [base64.b64encode(b"whisper").decode() in text for text in texts] == [False]
    server.request("DELETE", "/api/v1/namespaces/default/secrets/issued")


def test_an_object_that_the_server_would_refuse_fails_in_the_preview(rehearse: Open) -> None:
    said = refused(rehearse(programs.settings({}, more={"bad key!": "x"})).preview)
    assert "bad key!" in said


def test_a_cluster_that_is_not_the_sandboxs_is_never_touched(rehearse: Open, home: Path, tmp_path: Path, monkeypatch) -> None:
    text = (home / KUBECONFIG).read_text(encoding="utf-8")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text(text.replace("https://127.0.0.1:", "https://localhost:"), encoding="utf-8")
    monkeypatch.setenv("FIXTURE_KUBECONFIG", str(elsewhere))
    said = refused(rehearse(programs.settings({})).up)
    assert "which is none of the sandbox's clusters" in said


def test_fields_are_changed_in_whatever_version_is_there_and_a_read_one_is_outdated(home: Path, server: ApiServer) -> None:
    cluster = client(running(str(home / "sandbox.json")).regions["eu-west-1"])
    read = cluster.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "merged", "namespace": "default"}}, "test"
    )
    cluster.merge(f"{CONFIG_MAPS}/merged", {"data": {"kept": "1", "removed": "1"}})
    with pytest.raises(ServerError) as caught:
        cluster.request("PUT", f"{CONFIG_MAPS}/merged", read)
    assert (caught.value.is_outdated, caught.value.is_conflict) == (True, False)
    cluster.merge(f"{CONFIG_MAPS}/merged", {"data": {"removed": None}})
    assert server.request("GET", f"{CONFIG_MAPS}/merged")["data"] == {"kept": "1"}
