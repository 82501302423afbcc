"""One control plane per worker, with every custom resource definition there is to install."""

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.admission.constraints import region_templates
from sandbox import gator
from sandbox.apiclient import ApiServer
from sandbox.apiserver import control_plane
from sandbox.crds import SETTING, load_crds, unjudged

# The first case that needs a tool builds what is not in the cache: kube-apiserver alone takes minutes.
_SECONDS_WITH_A_BUILD = 1800


class KindsNotJudgedWarning(UserWarning):
    """Custom kinds without a definition here: no case below says anything about them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(_SECONDS_WITH_A_BUILD))


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """Real etcd and kube-apiserver; a custom kind's own definition is installed when its first object comes.

    The kinds of constraints, which Gatekeeper makes of the templates, are made here."""
    if missing := unjudged():
        groups = ", ".join(sorted(group for several in missing.values() for group in several))
        sources = ", ".join(sorted(missing))
        message = f"NOT JUDGED, no definitions: kinds of {groups}. Name a folder with {sources} in {SETTING}."
        warnings.warn(KindsNotJudgedWarning(message), stacklevel=1)
    with control_plane(tmp_path_factory.mktemp("control-plane"), _say) as server:
        server.offer(load_crds())
        server.offer(gator.constraint_definitions(region_templates()))
        yield server
