"""`python -m sandbox.local up|down`: the platform of `Pulumi.local.yaml` on this machine, and its end."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from rich.table import Table

from components.settings import Settings, load_file
from sandbox.live.releases import NOT_INSTALLED
from sandbox.local import addons, cloud, deploy, host, nodes
from sandbox.local.control_plane import ControlPlane
from sandbox.local.health import Workload, workloads
from sandbox.local.images.prepare import prepare, tools, write_table
from sandbox.local.images.store import store
from sandbox.local.images.table import IMAGES
from sandbox.local.plan import Plan, RegionPlan, plan
from sandbox.local.processes import ProcessError, Processes
from sandbox.memory import Peak
from sandbox.progress import Steps
from sandbox.toolchain import ROOT, ToolError, build_all

STACK: Final = "local"
STARTED: Final = "started.json"
"""In the sandbox's home: what its start took, in seconds and GiB."""
_CLOUD_SECONDS: Final = 30.0
_TICK: Final = 0.2
_PATIENCE_SECONDS: Final = 120.0
"""Without any workload more coming up."""


def the_plan() -> Plan:
    """The plan of the local stack's regions.

    Raises:
        SettingsError: the settings file is not a valid one.
    """
    settings = load_file(ROOT / f"Pulumi.{STACK}.yaml")
    return plan({code: (str(region.vpc_cidr), str(region.service_cidr)) for code, region in settings.regions.items()})


class UnhealthyError(Exception):
    """Not every workload came up; one line for each that did not, with what keeps it."""

    user_facing = True


def up(where: Plan, steps: Steps, memory: Peak) -> None:
    """Starts everything; what an earlier start left is ended first.

    Args:
        where: the sandbox.
        steps: told what is under way.
        memory: watched since before.

    Raises:
        UnhealthyError: at the end, with what does not run; what runs stays.
        HostError, ToolError, NetworkError, ProcessError, DeployError: with the reason.
    """
    host.check(where)
    with steps.step("nothing is left of an earlier sandbox"):
        nodes.end(where)
    with steps.step("programs") as said:
        built = build_all([*nodes.PROGRAMS, *tools()], said)
        refused = [str(one) for one in built.values() if isinstance(one, ToolError)]
        if refused:
            raise ToolError("\n".join(refused))
        programs = {name: path for name, path in built.items() if isinstance(path, Path)}
    with steps.step("images") as said:
        archives = prepare(sorted(IMAGES), said)
        unpacked = store(archives, said)
    where.home.mkdir(parents=True)
    write_table(where.images, archives)
    with steps.step("clusters") as said:
        clusters = nodes.start(where, programs, unpacked, said)
    with steps.step("what the cloud brings"):
        settings = load_file(ROOT / f"Pulumi.{STACK}.yaml")
        authority = cloud.prepare(where, settings)
        for cluster in clusters.values():
            addons.install(cluster.administrator, cluster.region)
            begin_cloud(where, cluster.region, settings)
    with steps.step(f"stack {STACK}") as said:
        deploy.up(STACK, where, authority, said)
    with steps.step("health") as said:
        unready = wait(clusters, said)
    took = {"seconds": round(steps.seconds, 1), "memory_gib": round(memory.gib, 2)}
    (where.home / STARTED).write_text(json.dumps(took) + "\n", encoding="utf-8")
    show(where, steps)
    if unready:
        raise UnhealthyError("not everything is up:\n" + "\n".join(f"- {each}" for each in unready))


def show(where: Plan, steps: Steps) -> None:
    """Says where to look, and what is declared and does not run here."""
    table = Table(title=f"the sandbox stands after {steps.seconds:.0f} s", title_justify="left")
    for column in ("region", "API server", "administrator"):
        table.add_column(column)
    for region in where.regions:
        table.add_row(region.code, region.api, f"KUBECONFIG={region.kubeconfig}")
    steps.console.print(table)
    steps.console.print(f"logs: {where.home / 'logs'} and {where.home}/*/node-*/disk/var/log", highlight=False)
    declared = where.home / NOT_INSTALLED
    reasons = json.loads(declared.read_text(encoding="utf-8")) if declared.is_file() else {}
    for code, releases in sorted(reasons.items()):
        steps.console.print(f"{code}: declared, not installed: {', '.join(sorted(releases))}")


def begin_cloud(where: Plan, region: RegionPlan, settings: Settings) -> None:
    """Starts a region's cloud and returns when it answers.

    Raises:
        ProcessError: it ended, or does not answer for half a minute.
    """
    processes = Processes(where.home)
    begun = processes.start(f"{region.code}-cloud", cloud.command(where, region), environment={"PYTHONPATH": str(ROOT)})
    deadline = time.monotonic() + _CLOUD_SECONDS
    while not cloud.answers(region, settings):
        processes.check(begun)
        if time.monotonic() > deadline:
            msg = f"{begun.name} does not answer: {processes.last_words(begun.name)}"
            raise ProcessError(msg)
        time.sleep(_TICK)


def wait(clusters: Mapping[str, ControlPlane], said: Callable[[str], None]) -> list[Workload]:
    """Returns when every workload is up, or with those that are not when none came up for a while."""
    deadline, before = time.monotonic() + _PATIENCE_SECONDS, None
    while True:
        found = [one for code, cluster in clusters.items() for one in workloads(code, cluster.administrator)]
        missing = [one for one in found if not one.is_up]
        said(f"{len(found) - len(missing)} of {len(found)} workloads")
        if len(missing) != before:
            deadline, before = time.monotonic() + _PATIENCE_SECONDS, len(missing)
        if not missing or time.monotonic() > deadline:
            return missing
        time.sleep(1)


def main() -> int:
    """Command line entry; exit code 1 with one sentence when something cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.local", description=__doc__)
    parser.add_argument("what", choices=("up", "down"))
    what = parser.parse_args().what
    steps = Steps()
    try:
        where = the_plan()
        if what == "down":
            steps.console.print(f"ended {nodes.end(where)} processes; nothing is left")
            return 0
        with Peak() as memory:
            up(where, steps, memory)
    except Exception as error:
        if not getattr(error, "user_facing", False):
            raise
        steps.console.print(f"[red]{error}[/red]")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
