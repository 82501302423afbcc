"""A proof's tables on a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table as Drawn

from sandbox.proof.report.tables import Names, Table, left_out, tables
from sandbox.proof.results import Proof


def show_all(proof: Proof, names: Names, console: Console) -> None:
    """Draws every table of a proof, and what it says nothing of."""
    for part in tables(proof, names).values():
        for table in part:
            show(table, console)
    missing = left_out(proof)
    if missing.rows:
        show(missing, console)


def show(table: Table, console: Console) -> None:
    """Draws a table; what came from the outside is never read as markup."""
    drawn = Drawn(title=escape(table.title), title_justify="left", caption=escape(table.explained), caption_justify="left")
    for name in (*_narrow(table, table.head), *(("",) if table.judges else ())):
        drawn.add_column(escape(name), overflow="fold")
    for row in table.rows:
        mark = {True: "[green]✓[/green]", False: "[red]✗[/red]", None: ""}[row.holds]
        drawn.add_row(*(escape(cell) for cell in _narrow(table, row.cells)), *((mark,) if table.judges else ()))
    console.print(drawn)


def _narrow(table: Table, cells: Sequence[str]) -> list[str]:
    return [cell for at, cell in enumerate(cells) if at not in table.wide]
