"""What a node is told at boot beyond what EKS tells it: the operating systems' own settings, as text.

A managed node group without an image id of its own gets the cluster's name, endpoint and CA from EKS, which merges them
into this text (EKS user guide, "Customize managed nodes with launch templates"); saying them here as well is refused or
overwritten. So both functions are pure and know no cluster.
"""

import base64
import json

SHUTDOWN_SECONDS = 60
CRITICAL_SHUTDOWN_SECONDS = 20
PIDS_PER_POD = 4096
"""A fork bomb in one pod must not take the node's other tenants down."""


def bottlerocket() -> str:
    """Bottlerocket settings (TOML): no host container to log in to, kernel lockdown, seccomp by default.

    `integrity` and not `confidentiality`: the latter forbids reading kernel memory from BPF, which Cilium and Falco need.
    """
    return "\n".join(
        (
            "[settings.kernel]",
            'lockdown = "integrity"',
            "",
            "[settings.host-containers.admin]",
            "enabled = false",
            "",
            "[settings.host-containers.control]",
            "enabled = false",
            "",
            "[settings.metrics]",
            "send-metrics = false",
            "",
            "[settings.kubernetes]",
            "seccomp-default = true",
            f"pod-pids-limit = {PIDS_PER_POD}",
            f'shutdown-grace-period = "{SHUTDOWN_SECONDS}s"',
            f'shutdown-grace-period-for-critical-pods = "{CRITICAL_SHUTDOWN_SECONDS}s"',
            "",
        )
    )


def al2023() -> str:
    """AL2023 settings: a MIME message with one nodeadm NodeConfig (JSON is YAML)."""
    config = {
        "apiVersion": "node.eks.aws/v1alpha1",
        "kind": "NodeConfig",
        "spec": {
            "kubelet": {
                "config": {
                    "seccompDefault": True,
                    "podPidsLimit": PIDS_PER_POD,
                    "shutdownGracePeriod": f"{SHUTDOWN_SECONDS}s",
                    "shutdownGracePeriodCriticalPods": f"{CRITICAL_SHUTDOWN_SECONDS}s",
                }
            }
        },
    }
    return "\n".join(
        (
            "MIME-Version: 1.0",
            'Content-Type: multipart/mixed; boundary="node"',
            "",
            "--node",
            "Content-Type: application/node.eks.aws",
            "",
            json.dumps(config, indent=2),
            "",
            "--node--",
            "",
        )
    )


def encoded(text: str) -> str:
    """User data as a launch template takes it."""
    return base64.b64encode(text.encode()).decode()
