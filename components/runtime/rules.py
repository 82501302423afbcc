"""Falco's rules of one region: the tenant model as lists, macros and allow lists, and the detections written for it.

A rule file of ours stands on nothing but itself: it takes no macro or list of the stock rules, so a stock file that changes
changes no verdict here. Every name begins with `zt_`, which no stock name does. A service is known by its namespace and its
container's name, both from the container runtime; whatever is started in it and is not declared raises the service's own rule,
and a container that nobody declared raises another. Process names are the kernel's, cut to fifteen characters. Until the
container runtime has answered for a new container its namespace is unknown and the tenant rules are silent: what runs in its
first moments is the image's own, which admission has judged.
"""

from collections.abc import Iterable, Mapping
from importlib import resources
from ipaddress import IPv4Network
from typing import Any, Final

import yaml

from components.graph.model import Graph, Workload
from components.graph.names import SERVICE_LABEL, SPIRE_SOCKET_FILE
from components.runtime.names import FETCHED
from components.settings.runtime import EXECUTABLE

ENGINE: Final = "0.57.0"
"""Least engine version: Falco 0.44 has 0.62, the stock rules of its image ask for this one."""
CONTAINER_PLUGIN: Final = "0.4.0"
COMM_LENGTH: Final = 15
"""TASK_COMM_LEN without its end."""
MODEL_FILE, DETECTIONS_FILE = "10-model.yaml", "20-detections.yaml"
"""Read in this order; a macro must stand before the rule that uses it."""
TAGS: Final = ("zerotrust", "container")

BESIDE: Final[Mapping[str, tuple[str, ...]]] = {
    "istio-proxy": ("pilot-agent", "envoy"),
    "istio-validation": ("pilot-agent", "iptables", "iptables-save", "ip6tables", "ip6tables-save", "nft"),
    "opa": ("opa", "opa-envoy-plugin"),
    "plugin-barman-cloud": ("manager", "barman-cloud-backup", "barman-cloud-wal-archive", "barman-cloud-wal-restore"),
    "postgres": (
        *("manager", "postgres", "initdb", "psql", "pg_ctl", "pg_isready", "pg_basebackup", "pg_rewind", "pg_controldata"),
        *("pg_resetwal", "pg_verifybackup", "pg_dump", "pg_restore", "locale", "sh"),
    ),
    "spiffe-helper": ("spiffe-helper",),
    "valkey": ("valkey-server", "valkey-cli", "valkey-check-rdb", "valkey-check-aof"),
    "vault-agent": ("vault", "sh"),
}
"""Containers in a tenant's namespace that the platform puts there → what runs in them. PostgreSQL starts what it archives with
by a shell (`archive_command`, PostgreSQL's documentation, 25.3); the agent's probe is a shell's."""
JOBS: Final[Mapping[str, str]] = dict.fromkeys(("bootstrap-controller", "full-recovery", "initdb", "join"), "postgres")
"""Containers of the database operator's jobs → whose processes they run."""


def executable(name: str) -> str:
    """The name as the kernel has it, quoted for a condition.

    Raises:
        ValueError: for what is no file name: a condition would read its characters as syntax.
    """
    if not EXECUTABLE.fullmatch(name):
        msg = f"{name!r} is no name of an executable: write the file's name without its folder"
        raise ValueError(msg)
    return f'"{name[:COMM_LENGTH]}"'


def macro_of(workload: Workload) -> str:
    """The macro that is true in the service's container; a capital, which no name has, keeps the parts apart."""
    return f"zt_{workload.name}_IN_{workload.tenant}".replace("-", "_")


def context(trust_domain: str) -> str:
    """What every rule's output ends with: who it was, by namespace, pod, container, SPIFFE id and process."""
    return (
        f" | spiffe=spiffe://{trust_domain}/ns/%k8s.ns.name/sa/%k8s.pod.label[{SERVICE_LABEL}]"
        " ns=%k8s.ns.name pod=%k8s.pod.name container=%container.name image=%container.image.repository"
        " process=%proc.name exe=%proc.exepath parent=%proc.pname command=%proc.cmdline"
        " user=%user.name uid=%user.uid event=%evt.type"
    )


def _header() -> list[dict[str, Any]]:
    return [
        {"required_engine_version": ENGINE},
        {"required_plugin_versions": [{"name": "container", "version": CONTAINER_PLUGIN}]},
    ]


def _any(conditions: Iterable[str]) -> str:
    """One of them; never true when there is none (an event's number begins at one)."""
    return f"({' or '.join(conditions) or 'evt.num = 0'})"


def _quoted(values: Iterable[str]) -> list[str]:
    return [f'"{value}"' for value in values]


def _rule(name: str, *, desc: str, condition: str, output: str, priority: str, tags: Iterable[str]) -> dict[str, Any]:
    return {"rule": name, "desc": desc, "condition": condition, "output": output, "priority": priority, "tags": [*TAGS, *tags]}


