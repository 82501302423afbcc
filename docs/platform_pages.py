"""Pages for who operates the platform: what admission holds, what Vault grants, which alerts there are, what a loss costs."""

from itertools import groupby
from pathlib import Path
from typing import Any, Final

import yaml

from components.admission.controls import admission_table
from components.backup import objectives
from components.observability.alert_rules import SEVERITIES, alerts
from components.settings import load
from components.vault.access_plan import vault_table
from docs.access_pages import DRAWN, graph_of
from docs.capacity import capacity_page
from docs.markdown import GENERATED, row, table
from tests.support.program import STACKS, stack_settings

ROOT: Final = Path(__file__).parents[1]
LOG_ALERTS: Final = ROOT / "components/observability/alerts-logs"
RUNBOOKS: Final = "docs/runbooks/alerts"


def admission_page() -> str:
    """Every control of admission, by engine."""
    rows = [
        row(f"`{control}`", what, engine, scope, f"[`{Path(files).name}`](../../{files.rstrip('/')})", exempt or "none")
        for control, what, engine, scope, files, exempt in sorted(admission_table(graph_of(DRAWN)), key=lambda each: each[2])
    ]
    text = (
        "Who refuses and who fills in, and why it is split so: [guardrails](../guardrails.md). Exempt are namespaces, service\n"
        "accounts, and the folders of the node that an account may mount, by `guardrails.exemptions` of\n"
        f"`Pulumi.{DRAWN}.yaml`; each with a reason, an approver and a last day.\n"
    )
    return f"# Admission\n\n{GENERATED}\n\n{text}\n{table(('control', 'what', 'by', 'where', 'files', 'exempt'), rows)}\n"


def vault_page() -> str:
    """Who may do what in Vault, path by path."""
    rows = [row(f"`{who}`", f"`{path}`", capability, what) for who, path, capability, what in vault_table(graph_of(DRAWN))]
    text = (
        f"Compiled from the access graph of `Pulumi.{DRAWN}.yaml`; the same in every region of a workload. Who is not\n"
        "listed has no login, what is not listed is refused, and no path has a wildcard. Why and how it reaches the pods:\n"
        "[decision 10](../adr/0010-vault-access.md).\n"
    )
    return f"# Vault access\n\n{GENERATED}\n\n{text}\n{table(('who', 'path', 'may', 'what it is'), rows)}\n"


def _log_alerts() -> list[tuple[str, Any]]:
    """Alerts over the audit stream, which Loki's ruler judges."""
    found = []
    for path in sorted(LOG_ALERTS.glob("*.yaml")):
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            found += [("audit stream", rule) for rule in group["rules"] if "alert" in rule]
    return found


def alerts_page() -> str:
    """Every alert by system, what wakes somebody first, each with its runbook."""
    every = [*alerts(), *_log_alerts()]
    pages = sum(rule["labels"]["severity"] == SEVERITIES[0] for _, rule in every)
    text = (
        f"{len(every)} alerts, {pages} of which page: somebody is woken. The others are tickets, read in the morning. Each\n"
        "fires and stays silent in a test. The address in an alert's `runbook_url` comes from `observability.runbooks_url`.\n"
    )
    parts = [f"# Alerts\n\n{GENERATED}\n\n{text}"]
    for system, same in groupby(sorted(every, key=lambda each: each[0]), key=lambda each: each[0]):
        rows = []
        for rule in sorted((rule for _, rule in same), key=lambda rule: (rule["labels"]["severity"], rule["alert"])):
            name = rule["alert"]
            rows.append(
                row(f"[{name}](../runbooks/alerts/{name}.md)", rule["labels"]["severity"], rule["annotations"]["summary"])
            )
        parts.append(f"## {system}\n\n{table(('alert', 'severity', 'says'), rows)}\n")
    return "\n".join(parts)


def recovery_page() -> str:
    """What each loss costs, for every shipped stack."""
    text = (
        "Sums of what the settings say, not measurements: [a region is lost](../runbooks/region-failover.md) tells what to do.\n"
        "Where a provider promises nothing, it says so.\n"
    )
    parts = [f"# Recovery\n\n{GENERATED}\n\n{text}"]
    parts += [f"## {stack}\n\n{objectives.table(load(stack_settings(stack), stack))}\n" for stack in STACKS]
    return "\n".join(parts)


def platform_pages() -> dict[str, str]:
    """Pages by path."""
    return {
        "docs/reference/admission.md": admission_page(),
        "docs/reference/alerts.md": alerts_page(),
        "docs/reference/capacity.md": capacity_page(),
        "docs/reference/recovery.md": recovery_page(),
        "docs/reference/vault-access.md": vault_page(),
    }
