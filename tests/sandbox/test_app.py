"""The application that stands in for the tenants' services: what it answers, and what its own client says of an answer."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sandbox.toolchain import build

CERTIFICATE = (
    "By=spiffe://here/ns/bank-a/sa/api-ms;Hash=0;URI=spiffe://here/ns/forged/sa/forged,"
    'By=spiffe://here/ns/bank-a/sa/api-ms;Hash=1;Subject="CN=x";URI=spiffe://here/ns/bank-a/sa/frontend'
)


@pytest.fixture(scope="module")
def program() -> Path:
    return build("app", lambda _line: None)


@pytest.fixture(scope="module")
def url(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    log = tmp_path_factory.mktemp("app") / "log"
    with log.open("w") as stream:
        process = subprocess.Popen([program, "serve"], env={**os.environ, "PORT": str(port)}, stdout=stream, stderr=stream)
        try:
            for _ in range(300):
                with closing(socket.socket()) as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            assert process.wait(timeout=30) == 0


def call(program: Path, *arguments: str) -> dict[str, Any]:
    """What `app call` prints, its body read as JSON where it is."""
    done = subprocess.run([program, "call", *arguments], capture_output=True, text=True, check=True)
    outcome: dict[str, Any] = json.loads(done.stdout)
    if outcome["body"].startswith("{"):
        outcome["body"] = json.loads(outcome["body"])
    return outcome


def test_any_path_is_answered_with_what_arrived(program: Path, url: str) -> None:
    given = ["--header=X-Request-Id: 7", "--header=Authorization: Bearer secret", "--method=PUT", "--body=12345"]
    said = call(program, *given, f"{url}/accounts/1?x=2")
    assert (said["status"], said["error"]) == (200, "")
    body = said["body"]
    assert (body["method"], body["path"], body["x-request-id"], body["body_bytes"]) == ("PUT", "/accounts/1", "7", 5)
    assert body["authorization"] is True
    assert "secret" not in json.dumps(said)


def test_the_caller_is_whom_the_last_hop_saw(program: Path, url: str) -> None:
    body = call(program, f"--header=X-Forwarded-Client-Cert: {CERTIFICATE}", url)["body"]
    assert body["caller"] == "spiffe://here/ns/bank-a/sa/frontend"


def test_http_2_without_tls_is_spoken(program: Path, url: str) -> None:
    assert call(program, "--http2", url)["body"]["protocol"] == "HTTP/2.0"


@pytest.mark.parametrize("path", ["/healthz/live", "/healthz/ready"])
def test_a_service_without_a_database_is_well_at_once(program: Path, url: str, path: str) -> None:
    assert call(program, url + path)["status"] == 200


@pytest.mark.parametrize("bank", ["bank-b.evil.example", "127.0.0.1:1/", "", "Bank"])
def test_money_goes_to_no_host_but_a_banks_own(program: Path, url: str, bank: str) -> None:
    body = json.dumps({"to": bank, "amount_minor_units": 1})
    said = call(program, "--method=POST", f"--body={body}", f"{url}/transfers")
    assert said["status"] == 400
    assert "is no bank's name" in said["body"]["error"]


def test_a_body_that_is_no_transfer_is_refused(program: Path, url: str) -> None:
    assert call(program, "--method=POST", "--body=[]", f"{url}/transfers")["status"] == 400


def test_a_path_is_sent_byte_for_byte(program: Path, url: str) -> None:
    assert call(program, "--target=/a/%2e%2e/b//c", f"{url}/x")["body"]["path"] == "/a/../b//c"


def test_what_does_not_answer_is_an_error_and_no_status(program: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    said = call(program, f"http://127.0.0.1:{port}/")
    assert said["status"] == 0
    assert "refused" in said["error"]
