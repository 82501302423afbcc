"""Pure functions of the cluster layer."""

import email
import json
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.cluster import user_data
from components.cluster.access import access_entries, kubeconfig
from components.cluster.control_plane import cluster_name
from components.context import RegionContext
from components.settings.cluster import AccessEntrySettings, NodeGroupSettings, architecture

ROLE = "arn:aws:iam::111122223333:role/x"
GENERATIONS = st.integers(1, 9)
FAMILIES = st.sampled_from(["m", "c", "r", "t", "x", "i", "im", "is", "hpc", "d"])
SIZES = st.sampled_from(["nano", "large", "2xlarge", "metal", "metal-24xl"])


@given(FAMILIES, GENERATIONS, st.sampled_from(["g", "gd", "gn", "gen", "gb"]), SIZES)
def test_a_g_after_the_generation_is_graviton(family: str, generation: int, attributes: str, size: str):
    assert architecture(f"{family}{generation}{attributes}.{size}") == "arm64"


@given(FAMILIES, GENERATIONS, st.sampled_from(["", "i", "a", "n", "in", "id", "idn", "ad", "i-flex", "e", "ie"]), SIZES)
def test_without_it_is_x86(family: str, generation: int, attributes: str, size: str):
    assert architecture(f"{family}{generation}{attributes}.{size}") == "x86_64"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a1.large", "arm64"),
        ("g5g.xlarge", "arm64"),
        ("g5.xlarge", "x86_64"),
        ("g6e.xlarge", "x86_64"),
        ("gr6.4xlarge", "x86_64"),
        ("p4d.24xlarge", "x86_64"),
        ("u-6tb1.112xlarge", "x86_64"),
        ("i4i.large", "x86_64"),
        ("x2gd.medium", "arm64"),
    ],
)
def test_letters_before_the_generation_do_not_count(name: str, expected: str):
    assert architecture(name) == expected


@pytest.mark.parametrize("name", ["", "m7g", "large", "M7G.large", "m7g.large ", "7.large"])
def test_no_instance_type_no_architecture(name: str):
    with pytest.raises(ValueError, match="not an EC2 instance type"):
        architecture(name)


@pytest.mark.parametrize(
    ("types", "said"),
    [(("m7g.large", "m7i.large"), "use one architecture"), (("m7glarge",), "use an EC2 instance type")],
)
def test_settings_refuse_groups_that_could_not_boot(types: tuple[str, ...], said: str):
    with pytest.raises(ValueError, match="broken") as caught:
        NodeGroupSettings(role="system", instance_types=types)
    (problem,) = caught.value.errors()[0]["ctx"]["problems"]
    assert said in problem.remedy


def test_bottlerocket_settings_are_toml_and_leave_the_cluster_to_eks():
    told = tomllib.loads(user_data.bottlerocket())["settings"]
    assert not {"cluster-name", "api-server", "cluster-certificate"} & told["kubernetes"].keys()
    assert told["kubernetes"]["seccomp-default"] is True


def test_al2023_user_data_is_one_node_config():
    message = email.message_from_string(user_data.al2023())
    (part,) = message.get_payload()
    assert part.get_content_type() == "application/node.eks.aws"
    config = json.loads(part.get_payload())
    assert config["kind"] == "NodeConfig"
    assert "cluster" not in config["spec"]


def test_both_operating_systems_are_told_the_same():
    rocket = tomllib.loads(user_data.bottlerocket())["settings"]["kubernetes"]
    kubelet = json.loads(email.message_from_string(user_data.al2023()).get_payload()[0].get_payload())["spec"]["kubelet"][
        "config"
    ]
    assert rocket == {
        "seccomp-default": kubelet["seccompDefault"],
        "pod-pids-limit": kubelet["podPidsLimit"],
        "shutdown-grace-period": kubelet["shutdownGracePeriod"],
        "shutdown-grace-period-for-critical-pods": kubelet["shutdownGracePeriodCriticalPods"],
    }


def test_namespaced_administrators_get_no_cluster_scope():
    entries = access_entries(
        {
            "team": AccessEntrySettings(principal=ROLE, policy="admin", namespaces=("bank-b", "bank-a")),
            "audit": AccessEntrySettings(principal=ROLE, policy="view"),
        },
        {},
    )
    team = entries["team"]["access_policies"]["admin"]
    assert team["access_scope"] == {"type": "namespace", "namespaces": ["bank-a", "bank-b"]}
    assert team["policy_arn"].endswith("/AmazonEKSAdminPolicy")
    assert entries["audit"]["access_policies"]["view"]["access_scope"] == {"type": "cluster"}


@given(st.sampled_from(["https://a", "https://b"]), st.text("AZ=", min_size=1))
def test_a_kubeconfig_holds_no_token(endpoint: str, authority: str):
    user = json.loads(kubeconfig("c", "eu-west-1", endpoint, authority, ROLE))["users"][0]["user"]
    assert set(user) == {"exec"}
    assert not {"env", "token", "password"} & user["exec"].keys()


@given(st.text("abcdefghij-", min_size=1, max_size=30), st.text("abcdefghij-", min_size=1, max_size=30))
def test_cluster_names_fit_eks(organization: str, environment: str):
    context = RegionContext(organization=organization, environment=environment, region="ap-southeast-2", account="1", tags={})
    assert len(cluster_name(context)) <= 100
