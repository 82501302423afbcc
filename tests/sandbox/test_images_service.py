"""The nodes' image service before a real containerd: what it pulls is there under the very reference that was asked for."""

import hashlib
import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from sandbox.local.images.oci import File, Settings, write
from sandbox.toolchain import build

CONFIG = """version = 2
root = "{home}/root"
state = "{home}/state"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = "{home}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  disable_apparmor = true
  disable_tcp_service = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    conf_dir = "{home}/cni"
"""
DIGEST = "sha256:" + hashlib.sha256(b"of another image").hexdigest()
REPOSITORY = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/bank-a/api-ms"


def _field(number: int, value: bytes) -> bytes:
    """A length-delimited field of a protocol buffer message; values under 16 KiB."""
    size = len(value)
    length = bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])
    return bytes([number << 3 | 2]) + length + value


def _read(message: bytes) -> dict[int, list[bytes]]:
    """The length-delimited fields of a message; numbers are left out."""
    found: dict[int, list[bytes]] = {}
    at = 0

    def number() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        tag = number()
        if tag & 7 == 0:
            number()
            continue
        size = number()
        found.setdefault(tag >> 3, []).append(message[at : at + size])
        at += size
    return found


@dataclass(frozen=True)
class Node:
    """A containerd and an image service before it."""

    folder: Path
    channel: grpc.Channel
    image: str
    """Digest of the configuration: the image's name for a container runtime."""

    def ask(self, method: str, reference: str) -> bytes:
        """The answer to a request whose first field is an ImageSpec."""
        call = self.channel.unary_unary(f"/runtime.v1.ImageService/{method}")
        answer: bytes = call(_field(1, _field(1, reference.encode())), timeout=60)
        return answer

    def pull(self, reference: str) -> str:
        return _read(self.ask("PullImage", reference))[1][0].decode()

    def status(self, reference: str) -> dict[int, list[bytes]] | None:
        found = _read(self.ask("ImageStatus", reference))
        return _read(found[1][0]) if 1 in found else None


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    home = tmp_path_factory.mktemp("n")
    archive = home / "app.tar"
    files = {
        "/app": File(data=b"\x7fELF, for all that containerd looks at"),
        "/etc/link": File(link="/app"),
        "/tmp": File(mode=0o1777),  # noqa: S108 - of the image
    }
    write(archive, files, Settings(entrypoint=("/app",)))
    # another image: containerd takes every name of an image away with it
    pause = home / "pause.tar"
    write(pause, files, Settings(entrypoint=("/pause",)))
    (home / "images.json").write_text(
        json.dumps(
            {
                "patterns": [
                    {"repository": "*/bank-a/*", "archive": str(archive)},
                    {"repository": "sandbox.local/pause", "archive": str(pause)},
                    {"repository": "busybox", "archive": str(archive)},
                    {"repository": "*/broken", "archive": str(home / "none.tar")},
                ]
            }
        )
    )
    (home / "containerd.toml").write_text(CONFIG.format(home=home))
    service = build("image-service", lambda _line: None)
    with (home / "log").open("w") as log:
        processes = [subprocess.Popen(["containerd", "-c", str(home / "containerd.toml")], stdout=log, stderr=log)]
        try:
            _until((home / "containerd.sock").exists, home)
            given = [f"--listen=unix://{home}/i.sock", f"--containerd={home}/containerd.sock", f"--table={home}/images.json"]
            processes.append(subprocess.Popen([str(service), *given], stdout=log, stderr=log))
            _until((home / "i.sock").exists, home)
            with grpc.insecure_channel(f"unix:{home}/i.sock") as channel:
                yield Node(home, channel, _config(home, archive))
        finally:
            for process in reversed(processes):
                process.terminate()
                process.wait(timeout=30)


def _config(home: Path, archive: Path) -> str:
    subprocess.run(["tar", "-xf", str(archive), "-C", str(home)], check=True)
    index = json.loads((home / "index.json").read_text())
    manifest = home / "blobs" / "sha256" / index["manifests"][0]["digest"].removeprefix("sha256:")
    return str(json.loads(manifest.read_text())["config"]["digest"])


def _until(holds, home: Path) -> None:
    for _ in range(600):
        if holds():
            return
        time.sleep(0.1)
    pytest.fail((home / "log").read_text()[-2000:])


@pytest.mark.parametrize(
    "reference",
    [f"{REPOSITORY}@{DIGEST}", f"{REPOSITORY}:v1", f"{REPOSITORY}:v2@{DIGEST}", "busybox", "docker.io/library/busybox:9"],
)
def test_what_was_pulled_is_found_under_the_reference_that_was_asked_for(node: Node, reference: str) -> None:
    assert node.pull(reference) == node.image
    found = node.status(reference)
    assert found is not None
    assert found[1] == [node.image.encode()]


def test_the_image_of_the_pods_sandboxes_is_there_before_anybody_asks(node: Node) -> None:
    assert node.status("sandbox.local/pause:1") is not None


def test_a_digest_that_nobody_pulled_is_not_there(node: Node) -> None:
    node.pull(f"{REPOSITORY}@{DIGEST}")
    assert node.status(f"{REPOSITORY}@sha256:{'0' * 64}") is None


def test_a_pulled_image_can_be_unpacked(node: Node) -> None:
    name = f"{REPOSITORY}:unpacked"
    node.pull(name)
    target = node.folder / "unpacked"
    target.mkdir()
    ctr = ["ctr", "-a", str(node.folder / "containerd.sock"), "-n", "k8s.io", "images"]
    subprocess.run([*ctr, "mount", name, str(target)], check=True, capture_output=True)
    try:
        assert (target / "etc" / "link").resolve() == Path("/app")
        assert (target / "app").read_bytes().startswith(b"\x7fELF")
        assert (target / "tmp").stat().st_mode & 0o7777 == 0o1777
    finally:
        subprocess.run([*ctr, "unmount", str(target)], check=True, capture_output=True)


def test_an_unknown_repository_is_refused_by_its_name(node: Node) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        node.pull("registry.example/other/thing:1")
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    assert refused.value.details() == "no image of this sandbox stands for the repository registry.example/other/thing"


def test_an_archive_that_is_gone_is_named(node: Node) -> None:
    with pytest.raises(grpc.RpcError, match=r"none\.tar"):
        node.pull("registry.example/broken:1")


def test_what_is_no_reference_is_refused(node: Node) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        node.pull("Not A Reference")
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_removed_image_can_be_pulled_again(node: Node) -> None:
    name = f"{REPOSITORY}:removed"
    node.pull(name)
    node.ask("RemoveImage", name)
    assert node.status(name) is None
    assert node.pull(name) == node.image
