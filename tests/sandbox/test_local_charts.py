"""The charts of our own before the real Helm and API server, with the values that the program sets.

Not proven: what the real charts make of the same values (they come by network alone), and that the pods run.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.identity.issuer import POD_LABELS
from components.identity.spire import METRICS_PORT, SERVER_LABELS, SERVER_SERVICE
from components.vault.server import LABELS
from components.vault.tls import ACTIVE_SERVICE, INTERNAL_SERVICE
from sandbox.apiclient import ApiServer, RefusedError
from sandbox.apiserver import KUBECONFIG, control_plane
from sandbox.charts import KUBE_VERSION, chart_dirs, render
from sandbox.crds import load_crds
from sandbox.local.charts import FOLDER, NAMES, differences, ignored, local_chart, machine_values
from sandbox.toolchain import build
from tests.support.objects import objects_of, pods_of, refusal, releases_of, settled

pytestmark = pytest.mark.timeout(1800)  # the first case that needs a tool builds it

STACKS = ("dev", "prod", "local")
CASES = [(stack, chart) for stack in STACKS for chart in NAMES]
Object = Mapping[str, Any]


@cache
def release(stack: str, chart: str) -> Mapping[str, Any]:
    """The release of the first region that has one. Do not change what you get."""
    return next(one for releases in releases_of(stack).values() for one in releases if one["chart"] == chart)


def over(values: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Values files as Helm merges them: maps key by key, anything else replaced."""
    merged = {**values, **own}
    both = {key for key in values.keys() & own.keys() if isinstance(values[key], Mapping) and isinstance(own[key], Mapping)}
    return {**merged, **{key: over(values[key], own[key]) for key in both}}


@cache
def made(stack: str, chart: str) -> Sequence[Object]:
    """What one machine would install."""
    wanted, found = release(stack, chart), local_chart(chart)
    assert found is not None
    return render(found.folder, wanted["name"], wanted["namespace"], over(wanted["values"], differences(chart)))


def the(kind: str, name: str, objects: Sequence[Object]) -> Any:
    return next(one for one in objects if (one["kind"], one["metadata"]["name"]) == (kind, name))


def say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """An API server with the program's namespaces, their labels, and the charts' own accounts."""
    with control_plane(tmp_path_factory.mktemp("control-plane"), say) as started:
        started.offer(load_crds())
        everything = [one for stack in STACKS for objects in objects_of(stack).values() for one in objects]
        settled(started, [one for one in everything if one["kind"] == "Namespace"])
        settled(started, [one for stack, chart in CASES for one in made(stack, chart) if one["kind"] == "ServiceAccount"])
        yield started


@pytest.mark.parametrize(("stack", "chart"), CASES)
def test_the_server_accepts_what_a_chart_of_ours_renders(server, stack, chart):
    objects = made(stack, chart)
    assert objects
    server.prepare(one for one in objects if one["kind"] != "CustomResourceDefinition")
    place = release(stack, chart)["namespace"]
    for one in objects:
        if one["kind"] != "CustomResourceDefinition":
            server.apply(one, dry_run=True, namespace=place)


@pytest.mark.parametrize(("stack", "chart"), CASES)
def test_pod_security_admits_the_pods_in_the_programs_own_namespaces(server, stack, chart):
    claims = {"volumes": [{"name": name, "emptyDir": {}} for name in ("data", "audit", "spire-data")]}
    for pod in pods_of(made(stack, chart)):
        known = {volume["name"] for volume in pod["spec"].get("volumes", ())}
        more = [volume for volume in claims["volumes"] if volume["name"] not in known]
        spec = {**pod["spec"], "volumes": [*pod["spec"].get("volumes", ()), *more]}
        assert refusal(server, {**pod, "spec": spec}) == ""


