"""Definitions of custom kinds whose chart is declared but not installed: the program's own objects of these kinds need them.

Installed when the first object of a kind comes, and only where a release of the cluster was not installed: a definition that
is there before the chart that owns it would stop Helm.
"""

import functools
import json
import threading
import time
from typing import Final

from sandbox.crds import load_crds
from sandbox.live.client import Cluster, ServerError

_MANAGER: Final = "zerotrust-sandbox"
_SERVED_SECONDS: Final = 120.0
_PAUSE_SECONDS: Final = 0.2


@functools.cache
def _offered() -> dict[tuple[str, str], bytes]:
    """(group, kind) → the definition, kept as text: a few dozen of them are used, of tens of megabytes."""
    return {(one["spec"]["group"], one["spec"]["names"]["kind"]): json.dumps(one).encode() for one in load_crds()}


@functools.cache
def _lock(_cluster: Cluster, _group: str, _kind: str) -> threading.Lock:
    return threading.Lock()


def supply(cluster: Cluster, api_version: str, kind: str) -> bool:
    """Installs the definition of a kind and waits until it is served; False when nothing here defines it.

    Hundreds of objects of one kind ask at once: the first installs it, the others wait for that.

    Raises:
        ServerError: when the server refuses it, or does not serve the kind in two minutes.
    """
    group, _, version = api_version.partition("/")
    text = _offered().get((group, kind))
    definition = json.loads(text) if text else {"spec": {"versions": []}}
    spec = definition["spec"]
    if not any(each["name"] == version and each["served"] for each in spec["versions"]):
        return False
    with _lock(cluster, group, kind):
        if (api_version, kind) in cluster.known:
            return True
        cluster.apply(definition, _MANAGER, force=True)
        path = f"/apis/{api_version}/{spec['names']['plural']}"
        deadline = time.monotonic() + _SERVED_SECONDS
        while True:
            try:
                cluster.request("GET", path, query={"limit": "1"})
                break
            except ServerError as error:
                if not error.is_absent or time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE_SECONDS)
        cluster.learn(api_version, kind, spec["names"]["plural"], namespaced=spec["scope"] == "Namespaced")
    return True
