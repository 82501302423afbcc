"""What a long command says on the terminal while it works."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console

_LINE_SECONDS: Final = 10.0


class Steps:
    """Says on the terminal what is under way and what it took."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)
        self._began = time.monotonic()

    @contextmanager
    def step(self, title: str, *, holds: Callable[[], bool] = lambda: True) -> Iterator[Callable[[str], None]]:
        """One step; what it is given is shown while it lasts, without a terminal a line of it every ten seconds.

        Args:
            title: what is done.
            holds: asked at the end, whether what was done is as it must be.
        """
        began = said = time.monotonic()
        with self.console.status(title) as status:

            def show(line: str) -> None:
                nonlocal said
                status.update(f"{title}: {line}")
                if not self.console.is_terminal and time.monotonic() - said > _LINE_SECONDS:
                    said = time.monotonic()
                    self.console.print(f"{title}: {line}")

            yield show
        mark = "[green]✓[/green]" if holds() else "[red]✗[/red]"
        self.console.print(f"{mark} {title} [dim]{time.monotonic() - began:.0f} s[/dim]")

    @property
    def seconds(self) -> float:
        """Since the first step."""
        return time.monotonic() - self._began
