"""The graph compiled for Vault: what is registered, and what a change of the settings does and does not touch."""

import copy
import re

import pytest

from components.assembly.platform_secrets import deliveries, parcels
from components.graph.readers import platform_readers
from components.observability.alert_routing import alertmanager_config
from components.observability.telemetry.sinks import authenticators
from components.runtime.rules import BESIDE
from components.runtime.sidekick import sidekick_objects
from components.tenancy.postgres import access_statements, host_rules
from components.tenancy.stores import postgres_of
from components.vault.access_plan import vault_access, vault_table
from components.vault.database import CONNECTIONS
from components.vault.delivery import delivery, templates
from components.vault.platform_delivery import platform_delivery
from components.vault.policies import Rule
from sandbox.vault_apply import ApplyError, calls_of
from tests.support.monitor import Registered
from tests.support.vault_world import OTHER_REGION, REGION, graph_of, registered, tree

ROLE_ARN = "arn:aws:iam::111122223333:role/bank-a-reports"


@pytest.mark.parametrize("path", ["kv-a/*", "kv-a/+/x", "kv-a/data/../x", "kv-a//x", "kv-a/{{identity}}", 'kv-a/"x', ""])
def test_a_rule_names_one_path_in_full(path):
    with pytest.raises(ValueError, match="one path in full"):
        Rule(path=path, capability="read")


def test_no_rule_of_a_workload_reaches_another_tenant_without_a_product():
    graph = graph_of(tree())
    for tenant, plan in vault_access(graph, REGION).tenants.items():
        for policy in plan.policies:
            mounts = {rule.path.split("/")[0] for rule in policy.rules} - {"auth", "sys"}
            assert mounts <= {f"{kind}-{tenant}" for kind in ("kv", "database", "transit", "pki", "aws")}


def test_a_third_tenant_changes_nothing_of_the_others():
    wider = tree()
    wider["tenants"]["bank-c"] = copy.deepcopy(wider["tenants"]["bank-b"])
    wider["access"]["data"]["bank-c-trans-ledger"] = {"service": "bank-c/trans-ms", "store": "bank-c/ledger"}
    before = {each.name: each.inputs for each in registered(graph_of(tree()))}
    after = {each.name: each.inputs for each in registered(graph_of(wider))}
    added = set(after) - set(before)
    assert {name: after[name] for name in before} == before
    assert added
    assert all(name.startswith("access-bank-c") for name in added)


def test_a_service_of_another_region_has_nothing_in_this_one():
    here = tree()
    here["tenants"]["bank-b"]["services"]["worker"]["regions"] = [OTHER_REGION]
    plan = vault_access(graph_of(here), REGION).tenants["bank-b"]
    assert "bank-b.worker" not in {role.name for role in plan.logins}
    assert "bank-b-worker-ledger" not in {role.name for role in plan.credentials}
    assert vault_access(graph_of(here), OTHER_REGION).tenants["bank-b"].logins != plan.logins


def test_a_role_in_aws_is_one_services_and_its_credentials_live_as_long_as_declared():
    wanted = tree()
    wanted["tenants"]["bank-a"]["services"]["api-ms"]["aws_role"] = {"arn": ROLE_ARN, "minutes": 20}
    graph = graph_of(wanted)
    made = [each for each in registered(graph) if each.type == "vault:aws/secretBackendRole:SecretBackendRole"]
    assert [(each.inputs["backend"], each.inputs["name"], each.inputs["roleArns"]) for each in made] == [
        ("aws-bank-a", "api-ms", [ROLE_ARN])
    ]
    assert made[0].inputs["defaultStsTtl"] == made[0].inputs["maxStsTtl"] == 20 * 60
    holders = {who for who, path, _, _ in vault_table(graph) if path.startswith("aws-")}
    assert holders == {"bank-a/api-ms"}
    (credentials,) = [text for path, text in templates(graph, graph.workloads["bank-a/api-ms"]).items() if "aws" in path]
    assert 'secret "aws-bank-a/creds/api-ms"' in credentials


def test_by_setting_the_login_is_the_enterprise_method_with_one_id_for_each_role():
    wanted = tree()
    wanted["vault"]["login"] = "spiffe"
    made = registered(graph_of(wanted))
    made = [each for each in made if not each.name.startswith("writers-")]
    assert not [each for each in made if each.type.startswith("vault:jwt/")]
    patterns = {each.inputs["name"]: each.inputs["workloadIdPatterns"] for each in made if each.type.endswith(":AuthBackendRole")}
    assert patterns["bank-a.trans-ms"] == ["/ns/bank-a/sa/trans-ms"]
    assert not [pattern for found in patterns.values() for pattern in found if set("*+") & set(pattern)]