def installed(chart: str, kubeconfig: Path, folder: Path) -> None:
    """As the program's release is installed, without waiting: nothing runs here."""
    wanted, found = release("local", chart), local_chart(chart)
    assert found is not None
    (folder / "values.json").write_text(json.dumps(wanted["values"]), encoding="utf-8")
    command = [build("helm", say), "upgrade", "--install", wanted["name"], found.folder, "--namespace", wanted["namespace"]]
    command += ["--kubeconfig", kubeconfig, "--values", folder / "values.json", "--values", machine_values()[found.name]]
    homes = {f"HELM_{part}_HOME": str(folder / part) for part in ("CACHE", "CONFIG", "DATA")}
    done = subprocess.run(command, env={**os.environ, **homes}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_helm_installs_and_upgrades_every_chart_and_spires_webhook_closes_at_once(tmp_path):
    with control_plane(tmp_path / "control-plane", say) as started:
        settled(started, [one for one in objects_of("local")["eu-west-1"] if one["kind"] == "Namespace"])
        monitors = {"PodMonitor", "ServiceMonitor"}
        started.install(one for one in load_crds() if one["spec"]["names"]["kind"] in monitors)
        for chart in ("cloudnative-pg", "spire-crds", "spire", "vault", "keycloakx", "spire"):
            installed(chart, tmp_path / "control-plane" / KUBECONFIG, tmp_path)
        own = "/apis/spire.spiffe.io/v1alpha1/clusterspiffeids"
        (identity,) = started.request("GET", own)["items"]
        assert identity["spec"]["podSelector"]["matchLabels"]["component"] == "oidc-discovery-provider"
        another = {**identity, "metadata": {"name": "another"}}
        with pytest.raises(RefusedError, match=r"vclusterspiffeid\.kb\.io"):
            started.request("POST", own, another)


def leaves(values: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, (*above, key))
        else:
            yield (*above, key), value


def otherwise(value: Any) -> Any:
    """Another value of the same kind; text stays a template, a list or a document where it is one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, list):
        return value[:-1] if value else ["other"]
    if isinstance(value, Mapping):
        return {"other": "other"}
    if not value.startswith(("[", "{")):
        return f"/other{value}" if value.startswith("/") else f"{value}x"
    inner = json.loads(value)
    return json.dumps(inner[:-1] if isinstance(inner, list) else {**inner, "ui": "other"})


def with_other(values: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    changed = deepcopy(dict(values))
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = otherwise(place[path[-1]])
    return changed


def said(stack: str, chart: str, values: Mapping[str, Any]) -> str:
    """What Helm says to these values: the objects' text, or its refusal."""
    wanted, found = release(stack, chart), local_chart(chart)
    assert found is not None
    command = [
        build("helm", say),
        "template",
        wanted["name"],
        found.folder,
        "--namespace",
        wanted["namespace"],
        "--values",
        "-",
    ]
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HELM_", "KUBE"))}
    done = subprocess.run(
        [*command, "--kube-version", KUBE_VERSION],
        input=json.dumps(values),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout or done.stderr


@pytest.mark.parametrize("chart", [name for name in NAMES if name != "spire-crds"])
def test_every_value_of_the_program_changes_what_is_made_or_is_listed_with_its_reason(chart):
    found: dict[str, bool] = {}
    for stack in ("dev", "prod"):
        values = release(stack, chart)["values"]
        usual = said(stack, chart, values)
        paths = [path for path, _ in leaves(values) if ".".join(path) not in found]
        with ThreadPoolExecutor(2) as pool:
            answers = pool.map(lambda path: said(stack, chart, with_other(values, path)), paths)  # noqa: B023 - used in this turn
            found |= {".".join(path): answer != usual for path, answer in zip(paths, answers, strict=True)}
    unread = sorted(path for path, reads in found.items() if not reads)
    assert unread == sorted(ignored(chart))
    assert all(len(reason.split()) > 2 for reason in ignored(chart).values())


def test_a_value_that_needs_more_than_a_chart_of_ours_has_is_refused():
    values = over(release("dev", "vault")["values"], {"injector": {"enabled": True}})
    assert "no injector" in said("dev", "vault", values)
    values = over(release("dev", "spire")["values"], {"spiffe-oidc-discovery-provider": {"tls": {"spire": {"enabled": True}}}})
    assert "comes from a Secret" in said("dev", "spire", values)


@pytest.mark.parametrize("chart", NAMES)
def test_a_chart_of_ours_is_the_version_that_the_program_installs(chart):
    pinned = yaml.safe_load((FOLDER.parents[2] / "components" / "charts.yaml").read_text(encoding="utf-8"))[chart]
    about = yaml.safe_load((FOLDER / chart / "Chart.yaml").read_text(encoding="utf-8"))
    assert (about["name"], about["version"]) == (pinned["chart"], pinned["version"])
    assert chart == "spire-crds" or about["appVersion"] == str(pinned["app_version"])


def test_no_chart_of_ours_stands_in_for_another():
    assert local_chart("istiod") is None


@pytest.mark.parametrize("chart", sorted(machine_values().keys() - set(NAMES)))
def test_what_one_machine_changes_of_another_chart_is_a_value_of_it(chart):
    """Asked of the defaults of the chart in its module; a map that is empty there takes any key."""
    defaults = yaml.safe_load((chart_dirs()[chart] / "values.yaml").read_text(encoding="utf-8"))
    # Istio's charts keep theirs below one key and take them without it
    defaults = defaults.get("_internal_defaults_do_not_set", defaults)
    paths = [path for path, _ in leaves(differences(chart))]
    assert paths
    for path in paths:
        found: Any = defaults
        for key in path:
            assert found == {} or key in found, ".".join(path)
            found = found[key] if found else {}


@pytest.mark.parametrize("chart", NAMES)
def test_what_one_machine_changes_is_written_down(chart):
    text = (FOLDER / chart / "README.md").read_text(encoding="utf-8")
    for path, _ in leaves(differences(chart)):
        assert any(f"`{'.'.join(path[:end])}`" in text for end in range(min(2, len(path)), len(path) + 1)), path


SELECTED = (
    ("spire", "spire-server", SERVER_LABELS),
    ("vault", "vault", LABELS),
    ("keycloakx", "keycloak-keycloakx", POD_LABELS),
)


@pytest.mark.parametrize(("chart", "name", "labels"), SELECTED)
def test_the_pods_have_the_labels_by_which_the_program_finds_them(chart, name, labels):
    pods = the("StatefulSet", name, made("prod", chart))["spec"]["template"]
    assert pods["metadata"]["labels"].items() >= labels.items()


def test_every_service_chooses_the_pods_of_its_release():
    for chart in ("spire", "vault", "keycloakx", "cloudnative-pg"):
        objects = made("dev", chart)
        pods = [pod["metadata"]["labels"] for pod in pods_of(objects)]
        for service in (one for one in objects if one["kind"] == "Service"):
            chooses = {key: value for key, value in service["spec"]["selector"].items() if not key.endswith("-active")}
            assert any(labels.items() >= chooses.items() for labels in pods), service["metadata"]["name"]


def test_services_answer_under_the_names_that_the_program_calls():
    names = {one["metadata"]["name"] for chart in ("spire", "vault") for one in made("dev", chart) if one["kind"] == "Service"}
    assert names >= {SERVER_SERVICE, "vault", ACTIVE_SERVICE, INTERNAL_SERVICE}
    agents = the("DaemonSet", "spire-agent", made("dev", "spire"))["spec"]["template"]["spec"]["containers"][0]["ports"]
    assert METRICS_PORT in {port["containerPort"] for port in agents}


def test_a_server_of_vault_that_is_alone_is_not_drained_away():
    for stack, servers, away in (("prod", 5, 2), ("local", 1, 0)):
        objects = made(stack, "vault")
        assert the("StatefulSet", "vault", objects)["spec"]["replicas"] == servers
        assert the("PodDisruptionBudget", "vault", objects)["spec"]["maxUnavailable"] == away
