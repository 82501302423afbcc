"""Digests of pinned charts, asked of a server on loopback that speaks a chart repository's and an OCI registry's part.

Does not prove that the real repositories and registries answer in this form.
"""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from components.helm import PINS, ChartPin
from sandbox.chart_digests import Answer, DigestError, compare, from_registry, from_repository, get, main, written

ARCHIVE = "a" * 64
MANIFEST = json.dumps({"schemaVersion": 2, "layers": []}).encode()
OCI = "sha256:" + hashlib.sha256(MANIFEST).hexdigest()
INDEX = {
    "entries": {
        "first": [
            {"version": "1.1.0", "digest": "b" * 64},
            {"version": "1.0.0", "digest": ARCHIVE},
            {"version": "0.9.0"},
        ]
    }
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        status, headers, body = 404, {}, b"not here"
        host = f"http://127.0.0.1:{self.server.server_address[1]}"
        if self.path == "/charts/index.yaml":
            status, body = 200, yaml.safe_dump(INDEX).encode()
        elif self.path == "/v2/charts/second/manifests/2.0.0_build":
            if self.headers.get("Authorization") == "Bearer let-me-in":
                status, body, headers = 200, MANIFEST, {"Docker-Content-Digest": OCI}
            else:
                status, headers = 401, {"WWW-Authenticate": f'Bearer realm="{host}/token",service="here",scope="pull"'}
        elif self.path == "/v2/charts/liar/manifests/1.0.0":
            status, body, headers = 200, MANIFEST, {"Docker-Content-Digest": "sha256:" + "0" * 64}
        elif self.path == "/v2/charts/closed/manifests/1.0.0":
            status, headers = 401, {"WWW-Authenticate": 'Basic realm="x"'}
        elif self.path == "/token?service=here&scope=pull":
            status, body = 200, b'{"token": "let-me-in"}'
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args):
        """Silent."""


@pytest.fixture(scope="module")
def home() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def pin(home: str, version: str = "1.0.0", digest: str | None = None) -> ChartPin:
    return ChartPin(chart="first", repository=f"http://{home}/charts/", version=version, app_version="1", digest=digest)


def test_a_repositorys_index_states_the_archives_digest(home):
    assert from_repository(pin(home)) == f"sha256:{ARCHIVE}"


@pytest.mark.parametrize(("version", "sentence"), [("3.0.0", "has no first 3.0.0"), ("0.9.0", "is no sha256 digest")])
def test_a_version_that_is_not_there_or_has_no_digest_is_an_error(home, version, sentence):
    with pytest.raises(DigestError, match=sentence):
        from_repository(pin(home, version))


def test_a_registrys_manifest_is_hashed_here_and_its_token_fetched(home):
    assert from_registry(f"{home}/charts/second", "2.0.0+build", "http") == OCI


@pytest.mark.parametrize(
    ("chart", "sentence"),
    [("liar", "the registry states sha256:0000"), ("closed", "charts are public"), ("absent", "status 404")],
)
def test_a_registry_that_contradicts_itself_or_wants_a_login_is_an_error(home, chart, sentence):
    with pytest.raises(DigestError, match=sentence):
        from_registry(f"{home}/charts/{chart}", "1.0.0", "http")


@pytest.mark.parametrize("url", ["http://charts.example/index.yaml", "file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_a_chart_comes_by_https_or_from_loopback(url):
    with pytest.raises(DigestError, match="charts come by https"):
        get(url)


def test_a_server_that_does_not_answer_is_named():
    with pytest.raises(DigestError, match=r"http://127\.0\.0\.1:1/index\.yaml: "):
        get("http://127.0.0.1:1/index.yaml")


def test_a_header_is_found_in_whatever_case_it_came(home):
    answer = get(f"http://{home}/charts/index.yaml")
    assert isinstance(answer, Answer)
    assert answer.headers["content-length"] == str(len(answer.body))


def test_what_is_missing_is_returned_and_what_differs_is_refused_for_every_chart_at_once(home):
    good, other = f"sha256:{ARCHIVE}", f"1.0.0@sha256:{'c' * 64}"
    assert compare({"one": pin(home), "two": pin(home, digest=f"1.0.0@{good}")}) == {"one": f"1.0.0@{good}"}
    with pytest.raises(DigestError) as refused:
        compare({"one": pin(home, digest=other), "two": pin(home, "3.0.0"), "three": pin(home)})
    assert [line.split(":")[0] for line in str(refused.value).splitlines()] == ["one 1.0.0", "two"]
    assert "find out why" in str(refused.value)


def test_a_digest_of_another_version_is_not_held_against_the_new_one(home):
    stale = pin(home, "1.1.0", digest=f"1.0.0@sha256:{ARCHIVE}")
    assert compare({"one": stale}) == {"one": f"1.1.0@sha256:{'b' * 64}"}


def test_the_pin_file_keeps_its_comments_and_gets_one_digest_line_a_chart(tmp_path: Path):
    digest = f"sha256:{ARCHIVE}"
    copy = tmp_path / "charts.yaml"
    copy.write_text(PINS.read_text())
    assert main(["--pins", str(copy)], ask=lambda _pin: digest) == 0
    before, after = PINS.read_text().splitlines(), copy.read_text().splitlines()
    assert [line for line in after if not line.startswith("  digest:")] == [
        line for line in before if not line.startswith("  digest:")
    ]
    pins = yaml.safe_load(copy.read_text())
    assert {name: one["digest"] for name, one in pins.items()} == {
        name: f"{one['version']}@{digest}" for name, one in pins.items()
    }
    changed = copy.read_text().replace(f"  version: {pins['cilium']['version']}", "  version: 9.9.9", 1)
    rewritten = yaml.safe_load(written(changed, {"cilium": f"9.9.9@{digest}"}))
    assert rewritten["cilium"]["digest"] == f"9.9.9@{digest}"
    assert rewritten["spire"] == pins["spire"]


def test_a_difference_fails_and_writes_nothing(tmp_path: Path, capsys):
    copy = tmp_path / "charts.yaml"
    copy.write_text(PINS.read_text())
    main(["--pins", str(copy)], ask=lambda _pin: f"sha256:{ARCHIVE}")
    kept = copy.read_text()
    assert main(["--pins", str(copy)], ask=lambda _pin: f"sha256:{'d' * 64}") == 1
    assert copy.read_text() == kept
    assert "do not install it" in capsys.readouterr().err


def test_renovate_finds_every_pin_once():
    managers = json.loads((PINS.parents[1] / "renovate.json").read_text())["customManagers"]
    found = []
    for manager in managers:
        (pattern,) = manager["matchStrings"]
        (place,) = manager["managerFilePatterns"]
        assert re.search(place.strip("/"), "components/charts.yaml")
        python = pattern.replace("(?<", "(?P<")
        found += [(match["depName"], match["currentValue"]) for match in re.finditer(python, PINS.read_text())]
    pins = yaml.safe_load(PINS.read_text())
    assert sorted(found) == sorted((one["chart"].removeprefix("oci://"), one["version"]) for one in pins.values())
