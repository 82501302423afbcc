"""Vault's server as it is declared: values, certificates, roles, the snapshots' job, the way in."""

import asyncio
import base64
import json
import re
import stat
from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from components.assembly.vault import certificate_objects
from components.cni.policies import Lookups, Pods
from components.cni.policies_vault import VAULT_PODS, tenant_vault_policies, vault_policies
from components.context import RegionContext
from components.edge.region_balancer import SERVICES, services
from components.graph.model import Graph
from components.graph.names import VAULT_NAMESPACE, VAULT_PORT
from components.graph.readers import platform_readers
from components.keys.purposes import vault_grants
from components.settings import load_file
from components.settings.vault import VaultSettings
from components.vault import ceremony, server, snapshots, tls
from components.vault.audit import DEVICES
from components.vault.engines import declared_roles
from components.vault.provider import address, deployer_principal
from components.vault.seal import assume_document, key_document, role_arn, trust_document
from sandbox.toolchain import ROOT
from tests.support.charts import unknown
from tests.support.program import changed
from tests.support.vault_world import graph_of

REGION = "eu-west-1"
CONTEXT = RegionContext(organization="clearing", environment="prod", region=REGION, account="444455556666", tags={})
KEY = "arn:aws:kms:eu-west-1:444455556666:key/vault"
IMAGE = "registry.test/platform/vault@sha256:" + "a" * 64
PROD = load_file(ROOT / "Pulumi.prod.yaml")


def known(make: Callable[[], Any]) -> Any:
    """What is made, every output in it resolved: nothing here is computed from anything unknown."""

    async def resolved(value: Any) -> Any:
        if isinstance(value, pulumi.Output):
            return await resolved(await value.future())
        if isinstance(value, dict):
            return {key: await resolved(item) for key, item in value.items()}
        return [await resolved(item) for item in value] if isinstance(value, list | tuple) else value

    async def whole() -> Any:
        return await resolved(make())

    return asyncio.run(whole())


def values(**changed: Any) -> dict[str, Any]:
    args = server.ServersArgs(
        region=REGION,
        settings=VaultSettings(**changed),
        image=IMAGE,
        trust_domain="eu-west-1.bank.internal",
        role_arn="arn:aws:iam::444455556666:role/vault",
        key_arn=KEY,
        storage_class="encrypted",
        after=(),
    )
    return known(lambda: server.chart_values(args))


def config(**changed: Any) -> dict[str, Any]:
    return json.loads(values(**changed)["server"]["ha"]["raft"]["config"])


def test_every_value_is_one_that_the_pinned_chart_takes():
    assert unknown("vault", values()) == []
    wrong = values()
    wrong["server"]["ha"]["raft"]["tls"] = True
    assert unknown("vault", wrong) == ["server.ha.raft.tls"]


def test_the_servers_configuration_is_text_with_tls_1_3_a_kms_seal_and_every_peer():
    told = config(replicas=5)
    listener = told["listener"]["tcp"]
    assert listener["tls_min_version"] == "tls13"
    assert not listener.get("tls_disable")
    assert told["seal"] == {"awskms": {"region": REGION, "kms_key_id": KEY}}
    peers = [peer["leader_tls_servername"] for peer in told["storage"]["raft"]["retry_join"]]
    assert peers == [f"vault-{number}.vault-internal" for number in range(5)]
    assert all(peer["leader_api_addr"].startswith("https://") for peer in told["storage"]["raft"]["retry_join"])
    assert set(peers) <= set(tls.server_names("td", 5))
    assert told["disable_mlock"] is True


def test_the_chart_has_tls_an_audit_volume_no_injector_and_no_provider_of_secrets():
    told = values()
    assert told["global"]["tlsDisable"] is False
    assert told["injector"] == {"enabled": False}
    assert told["csi"] == {"enabled": False}
    assert told["server"]["auditStorage"]["enabled"]
    assert DEVICES["file"]["file_path"].startswith(told["server"]["auditStorage"]["mountPath"] + "/")
    assert told["server"]["serviceAccount"]["name"] == "vault"


