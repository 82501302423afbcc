"""Attacks on the running sandbox: each made with every layer on, and again without the layer that stopped it."""

from typing import TYPE_CHECKING, Final

from sandbox.proof.attacks import admission, egress, identity, limits, mesh, path, runtime, secrets, stolen, token, wire
from sandbox.proof.attacks.ground import answered
from sandbox.proof.attacks.registry import Planned, Progress, Switch, perform
from sandbox.proof.results import Attack
from sandbox.proof.world import World

if TYPE_CHECKING:
    from sandbox.proof.tokens import Tokens

__all__ = ["ATTACKS", "SWITCHES", "run"]

ATTACKS: Final[tuple[Planned, ...]] = (
    # the first of these waits for kubelets, so it begins first
    *runtime.ATTACKS,
    *wire.ATTACKS,
    *identity.ATTACKS,
    *path.ATTACKS,
    *token.ATTACKS,
    *limits.ATTACKS,
    *admission.ATTACKS,
    *secrets.ATTACKS,
    *stolen.ATTACKS,
    *egress.ATTACKS,
)
"""All of them; a family's own are in the module of its name."""
SWITCHES: Final[tuple[Switch, ...]] = (*mesh.SWITCHES, *token.SWITCHES, *admission.SWITCHES, *egress.SWITCHES)
"""How each layer is turned off, unless an attack says another way."""


def run(world: World, tokens: "Tokens", progress: Progress) -> tuple[Attack, ...]:
    """Makes every attack, and those that were stopped again without the layer that did it.

    Args:
        world: the running sandbox; nobody else may need its mesh meanwhile.
        tokens: for attacks that need one.
        progress: told what was made, and what is off.

    Raises:
        ProofError: what is allowed is refused too, or a layer could not be put back.
    """
    answered(world, tokens)
    return perform(ATTACKS, SWITCHES, world, tokens, progress)
