"""Falco on every node of a cluster: the kernel's events against the stock rules and the tenant model's.

Guarantees: no node without it, whatever its taints; no driver, rule or plugin is downloaded, all three are in the image; events
leave by mutual TLS to the side-kick alone. Falco is root with four capabilities and not privileged. Relies on: kernels with BTF
(Amazon Linux 2023 and Bottlerocket have it), the client certificate, a namespace whose Pod Security is privileged.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi

from components.base import Component
from components.graph.model import Graph
from components.graph.names import RUNTIME_NAMESPACE, SERVICE_LABEL
from components.helm import install
from components.pods import pod_resources
from components.runtime.certificates import CLIENT_SECRET
from components.runtime.names import EVENTS_PORT, events_host
from components.runtime.rules import rules

CERTIFICATES_FOLDER: Final = "/etc/falco/certs/client"
"""Where the chart mounts the client's secret; its files keep cert-manager's names."""
CONTAINERD_SOCKET: Final = "/run/containerd/containerd.sock"


@dataclass(frozen=True, kw_only=True)
class FalcoArgs:
    """Falco in one region's cluster."""

    graph: Graph
    region: str
    after: Sequence[pulumi.Resource]
    """Gates the release itself: the monitoring kinds, the network's rules, the client certificate."""


def image_values(image: str) -> dict[str, str]:
    """An image by digest for a chart that puts a colon between repository and tag: the digest's own colon is that one."""
    registry, _, rest = image.partition("/")
    repository, _, digest = rest.partition("@")
    algorithm, _, value = digest.partition(":")
    return {"registry": registry, "repository": f"{repository}@{algorithm}", "tag": value}


def chart_values(graph: Graph, region: str) -> dict[str, Any]:
    """The chart's values for a region."""
    settings = graph.settings
    return {
        "image": image_values(settings.images.falco),
        "driver": {"enabled": True, "kind": "modern_ebpf", "modernEbpf": {"leastPrivileged": True}},
        # Its proxy and its rules come with releases of the image; a pod that fetched either would need a way out.
        "falcoctl": {"artifact": {"install": {"enabled": False}, "follow": {"enabled": False}}},
        "falcosidekick": {"enabled": False},  # stands in a namespace of its own, where no pod is privileged
        "responseActions": {"enabled": False},
        "collectors": {
            "containerEngine": {
                "enabled": True,
                "engines": {
                    **{name: {"enabled": False} for name in ("docker", "podman", "containerd", "lxc", "libvirt_lxc", "bpm")},
                    "cri": {"enabled": True, "sockets": [CONTAINERD_SOCKET]},
                },
            },
            "kubernetes": {"enabled": False},
        },
        "customRules": rules(graph, region),
        "falco": _configuration(graph, region),
        "certs": {"existingClientSecret": CLIENT_SECRET},
        "controller": {"kind": "daemonset"},
        "tolerations": [{"operator": "Exists"}],
        "podPriorityClassName": "system-node-critical",
        "resources": pod_resources("100m", "512Mi", memory_limit="1Gi"),
        "metrics": {"enabled": True, "interval": "15m", "outputRule": False},
        "serviceMonitor": {"create": True, "interval": "30s"},
        "scc": {"create": False},
        "tty": False,
    }


def _configuration(graph: Graph, region: str) -> dict[str, Any]:
    domain = graph.trust_domain(region)
    return {
        "rules_files": ["/etc/falco/falco_rules.yaml", "/etc/falco/rules.d"],
        # With `first` a stock rule that is read before ours would hide ours, and with it the tenant and the priority.
        "rule_matching": "all",
        "priority": graph.settings.runtime.minimum_priority,
        "time_format_iso_8601": True,
        "json_output": True,
        "json_include_tags_property": True,
        "json_include_output_fields_property": True,
        "append_output": [
            {
                "match": {"source": "syscall"},
                "suggested_output": True,
                "extra_fields": [{"spiffe_id": f"spiffe://{domain}/ns/%k8s.ns.name/sa/%k8s.pod.label[{SERVICE_LABEL}]"}],
            }
        ],
        "stdout_output": {"enabled": True},
        "syslog_output": {"enabled": False},
        "log_syslog": False,
        "http_output": {
            "enabled": True,
            "url": f"https://{events_host()}:{EVENTS_PORT}/",
            "insecure": False,
            "mtls": True,
            "ca_cert": f"{CERTIFICATES_FOLDER}/ca.crt",
            "client_cert": f"{CERTIFICATES_FOLDER}/tls.crt",
            "client_key": f"{CERTIFICATES_FOLDER}/tls.key",
            "keep_alive": True,
        },
        "syscall_event_drops": {"actions": ["log", "alert"]},
        "watch_config_files": False,  # a changed file changes the pod's checksum, and so restarts it
    }


class Falco(Component, token="zerotrust:runtime:Falco"):
    """Falco. Nothing waits for it: what it sees it sees from its own start on."""

    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: FalcoArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        release = install(
            f"{name}-release",
            "falco",
            namespace=RUNTIME_NAMESPACE,
            values=chart_values(args.graph, args.region),
            opts=self.child(depends_on=list(args.after)),
        )
        self.ready = (release,)
        self.register_outputs({})
