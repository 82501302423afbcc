"""The OPA beside every service: a container and its volumes for the workload's pod.

Three listeners, each for one reader: Envoy's questions on loopback (9191), health and metrics for kubelet and Prometheus (8282,
read-only), and OPA's own API on a socket that no other container mounts, where `files/server.rego` refuses everything:
containers of a pod share loopback, and whoever can write to the API decides for the workload.

New rules, edges and risks arrive without a restart: the kubelet rewrites mounted ConfigMaps and `--watch` loads them. So no
mount may use a subPath. A file that does not parse is reported and the last good set stays.
"""

from typing import Any, Final

from components.decision.objects import DATA_FILE, RULES_CONFIG_MAP, data_config_map
from components.graph.model import Workload
from components.graph.names import OPA_PORT, RISK_CONFIG_MAP, RISK_FILE
from components.pods import container_security
from components.settings.tenants import OPA_CPU_MILLICORES, OPA_MEMORY_MEBIBYTES

HEALTH_PORT: Final = 8282
"""/health and /metrics; the kubelet's probes come from the host."""
USER: Final = 10001
"""Neither root nor 1337, whose traffic Istio does not redirect."""
DRAIN_SECONDS: Final = 10
"""Before it is told to stop: longer than the service, whose calls pass the proxy until it ends and are refused without OPA."""
_CPU_BURST: Final = 10
"""Times its request; it answers within Envoy's half second or the call is refused."""
_POLICY_FOLDER: Final = "/etc/opa/policy"
_DATA_FOLDER: Final = "/etc/opa/workload"
_RISK_FOLDER: Final = "/etc/opa/risk"
_SOCKET_FOLDER: Final = "/run/opa"


def opa_arguments(workload: str) -> list[str]:
    """The command line of `opa`, for a workload's `<tenant>/<service>`; paths are those of `opa_volumes`' mounts."""
    return [
        "run",
        "--server",
        f"--addr=unix://{_SOCKET_FOLDER}/api.sock",
        f"--diagnostic-addr=0.0.0.0:{HEALTH_PORT}",
        "--authorization=basic",
        "--disable-telemetry",
        "--log-format=json",
        "--watch",
        # the folders of ConfigMaps hold every file a second time, below hidden names
        "--ignore=.*",
        f"--set=plugins.envoy_ext_authz_grpc.addr=127.0.0.1:{OPA_PORT}",
        "--set=plugins.envoy_ext_authz_grpc.path=zerotrust/authz/decision",
        # the rules parse the bodies that an edge asks about; the plugin would refuse whatever it cannot parse
        "--set=plugins.envoy_ext_authz_grpc.skip-request-body-parse=true",
        "--set=decision_logs.console=true",
        f"--set=labels.workload={workload}",
        _POLICY_FOLDER,
        f"workload:{_DATA_FOLDER}/{DATA_FILE}",
        f"risk:{_RISK_FOLDER}/{RISK_FILE}",
    ]


def opa_container(image: str, workload: Workload) -> dict[str, Any]:
    """The container, as a pod's `containers` or (with `restartPolicy: Always`) `initContainers` take it."""
    memory = f"{OPA_MEMORY_MEBIBYTES}Mi"
    return {
        "name": "opa",
        "image": image,
        "args": opa_arguments(workload.ref),
        "env": [{"name": "GOMEMLIMIT", "value": "100MiB"}],
        "ports": [{"name": "opa-health", "containerPort": HEALTH_PORT, "protocol": "TCP"}],
        "resources": {
            "requests": {"cpu": f"{OPA_CPU_MILLICORES}m", "memory": memory},
            "limits": {"cpu": f"{_CPU_BURST * OPA_CPU_MILLICORES}m", "memory": memory},
        },
        "securityContext": container_security(USER),
        "startupProbe": _probe("/health?plugins", period_seconds=1, failures=60),
        "readinessProbe": _probe("/health?plugins", period_seconds=5, failures=3),
        "livenessProbe": _probe("/health", period_seconds=10, failures=3),
        "lifecycle": {"preStop": {"sleep": {"seconds": DRAIN_SECONDS}}},
        "volumeMounts": [
            {"name": "opa-policy", "mountPath": _POLICY_FOLDER, "readOnly": True},
            {"name": "opa-workload", "mountPath": _DATA_FOLDER, "readOnly": True},
            {"name": "opa-risk", "mountPath": _RISK_FOLDER, "readOnly": True},
            {"name": "opa-socket", "mountPath": _SOCKET_FOLDER},
        ],
    }


def opa_volumes(workload: Workload) -> list[dict[str, Any]]:
    """The volumes that the container mounts; none is optional, so a pod without its edges does not start."""
    sources = {
        "opa-policy": RULES_CONFIG_MAP,
        "opa-workload": data_config_map(workload.name),
        "opa-risk": RISK_CONFIG_MAP,
    }
    return [
        *({"name": name, "configMap": {"name": source, "optional": False}} for name, source in sources.items()),
        {"name": "opa-socket", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
    ]


def _probe(path: str, *, period_seconds: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": HEALTH_PORT, "scheme": "HTTP"},
        "periodSeconds": period_seconds,
        "timeoutSeconds": 2,
        "failureThreshold": failures,
    }
