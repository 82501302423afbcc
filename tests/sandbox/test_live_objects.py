"""What becomes of secrets and of foreign changes between the server's objects and the engine's values."""

from typing import Any

from sandbox.live.objects import drifted, outputs, secret

ABOUT = {"name": "one", "managedFields": [{}]}


def live(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": ABOUT, "data": data}


def test_what_was_a_secret_input_is_a_secret_output() -> None:
    made = outputs(live("ConfigMap", {"a": "1", "b": "2"}), {"data": {"a": secret("1"), "b": "2"}}, "me")
    assert made["data"] == {"a": secret("1"), "b": "2"}
    assert made["metadata"] == {"name": "one"}


def test_a_secrets_data_is_secret_whoever_wrote_it() -> None:
    assert outputs(live("Secret", {"a": "MQ=="}), {}, "me")["data"] == secret({"a": "MQ=="})


def test_only_what_somebody_changed_shows_and_not_the_servers_own_spelling() -> None:
    given = {"memory": "1024Mi", "replicas": 2, "word": secret("quiet"), "gone": 1}
    intended = {"memory": "1Gi", "replicas": 2, "word": "quiet", "gone": 1, "defaulted": True}
    assert drifted(given, intended, intended) == given
    there = {"memory": "1Gi", "replicas": 3, "word": "loud", "defaulted": True}
    assert drifted(given, there, intended) == {"memory": "1024Mi", "replicas": 3, "word": secret("loud")}