def model(graph: Graph, region: str) -> list[dict[str, Any]]:
    """Lists, macros and allow-list rules of the tenants' services that run in the region.

    Raises:
        ValueError: for a declared process that is no file name.
    """
    workloads = [workload for workload in graph.workloads.values() if region in workload.regions]
    tail = context(graph.trust_domain(region))
    api = IPv4Network(graph.settings.regions[region].service_cidr).network_address + 1
    containers = {**BESIDE, **{job: BESIDE[of] for job, of in JOBS.items()}}
    found: list[dict[str, Any]] = [
        {"list": "zt_tenants", "items": _quoted(graph.tenants)},
        {"macro": "zt_tenant", "condition": "k8s.ns.name in (zt_tenants)"},
        {"macro": "zt_spawned", "condition": "(evt.type in (execve, execveat) and evt.rawres = 0)"},
        {"macro": "zt_api_server", "condition": f'fd.sip = "{api}"'},
        {"macro": "zt_spire_socket", "condition": f'fd.name endswith "/{SPIRE_SOCKET_FILE}"'},
        {"macro": "zt_fetched_secret", "condition": _any(f'fd.name startswith "{folder}"' for folder in FETCHED)},
    ]
    for workload in workloads:
        macro = macro_of(workload)
        found += [
            {"list": f"{macro}_processes", "items": [executable(name) for name in workload.settings.processes]},
            {"macro": macro, "condition": f'(k8s.ns.name = "{workload.tenant}" and container.name = "{workload.name}")'},
        ]
    for name, processes in sorted(containers.items()):
        found.append({"list": f"zt_beside_{name}_processes".replace("-", "_"), "items": [executable(one) for one in processes]})
    declared = [f"({macro_of(one)} and proc.name in ({macro_of(one)}_processes))" for one in workloads]
    beside = [
        f'(container.name = "{name}" and proc.name in ({f"zt_beside_{name}_processes".replace("-", "_")}))'
        for name in sorted(containers)
    ]
    found += [
        {"list": "zt_beside_containers", "items": _quoted(sorted(containers))},
        {"macro": "zt_service", "condition": _any(map(macro_of, workloads))},
        {"macro": "zt_declared", "condition": _any(declared)},
        {"macro": "zt_beside", "condition": f"(zt_tenant and not zt_service and {_any(beside)})"},
        _rule(
            "Undeclared container in a tenant's namespace",
            desc="Something was started in a container that is neither a declared service nor one the platform puts beside it.",
            condition="zt_spawned and zt_tenant and container.name exists"
            " and not zt_service and not container.name in (zt_beside_containers)",
            output=f"Process in a container that nobody declared{tail}",
            priority="CRITICAL",
            tags=("mitre_defense_evasion", "T1610"),
        ),
        _rule(
            "Unexpected process beside a service",
            desc="A sidecar or a store runs a program that is not one of its own.",
            condition="zt_spawned and zt_tenant and container.name in (zt_beside_containers)"
            " and not zt_service and not zt_beside",
            output=f"Program that a sidecar or store never runs{tail}",
            priority="ERROR",
            tags=("mitre_execution", "T1204"),
        ),
        *(_allow_list(graph, region, workload, tail) for workload in workloads),
    ]
    return [*_header(), *found]


def _allow_list(graph: Graph, region: str, workload: Workload, tail: str) -> dict[str, Any]:
    macro = macro_of(workload)
    return _rule(
        f"Unexpected process in {workload.ref}",
        desc=f"{workload.ref} (spiffe://{graph.principal(workload, region)}) runs only what its settings declare.",
        condition=f"zt_spawned and {macro} and not proc.name in ({macro}_processes)",
        output=f"Process that {workload.ref} does not declare{tail}",
        priority="ERROR",
        tags=("mitre_execution", "T1204", f"tenant_{workload.tenant}"),
    )


def detections(graph: Graph, region: str) -> list[dict[str, Any]]:
    """The written detections (files/detections.yaml), each output ended with the region's context."""
    text = resources.files("components.runtime").joinpath("files", "detections.yaml").read_text(encoding="utf-8")
    tail = context(graph.trust_domain(region))
    return [
        *_header(),
        *(
            {**one, "output": one["output"] + tail, "tags": [*TAGS, *one["tags"]]} if "rule" in one else one
            for one in yaml.safe_load(text)
        ),
    ]


def rules(graph: Graph, region: str) -> dict[str, str]:
    """Every rule file of the region: name → YAML. The chart mounts them below `/etc/falco/rules.d`, read in this order."""
    files = {MODEL_FILE: model(graph, region), DETECTIONS_FILE: detections(graph, region)}
    return {name: yaml.safe_dump(items, sort_keys=False, width=120) for name, items in files.items()}
