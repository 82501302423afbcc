"""A compliant stack as recorded resources: one of each kind the controls read, in several spellings."""

from policy.client import Recorded
from tests.policy import corpus_network, corpus_services
from tests.policy.corpus_parts import Builder


def build() -> list[Recorded]:
    """The compliant stack."""
    b = Builder()
    corpus_network.network(b)
    corpus_services.storage(b)
    corpus_services.edge(b)
    corpus_services.identity(b)
    return b.resources
