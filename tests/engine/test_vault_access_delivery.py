"""The agent beside a workload, with the very configuration that its ConfigMap holds: it logs in, renders and keeps its token.

The agent and the server are real; spiffe-helper is played by a file that the test writes. Only addresses and folders differ
from the pod's.
"""

import http.client
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.assembly.platform_secrets import parcels
from components.vault.delivery import CA_KEY, FILES, asks_itself, config_map, delivery, delivery_objects, templates
from components.vault.platform_delivery import platform_delivery_objects
from tests.support.vault_world import REGION, World, world

MOST_WAITED_SECONDS = 20


@pytest.fixture(scope="module")
def there(tmp_path_factory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("delivery")) as made:
        for path in ("kv-bank-a/data/api-ms/rates-key", "kv-bank-a/data/api-ms/partner-key"):
            made.server.root("POST", path, {"data": {"key": path}})
        yield made


def told(there: World, ref: str) -> str:
    """The agent's configuration of a workload, or of a part of the platform, as its ConfigMap holds it."""
    namespace, _, name = ref.partition("/")
    graph = there.graph
    objects = (
        delivery_objects(graph, REGION, namespace)
        if namespace in graph.tenants
        else platform_delivery_objects(graph, REGION, parcels(graph), "authority")
    )
    wanted = (namespace, config_map(name))
    (held,) = [each for each in objects if (each["metadata"]["namespace"], each["metadata"]["name"]) == wanted]
    return str(held["data"]["agent.json"])


def configuration(there: World, ref: str, folder: Path, port: int) -> dict[str, Any]:
    """What the ConfigMap holds, with this machine's folders and addresses."""
    text = told(there, ref).replace("https://vault.vault.svc.cluster.local:8200", there.server.address)
    for within in (FILES, "/vault/secrets", "/run/vault/login"):
        (folder / within.lstrip("/")).mkdir(parents=True)
        text = text.replace(f'"{within}', f'"{folder}{within}')
    text = text.replace("/etc/vault-ca/" + CA_KEY, str(there.server.authority)).replace("127.0.0.1:8100", f"127.0.0.1:{port}")
    found: dict[str, Any] = json.loads(text)
    return found


