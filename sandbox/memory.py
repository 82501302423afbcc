"""The most memory that was in use on this machine while something ran; of every program, so an upper bound of one's own."""

import threading
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_MEMINFO: Final = Path("/proc/meminfo")
_KIB_PER_GIB: Final = 1 << 20
_PERIOD_SECONDS: Final = 0.5


def used_gib(told: str) -> float:
    """GiB in use, by the text of /proc/meminfo: what could not be had without swapping (proc(5), MemAvailable)."""
    sizes = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in told.splitlines()) if rest}
    return (sizes["MemTotal"] - sizes["MemAvailable"]) / _KIB_PER_GIB


class Peak:
    """Watches for as long as it is entered; looks twice a second, so what comes and goes faster is missed."""

    def __init__(self, source: Path = _MEMINFO) -> None:
        self._source = source
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.gib = 0.0

    def __enter__(self) -> Self:
        self._look()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /) -> None:
        self._ended.set()
        self._thread.join()
        self._look()

    def _watch(self) -> None:
        while not self._ended.wait(_PERIOD_SECONDS):
            self._look()

    def _look(self) -> None:
        self.gib = max(self.gib, used_gib(self._source.read_text(encoding="utf-8")))
