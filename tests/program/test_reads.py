"""What the program reads and does not make: somebody else has made it by then."""

import pytest

from tests.support.program import STACKS, record_stack

WAITS = "pulumi.com/waitFor"
RELEASE = "kubernetes:helm.sh/v3:Release"
"""Helm is told to wait, so what a release's pods publish when they are ready is there after it."""


@pytest.mark.parametrize("stack", STACKS)
def test_what_is_read_is_waited_for(stack):
    recording = record_stack(stack)
    made = {resource.urn: resource for resource in recording.resources}
    assert recording.reads
    for read in recording.reads:
        waited = [
            urn
            for urn in read.dependencies
            if made[urn].type == RELEASE or WAITS in made[urn].inputs.get("metadata", {}).get("annotations", {})
        ]
        assert waited, f"{read.urn} is read right after {sorted(read.dependencies)}"
