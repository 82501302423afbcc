"""Which suites are slow, and which are the sandbox's: `make test-fast` leaves out both, `make test` the sandbox's alone.

Slow is what starts the engine's whole program again and again, drives an enforcing engine over every pair of workloads, or
searches at random. Named here in one place, by file, so that a suite is marked or not as a whole. The sandbox's tests need root
and programs that nothing else does: `make test-sandbox` runs them.
"""

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("load", deadline=None)  # how fast an example is depends on what else runs
settings.load_profile("load")

HERE = Path(__file__).parent
SLOW = (
    "engine/",
    "manifests/test_attacks.py",
    "manifests/test_cilium_engine.py",
    "manifests/test_cilium_second_opinions.py",
    "manifests/test_equivalence",
    "manifests/test_guardrails_floor.py",
    "manifests/test_guardrails_response.py",
    "manifests/test_istio_engine.py",
    "manifests/test_mesh_verdicts.py",
    "manifests/test_network_engine.py",
    "manifests/test_quarantine.py",
    "manifests/test_responder",
    "manifests/test_telemetry_redaction.py",
    "policy/test_fuzz.py",
    "policy/test_scale.py",
    "program/test_controls.py",
    "program/test_lifecycle.py",
    "program/test_regions.py",
    "unit/test_decision_graphs.py",
    "unit/test_mesh_properties.py",
)
"""Folders and files, or how their names begin, below tests/."""
SANDBOX = "sandbox/"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks every test of a slow suite and of the sandbox; the slow begin first, so that none is left alone at the end.

    Raises:
        pytest.UsageError: an entry has no file any more.
    """
    gone = [entry for entry in SLOW if not list(HERE.glob(f"{entry}*"))]
    if gone:
        msg = f"tests/conftest.py names suites that are not there: {', '.join(gone)}"
        raise pytest.UsageError(msg)
    for item in items:
        place = item.path.relative_to(HERE).as_posix() if item.path.is_relative_to(HERE) else ""
        if place.startswith(SLOW):
            item.add_marker(pytest.mark.slow)
        if place.startswith(SANDBOX):
            item.add_marker(pytest.mark.sandbox)
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
