"""What the charts of our own write for SPIRE and OpenBao, before the very programs; and their images.

Not proven: what a plugin would refuse only when it runs, and that servers find each other.
"""

import base64
import json
import os
import secrets
import subprocess
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from components.vault.tls import ACTIVE_SERVICE
from sandbox.charts import render
from sandbox.local.charts import NAMES, local_chart
from sandbox.local.images.table import PATTERNS
from sandbox.toolchain import build
from sandbox.vault_server import VaultServer, openbao
from tests.sandbox.test_local_charts import Object, made, release, say, the
from tests.support.objects import pods_of

pytestmark = pytest.mark.timeout(1800)  # the first case that needs a tool builds it


def test_every_image_of_a_chart_is_one_that_the_sandbox_makes():
    pods = [pod["spec"] for chart in NAMES for pod in pods_of(made("local", chart))]
    images = {one["image"] for pod in pods for one in (*pod.get("initContainers", ()), *pod["containers"])}
    assert images
    for image in images:
        repository = image.partition("@")[0].rpartition(":")[0] or image.partition("@")[0]
        assert any(fnmatchcase(repository, pattern) for pattern, _ in PATTERNS), image


def of_the_program(stack: str) -> Sequence[Object]:
    """What the program's own values make, without what one machine changes."""
    wanted, found = release(stack, "spire"), local_chart("spire")
    assert found is not None
    return render(found.folder, wanted["name"], wanted["namespace"], wanted["values"])


def judged(tool: str, command: Sequence[str], config: Mapping[str, Any], folder: Path) -> tuple[int, str]:
    """Exit code and words of a SPIRE program that is shown a configuration."""
    file = folder / "config.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    environment = {**os.environ, "DBPW": "''"}
    done = subprocess.run([build(tool, say), *command, file], env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def configured(name: str, key: str, objects: Sequence[Object]) -> dict[str, Any]:
    return dict(json.loads(the("ConfigMap", name, objects)["data"][key]))


VALIDATED = (
    ("spire-server", "server", ("validate", "-expandEnv", "-config")),
    ("spire-agent", "agent", ("validate", "-config")),
)


@pytest.mark.parametrize(("tool", "part", "command"), VALIDATED)
def test_spire_itself_accepts_its_configuration_and_no_unknown_key_in_it(tmp_path, tool, part, command):
    for objects in (made("dev", "spire"), of_the_program("dev"), of_the_program("prod")):
        config = configured(tool, f"{part}.conf", objects)
        assert judged(tool, command, config, tmp_path) == (0, f"SPIRE {part} configuration file is valid.\n")
        wrong = {**config, part: {**config[part], "trust_domian": "x"}}
        code, words = judged(tool, command, wrong, tmp_path)
        assert code != 0
        assert "unknown configuration" in words.lower()


def test_spire_itself_asks_for_what_a_plugin_needs(tmp_path):
    config = configured("spire-server", "server.conf", of_the_program("dev"))
    (manager,) = config["plugins"]["KeyManager"]
    del manager["aws_kms"]["plugin_data"]["key_identifier_file"]
    code, words = judged("spire-server", VALIDATED[0][2], config, tmp_path)
    assert code != 0
    assert "key identifier" in words


def test_the_discovery_provider_reads_its_configuration_as_far_as_its_certificate(tmp_path):
    config = configured("spire-spiffe-oidc-discovery-provider", "oidc-discovery-provider.conf", made("dev", "spire"))
    config["serving_cert_file"]["cert_file_path"] = str(tmp_path / "absent.crt")
    code, words = judged("spire-oidc", ["-config"], config, tmp_path)
    assert code != 0
    assert "absent.crt" in words
    code, words = judged("spire-oidc", ["-config"], {**config, "domains": []}, tmp_path)
    assert code != 0
    assert "absent.crt" not in words


def test_the_password_of_the_datastore_is_put_in_by_the_server_alone():
    objects = made("dev", "spire")
    config = json.loads(the("ConfigMap", "spire-server", objects)["data"]["server.conf"])
    (store,) = config["plugins"]["DataStore"]
    assert " password=${DBPW} host=" in store["sql"]["plugin_data"]["connection_string"]
    assert base64.b64decode(the("Secret", "spire-server-dbpw", objects)["data"]["DBPW"]) == b"''"


def test_openbao_opens_itself_with_the_configuration_of_one_machine(tmp_path):
    text = the("ConfigMap", "vault-config", made("dev", "vault"))["data"]["extraconfig-from-values.hcl"]
    key = tmp_path / "key"
    key.write_bytes(secrets.token_bytes(32))
    config = json.loads(text.replace("/vault/seal/key", str(key)))
    # The rest names folders and servers of the cluster, or asks the pod's own API server.
    extra = {name: config[name] for name in ("seal", "telemetry", "log_format", "unsafe_allow_api_audit_creation")}
    assert list(config["seal"]) == ["static"]
    with VaultServer(binary=openbao(), folder=tmp_path / "server", storage="raft", extra=extra) as started:
        started.initialise()
        started.stop()
        started.start()
        started.unseal()  # waits until it is active; gives no key
        audit = {"type": "file", "options": {"file_path": str(tmp_path / "audit.log")}}
        assert started.ask("PUT", "sys/audit/file", audit, token=started.root_token).ok


def test_the_active_server_is_chosen_by_the_label_that_openbao_gives():
    chooses = the("Service", ACTIVE_SERVICE, made("dev", "vault"))["spec"]["selector"]
    (label,) = (key for key in chooses if key.endswith("-active"))
    assert label.encode() in openbao().read_bytes()
    assert b"vault-active" not in openbao().read_bytes()
