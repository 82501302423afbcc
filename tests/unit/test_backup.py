"""Backups: the documents that say who may write, hide and remove, the values of the charts, and the figures of the runbook.

Does not prove that AWS evaluates a document as it is read here.
"""

import fnmatch
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pydantic import ValidationError

from components.audit.statements import bucket_policy
from components.backup import databases, objects, velero, volumes
from components.backup.buckets import backup_keepers, telemetry_keepers, writer_role
from components.backup.objectives import detection_seconds, objectives, table
from components.backup.replication import copied_into, copy_policy
from components.context import RegionContext
from components.graph.model import Graph
from components.settings import load
from components.settings.backup import BackupSettings
from tests.support.charts import unknown
from tests.support.monitor import record
from tests.support.program import changed, stack_settings

ROOT = Path(__file__).parents[2]
CONTEXT = RegionContext(organization="clearing", environment="prod", region="eu-west-1", account="444455556666", tags={})
BUCKET, KEY = "arn:aws:s3:::backups", "arn:aws:kms:eu-west-1:444455556666:key/backup"
CUSTODIAN = "arn:aws:iam::444455556666:role/security-break-glass"
VELERO = writer_role(CONTEXT, "velero", "velero")
DATABASE = writer_role(CONTEXT, "bank-a", "ledger")
OUTSIDER = "arn:aws:iam::444455556666:role/platform-deployer"


@pytest.fixture(scope="module")
def graph() -> Graph:
    return Graph.of(load(stack_settings("prod")))


def resolved(make: Callable[[], dict[str, Any]]) -> list[dict[str, Any]]:
    """The statements of a document with its outputs resolved."""
    seen: list[str] = []
    record(lambda: pulumi.Output.json_dumps(make()).apply(seen.append) and None)
    [text] = seen
    listed: list[dict[str, Any]] = json.loads(text)["Statement"]
    return listed


def listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def refused(statements: list[dict[str, Any]], who: str, action: str, key: str) -> bool:
    """Whether a refusal of removing or hiding meets the request; conditions on the principal alone are read."""
    for one in statements:
        if one["Effect"] != "Deny" or action not in listed(one["Action"]):
            continue
        arn = f"{BUCKET}/{key}"
        if "Resource" in one:
            meets = any(fnmatch.fnmatchcase(arn, pattern) for pattern in listed(one["Resource"]))
        else:
            meets = not any(fnmatch.fnmatchcase(arn, pattern) for pattern in listed(one["NotResource"]))
        [excepted] = [listed(names["aws:PrincipalArn"]) for names in one["Condition"].values()]
        if meets and not any(fnmatch.fnmatchcase(who, pattern) for pattern in excepted):
            return True
    return False


def backups() -> list[dict[str, Any]]:
    return resolved(lambda: bucket_policy(BUCKET, (CUSTODIAN,), KEY, (), backup_keepers(CONTEXT)))


@pytest.mark.parametrize(
    ("who", "key", "may"),
    [
        (VELERO, "velero/backups/b/velero-backup.json", True),
        (VELERO, "databases/bank-a/ledger/wals/1", True),  # a pod's role of the region: its own policy ends it
        (VELERO, "vault/snapshot", False),
        (DATABASE, "databases/bank-a/ledger/wals/1", True),
        (DATABASE, "velero/backups/b/velero-backup.json", False),
        (OUTSIDER, "databases/bank-a/ledger/wals/1", False),
        (OUTSIDER, "velero/kopia/x", False),
        (OUTSIDER, "vault/snapshot", False),
        (CUSTODIAN, "vault/snapshot", True),
    ],
)
def test_velero_may_hide_in_its_own_prefix_and_nobody_but_a_custodian_removes_a_version(who, key, may):
    statements = backups()
    assert refused(statements, who, "s3:DeleteObject", key) is not may
    for action in ("s3:DeleteObjectVersion", "s3:BypassGovernanceRetention", "s3:PutObjectRetention"):
        assert refused(statements, who, action, key) is (who != CUSTODIAN)


def test_who_stores_logs_deletes_them_and_nobody_else_does():
    statements = resolved(lambda: bucket_policy(BUCKET, (CUSTODIAN,), KEY, (), telemetry_keepers(CONTEXT, "logs")))
    loki = writer_role(CONTEXT, "observability", "loki")
    assert not refused(statements, loki, "s3:DeleteObject", "fake/1")
    assert refused(statements, loki, "s3:DeleteObjectVersion", "fake/1")
    assert refused(statements, VELERO, "s3:DeleteObject", "fake/1")


def test_without_a_keeper_nobody_hides_evidence():
    statements = resolved(lambda: bucket_policy(BUCKET, (CUSTODIAN,), KEY, ()))
    assert refused(statements, VELERO, "s3:DeleteObject", "AWSLogs/1")
    assert not refused(statements, CUSTODIAN, "s3:DeleteObject", "AWSLogs/1")


@pytest.mark.parametrize(
    "document",
    [
        lambda: velero.velero_policy(BUCKET, KEY, "eu-west-1"),
        lambda: databases.archive_policy(BUCKET, KEY, region="eu-west-1", namespace="bank-a", name="ledger"),
    ],
    ids=["velero", "archive"],
)
def test_no_writer_of_backups_may_touch_a_version_a_lock_or_another_prefix(document):
    statements = resolved(document)
    actions = {action for one in statements for action in listed(one["Action"])}
    assert not {action for action in actions if "Version" in action or "Retention" in action or "*" in action}
    [written] = [one["Resource"] for one in statements if "s3:PutObject" in listed(one["Action"])]
    assert written in {f"{BUCKET}/velero/*", f"{BUCKET}/databases/bank-a/ledger/*"}


