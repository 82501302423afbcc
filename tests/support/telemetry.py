"""The agent's and the gateway's own configurations on one machine: files are read from a folder and written into another."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from components.graph.model import Graph
from components.observability.telemetry import agents, gateway
from components.observability.telemetry.names import GATEWAY_HOST
from sandbox.otelcol import LOOPBACK, Config, free_port, listening, quiet, records, running, wait_until, without
from tests.support.graphs import loaded
from tests.support.program import stack_settings

REGION: Final = "eu-west-1"
LAST: Final = "the last line of this file"


def graph() -> Graph:
    """The development stack's."""
    return Graph.of(loaded(stack_settings("dev")))


def agent(logs: Path, flows: Path, state: Path, port: int) -> Config:
    """The agent's configuration: it knows no API server, and its gateway is a port of loopback without certificates."""
    made = quiet(without(agents.config(), "k8s_attributes"), state)
    pods = made["receivers"]["file_log/pods"]
    pods["include"] = [f"{logs}/*/*/*.log"]
    pods["poll_interval"] = "50ms"
    # The operator that reads names from the path knows them below any folder.
    made["receivers"]["file_log/flows"] |= {"include": [f"{flows}/denied.log"], "poll_interval": "50ms"}
    exporter = made["exporters"]["otlp_grpc"]
    exporter |= {"endpoint": f"{LOOPBACK}:{port}", "tls": {"insecure": True}}
    # In order: the last line comes last.
    exporter["sending_queue"]["num_consumers"] = 1
    made["processors"]["batch"] = {"timeout": "200ms"}
    return made


def gate(known: Graph, out: Path, state: Path, port: int) -> Config:
    """The gateway's configuration: every store and sink is a file of its exporter's name."""
    made = quiet(gateway.config(known, REGION), state)
    made["processors"]["batch"] = {"timeout": "200ms"}
    made["receivers"]["otlp/tls"]["protocols"]["grpc"] = {"endpoint": f"{LOOPBACK}:{port}"}
    for name in ("otlp/mesh", "otlp/events"):
        for protocol in made["receivers"][name]["protocols"].values():
            protocol["endpoint"] = f"{LOOPBACK}:{free_port()}"
    return files(made, out, port)


def files(made: Config, out: Path, port: int) -> Config:
    """Exporters become files; the one that spreads traces over gateways finds this one alone."""
    out.mkdir(parents=True, exist_ok=True)
    for name in list(made["exporters"]):
        if name == "load_balancing":
            made["exporters"][name]["protocol"]["otlp"]["tls"] = {"insecure": True}
            made["exporters"][name]["resolver"] = {"static": {"hostnames": [f"{LOOPBACK}:{port}"]}}
            continue
        made["exporters"].pop(name)
        new = f"file/{name.replace('/', '-')}"
        made["exporters"][new] = {"path": str(out / f"{name.replace('/', '-')}.json"), "flush_interval": "100ms"}
        for pipeline in made["service"]["pipelines"].values():
            pipeline["exporters"] = [new if one == name else one for one in pipeline["exporters"]]
    return made


def everything(out: Path) -> str:
    """All that was written, as text."""
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(out.glob("*.json")))


def through(binary: Path, folder: Path, logs: Path, wanted: int, *, flows: Path | None = None) -> Path:
    """Logs by an agent and a gateway; returns the folder of what came out when `wanted` files' last lines are there."""
    port, out = free_port(), folder / "out"
    front = agent(logs, flows or folder / "flows", folder / "agent-state", port)
    back = gate(graph(), out, folder / "gateway-state", port)

    def arrived() -> bool:
        return everything(out).count(LAST) >= wanted if out.is_dir() else False

    with (
        running(binary, back, folder / "gateway") as behind,
        listening(behind, folder / "gateway", port),
        running(binary, front, folder / "agent") as process,
    ):
        wait_until(process, folder / "agent", arrived)
    return out


def bodies(out: Path) -> list[dict[str, Any]]:
    """Records of every store but the audit stream's."""
    return [one for path in sorted(out.glob("*.json")) if not path.stem.endswith("audit") for one in records(path)]


def forms(config: Config, names: Sequence[str]) -> list[Any]:
    """Parts of a configuration, by path."""
    found = []
    for name in names:
        value: Any = config
        for part in name.split("/"):
            value = value[part]
        found.append(value)
    return found


__all__ = ["GATEWAY_HOST", "agent", "bodies", "everything", "files", "gate", "graph", "through"]
