"""What a machine must have before a sandbox can run on it; everything that is missing is said at once."""

import ipaddress
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sandbox.local.plan import Plan

PACKAGES: Final = (
    "containerd",
    "runc",
    "containernetworking-plugins",
    "iproute2",
    "iptables",
    "nftables",
    "conntrack",
    "openssl",
)
"""Debian's names of what brings COMMANDS and PLUGINS."""
COMMANDS: Final = (
    "containerd",
    "containerd-shim-runc-v2",
    "ctr",
    "runc",
    "ip",
    "nsenter",
    "unshare",
    "iptables",
    "nft",
    "conntrack",
)
PLUGINS: Final = ("ptp", "host-local", "loopback", "portmap")
_PLUGIN_FOLDERS: Final = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
CGROUPS: Final = Path("/sys/fs/cgroup")
_CONTROLLERS: Final = ("cpu", "cpuacct", "cpuset", "memory", "pids")
_SYS_RESOURCE: Final = 24
"""CAP_SYS_RESOURCE in the capability masks of /proc/self/status."""


class HostError(Exception):
    """This machine cannot run a sandbox; one line for each reason."""

    user_facing = True


def check(plan: Plan) -> None:
    """Raises a HostError that names everything this machine lacks."""
    found = list(_lacks(plan))
    if found:
        raise HostError("this machine cannot run the sandbox:\n" + "\n".join(f"- {line}" for line in found))


def _lacks(plan: Plan) -> Iterator[str]:
    if sys.platform != "linux":
        yield f"it needs Linux, this is {sys.platform}: run it in a Linux virtual machine"
        return
    if os.geteuid() != 0:
        yield "it needs root for network and mount namespaces, containers and control groups: run `sudo make sandbox`"
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    commands = [name for name in COMMANDS if shutil.which(name, path=path) is None]
    plugins = [] if plugin_folder() else list(PLUGINS)
    if commands or plugins:
        yield f"{', '.join([*commands, *plugins])} not found: `apt-get install --no-install-recommends {' '.join(PACKAGES)}`"
    if "overlay" not in Path("/proc/filesystems").read_text(encoding="utf-8"):
        yield "the kernel has no overlay file system: load the module `overlay`"
    missing = [name for name in _CONTROLLERS if not (CGROUPS / name).is_dir()] if not unified() else []
    if missing:
        yield f"no control group hierarchy for {', '.join(missing)} below {CGROUPS}: mount them, or cgroup v2"
    yield from _met(plan)


def _met(plan: Plan) -> Iterator[str]:
    said = (
        subprocess.run(["ip", "-json", "route"], capture_output=True, text=True, check=False).stdout if shutil.which("ip") else ""
    )
    own = {region.link for region in plan.regions}
    for route in json.loads(said or "[]"):
        target = route.get("dst", "default")
        if target == "default" or route.get("dev") in own:
            continue
        for region in plan.regions:
            if ipaddress.ip_network(target, strict=False).overlaps(region.network):
                yield (
                    f"{region.network} of region {region.code} meets the route {target} by {route.get('dev')}: "
                    f"change regions.{region.code}.vpc_cidr in Pulumi.local.yaml"
                )


def plugin_folder() -> Path | None:
    """Where the CNI plugins lie, if all of them do."""
    return next((folder for folder in _PLUGIN_FOLDERS if all((folder / name).is_file() for name in PLUGINS)), None)


def unified() -> bool:
    """Whether control groups are of the second version only."""
    return (CGROUPS / "cgroup.controllers").is_file()


def may_raise_priority() -> bool:
    """Whether a process may be made less likely to be ended for want of memory; not inside most containers."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    mask = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(mask, 16) >> _SYS_RESOURCE & 1)
