"""What the pods of a region ask of its nodes, and what the nodes have: whether the smallest size of a node group carries them.

Read from the values and objects that the program registers, at the fewest replicas. Requests are counted, not use. Not counted:
what no value states (SPIRE's own pods), CronJobs, pods that tenants' autoscaling adds, and how pods fall on nodes: the table says
that they fit together, not that each finds a place. Where a namespace is in the mesh every pod is given a proxy.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal

from components.pods import SYSTEM_NODES
from components.settings.tenants import mebibytes
from docs.markdown import GENERATED, row, table
from tests.support.monitor import Recording, Registered
from tests.support.program import STACKS, record_stack

Where = Literal["system", "workload", "every node"]
NODES: Final[Mapping[str, tuple[int, int, int]]] = {
    "m7g.large": (2, 8, 29),
    "m7g.xlarge": (4, 16, 58),
    "m7g.2xlarge": (8, 32, 58),
}
"""vCPU, GiB and the most pods of an instance type, by AWS's published tables; the last without prefixes on an interface."""
RELEASE: Final = "kubernetes:helm.sh/v3:Release"
ON_EVERY_NODE: Final = frozenset(
    {
        ("chaos-mesh", "chaosDaemon.resources"),
        ("cilium", "resources"),
        ("cni", "resources"),
        ("falco", "resources"),
        ("kube-prometheus-stack", "prometheus-node-exporter.resources"),
        ("velero", "nodeAgent.resources"),
    }
)
"""Pods of a DaemonSet, by chart and path; the collector's chart says it by its mode."""
NOT_RUNNING: Final = frozenset(
    {
        ("istiod", "global.proxy.resources"),
        ("kyverno", "admissionController.initContainer.resources"),
        ("velero", "upgradeJobResources"),
        ("velero", "initContainers.0.resources"),
    }
)
"""What is a template for others, or has ended when a pod is ready."""
FIXED: Final[Mapping[tuple[str, str], int]] = {
    ("gatekeeper", "audit.resources"): 1,
    ("kube-prometheus-stack", "prometheusOperator.prometheusConfigReloader.resources"): 5,
}
"""Replicas where no value beside the path says them; the reloader is beside each Prometheus and each Alertmanager."""
BESIDE: Final = frozenset(
    {
        ("grafana", "sidecar.resources"),
        ("kube-prometheus-stack", "grafana.sidecar.resources"),
        ("kube-prometheus-stack", "prometheusOperator.prometheusConfigReloader.resources"),
        ("vault", "server.extraContainers.0.resources"),
    }
)
"""Containers beside another, which are no pod of their own."""
REPLICAS: Final = (("replicas",), ("replicaCount",), ("autoscaling", "minReplicas"), ("autoscaleMin",), ("ha", "replicas"))
ADD_ONS: Final = (("coredns", "workload", 3, 100, 70), ("aws-ebs-csi-driver", "workload", 2, 60, 240))
"""EKS' add-ons by their own defaults: name, place, pods, millicores, MiB of each."""
NODE_ADD_ONS: Final = (
    ("aws-ebs-csi-driver", 30, 120),
    ("eks-pod-identity-agent", 0, 0),
    ("spire", 0, 0),
    ("spiffe-csi-driver", 0, 0),
)
"""Their pods on each node; SPIRE's ask for nothing."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Requests of one row: all its pods together, or for `every node` those of one node."""

    who: str
    where: Where
    pods: int
    millicores: int
    mebibytes: int


def millicores(quantity: str) -> int:
    """`250m` and `0.5` and `2` as thousandths of a CPU."""
    return int(quantity[:-1]) if quantity.endswith("m") else int(Decimal(quantity) * 1000)


def _requests(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Mapping[str, str]]]:
    """Every `requests` of CPU or memory below a value, with the path of what holds it."""
    if isinstance(value, Mapping):
        found = value.get("requests")
        if isinstance(found, Mapping) and {"cpu", "memory"} & set(found):
            yield path, found
        for key, inner in value.items():
            yield from _requests(inner, (*path, str(key)))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _requests(inner, (*path, str(index)))


def _above(values: Any, path: tuple[str, ...]) -> list[Mapping[str, Any]]:
    """The mappings on the way to a path, the nearest first."""
    found = [values]
    for key in path:
        found.append(found[-1][int(key)] if isinstance(found[-1], list) else found[-1][key])
    return [each for each in reversed(found) if isinstance(each, Mapping)]


def _replicas(above: list[Mapping[str, Any]]) -> int:
    for each in above:
        for keys in REPLICAS:
            value: Any = each
            for key in keys:
                value = value.get(key) if isinstance(value, Mapping) else None
            if value is not None:
                return int(value)
    return 1