def test_velero_has_one_place_in_its_own_prefix_and_leaves_checksums_alone(graph):
    values = velero.chart_values(graph, "eu-west-1", key_arn=KEY)
    [place] = values["configuration"]["backupStorageLocation"]
    assert (place["prefix"], place["config"]["kmsKeyId"]) == ("velero", KEY)
    assert "checksumAlgorithm" not in place["config"]
    assert values["credentials"] == {"useSecret": False}
    assert values["rbac"]["clusterAdministrator"] is False
    assert values["metrics"]["serviceMonitor"] == {"enabled": True, "autodetect": False}
    assert all("@sha256:" in each["image"] for each in values["initContainers"])


def test_every_value_of_a_chart_of_backups_is_one_that_it_takes(graph):
    assert unknown("velero", velero.chart_values(graph, "eu-west-1", key_arn=KEY)) == []
    assert unknown("plugin-barman-cloud", databases.chart_values(graph.settings.images.backup)) == []
    assert unknown("velero", {"metrics": {"serviceMonitors": {"enabled": True}}}) == ["metrics.serviceMonitors.enabled"]


def test_a_schedule_keeps_one_tenant_and_exactly_what_velero_may_read(graph):
    role = velero.reader_objects()[0]
    readable = {
        f"{kind}.{group}" if group else kind
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for kind in rule["resources"]
    }
    assert not {kind for kind in readable if "secret" in kind or "*" in kind}
    assert {verb for rule in role["rules"] for verb in rule["verbs"]} == {"get", "list", "watch"}
    for tenant in graph.tenants:
        template = velero.tenant_schedule(graph.settings.backup.namespaces, tenant)["spec"]["template"]
        assert template["includedNamespaces"] == [tenant]
        kept = {*template["includedNamespaceScopedResources"], *template["includedClusterScopedResources"]}
        assert kept <= readable


def test_every_database_has_an_archive_in_its_own_folder(graph):
    found = {
        (tenant, each["metadata"]["name"]): each["spec"]["configuration"]["destinationPath"]
        for tenant in graph.tenants
        for each in objects.tenant_objects(graph, "eu-west-1", tenant)
        if each["kind"] == "ObjectStore"
    }
    wanted = {(tenant, name) for tenant in graph.tenants for name in databases.tenant_databases(graph, tenant)}
    assert wanted
    assert set(found) == wanted
    assert all(path.endswith(f"/databases/{tenant}/") for (tenant, _), path in found.items())


def test_copies_lie_at_home_or_in_its_partner_and_need_each_key_in_its_own_region_only():
    assert copied_into(["b", "c", "a"], home="b", copies="c") == {"a": "b", "b": "c", "c": "b"}
    assert copied_into(["b", "c"], home="b", copies=None) == {}
    statements = resolved(
        lambda: copy_policy(
            BUCKET,
            "arn:aws:s3:::copy",
            source_key=KEY,
            target_key="other",
            source_region="eu-west-1",
            target_region="eu-central-1",
        )
    )
    ways = {one["Resource"]: one["Condition"]["StringEquals"]["kms:ViaService"] for one in statements if "Condition" in one}
    assert ways == {KEY: "s3.eu-west-1.amazonaws.com", "other": "s3.eu-central-1.amazonaws.com"}
    assert not {action for one in statements for action in listed(one["Action"]) if "Delete" in action}


def test_nobody_but_a_custodian_removes_a_recovery_point():
    removal, change = volumes.vault_policy("vault", (CUSTODIAN,), OUTSIDER)["Statement"]
    assert "backup:DeleteRecoveryPoint" in removal["Action"]
    assert removal["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": [CUSTODIAN]}}
    assert set(removal["Action"]) | set(change["Action"]) == set(volumes.HELD)


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        ({"lock_days": 30}, "namespaces.keep_days"),
        ({"databases": {"keep_days": 35}}, "databases.keep_days"),
        ({"volumes": {"keep_days": 34}}, "volumes.keep_days"),
        ({"namespaces": {"tenants": {"bank-a": {"keep_days": 60}}}}, "namespaces.tenants.bank-a.keep_days"),
    ],
)
def test_a_backup_that_outlives_its_lock_does_not_load(wrong, key):
    BackupSettings.model_validate({})
    with pytest.raises(ValidationError) as caught:
        BackupSettings.model_validate(wrong)
    problems = [problem for error in caught.value.errors() for problem in error["ctx"]["problems"]]
    assert key in {".".join(problem.path) for problem in problems}


def test_the_runbooks_figures_are_those_of_the_settings(graph):
    text = (ROOT / "docs/runbooks/region-failover.md").read_text(encoding="utf-8")
    shown = text.split("<!-- objectives -->\n")[1].split("\n<!-- /objectives -->")[0]
    assert shown == table(graph.settings)


def test_a_slower_health_check_is_a_longer_loss():
    slower = changed("prod")
    slower["edge"]["failover"] = {"failure_threshold": 6}
    settings = load(slower)
    assert detection_seconds(settings) == 60
    assert any("120 s" in each.back_after for each in objectives(settings))
