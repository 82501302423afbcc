"""Databases and caches: nothing in plain text, nobody without a certificate, each certificate with its edges' rights.

pg_hba is judged by a first-match reading of its lines; that PostgreSQL and Valkey read them so is theirs to prove.
"""

import re
from typing import Any

import pytest

from components.certificates import authority
from components.graph.model import Graph
from components.graph.names import SERVICE_LABEL, TENANT_LABEL
from components.manifests import object_key
from components.settings import load
from components.tenancy.postgres import Postgres, host_rules, postgres_client, postgres_cluster, postgres_monitor
from components.tenancy.stores import postgres_of, store_monitors, store_objects, valkey_of
from components.tenancy.valkey import Valkey, configuration, valkey_cache
from components.tenancy.workloads import environment, pod_spec
from tests.support.program import STACKS, changed

HOME = "eu-west-1"
IMAGE = f"registry.internal/x@sha256:{'a' * 64}"
OPERATORS_LAST_LINE = "host all all all scram-sha-256"
PLATFORM = Postgres(
    namespace="spire-server",
    name="spire-datastore",
    major="18",
    image=IMAGE,
    instances=3,
    storage="10Gi",
    cpu="250m",
    memory="512Mi",
    login="certificate",
)


def graph_of(data: dict[str, Any]) -> Graph:
    return Graph.of(load(data))


def keyed(objects: tuple[dict[str, Any], ...]) -> dict[str, dict[str, Any]]:
    return {object_key(each): each for each in objects}


def decided(rules: list[str], *, tls: bool, database: str, user: str) -> str:
    """The method of the first line that matches a connection, as PostgreSQL reads pg_hba.conf."""
    for line in [*rules, OPERATORS_LAST_LINE]:
        kind, databases, users, _address, *method = line.split()
        if kind == ("hostnossl" if tls else "hostssl"):
            continue
        if databases in {"all", database} and users in {"all", user}:
            return " ".join(method)
    return "reject"


@pytest.mark.parametrize("login", ["certificate", "certificate_and_password"])
@pytest.mark.parametrize("user", ["ledger", "postgres", "v-token-1"])
@pytest.mark.parametrize("database", ["ledger", "postgres", "template1"])
def test_no_connection_gets_in_without_tls_and_a_certificate(login, user, database):
    wanted = Postgres(
        namespace="bank-a",
        name="ledger",
        major="18",
        image=IMAGE,
        instances=3,
        storage="1Gi",
        cpu="1m",
        memory="1Gi",
        login=login,
    )
    rules = host_rules(wanted)
    assert decided(rules, tls=False, database=database, user=user) == "reject"
    expected = {"certificate": "cert", "certificate_and_password": "scram-sha-256 clientcert=verify-ca"}[login]
    admitted = database == "ledger" and (login == "certificate_and_password" or user == "ledger")
    assert decided(rules, tls=True, database=database, user=user) == (expected if admitted else "reject")


@pytest.mark.parametrize("stack", STACKS)
def test_a_database_is_hardened_replicated_and_pinned(stack):
    graph = graph_of(changed(stack))
    for tenant in ("bank-a", "bank-b"):
        made = keyed(store_objects(graph, HOME, tenant))
        spec = made[f"cluster-{tenant}-ledger"]["spec"]
        (entry,) = made[f"imagecatalog-{tenant}-ledger"]["spec"]["images"]
        assert entry == {"major": 18, "image": graph.settings.images.postgres["18"]}
        assert (spec["imageCatalogRef"]["name"], spec["imageCatalogRef"]["major"]) == ("ledger", 18)
        assert spec["enableSuperuserAccess"] is False
        assert set(spec["resources"]["requests"]) == set(spec["resources"]["limits"]) == {"cpu", "memory"}
        assert spec["storage"]["storageClass"] == "encrypted"
        assert spec["postgresql"]["parameters"]["ssl_min_protocol_version"] == "TLSv1.3"
        assert spec["postgresql"]["synchronous"]["dataDurability"] == "required"
        inherited = spec["inheritedMetadata"]["labels"]
        assert inherited == {SERVICE_LABEL: "ledger", TENANT_LABEL: tenant, "sidecar.istio.io/inject": "false"}


def test_fewer_than_three_instances_do_not_stop_writes_when_one_is_lost():
    for instances, expected in ((1, False), (2, False), (3, True)):
        data = changed("dev")
        data["tenants"]["bank-a"]["databases"]["ledger"]["instances"] = instances
        spec = keyed(store_objects(graph_of(data), HOME, "bank-a"))["cluster-bank-a-ledger"]["spec"]
        assert ("synchronous" in spec["postgresql"]) is expected


