"""The order that dependencies make, through however many others."""

import functools

from tests.support.monitor import Recording


def reached(recording: Recording) -> dict[str, frozenset[str]]:
    """Every resource's URN with those of all it waits for, through whomever; the record itself holds direct edges only."""
    direct = {each.urn: each.dependencies for each in recording.resources}

    @functools.cache
    def behind(urn: str) -> frozenset[str]:
        return direct.get(urn, frozenset()).union(*(behind(each) for each in direct.get(urn, ())))

    return {urn: behind(urn) for urn in direct}
