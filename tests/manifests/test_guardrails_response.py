"""The floor about the responder, asked on the real API server: a risk that only rises, a quarantine that it only begins.

RBAC allows everybody everything here, so that every refusal is the floor's.
"""

import itertools
from collections.abc import Iterator

import pytest

from components.graph.model import Graph
from components.graph.names import QUARANTINE_LABEL, RESPONDER, TENANT_LABEL
from components.settings import load_file
from sandbox.apiclient import ApiServer
from tests.manifests.floor_support import (
    HELD,
    IN,
    OWNER,
    PODS,
    TENANT,
    Caller,
    at,
    config,
    everything,
    floored,
    injected_pod,
    named_pod,
    refused,
    risks,
    wait_until,
)
from tests.support.program import ROOT

WHO = "eu-west-1.prod.mycompany.internal/ns/bank-a/sa/api-ms"
OTHER = WHO.replace("api-ms", "auth-ms")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with floored(tmp_path_factory.mktemp("floor"), Graph.of(load_file(ROOT / "Pulumi.prod.yaml"))) as made:
        stranger = Caller(made, "somebody")
        probes = (("POST", PODS, named_pod("offered", HELD)), ("PUT", *at(risks("{}\n"))))
        wait_until(all("'floor-" in refused(stranger, *probe) for probe in probes) for _ in itertools.count())
        yield made


def test_the_responder_changes_risk_and_nothing_else_and_no_other_account_does(server):
    responder = _responder(server)
    assert refused(responder, "PUT", *at(risks(f'{{"{WHO}":"high"}}\n'))) == ""
    assert "'floor-decision-data'" in refused(responder, "PUT", *at(config("opa-policy")))
    assert "'floor-decision-data'" in refused(responder, "DELETE", f"{IN}/configmaps/workload-risk")
    other = Caller(server, f"system:serviceaccount:bank-a:{RESPONDER}")
    assert "'floor-decision-data'" in refused(other, "PUT", *at(risks(f'{{"{WHO}":"high"}}\n')))


def _responder(server: ApiServer) -> Caller:
    return Caller(server, f"system:serviceaccount:security:{RESPONDER}")


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("{}\n", "{}\n", ""),
        (f'{{"{WHO}": "medium"}}', f'{{"{WHO}":"high"}}\n', ""),
        (f'{{\n "{WHO}" : "medium"\n}}', f'{{"{OTHER}":"medium","{WHO}":"medium"}}\n', ""),
        (f'{{"{WHO}": "low"}}', f'{{"{OTHER}":"high"}}\n', ""),
        (f'{{"{WHO}": "high"}}', f'{{"{WHO}":"medium"}}\n', "risk rises"),
        (f'{{"{WHO}": "medium"}}', "{}\n", "risk rises"),
        (f'{{"{WHO}": "high", "{OTHER}": "high"}}', f'{{"{OTHER}":"high"}}\n', "risk rises"),
        ("{}\n", f'{{"{WHO}":"low"}}\n', "one form"),
        ("{}\n", f'{{"{WHO}":"high","{WHO}":"medium"}}\n', "already exists"),
        ("{}\n", f'{{"{WHO}": "high"}}', "one form"),
        ("{}\n", "[]\n", "one form"),
    ],
)
def test_the_responder_raises_risks_and_lowers_none(server, before, after, message):
    server.apply(risks(before))
    try:
        said = refused(_responder(server), "PUT", *at(risks(after)))
        assert bool(said) == bool(message), said
        assert message in said
    finally:
        server.apply(risks("{}\n"))


def test_the_responder_changes_nothing_beside_the_risks(server):
    assert "one form" not in refused(_responder(server), "PUT", *at(risks("{}\n")))
    for one in (
        risks("{}\n", immutable=True),
        risks("{}\n", binaryData={"other": "e30K"}),
        {**risks("{}\n"), "data": {"risk.json": "{}\n", "other": ""}},
        *(
            {**risks("{}\n"), "metadata": {"name": "workload-risk", "namespace": TENANT, **about}}
            for about in (
                {"labels": {TENANT_LABEL: "bank-b"}},
                {"annotations": {"note": "a"}},
                {"finalizers": ["example.com/held"]},
                {"ownerReferences": [OWNER]},
            )
        ),
    ):
        assert "one form" in refused(_responder(server), "PUT", *at(one)), one


def test_five_hundred_workloads_at_risk_leave_room_for_one_more(server):
    """The server gives an expression a budget; beyond it nothing would be raised any more."""
    names = sorted(f"eu-west-1.prod.mycompany.internal/ns/tenant-{number}/sa/a-service-of-theirs" for number in range(500))
    server.apply(risks("{" + ",".join(f'"{name}":"high"' for name in names[1:]) + "}\n"))
    try:
        more = "{" + ",".join(f'"{name}":"high"' for name in names) + "}\n"
        assert refused(_responder(server), "PUT", *at(risks(more))) == ""
    finally:
        server.apply(risks("{}\n"))


def test_the_responder_begins_a_quarantine(server):
    assert refused(_responder(server), "PUT", f"{PODS}/standing", named_pod("standing", HELD)) == ""


@pytest.mark.parametrize(
    ("name", "labels", "changes"),
    [
        ("standing", {**HELD, "app": "other"}, {}),
        ("standing", {"app.kubernetes.io/name": "auth-ms", **HELD}, {}),
        ("standing", {QUARANTINE_LABEL: "yes"}, {}),
        ("standing", {"app": "other"}, {}),
        ("standing", HELD, {"annotations": {"note": "a"}}),
        ("standing", HELD, {"containers": [{"name": "app", "image": "other", "securityContext": None}]}),
        ("standing", HELD, {"activeDeadlineSeconds": 1}),
        ("held", {}, {}),
        ("held", {**HELD, "app": "other"}, {}),
        ("held", HELD, {"annotations": {"note": "a"}}),
        ("standing", HELD, {"metadata": {"finalizers": ["example.com/held"]}}),
        ("standing", HELD, {"metadata": {"ownerReferences": [OWNER]}}),
    ],
)
def test_the_responder_changes_nothing_else_of_a_pod(server, name, labels, changes):
    about = changes.get("metadata", {})
    pod = named_pod(name, labels, **{key: value for key, value in changes.items() if key != "metadata"})
    pod["metadata"] |= about
    if "containers" in changes:
        pod["spec"]["containers"][0]["securityContext"] = injected_pod()["spec"]["containers"][0]["securityContext"]
    assert "'floor-quarantine'" in refused(_responder(server), "PUT", f"{PODS}/{name}", pod)


@pytest.mark.parametrize("account", ["replicaset-controller", "statefulset-controller"])
def test_controllers_neither_begin_a_quarantine_nor_end_one(server, account):
    controller = Caller(server, f"system:serviceaccount:kube-system:{account}", ("system:serviceaccounts:kube-system",))
    server.apply(everything("all-controllers", "system:serviceaccounts:kube-system"))
    assert refused(controller, "POST", PODS, named_pod("offered", {})) == ""
    assert "'floor-quarantine'" in refused(controller, "POST", PODS, named_pod("offered", HELD))
    assert "'floor-quarantine'" in refused(controller, "PUT", f"{PODS}/held", named_pod("held", {}))
    assert refused(controller, "PUT", f"{PODS}/held", named_pod("held", {**HELD, "pod-template-hash": "a"})) == ""