def test_every_secret_a_store_or_a_pod_names_is_one_that_a_certificate_fills():
    graph = graph_of(changed("dev"))
    for tenant in graph.tenants:
        made = store_objects(graph, HOME, tenant)
        filled = {each["spec"]["secretName"] for each in made if each["kind"] == "Certificate"}
        text = repr([each for each in made if each["kind"] != "Certificate"])
        specs = [pod_spec(graph, workload) for workload in graph.workloads_of(tenant, HOME)]
        named = {volume["secret"]["secretName"] for spec in specs for volume in spec["volumes"] if "secret" in volume}
        named |= set(re.findall(r"'(?:\w*Secret|secretName)': '([^']+)'", text))
        assert named <= filled
        assert (tenant == "shared") is (not named)


def test_the_key_that_java_reads_is_pkcs_8_and_no_other_is_changed_for_it():
    keys = {der: postgres_client(PLATFORM, der=der)["spec"] for der in (True, False)}
    assert keys[True]["additionalOutputFormats"] == [{"type": "DER"}]
    assert keys[True]["privateKey"] == {**keys[False]["privateKey"], "encoding": "PKCS8"}
    assert "encoding" not in keys[False]["privateKey"]


def test_the_servers_certificate_has_every_name_that_clients_are_told():
    graph = graph_of(changed("dev"))
    for edge in graph.data:
        made = keyed(store_objects(graph, HOME, edge.store.tenant))
        names = made[f"certificate-{edge.store.tenant}-{edge.store.name}-server-tls"]["spec"]["dnsNames"]
        values = {each["name"]: each["value"] for each in environment(graph, edge.service)}
        host = values[f"{edge.store.name.upper()}_HOST"]
        assert host in names or f"*.{host.partition('.')[2]}" in names


def test_a_tenants_authority_signs_for_its_own_namespace_only():
    graph = graph_of(changed("dev"))
    for tenant in ("bank-a", "bank-b"):
        certificates = [each for each in store_objects(graph, HOME, tenant) if each["kind"] == "Certificate"]
        assert {each["metadata"]["namespace"] for each in certificates} == {tenant}
        assert {each["spec"]["issuerRef"]["kind"] for each in certificates} == {"Issuer"}
        assert [each["metadata"]["name"] for each in certificates if each["spec"].get("isCA")] == ["stores-root"]
    assert store_objects(graph, HOME, "shared") == ()


def test_one_edge_is_one_certificate_and_one_user_and_removing_it_touches_nothing_else():
    data = changed("dev")
    before = keyed(store_objects(graph_of(data), HOME, "bank-a"))
    del data["access"]["data"]["bank-a-trans-sessions"]
    after = keyed(store_objects(graph_of(data), HOME, "bank-a"))
    assert set(before) - set(after) == {"certificate-bank-a-bank-a-trans-sessions-client-tls"}
    touched = {key for key in after if after[key] != before[key]}
    assert touched == {"configmap-bank-a-sessions-config", "statefulset-bank-a-sessions"}
    assert "user trans-ms" in before["configmap-bank-a-sessions-config"]["data"]["valkey.conf"]
    assert "user trans-ms" not in after["configmap-bank-a-sessions-config"]["data"]["valkey.conf"]
    spec = pod_spec(graph_of(data), graph_of(data).workloads["bank-a/trans-ms"])
    assert not [volume for volume in spec["volumes"] if volume["name"] == "store-sessions"]


def test_each_edge_has_its_certificate_in_its_own_tenants_namespace_where_its_service_runs():
    data = changed("dev")
    data["tenants"]["bank-b"]["services"]["worker"]["regions"] = ["eu-central-1"]
    graph = graph_of(data)
    for region, running in ((HOME, {"bank-b-trans-ledger", "bank-b-trans-sessions"}), ("eu-central-1", None)):
        for tenant in ("bank-a", "bank-b"):
            clients = {
                each["metadata"]["name"].removesuffix("-client-tls"): each["spec"]["commonName"]
                for each in store_objects(graph, region, tenant)
                if each["kind"] == "Certificate" and each["metadata"]["name"].endswith("-client-tls")
            }
            edges = {edge.key: edge.service.name for edge in graph.data if edge.store.tenant == tenant}
            if running is not None and tenant == "bank-b":
                edges = {key: name for key, name in edges.items() if key in running}
            assert clients == edges