def test_the_image_is_pinned_by_digest_as_the_chart_joins_it():
    image = values()["server"]["image"]
    assert f"{image['repository']}:{image['tag']}" == IMAGE


@pytest.mark.parametrize(("replicas", "gone"), [(3, 1), (5, 2)])
def test_a_majority_of_servers_stays_when_nodes_are_drained(replicas, gone):
    told = values(replicas=replicas)["server"]
    assert told["ha"]["disruptionBudget"]["maxUnavailable"] == gone
    assert told["topologySpreadConstraints"][0]["whenUnsatisfiable"] == "DoNotSchedule"
    assert told["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"] == server.LABELS


def containers() -> list[dict[str, Any]]:
    pod = _job()["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    told = values()["server"]
    return [
        {"securityContext": told["statefulSet"]["securityContext"]["container"], "resources": told["resources"]},
        *told["extraContainers"],
        *pod["initContainers"],
        *pod["containers"],
    ]


def test_every_container_is_restricted_has_a_read_only_root_and_a_limit_of_memory():
    assert len(containers()) == 4
    for container in containers():
        context = container["securityContext"]
        assert (context["readOnlyRootFilesystem"], context["runAsNonRoot"]) == (True, True)
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}
        assert set(container["resources"]["limits"]) == {"memory"}


def test_the_certificate_has_every_name_that_somebody_calls_and_the_authority_is_the_namespaces_own():
    graph = Graph.of(PROD)
    objects = certificate_objects(graph, REGION)
    leaves = {one["metadata"]["name"]: one["spec"] for one in objects if one["kind"] == "Certificate"}
    names = set(leaves[tls.SERVER_CERTIFICATE]["dnsNames"])
    called = {
        address(graph.trust_domain(REGION)).removeprefix("https://").removesuffix(f":{VAULT_PORT}"),
        tls.service_name(),
        tls.service_name(tls.ACTIVE_SERVICE),
    }
    assert called <= names
    assert not any("*" in name for name in names)
    assert {one["metadata"]["namespace"] for one in objects} == {VAULT_NAMESPACE}
    assert "dnsNames" not in leaves[tls.TRUST_CERTIFICATE]
    assert leaves[tls.TRUST_CERTIFICATE]["usages"] == ["digital signature", "client auth"]


def test_vault_takes_exactly_the_roles_in_aws_that_services_of_its_region_declare():
    wanted = changed("dev")
    services = wanted["tenants"]["bank-a"]["services"]
    reports, exports = (f"arn:aws:iam::111122223333:role/{name}" for name in ("reports", "exports"))
    services["api-ms"]["aws_role"] = {"arn": reports}
    services["auth-ms"]["aws_role"] = {"arn": reports}
    services["trans-ms"] |= {"aws_role": {"arn": exports}, "regions": ["eu-central-1"]}
    graph = graph_of(wanted)
    assert declared_roles(graph, REGION) == (reports,)
    assert declared_roles(graph, "eu-central-1") == (exports, reports)
    assert declared_roles(graph_of(changed("dev")), REGION) == ()
    (statement,) = assume_document([reports, exports, reports])["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Allow", "sts:AssumeRole")
    assert statement["Resource"] == [exports, reports]
    for wrong in ([], ["*"], ["arn:aws:iam::111122223333:role/*"], ["arn:aws:iam::111122223333:role/a?"]):
        with pytest.raises(ValueError, match="each in full"):
            assume_document(wrong)