def test_each_edge_to_a_database_is_a_member_of_its_one_group():
    plan = vault_access(graph_of(tree()), REGION).tenants["bank-b"]
    groups = {role.name: role.creation[0].rpartition("IN ROLE ")[2] for role in plan.credentials}
    assert groups == {"bank-b-trans-ledger": '"ledger_read_write"', "bank-b-worker-ledger": '"ledger_read"'}
    assert all(f"CONNECTION LIMIT {CONNECTIONS}" in role.creation[0] for role in plan.credentials)


def test_the_groups_that_credentials_join_are_made_with_the_database():
    graph = graph_of(tree())
    wanted = postgres_of(graph, graph.stores["bank-b/ledger"])
    made = {statement.split()[2] for statement in access_statements(wanted) if statement.startswith("CREATE ROLE")}
    assert made == {"ledger_read", "ledger_read_write", "vault_access"}
    assert host_rules(wanted)[0] == "hostssl ledger vault_access all cert"


def test_sidecars_are_hardened_pinned_and_share_the_login_with_nobody():
    graph = graph_of(tree())
    made = delivery(graph, REGION, graph.workloads["bank-a/trans-ms"])
    for container in made.containers:
        assert container["restartPolicy"] == "Always"
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert "@sha256:" in container["image"]
    assert {mount["name"] for mount in made.mounts} == {"vault-files"}
    assert all("emptyDir" not in volume or volume["emptyDir"]["medium"] == "Memory" for volume in made.volumes)


def test_detection_knows_what_runs_in_the_sidecars():
    """By the words they are started and probed with; `test` is the shell's own and starts nothing."""
    graph = graph_of(tree())
    for container in delivery(graph, REGION, graph.workloads["bank-a/trans-ms"]).containers:
        started = container.get("command", [container["name"]])[0]  # the helper's image starts itself
        probe = container.get("startupProbe", {}).get("exec", {}).get("command", [])
        words = {started, *(word.rpartition("/")[2] for word in probe[:1])}
        assert words == set(BESIDE[container["name"]])
        assert {piece.split()[0] for piece in " ".join(probe[2:]).split(" && ") if piece} <= {"test"}


def test_each_part_of_the_platform_looks_for_its_secrets_where_its_agent_writes_them():
    graph = graph_of(tree())
    files = {parcel.reader.account: set(parcel.files) for parcel in parcels(graph)}
    told = str(alertmanager_config(graph.settings.observability.alerts, environment="dev", region=REGION))
    assert files["alertmanager"] == set(re.findall(r"'\w+_file': '([^']+)'", told))
    tokens = authenticators(graph.settings.siem, REGION)
    assert files["telemetry-gateway"] == {each["filename"] for each in tokens.values()}
    brought = {parcel.reader.account: platform_delivery(graph, REGION, parcel) for parcel in parcels(graph)}
    _, events, _ = deliveries(brought)
    (pod,) = [each["spec"]["template"]["spec"] for each in sidekick_objects(graph, events) if each["kind"] == "Deployment"]
    assert files["falcosidekick"] == {pod["containers"][0]["args"][1]}
    for each in brought.values():
        assert {mount["name"] for mount in each.mounts} <= {volume["name"] for volume in each.volumes}
        assert {"name": "spiffe-workload-api", "csi": {"driver": "csi.spiffe.io", "readOnly": True}} in each.volumes


def test_before_vault_is_configured_nobody_of_the_platform_reads_and_nothing_is_on_that_would():
    wanted = tree()
    assert len(platform_readers(graph_of(wanted).settings)) == 3
    wanted["vault"]["configured"] = False
    settings = graph_of(wanted).settings
    assert platform_readers(settings) == ()
    assert (settings.observability.alert_hosts, settings.runtime.output_hosts, settings.siem.sinks) == ((), (), {})


def test_what_the_table_does_not_know_is_refused():
    one = next(each for each in registered(graph_of(tree())) if each.type == "vault:index/policy:Policy")
    fields = {name: getattr(one, name) for name in Registered.__dataclass_fields__}
    with pytest.raises(ApplyError, match="not in the table"):
        calls_of(Registered(**{**fields, "type": "vault:index/token:Token"}))
    with pytest.raises(ApplyError, match="knows no namespace"):
        calls_of(Registered(**{**fields, "inputs": {**one.inputs, "namespace": "x"}}))
    assert calls_of(one)[0].path.startswith("sys/policies/acl/")
