"""Every Kubernetes object of the program, judged by the real API server, by Pod Security and by Istio's analysis.

Not proven here: pods that operators make themselves (CloudNativePG's), and what a controller's own webhook would say.
"""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from components.graph.names import GATEWAYS, MESH_NAMESPACE
from sandbox.apiclient import ApiServer
from sandbox.charts import chart_dirs, render
from sandbox.crds import FROM_FOLDER, SETTING, load_crds
from sandbox.istio_analysis import findings
from tests.support.objects import PROGRAMS, all_of, objects_of, pods_of, refusal, releases_of, settled


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_server_accepts_every_object_of_every_region(api_server: ApiServer, program):
    for objects in objects_of(program).values():
        judged = [one for one in objects if api_server.knows(one["apiVersion"], one["kind"])]
        settled(api_server, judged)
        assert [said for one in judged if (said := refusal(api_server, one))] == []


def test_no_object_of_the_program_goes_unjudged(api_server: ApiServer):
    """Kinds whose definitions no module brings come from a folder; without it this fails, it does not skip.

    A constraint's kind is made by its template, which is an object of the program itself; Gatekeeper judges both elsewhere.
    """
    everything = [one for program in PROGRAMS for objects in objects_of(program).values() for one in objects]
    kinds = {(one["apiVersion"], one["kind"]) for one in everything}
    made = {
        ("constraints.gatekeeper.sh/v1beta1", one["spec"]["crd"]["spec"]["names"]["kind"])
        for one in all_of("ConstraintTemplate", everything)
    }
    unjudged = sorted(f"{kind} ({version})" for version, kind in kinds - made if not api_server.knows(version, kind))
    remedy = f"name a folder of definitions in {SETTING}; sub-folders: {', '.join(sorted(FROM_FOLDER))}"
    assert unjudged == [], remedy


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_pod_is_admitted_where_it_stands(api_server: ApiServer, program):
    for objects in objects_of(program).values():
        settled(api_server, [one for one in objects if one["kind"] in {"Namespace", "ServiceAccount"}])
        levels = {
            one["metadata"]["name"]: one["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
            for one in all_of("Namespace", objects)
        }
        pods = list(pods_of(objects))
        assert {levels[pod["metadata"]["namespace"]] for pod in pods} == {"restricted"}
        assert [said for pod in pods if (said := refusal(api_server, pod))] == []


def closed_places(value: Any, schema: Mapping[str, Any], path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Paths of the non-empty maps in which the schema knows every key."""
    if schema.get("x-kubernetes-preserve-unknown-fields") or schema.get("x-kubernetes-embedded-resource"):
        return
    if isinstance(value, Mapping):
        known = schema.get("properties", {})
        if value and known and path and "additionalProperties" not in schema:
            yield path
        for key, item in value.items():
            yield from closed_places(item, known.get(key) or schema.get("additionalProperties") or {}, (*path, key))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from closed_places(item, schema.get("items") or {}, (*path, place))


def schemas() -> dict[tuple[str, str], Mapping[str, Any]]:
    """(apiVersion, kind) → the schema of a custom kind's own fields."""
    found = {}
    for definition in load_crds():
        spec = definition["spec"]
        for version in spec["versions"]:
            fields = {
                key: schema
                for key, schema in version["schema"]["openAPIV3Schema"].get("properties", {}).items()
                if key not in {"apiVersion", "kind", "metadata", "status"}
            }
            found[f"{spec['group']}/{version['name']}", spec["names"]["kind"]] = {"properties": fields}
    return found


def misspelt(one: Mapping[str, Any], path: tuple[str | int, ...]) -> tuple[dict[str, Any], str]:
    """The object with one key at the path misspelt, and the server's name of that field."""
    wrong = copy.deepcopy(dict(one))
    place: Any = wrong
    for part in path:
        place = place[part]
    key = max(place)
    place[f"{key}x"] = place.pop(key)
    spelt = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in (*path, f"{key}x"))
    return wrong, spelt.removeprefix(".")


def test_a_misspelt_key_of_every_custom_kind_is_refused_by_name(api_server: ApiServer):
    """At the deepest place of every kind that the program sends, whichever those are."""
    known, deepest = schemas(), {}
    for program in PROGRAMS:
        for objects in objects_of(program).values():
            settled(api_server, [one for one in objects if api_server.knows(one["apiVersion"], one["kind"])])
            for one in objects:
                which = one["apiVersion"], one["kind"]
                places = list(closed_places(one, known[which])) if which in known else []
                if places and len(path := max(places, key=len)) > len(deepest.get(which, (None, ()))[1]):
                    deepest[which] = one, path
    custom = {
        which
        for program in PROGRAMS
        for objects in objects_of(program).values()
        for which in {(one["apiVersion"], one["kind"]) for one in objects} & known.keys()
    }
    assert custom
    assert custom == deepest.keys()
    unnoticed = []
    for one, path in deepest.values():
        wrong, field = misspelt(one, path)
        if f'unknown field "{field}"' not in (said := refusal(api_server, wrong)):
            unnoticed.append((one["kind"], field, said))
    assert unnoticed == []


EXCEPTIONS = {
    ("IST0133", "EnvoyFilter"): "says of every EnvoyFilter that it is Envoy's own language; rate limits have no other in Istio",
}
"""What the analysis says that is no fault here: code and kind → why. One that no longer occurs is taken out."""


def of_mesh(program: str, region: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What istiod's chart and the gateways' bring, and the mesh's configuration among it."""
    brought = []
    for release in releases_of(program)[region]:
        chart = "istiod" if release["name"] == "istiod" else "istio-gateway"
        if release["name"] in {"istiod", *(gateway.name for gateway in GATEWAYS)}:
            place, values = release["namespace"], release["values"]
            versions = ["monitoring.coreos.com/v1"]
            for one in render(chart_dirs()[chart], release["name"], place, values, api_versions=versions):
                one["metadata"].setdefault("namespace", place)
                brought.append(one)
    (told,) = (one for one in brought if (one["kind"], one["metadata"]["name"]) == ("ConfigMap", "istio"))
    assert told["metadata"]["namespace"] == MESH_NAMESPACE
    return brought, yaml.safe_load(told["data"]["mesh"])


def test_istios_analysis_finds_nothing_but_what_is_answered_for():
    """Over each region's objects with the gateways and the control plane that the charts bring."""
    said = []
    for program in PROGRAMS:
        for region, objects in objects_of(program).items():
            brought, mesh = of_mesh(program, region)
            said += [(program, region, one) for one in findings([*objects, *brought], mesh_config=mesh)]
    seen = {(one.code, one.origin.partition(" ")[0]) for _, _, one in said}
    assert [each for each in said if (each[2].code, each[2].origin.partition(" ")[0]) not in EXCEPTIONS] == []
    assert seen == EXCEPTIONS.keys()
