"""promtool: Prometheus's own judge of rules, of their tests and of single queries."""

import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import yaml

from sandbox.toolchain import build


def _run(arguments: Sequence[str], progress: Callable[[str], None]) -> tuple[bool, str]:
    tool = build("promtool", progress)
    done = subprocess.run([str(tool), *arguments], capture_output=True, text=True, check=False)
    return done.returncode == 0, (done.stdout + done.stderr).strip()


def check_rules(file: Path, progress: Callable[[str], None] = lambda _line: None) -> tuple[bool, str]:
    """Whether promtool accepts a rules file, and what it says. Raises ToolError when it cannot be built."""
    return _run(["check", "rules", "--lint=all", "--lint-fatal", str(file)], progress)


def judge_tests(file: Path, progress: Callable[[str], None] = lambda _line: None) -> tuple[bool, str]:
    """Whether every case of a file of tests comes out as it says. Raises ToolError when promtool cannot be built."""
    return _run(["test", "rules", str(file)], progress)


def refused_queries(queries: Iterable[str], progress: Callable[[str], None] = lambda _line: None) -> dict[str, str]:
    """The queries that Prometheus's parser refuses, each with its reason; one run for all that are good.

    Raises:
        ToolError: when promtool cannot be built.
    """
    wanted = sorted(set(queries))
    rules = [{"record": f"query:number_{number}", "expr": query} for number, query in enumerate(wanted)]
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "queries.yaml"

        def judge(some: list[dict[str, str]]) -> tuple[bool, str]:
            file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": some}]}), encoding="utf-8")
            return _run(["check", "rules", str(file)], progress)

        if judge(rules)[0]:
            return {}
        alone = {rule["expr"]: judge([rule]) for rule in rules}
    return {query: said for query, (good, said) in alone.items() if not good}