def cache(**more: Any) -> Valkey:
    return Valkey(namespace="bank-a", name="sessions", image=IMAGE, instances=3, memory="256Mi", users={"reader": "read"}, **more)


def test_valkey_listens_with_tls_alone_and_asks_everybody_for_a_certificate():
    lines = configuration(cache())["valkey.conf"].splitlines()
    assert {"port 0", "tls-port 6379", "tls-auth-clients yes", "tls-protocols TLSv1.3", "tls-replication yes"} <= set(lines)
    assert "tls-auth-clients-user CN" in lines


def test_who_no_edge_names_has_no_user_and_no_user_has_a_password():
    users = [line.split() for line in configuration(cache())["valkey.conf"].splitlines() if line.startswith("user ")]
    rules = {name: words for _, name, *words in users}
    assert set(rules) == {"default", "sessions", "reader"}
    assert rules.pop("default") == ["reset", "off"]
    for words in rules.values():
        assert "resetpass" in words
        assert "nopass" not in words
        assert not [word for word in words if word.startswith((">", "#", "+@all"))]
    assert "~*" not in rules["reader"]
    assert "+@write" not in rules["reader"]
    assert rules["sessions"][-4:] == ["-@all", "+ping", "+psync", "+replconf"]


def test_pod_0_is_nobodys_replica_and_every_other_pod_is_its():
    files = configuration(cache())
    of = {name: [line for line in text.splitlines() if line.startswith("replicaof")] for name, text in files.items()}
    primary = ["replicaof sessions-0.sessions.bank-a.svc.cluster.local 6379"]
    assert of == {"valkey.conf": [], "sessions-0.conf": [], "sessions-1.conf": primary, "sessions-2.conf": primary}


def test_a_changed_rule_of_a_cache_restarts_its_pods():
    def template(wanted: Valkey) -> dict[str, Any]:
        (made,) = [each for each in valkey_cache(wanted) if each["kind"] == "StatefulSet"]
        return made["spec"]["template"]["metadata"]["annotations"]

    assert template(cache()) == template(cache())
    wider = Valkey(namespace="bank-a", name="sessions", image=IMAGE, instances=3, memory="256Mi", users={"reader": "read_write"})
    assert template(cache()) != template(wider)


def test_a_client_cannot_take_the_servers_own_name():
    with pytest.raises(ValueError, match="bank-a/sessions: a client has the name of the cache"):
        valkey_cache(
            Valkey(namespace="bank-a", name="sessions", image=IMAGE, instances=1, memory="64Mi", users={"sessions": "read"})
        )


def test_a_platform_database_admits_its_one_owner_by_certificate_and_gives_java_its_key():
    made = keyed(postgres_cluster(PLATFORM))
    assert set(made) == {
        "imagecatalog-spire-server-spire-datastore",
        "certificate-spire-server-spire-datastore-server-tls",
        "certificate-spire-server-spire-datastore-replication-tls",
        "cluster-spire-server-spire-datastore",
    }
    client = postgres_client(PLATFORM, der=True)["spec"]
    assert (client["commonName"], client["secretName"]) == (PLATFORM.database, "spire-datastore-client-tls")
    assert client["additionalOutputFormats"] == [{"type": "DER"}]
    assert host_rules(PLATFORM)[0] == "hostssl spire_datastore spire_datastore all cert"
    assert [each["metadata"]["namespace"] for each in authority("spire-server")] == ["spire-server"] * 3


def test_databases_are_scraped_over_tls_by_the_name_in_their_certificate():
    graph = graph_of(changed("dev"))
    (monitor,) = store_monitors(graph, "bank-a")
    (endpoint,) = postgres_monitor(postgres_of(graph, graph.stores["bank-a/ledger"]))["spec"]["podMetricsEndpoints"]
    assert endpoint == monitor["spec"]["podMetricsEndpoints"][0]
    names = keyed(store_objects(graph, HOME, "bank-a"))["certificate-bank-a-ledger-server-tls"]["spec"]["dnsNames"]
    assert (endpoint["scheme"], endpoint["tlsConfig"]["serverName"] in names) == ("https", True)


def test_a_store_is_taken_for_what_it_is():
    graph = graph_of(changed("dev"))
    with pytest.raises(TypeError, match="bank-a/ledger is no cache"):
        valkey_of(graph, graph.stores["bank-a/ledger"])
    with pytest.raises(TypeError, match="bank-a/sessions is no database"):
        postgres_of(graph, graph.stores["bank-a/sessions"])
