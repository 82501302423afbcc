"""What a machine lacks is said at once and before anything is touched."""

import json
import os
from types import SimpleNamespace

import pytest

from sandbox.local import host
from sandbox.local.plan import plan

PLAN = plan({"eu-west-1": ("10.201.0.0/16", "172.30.0.0/20"), "eu-central-1": ("10.202.0.0/16", "172.30.16.0/20")})


def said(monkeypatch: pytest.MonkeyPatch, *, routes: list[dict[str, str]]) -> str:
    monkeypatch.setattr(host.subprocess, "run", lambda *_, **__: SimpleNamespace(stdout=json.dumps(routes)))
    try:
        host.check(PLAN)
    except host.HostError as error:
        return str(error)
    return ""


def test_everything_that_is_missing_is_in_one_message(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("PATH", "")
    real = host.shutil.which
    monkeypatch.setattr(host.shutil, "which", lambda name, **_: None if name in {"runc", "nft"} else real(name) or f"/bin/{name}")
    message = said(monkeypatch, routes=[{"dst": "10.202.7.0/24", "dev": "vpn0"}])
    assert "run `sudo make sandbox`" in message
    assert "runc, nft not found: `apt-get install" in message
    assert (
        "10.202.0.0/16 of region eu-central-1 meets the route 10.202.7.0/24 by vpn0: change regions.eu-central-1.vpc_cidr"
        in message
    )
    assert "10.201.0.0/16" not in message


def test_the_routes_of_a_sandbox_that_runs_are_no_reason(monkeypatch: pytest.MonkeyPatch):
    routes = [{"dst": str(region.network), "dev": region.link} for region in PLAN.regions]
    assert "meets the route" not in said(monkeypatch, routes=routes)
    assert "meets the route" in said(monkeypatch, routes=[{**routes[0], "dev": "eth0"}])
