"""What `make render` writes: the program's objects where the documentation says, one file each, nothing of it invented."""

from pathlib import Path

import pytest
import yaml

from sandbox.lifecycle import lifecycle
from sandbox.render import CLUSTER_SCOPE, RELEASE, RELEASES, SEALED, SIGNATURE, Rendered, of_state, region_of, rendered, write
from sandbox.session import ROOT, Place, program_file, program_of
from tests.support.objects import EXAMPLE, rendered_of

PROVIDER = "urn:pulumi:dev::zerotrust::pulumi:providers:kubernetes::eu-west-1-cluster"
LIMITS = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "limits", "namespace": "bank-a"}, "data": {"a": "1"}}
STANDING = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "bank-a"}}
MESH = {"name": "istiod", "chart": "istiod", "version": "1", "namespace": "istio-system", "values": {"a": 1.0}, "timeout": 600}


@pytest.mark.parametrize("provider", [PROVIDER, f"{PROVIDER}::0f3c-id"])
def test_a_region_is_read_from_the_providers_name_with_its_id_or_without(provider):
    assert region_of(provider) == "eu-west-1"


@pytest.mark.parametrize("provider", ["", PROVIDER.replace("eu-west-1-cluster", "default_4_32_0")])
def test_an_object_that_names_no_cluster_is_refused(provider):
    with pytest.raises(ValueError, match="names no region"):
        rendered("kubernetes:core/v1:ConfigMap", LIMITS, provider)


def test_what_the_engine_keeps_secret_is_in_no_file():
    sealed = {SIGNATURE: "1b47061264138c4ac30d75fd1eb44270", "value": '"hunter2"', "ciphertext": "djE6"}
    about = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "own", "namespace": "velero"}}
    whole = rendered("kubernetes:core/v1:Secret", {**about, "stringData": sealed}, PROVIDER)
    assert whole.body == {**about, "stringData": {}}
    one = rendered("kubernetes:core/v1:Secret", {**about, "stringData": {"password": sealed}}, PROVIDER)
    assert one.body["stringData"] == {"password": SEALED}


def test_files_stand_by_region_namespace_kind_and_name(tmp_path: Path):
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "Read:All", "namespace": "bank-a"}}
    given = [("core/v1:ConfigMap", LIMITS), ("core/v1:Namespace", STANDING), ("rbac.authorization.k8s.io/v1:Role", role)]
    objects = [rendered(f"kubernetes:{kind}", one, PROVIDER) for kind, one in given]
    objects.append(rendered(RELEASE, MESH, PROVIDER.replace("eu-west-1", "eu-central-1")))
    assert write(objects, tmp_path / "out") == 4
    assert sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.yaml")) == [
        f"eu-central-1/{RELEASES}/istiod.yaml",
        f"eu-west-1/{CLUSTER_SCOPE}/namespace-bank-a.yaml",
        "eu-west-1/bank-a/configmap-limits.yaml",
        "eu-west-1/bank-a/role-read-all.yaml",
    ]
    assert yaml.safe_load((tmp_path / "out/eu-west-1/bank-a/configmap-limits.yaml").read_text()) == LIMITS
    assert yaml.safe_load((tmp_path / "out/eu-central-1" / RELEASES / "istiod.yaml").read_text()) == {
        "chart": "istiod",
        "version": "1",
        "namespace": "istio-system",
        "values": {"a": 1},
    }


def test_what_stood_there_before_is_gone(tmp_path: Path):
    objects = [rendered("kubernetes:core/v1:ConfigMap", LIMITS, PROVIDER)]
    write([*objects, rendered("kubernetes:core/v1:Namespace", STANDING, PROVIDER)], tmp_path / "out")
    assert write(objects, tmp_path / "out") == 1
    assert len(list((tmp_path / "out").rglob("*.yaml"))) == 1


def test_two_objects_of_one_file_are_refused(tmp_path: Path):
    one = rendered("kubernetes:core/v1:ConfigMap", LIMITS, PROVIDER)
    with pytest.raises(ValueError, match=r"two objects want eu-west-1/bank-a/configmap-limits\.yaml"):
        write([one, one], tmp_path / "out")


def test_numbers_are_whole_where_the_engine_has_but_one_kind():
    spec = {"replicas": 3.0, "share": 0.5, "on": True, "ports": [{"port": 443.0}]}
    made = rendered("kubernetes:x", {**LIMITS, "spec": spec}, PROVIDER).body["spec"]
    assert repr(made) == "{'replicas': 3, 'share': 0.5, 'on': True, 'ports': [{'port': 443}]}"


def test_what_the_program_only_reads_is_not_sent():
    state = [
        {"type": "kubernetes:core/v1:ConfigMap", "inputs": LIMITS, "provider": f"{PROVIDER}::id", "external": external}
        for external in (True, False)
    ]
    assert [one.body for one in of_state([*state, {"type": "aws:s3/bucket:Bucket", "inputs": {}}])] == [LIMITS]


def differing(ours: object, theirs: object, path: str = "") -> list[str]:
    """Paths at which two values differ; a map's or a list's own difference is its path."""
    if isinstance(ours, dict) and isinstance(theirs, dict) and ours.keys() == theirs.keys():
        return [found for key in sorted(ours) for found in differing(ours[key], theirs[key], f"{path}.{key}")]
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return [found for one, other in zip(ours, theirs, strict=True) for found in differing(one, other, f"{path}[]")]
    return [] if ours == theirs else [path]


KNOWN_TO_THE_ENGINE: set[tuple[str, str]] = {
    ("ClusterFederatedTrustDomain", ".spec.trustDomainBundle"),
    ("ConfigMap", ".data.ca.crt"),
    ("StorageClass", ".parameters.kmsKeyId"),
    ("TargetGroupBinding", ".spec.targetGroupARN"),
    ("TargetGroupBinding", ".spec.vpcID"),
    ("aws-load-balancer-controller", ".values.vpcId"),
    ("cilium", ".values.k8sServiceHost"),
    ("external-dns", ".values.extraArgs.zone-id-filter"),
    ("vault", ".values.server.ha.raft.config"),
    ("vault", ".values.server.serviceAccount.annotations.eks.amazonaws.com/role-arn"),
    ("velero", ".values.configuration.backupStorageLocation[].config.kmsKeyId"),
}
"""Kind or release and path of values that other resources' outputs make: ids, ARNs, names. One that is equal again goes."""


@pytest.mark.engine
def test_the_engine_sends_what_the_recording_says(tmp_path: Path):
    """The second product, brought up on the stand-ins; its objects are the recording's but for what only an engine knows."""
    project = ROOT / "examples" / EXAMPLE
    place = Place.of("dev", project, tmp_path)
    with lifecycle("dev", program_of(program_file(project)), place, lambda _: None) as life:
        life.up()
        sent = {(one.region, one.path): one for one in of_state(life.state())}
    recorded = {(one.region, one.path): one for one in rendered_of(EXAMPLE)}
    assert sent.keys() == recorded.keys()
    found = {
        (one.path.stem if one.is_release else str(one.body["kind"]), path)
        for where, one in recorded.items()
        for path in differing(_sorted(one), _sorted(sent[where]))
    }
    assert sorted(found - KNOWN_TO_THE_ENGINE) == []
    assert sorted(KNOWN_TO_THE_ENGINE - found) == []


def _sorted(one: Rendered) -> object:
    """The body as YAML would have it."""
    return yaml.safe_load(yaml.safe_dump(dict(one.body)))
