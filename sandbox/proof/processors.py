"""The processors while a proof runs: the nodes' pods go before who asks them.

On a real node neither an API server nor a load is beside the pods. Here all of them share a few processors, and OPA and the rate
limiter, which proxies wait for by the half second, would be late for want of one.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from sandbox.local import host
from sandbox.local.plan import Plan

_TIMES: Final = 8
_USUAL: Final = {"cpu.shares": 1024, "cpu.weight": 100}
"""The file of either version of control groups, and the weight of a group that was told none."""


@contextmanager
def pods_first(plan: Plan, groups: Path = host.CGROUPS) -> Iterator[None]:
    """Within it the pods of each node weigh as much as eight processes of this machine, not as one.

    Args:
        plan: whose nodes.
        groups: where control groups are.
    """
    nodes = [node.name for region in plan.regions for node in region.nodes]
    weights = {
        file: usual
        for node in nodes
        for name, usual in _USUAL.items()
        for file in (*groups.glob(f"{node}/{name}"), *groups.glob(f"*/{node}/{name}"))
    }
    try:
        for file, usual in weights.items():
            file.write_text(str(_TIMES * usual), encoding="utf-8")
        yield
    finally:
        for file, usual in weights.items():
            with suppress(OSError):  # a sandbox that was ended meanwhile has none to put back
                file.write_text(str(usual), encoding="utf-8")
