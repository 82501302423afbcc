"""The table of game days, for docs/runbooks/game-day.md. Pure."""

from components.chaos.game_days import every_game_day
from components.graph.model import Graph


def table(graph: Graph, region: str) -> str:
    """Every game day of a region as a Markdown table, opted in or not."""
    rows = [
        f"| `{day.name}` | {day.hypothesis} | {day.promise} | {day.outcome} | {day.minutes} min "
        f"| {', '.join(day.namespaces) or 'those opted in'} |"
        for day in every_game_day(graph, region)
    ]
    head = "| game day | hypothesis | promise | to be seen | lasts | touches |"
    return "\n".join([head, "| --- | --- | --- | --- | --- | --- |", *rows])
