"""What each control must catch: edits on recorded resources, one spelling each. Applied here to the compliant corpus,
and by the whole-program tests to what the real program registers; spellings a program has no resource for are ``add``ed."""

from tests.policy import mutations_access as access
from tests.policy import mutations_base as base
from tests.policy.harness import Mutation

MUTATIONS: tuple[Mutation, ...] = tuple(
    mutation
    for family in (
        base.network,
        base.clusters,
        base.clusters_by_role,
        base.keys,
        access.edge,
        access.apis,
        base.buckets,
        base.audit,
        access.identities,
        access.general,
    )
    for mutation in family()
)
# Controls whose violation is no edit of a resource's properties; tests/policy name them one by one.
BY_OTHER_MEANS = frozenset({"GEN-05"})
