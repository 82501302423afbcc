"""Istio's analysis runs on every namespace and says what is wrong; clean objects leave it silent."""

import copy
from typing import Any

from sandbox.istio_analysis import findings


def entry(gateway: str = "bank-a/ingress") -> list[dict[str, Any]]:
    tls = {"mode": "SIMPLE", "credentialName": "api-tls"}
    server = {"port": {"number": 443, "name": "https", "protocol": "HTTPS"}, "hosts": ["api.bank.example"], "tls": tls}
    labels = {"app": "api"}
    place = {"namespace": "bank-a"}
    port = {"name": "http", "port": 80}
    objects: list[tuple[str, str, str, dict[str, Any]]] = [
        ("v1", "Service", "api", {"selector": labels, "ports": [port]}),
        ("networking.istio.io/v1", "Gateway", "ingress", {"selector": {"istio": "ingress"}, "servers": [server]}),
        (
            "networking.istio.io/v1",
            "VirtualService",
            "api",
            {
                "hosts": ["api.bank.example"],
                "gateways": [gateway],
                "http": [{"route": [{"destination": {"host": "api.bank-a.svc.cluster.local"}}]}],
            },
        ),
    ]
    made = [
        {"apiVersion": version, "kind": kind, "metadata": {"name": name, **place}, "spec": spec}
        for version, kind, name, spec in objects
    ]
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "api-tls", "namespace": "istio-ingress"}}
    container = {"name": "istio-proxy", "image": "proxyv2", "ports": [{"containerPort": 443}]}
    pod_about = {"name": "ingress", "namespace": "istio-ingress", "labels": {"istio": "ingress"}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": pod_about, "spec": {"containers": [container]}}
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "bank-a", "labels": {"istio-injection": "enabled"}},
    }
    return [namespace, secret, pod, *made]


def test_an_entry_whose_references_hold_gives_no_error():
    assert [one for one in findings(entry()) if one.level == "Error"] == []


def test_a_reference_to_a_gateway_that_is_not_there_is_found_outside_the_default_namespace():
    errors = [one for one in findings(entry("bank-a/elsewhere")) if one.level == "Error"]
    assert [(one.code, one.origin) for one in errors] == [("IST0101", "VirtualService bank-a/api")]
    assert "bank-a/elsewhere" in errors[0].message


def test_a_misspelt_key_passes_here_so_the_api_server_must_judge_too():
    objects = entry()
    assert objects[-1]["kind"] == "VirtualService"
    misspelt = copy.deepcopy(objects)
    misspelt[-1]["spec"]["gatewayz"] = misspelt[-1]["spec"].pop("gateways")
    assert [one for one in findings(misspelt) if one.level == "Error"] == []
