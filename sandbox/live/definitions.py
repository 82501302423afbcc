"""Definitions of custom kinds whose chart is declared but not installed: the program's own objects of these kinds need them.

Installed when the first object of a kind comes, and only where a release of the cluster was not installed: a definition that
is there before the chart that owns it would stop Helm.
"""

import functools
import json
import time
from typing import Final

from sandbox.crds import load_crds
from sandbox.live.client import Cluster, ServerError

_MANAGER: Final = "zerotrust-sandbox"
_SERVED_SECONDS: Final = 30.0


@functools.cache
def _offered() -> dict[tuple[str, str], bytes]:
    """(group, kind) → the definition, kept as text: a few dozen of them are used, of tens of megabytes."""
    return {(one["spec"]["group"], one["spec"]["names"]["kind"]): json.dumps(one).encode() for one in load_crds()}


def supply(cluster: Cluster, api_version: str, kind: str) -> bool:
    """Installs the definition of a kind and waits until it is served; False when nothing here defines it.

    Raises:
        ServerError: when the server refuses it, or does not serve the kind in half a minute.
    """
    text = _offered().get((api_version.partition("/")[0], kind))
    if text is None:
        return False
    definition = json.loads(text)
    cluster.apply(definition, _MANAGER, force=True)
    deadline = time.monotonic() + _SERVED_SECONDS
    while True:
        try:
            cluster.list(api_version, kind, None, limit="1")
        except ServerError as error:
            if not error.is_absent or time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return True
