"""The reference table of the controls: ``python -m policy.reference`` writes docs/reference/controls.md."""

from collections.abc import Sequence
from pathlib import Path

from policy import catalogue
from policy.catalogue import Control

FILE = Path(__file__).parent.parent / "docs" / "reference" / "controls.md"
HEAD = """# Controls

Generated from `policy/catalogue.yaml` by `python -m policy.reference`; a test holds it current.
A resource control judges each resource before it is created or changed. A stack control judges how resources relate, at
the end of a preview and of an update. NIST ids are of SP 800-53 Rev. 5; a mapping says that a control contributes
evidence, not that it satisfies the requirement.

| id | policy | kind | severity | NIST | SOC 2 | CIS | others |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""


def render(controls: Sequence[Control]) -> str:
    """The whole page."""
    rows = [
        f"| [{c.id}](#{c.id.lower()}) | `{c.policy}` | {c.kind} | {c.severity} | {', '.join(c.nist).upper()} "
        f"| {', '.join(c.soc2)} | {', '.join(c.cis)} | {', '.join(c.refs)} |"
        for c in controls
    ]
    return HEAD + "\n".join(rows) + "\n" + "".join(_section(control) for control in controls)


def _section(control: Control) -> str:
    lines = [f"\n## {control.id}", "", f"{control.title}. {control.rationale}", "", f"Remedy: {control.remediation}", ""]
    lines.append("Reads: " + ", ".join(f"`{token}`" for token in control.tokens) + ".")
    if control.parameters:
        lines += ["", "Parameters: " + ", ".join(f"`{name}`" for name in control.parameters) + "."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(render(catalogue.load()), encoding="utf-8")