def test_the_seals_role_is_for_one_account_of_one_issuer_and_one_key():
    issuer = "https://oidc.eks.eu-west-1.amazonaws.com/id/ABC"
    statement = trust_document("arn:aws:iam::444455556666:oidc-provider/x", issuer)["Statement"][0]
    host = issuer.removeprefix("https://")
    assert statement["Condition"] == {
        "StringEquals": {f"{host}:sub": "system:serviceaccount:vault:vault", f"{host}:aud": "sts.amazonaws.com"}
    }
    granted = vault_grants(CONTEXT, vault_role=role_arn(CONTEXT))[0]
    wanted = key_document(KEY)["Statement"][0]
    assert set(wanted["Action"]) == set(granted.actions)
    assert wanted["Resource"] == KEY


@pytest.mark.parametrize(
    ("arn", "principal"),
    [
        ("arn:aws:iam::111122223333:role/deployer", "arn:aws:iam::111122223333:role/deployer"),
        ("arn:aws:iam::111122223333:role/ci/prod/deployer", "arn:aws:iam::111122223333:role/deployer"),
    ],
)
def test_vault_knows_the_deployer_without_the_path_of_its_role(arn, principal):
    assert deployer_principal(arn) == principal


def test_both_audit_devices_hash_values_and_write_to_two_different_places():
    assert len(DEVICES) == 2
    assert len({options["file_path"] for options in DEVICES.values()}) == 2
    for options in DEVICES.values():
        assert (options["log_raw"], options["hmac_accessor"]) == ("false", "true")


def _job(hours: int = 1) -> dict[str, Any]:
    job = snapshots.SnapshotJob(region=REGION, hours=hours, vault_image=IMAGE, aws_image=IMAGE, bucket="b")
    return known(lambda: snapshots.snapshot_objects(job)[1])