def claimed(values: Any) -> int:
    """MiB of all volumes that a chart's values ask for, replicas counted."""
    total = 0
    for path, size in _sizes(values):
        total += _replicas(_above(values, path)) * mebibytes(size)
    return total


def _sizes(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """What volumes a value asks for: a claim's `storage`, and `size` beside or below what is called persistence or storage."""
    if isinstance(value, Mapping):
        storage = value.get("requests", {}).get("storage") if isinstance(value.get("requests"), Mapping) else None
        if storage:
            yield path, storage
        if path and path[-1] in {"persistence", "dataStorage", "auditStorage"} and isinstance(value.get("size"), str):
            yield path, value["size"]
        for key, inner in value.items():
            yield from _sizes(inner, (*path, str(key)))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _sizes(inner, (*path, str(index)))


def _placed(above: list[Mapping[str, Any]]) -> Where:
    return "system" if any(dict(each.get("nodeSelector") or {}) == dict(SYSTEM_NODES) for each in above) else "workload"


def of_release(release: Registered, proxy: tuple[int, int]) -> Iterator[Asked]:
    """What a chart's values ask for; `proxy` is added to each pod of its own."""
    values, chart = release.inputs["values"], release.inputs["chart"].rsplit("/", 1)[-1]
    for path, found in _requests(values):
        key = (chart, ".".join(path))
        if key in NOT_RUNNING:
            continue
        above = _above(values, path)
        daemon = key in ON_EVERY_NODE or values.get("mode") == "daemonset"
        count = 1 if daemon else FIXED.get(key, _replicas(above))
        beside = key in BESIDE
        extra = (0, 0) if daemon or beside or chart == "gateway" else proxy
        yield Asked(
            who=f"{release.inputs['namespace']}: {chart} {key[1].removesuffix('resources').strip('.')}".strip(),
            where="every node" if daemon else _placed(above),
            pods=0 if beside else count,
            millicores=count * (millicores(found.get("cpu", "0")) + extra[0]),
            mebibytes=count * (mebibytes(found.get("memory", "0Mi")) + extra[1]),
        )


def _of_pods(made: Registered, proxy: tuple[int, int]) -> Asked:
    """A Deployment or StatefulSet of the program's own: its containers, and what starts first and stays."""
    spec = made.inputs["spec"]
    template = spec["template"]["spec"]
    lasting = [each for each in template.get("initContainers", []) if each.get("restartPolicy") == "Always"]
    asked = [found for each in (*template["containers"], *lasting) for _, found in _requests(each)]
    count = int(spec.get("replicas") or 1)
    return Asked(
        who=f"{made.inputs['metadata']['namespace']}: {made.inputs['metadata']['name']}",
        where=_placed([template]),
        pods=count,
        millicores=count * (sum(millicores(each.get("cpu", "0")) for each in asked) + proxy[0]),
        mebibytes=count * (sum(mebibytes(each.get("memory", "0Mi")) for each in asked) + proxy[1]),
    )


def _of_database(made: Registered) -> Asked:
    """A PostgreSQL cluster; the archive's sidecar asks for 50m and 128Mi where there is one."""
    spec = made.inputs["spec"]
    asked, count = spec["resources"]["requests"], int(spec["instances"])
    beside = (50, 128) if spec.get("plugins") else (0, 0)
    return Asked(
        who=f"{made.inputs['metadata']['namespace']}: {made.inputs['metadata']['name']}",
        where="workload",
        pods=count,
        millicores=count * (millicores(asked["cpu"]) + beside[0]),
        mebibytes=count * (mebibytes(asked["memory"]) + beside[1]),
    )


def asked(recording: Recording, region: str) -> tuple[Asked, ...]:
    """Every row of a region, by what asks."""
    here = [each for each in recording.resources if each.name.startswith(f"{region}-") and each.type.startswith("kubernetes:")]
    meshed = {
        each.inputs["metadata"]["name"]
        for each in here
        if each.type.endswith(":Namespace") and (each.inputs["metadata"].get("labels") or {}).get("istio-injection") == "enabled"
    }
    side = next(
        (each.inputs["values"]["global"]["proxy"]["resources"]["requests"] for each in here if _is_istiod(each)),
        {"cpu": "0", "memory": "0Mi"},
    )
    proxy = (millicores(side["cpu"]), mebibytes(side["memory"]))
    found = [
        *(Asked(who=who, where="workload", pods=n, millicores=n * cpu, mebibytes=n * mib) for who, _, n, cpu, mib in ADD_ONS),
        *(Asked(who=who, where="every node", pods=1, millicores=cpu, mebibytes=mib) for who, cpu, mib in NODE_ADD_ONS),
    ]
    for each in here:
        namespace = each.inputs.get("namespace") or (each.inputs.get("metadata") or {}).get("namespace")
        beside = proxy if namespace in meshed else (0, 0)
        if each.type == RELEASE:
            found += of_release(each, beside)
        elif each.type.startswith("kubernetes:apps/v1:"):
            labels = each.inputs["spec"]["template"]["metadata"].get("labels") or {}
            found.append(_of_pods(each, (0, 0) if labels.get("sidecar.istio.io/inject") == "false" else beside))
        elif each.type.startswith("kubernetes:postgresql.cnpg.io") and each.type.endswith(":Cluster"):
            found.append(_of_database(each))
    return tuple(sorted(found, key=lambda each: (each.where, each.who)))


def _is_istiod(each: Registered) -> bool:
    return each.type == RELEASE and each.inputs["chart"].endswith("istiod")


def usable(instance_type: str) -> tuple[int, int]:
    """Millicores and MiB that pods can have on a node: what EKS' nodes keep for the kubelet and eviction is taken off."""
    cores, gibibytes, most = NODES[instance_type]
    kept = 60 + 10 * (cores > 1) + sum(5 for core in range(2, 4) if core < cores) + math.ceil(2.5 * max(cores - 4, 0))
    return cores * 1000 - kept, int(gibibytes * 1024 * 0.97) - (255 + 11 * most) - 100


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A role's nodes at their smallest size in a region, and what stands on them: millicores, MiB, pods."""

    nodes: int
    instance_type: str
    has: tuple[int, int, int]
    wants: tuple[int, int, int]

    @property
    def holds(self) -> bool:
        """Whether everything fits together."""
        return all(wanted <= had for wanted, had in zip(self.wants, self.has, strict=True))


def fits(recording: Recording, region: str) -> dict[str, Fit]:
    """By role. Several groups of one role are taken for nodes of the first one's type."""
    sums: dict[str, Counter[str]] = defaultdict(Counter)
    for each in asked(recording, region):
        sums[each.where].update(cpu=each.millicores, memory=each.mebibytes, pods=each.pods)
    groups: dict[str, list[Registered]] = defaultdict(list)
    for group in recording.of("aws:eks/nodeGroup:NodeGroup"):
        if group.name.startswith(f"{region}-"):
            groups[group.inputs["labels"]["zerotrust.role"]].append(group)
    found = {}
    for role, members in sorted(groups.items()):
        nodes = sum(int(group.inputs["scalingConfig"]["minSize"]) for group in members)
        instance_type = members[0].inputs["instanceTypes"][0]
        cpu, memory = usable(instance_type)
        wants = tuple(sums[role][key] + nodes * sums["every node"][key] for key in ("cpu", "memory", "pods"))
        found[role] = Fit(
            nodes=nodes,
            instance_type=instance_type,
            has=(nodes * cpu, nodes * memory, nodes * NODES[instance_type][2]),
            wants=(wants[0], wants[1], wants[2]),
        )
    return found


def _amount(number: int, unit: int) -> str:
    return f"{number / unit:,.1f}"


def capacity_page() -> str:
    """Nodes against requests for each shipped stack, then every row of one region."""
    text = (
        "What the pods of one region ask for, at the fewest replicas, against the node groups at their smallest size.\n"
        "Requests, not use; SPIRE's pods state none. Every pod of a meshed namespace is given a proxy. Nothing adds nodes\n"
        "by itself unless `cluster.karpenter` is on, so the smallest size has to carry all of it.\n"
    )
    parts = [f"# Capacity\n\n{GENERATED}\n\n{text}"]
    for stack in STACKS:
        recording = record_stack(stack)
        region = max(each.name for each in recording.of("zerotrust:region:Region"))
        rows = []
        for role, fit in fits(recording, region).items():
            cells = [
                f"{_amount(wanted, unit)} of {_amount(had, unit)}"
                for wanted, had, unit in zip(fit.wants[:2], fit.has[:2], (1000, 1024), strict=True)
            ]
            rows.append(row(role, f"{fit.nodes} {fit.instance_type}", *cells, f"{fit.wants[2]} of {fit.has[2]}"))
        parts.append(f"## {stack}, {region}\n\n" + table(("nodes", "smallest size", "CPU", "GiB", "pods"), rows) + "\n")
    rows = [
        row(each.who, each.where, each.pods or "", f"{each.millicores:,}", f"{each.mebibytes:,}")
        for each in asked(record_stack(STACKS[-1]), region)
        if each.millicores or each.mebibytes
    ]
    parts.append(
        f"## Who asks: {STACKS[-1]}, {region}\n\n" + table(("what", "where", "pods:", "millicores:", "MiB:"), rows) + "\n"
    )
    return "\n".join(parts)
