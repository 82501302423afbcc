"""The process that hosts this process's stand-ins: started at the first session, shared by all, gone with this process."""

import subprocess
import sys
from functools import cache
from typing import Final

from sandbox.toolchain import ROOT

HOST_VARIABLE: Final = "ZEROTRUST_STANDIN_HOST"


@cache
def _host() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "sandbox.standin.host"],
        cwd=ROOT,
        stdin=subprocess.PIPE,  # closed when this process ends, which ends the host
        stdout=subprocess.PIPE,
        text=True,
    )


def begin() -> None:
    """Start the host without waiting for it: it loads while the engine does."""
    _host()


@cache
def port() -> int:
    """The port the host listens on.

    Raises:
        RuntimeError: the host ended before it listened.
    """
    stream = _host().stdout
    line = stream.readline() if stream else ""
    if not line.strip():
        msg = "the stand-ins' host ended before it listened"
        raise RuntimeError(msg)
    return int(line)