def test_the_snapshots_pod_shows_a_token_for_vault_alone_and_mounts_no_key():
    pod = _job()["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    token = volumes["token"]["projected"]["sources"][0]["serviceAccountToken"]
    assert (token["audience"], token["expirationSeconds"]) == ("vault", 600)
    assert pod["automountServiceAccountToken"] is False
    assert [item["key"] for item in volumes["trust"]["secret"]["items"]] == ["ca.crt"]
    assert pod["containers"][0]["env"][2]["value"] == "s3://b/vault/"
    assert "--checksum-algorithm SHA256" in pod["containers"][0]["command"][-1]


@pytest.mark.parametrize(("hours", "cron"), [(1, "17 */1 * * *"), (6, "17 */6 * * *"), (24, "17 0 * * *")])
def test_the_schedule_follows_the_setting(hours, cron):
    assert _job(hours)["spec"]["schedule"] == cron


def test_the_snapshots_role_adds_below_one_prefix_and_reads_nothing():
    document = known(lambda: snapshots.bucket_document("arn:aws:s3:::b", KEY))
    add, encrypt = document["Statement"]
    assert add["Resource"] == "arn:aws:s3:::b/vault/*"
    assert set(add["Action"]) == {"s3:PutObject", "s3:AbortMultipartUpload"}
    assert encrypt["Resource"] == KEY
    assert re.findall(r'path "(.*)"', snapshots.POLICY.read_text()) == ["sys/storage/raft/snapshot"]


def test_the_deployers_policy_names_no_path_that_answers_with_a_secret():
    policy = ceremony.POLICY.read_text()
    paths = re.findall(r'path "([^"]+)"', policy)
    for word in ("data", "creds", "encrypt", "decrypt", "export", "sign", "issue", "raw", "snapshot", "create"):
        assert not [path for path in paths if word in path.split("/")], word
    # A path that ends in * would be more than anybody looked at; the one there is denies.
    assert [path for path in paths if "*" in path] == ["auth/aws/*"]
    assert re.search(r'path "auth/aws/\*" \{\s+capabilities = \["deny"\]', policy)


def test_without_another_region_the_balancer_has_vaults_listener_alone_and_nobody_else_reaches_it():
    assert set(services({})) == {"vault"}
    assert set(services({"eu-central-1": "10.1.0.0/16"})) == set(SERVICES) == {"bundle", "eastwest", "vault"}
    assert SERVICES["vault"].port == VAULT_PORT


def test_vault_and_each_database_that_somebody_uses_allow_each_other_and_no_other_tenants():
    graph = Graph.of(PROD)
    for tenant in PROD.tenants:
        policies = tenant_vault_policies(graph, REGION, tenant)
        out = {policy.name for policy in policies if policy.subject == VAULT_PODS}
        into = {policy.name for policy in policies if policy.subject != VAULT_PODS}
        used = {edge.store.name for edge in graph.data if edge.store.kind == "database" and edge.store.tenant == tenant}
        assert out == {f"credentials.{tenant}.{name}" for name in used}
        assert into == {f"credentials-{name}" for name in used}
        assert {policy.subject.namespace for policy in policies} <= {VAULT_NAMESPACE, tenant}


def test_the_servers_reach_their_peers_and_what_they_ask_by_name_and_nobody_by_pattern_outside_the_namespace():
    policies = [policy for policy in vault_policies(Graph.of(PROD), REGION) if policy.subject == VAULT_PODS]
    flows = [flow for policy in policies for flow in (*policy.ingress, *policy.egress)]
    peers = {flow.peer.namespace for flow in flows if isinstance(flow.peer, Pods)}
    readers = platform_readers(PROD)
    assert readers
    assert peers == {VAULT_NAMESPACE, "spire-server", *(reader.namespace for reader in readers)}
    patterns = {pattern for flow in flows if isinstance(flow.peer, Lookups) for pattern in flow.peer.patterns}
    assert all(pattern.endswith(f".{VAULT_NAMESPACE}.svc.cluster.local") for pattern in patterns)
    assert {port for flow in flows if flow.peer == VAULT_PODS for port in flow.ports} == {8200, 8201}


def test_the_ceremony_is_told_the_custodians_and_the_deployer_of_the_settings(tmp_path):
    written = ceremony.prepare(PROD, REGION, tmp_path)
    assert f"DEPLOYER={deployer_principal(PROD.account.deployer_role)}" in written.read_text()
    assert {path.stem for path in (tmp_path / "custodians").iterdir()} == set(PROD.vault.custodians)
    with pytest.raises(ValueError, match="no such region"):
        ceremony.variables(PROD, "us-east-1", tmp_path)
    bare = PROD.model_copy(update={"vault": VaultSettings()})
    with pytest.raises(ValueError, match="name who holds"):
        ceremony.variables(bare, REGION, tmp_path)


def test_the_ceremonys_script_may_be_run():
    assert ceremony.SCRIPT.stat().st_mode & stat.S_IXUSR


@pytest.mark.parametrize(
    ("custody", "remedy"),
    [
        ({"configured": True}, "name at least 3"),
        ({"custodians": dict(list(PROD.vault.custodians.items())[:2])}, "name at least 3"),
        ({"custodians": {**PROD.vault.custodians, "mallory": "bm8ga2V5"}}, "OpenPGP public key"),
        # A secret key's packet: tag 5.
        ({"custodians": {**PROD.vault.custodians, "mallory": "lQAAAA=="}}, "OpenPGP public key"),
    ],
)
def test_a_ceremony_without_enough_custodians_or_with_a_wrong_key_does_not_load(custody, remedy):
    with pytest.raises(ValueError, match="rules over several keys") as caught:
        VaultSettings(**custody)
    problems = caught.value.errors()[0]["ctx"]["problems"]
    assert any(remedy in problem.remedy for problem in problems)


def test_no_authority_is_refused_and_not_replaced_by_an_empty_one():
    with pytest.raises(tls.AuthorityError, match=r"no ca\.crt yet"):
        tls.published_authority(REGION, {})
    pem = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"
    assert tls.published_authority(REGION, {"ca.crt": base64.b64encode(pem.encode()).decode()}) == pem