@contextmanager
def agent(there: World, ref: str, folder: Path, *, token: str) -> Iterator[tuple[Path, int, subprocess.Popen[bytes]]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    wanted = configuration(there, ref, folder, port)
    Path(wanted["auto_auth"][0]["method"][0]["config"][0]["path"]).write_text(token)
    file = folder / "agent.json"
    file.write_text(json.dumps(wanted))
    command = [str(there.server.binary), "agent", f"-config={file}"]
    environment = {"PATH": os.defpath, "HOME": str(folder)}
    with (folder / "agent.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)
    try:
        yield folder, port, process
    finally:
        process.terminate()
        process.wait(20)


def until(fact: Callable[[], bool]) -> bool:
    end = time.monotonic() + MOST_WAITED_SECONDS
    while not (now := fact()) and time.monotonic() < end:
        time.sleep(0.1)
    return now


def rendered(folder: Path, path: str) -> Path:
    return folder / path.lstrip("/")


def test_the_agent_logs_in_as_the_workload_and_renders_each_of_its_files(there, tmp_path):
    ref = "bank-a/api-ms"
    files = sorted(templates(there.graph, there.graph.workloads[ref]))
    assert files == [f"{FILES}/secrets/partner-key.json", f"{FILES}/secrets/rates-key.json"]
    with agent(there, ref, tmp_path, token=there.signer.sign(there.claims(ref))) as (folder, _port, _process):
        assert until(lambda: all(rendered(folder, path).exists() for path in files)), (folder / "agent.log").read_text()
        for path in files:
            name = Path(path).stem
            assert json.loads(rendered(folder, path).read_text()) == {"key": f"kv-bank-a/data/api-ms/{name}"}
            assert rendered(folder, path).stat().st_mode & 0o777 == 0o440
        written = {str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file()}
        assert written == {*(path.lstrip("/") for path in files), "agent.json", "agent.log", "run/vault/login/vault.jwt"}
        assert "s." not in {each.read_text()[:2] for each in folder.rglob("*.json")}


def test_with_another_workloads_token_it_renders_nothing(there, tmp_path):
    token = there.signer.sign(there.claims("bank-b/api-ms"))
    with agent(there, "bank-a/api-ms", tmp_path, token=token) as (folder, _port, _process):
        assert until(lambda: "error authenticating" in (folder / "agent.log").read_text())
        assert not [each for each in (folder / FILES.lstrip("/")).rglob("*") if each.is_file()]


def test_an_application_encrypts_through_the_agent_and_never_sees_its_token(there, tmp_path):
    ref = "shared/notifications"
    workload = there.graph.workloads[ref]
    assert asks_itself(there.graph, workload)
    there.server.root("POST", "kv-shared/data/notifications/mail-key", {"data": {"key": "k"}})
    body = json.dumps({"common_name": "notifications.shared.svc.cluster.local"})
    with agent(there, ref, tmp_path, token=there.signer.sign(there.claims(ref))) as (folder, port, _process):
        assert until(lambda: rendered(folder, f"{FILES}/secrets/mail-key.json").exists()), (folder / "agent.log").read_text()

        def ask(path: str, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("POST", f"/v1/{path}", body, headers)
            said = connection.getresponse()
            return said.status, json.loads(said.read() or b"{}")

        own = {"X-Vault-Request": "true"}
        status, said = ask("pki-shared/issue/notifications", own)
        assert status == 200
        assert said["data"]["certificate"].startswith("-----BEGIN CERTIFICATE")
        # Its own policy holds through the agent too, whatever token it brings along; and without the header nothing is asked.
        assert ask("pki-bank-a/issue/trans-ms", own)[0] == 403
        assert ask("sys/mounts/mine", {**own, "X-Vault-Token": there.server.root_token})[0] == 403
        assert ask("pki-shared/issue/notifications", {})[0] == 412


def test_a_pod_without_anything_to_fetch_has_neither_sidecar_nor_volume(there):
    graph = there.graph
    for workload in graph.workloads.values():
        made = delivery(graph, REGION, workload)
        assert [each["name"] for each in made.containers] == (["spiffe-helper", "vault-agent"] if graph.fetches(workload) else [])
        assert bool(made.volumes) == graph.fetches(workload)


KEPT = {
    "kv-platform/data/alertmanager/receivers": {"pagerduty": "key-1", "slack": "https://chat/1", "deadman": "https://alive/1"},
    "kv-platform/data/falcosidekick/outputs": {"slack_webhook_url": "https://chat/2", "pagerduty_routing_key": "key-2"},
    "kv-platform/data/siem/archive": {"token": "bearer-3"},
}
READERS = ("observability/alertmanager", "observability/telemetry-gateway", "security/falcosidekick")


def test_every_part_of_the_platform_that_reads_is_proven_here(there):
    assert {f"{parcel.reader.namespace}/{parcel.reader.account}" for parcel in parcels(there.graph)} == set(READERS)


@pytest.mark.parametrize("ref", READERS)
def test_each_part_of_the_platform_gets_its_own_files_with_what_vault_keeps(there, tmp_path, ref):
    for path, data in KEPT.items():
        there.server.root("POST", path, {"data": data})
    (parcel,) = [each for each in parcels(there.graph) if f"{each.reader.namespace}/{each.reader.account}" == ref]
    with agent(there, ref, tmp_path, token=there.signer.sign(there.claims(ref))) as (folder, _port, _process):
        assert until(lambda: all(rendered(folder, path).exists() for path in parcel.files)), (folder / "agent.log").read_text()
        found = {path: rendered(folder, path).read_text() for path in parcel.files}
        written = {str(each.relative_to(folder)) for each in (folder / parcel.folder.lstrip("/")).rglob("*") if each.is_file()}
    assert written == {path.lstrip("/") for path in found}
    if parcel.reader.account == "falcosidekick":
        (made,) = (yaml.safe_load(text) for text in found.values())
        outputs = KEPT["kv-platform/data/falcosidekick/outputs"]
        assert made["slack"]["webhookurl"] == outputs["slack_webhook_url"]
        assert made["pagerduty"]["routingkey"] == outputs["pagerduty_routing_key"]
    else:
        own = [value for secret in parcel.reader.secrets for value in KEPT[f"kv-platform/data/{secret}"].values()]
        assert sorted(found.values()) == sorted(own)


@pytest.mark.parametrize("ref", READERS)
def test_no_part_of_the_platform_reads_anothers_secret_or_a_tenants(there, ref):
    login = there.login(f"platform.{ref.replace('/', '.')}", there.signer.sign(there.claims(ref)))
    assert login.ok, login
    (parcel,) = [each for each in parcels(there.graph) if f"{each.reader.namespace}/{each.reader.account}" == ref]
    token = login.body["auth"]["client_token"]
    paths = [*KEPT, "kv-bank-a/data/api-ms/rates-key", "kv-platform/metadata", "database-bank-a/creds/bank-a-trans-ledger"]
    said = there.server.root("POST", "sys/capabilities", {"token": token, "paths": paths}).data
    own = {f"kv-platform/data/{secret}" for secret in parcel.reader.secrets}
    assert {path for path in paths if said[path] != ["deny"]} == own
    assert all(said[path] == ["read"] for path in own)
