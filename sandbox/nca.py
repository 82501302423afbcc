"""A second opinion on NetworkPolicy alone: IBM's network-config-analyzer, which shares no code with Cilium.

It reads any other kind without a word and then reports every connection as allowed, so everything else is filtered out
before. Its own pins exclude those of the development environment; it is installed, hashes checked, from
`tools/network-config-analyzer/requirements.txt` into the tool cache, once per lock and Python version.
"""

import hashlib
import ipaddress
import itertools
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from sandbox.cilium_verdicts import NETWORK_POLICY, Policy, Protocol, Workload, of_kind
from sandbox.toolchain import ROOT, ToolError, cache_root

LOCK: Final = ROOT / "tools" / "network-config-analyzer" / "requirements.txt"
_LINE: Final = re.compile(r"^(?P<source>.+?) => (?P<target>.+?) : (?P<ports>.+)$")
_CUBE: Final = re.compile(r"\{protocols:(?P<protocols>[A-Z]+(?:, ?[A-Z]+)*?)(?:,dst_ports:(?P<ports>[\d,-]+))?\}")
_FRAME: Final = re.compile(r"^(global: cluster has .*|Total run time: .*|)$")
_API: Final = "networking.k8s.io/v1"  # Calico has a NetworkPolicy of its own
_EVERYTHING: Final = "All connections"
_ANYWHERE: Final = "0.0.0.0-255.255.255.255"

Ranges = tuple[tuple[int, int], ...]


class AnalyzerError(Exception):
    """The analyzer failed, or said something that is not understood."""


@dataclass(frozen=True, kw_only=True)
class Connectivity:
    """What may connect: (source, target) to the port ranges per protocol, or to None for every connection.

    A source or target is the id of a workload, or a range of addresses as text (`203.0.113.0-203.0.113.127`).
    """

    pairs: Mapping[tuple[str, str], Mapping[str, Ranges] | None] = field(default_factory=dict)

    def allows(self, source: str, target: str, port: int, protocol: Protocol = "TCP") -> bool:
        """Whether a connection is allowed; an end is the id of a workload or an IP address outside the cluster."""
        for (known_source, known_target), ports in self.pairs.items():
            if _names(known_source, source) and _names(known_target, target):
                if ports is None:
                    return True
                if any(first <= port <= last for first, last in ports.get(protocol, ())):
                    return True
        return False


def connectivity(
    policies: Iterable[Policy], workloads: Iterable[Workload], namespaces: Mapping[str, Mapping[str, str]]
) -> Connectivity:
    """Everything the NetworkPolicies among `policies` allow between workloads and to addresses.

    Raises:
        AnalyzerError: with the analyzer's own words; also for an answer that is not understood.
        ToolError: when the analyzer cannot be installed.
    """
    known = {f"{workload.namespace}/pod-{number}": workload for number, workload in enumerate(workloads)}
    documents: dict[str, list[Mapping[str, Any]]] = {
        "policies.yaml": [one for one in of_kind(policies, NETWORK_POLICY) if one["apiVersion"] == _API],
        "pods.yaml": [_pod(reference, workload) for reference, workload in known.items()],
        "namespaces.yaml": [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels)}}
            for name, labels in namespaces.items()
        ],
    }
    if not documents["policies.yaml"]:
        ends = [*(workload.id for workload in known.values()), _ANYWHERE]
        return Connectivity(pairs=dict.fromkeys(itertools.product(ends, ends)))
    with tempfile.TemporaryDirectory() as scratch:
        for name, objects in documents.items():
            (Path(scratch) / name).write_text(yaml.safe_dump_all(objects), encoding="utf-8")
        command = [sys.executable, "-m", "nca", "--connectivity", "policies.yaml", "-p", "pods.yaml", "-n", "namespaces.yaml"]
        environment = {**os.environ, "PYTHONPATH": str(installed())}
        done = subprocess.run(
            [*command, "-o", "txt_no_fw_rules", "--return_0"],
            cwd=scratch,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0 or "endpoints" not in done.stdout:
        raise AnalyzerError((done.stderr or done.stdout).strip())
    return Connectivity(pairs=_pairs(done.stdout, {reference: workload.id for reference, workload in known.items()}))


def installed() -> Path:
    """The folder the analyzer and what it needs lie in, installed if the cache has none.

    Raises:
        ToolError: with pip's last line.
    """
    version = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()[:16]
    target = cache_root() / "network-config-analyzer" / version
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        made = Path(scratch) / version
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--no-deps"]
        done = subprocess.run([*pip, "--target", str(made), "-r", str(LOCK)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            msg = f"network-config-analyzer cannot be installed: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}"
            raise ToolError(msg)
        if not target.is_dir():
            made.rename(target)
    return target


def _pod(reference: str, workload: Workload) -> dict[str, Any]:
    namespace, name = reference.split("/")
    ports = [{"name": port.name, "containerPort": port.port, "protocol": port.protocol} for port in workload.named_ports]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(workload.labels)},
        "spec": {"containers": [{"name": "main", "ports": ports}]},
    }


def _pairs(said: str, ids: Mapping[str, str]) -> Mapping[tuple[str, str], Mapping[str, Ranges] | None]:
    """A pair has as many lines as it takes: what they say adds up."""
    pairs: dict[tuple[str, str], Mapping[str, Ranges] | None] = {}
    for text in said.splitlines():
        line = _LINE.match(text)
        if line is None:
            if _FRAME.match(text) is None:
                msg = f"not understood: {text}"
                raise AnalyzerError(msg)
            continue
        source, target = (ids.get(end.removesuffix("[Pod]"), end) for end in (line["source"], line["target"]))
        ports, before = _ports(line["ports"]), pairs.get((source, target), {})
        if ports is None or before is None:
            pairs[source, target] = None
        else:
            pairs[source, target] = {key: before.get(key, ()) + ports.get(key, ()) for key in sorted({*before, *ports})}
    return pairs


def _ports(said: str) -> Mapping[str, Ranges] | None:
    if said == _EVERYTHING:
        return None
    if _CUBE.sub("", said).strip(","):
        msg = f"not understood: {said}"
        raise AnalyzerError(msg)
    ports: dict[str, Ranges] = {}
    for cube in _CUBE.finditer(said):
        ranges = tuple(_range(part) for part in (cube["ports"] or "1-65535").split(","))
        for protocol in re.split(", ?", cube["protocols"]):
            ports[protocol] = ports.get(protocol, ()) + ranges
    return ports


def _range(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    return int(first), int(last or first)


def _names(known: str, asked: str) -> bool:
    """Whether an end of the answer is the one asked for: the same id, or a range of addresses it lies in."""
    if known == asked:
        return True
    try:
        address = ipaddress.IPv4Address(asked)
        return any(
            ipaddress.IPv4Address(first) <= address <= ipaddress.IPv4Address(last or first)
            for first, _, last in (part.strip().partition("-") for part in known.split(","))
        )
    except ipaddress.AddressValueError:
        return False
