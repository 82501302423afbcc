"""Which provider acts where clusters run."""

from sandbox.live.kubernetes import LiveKubernetes
from sandbox.live.vault import LiveVault
from sandbox.standin.provider import StandIn

_LIVE = {"kubernetes": LiveKubernetes, "vault": LiveVault}


def provider(package: str, engine_address: str, said: str) -> StandIn:
    """The provider of a package on what the file `said` says is running; a KeyError for a package that stays a stand-in."""
    return _LIVE[package](engine_address, said)
