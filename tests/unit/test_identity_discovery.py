"""SPIRE's published keys: who serves them shows a certificate that Vault can check, under the name that Vault asks for.

Does not prove that cert-manager issues it, nor that the provider reads the file again when it is renewed.
"""

from urllib.parse import urlsplit

from components.assembly.trust import discovery_certificate
from components.assembly.vault_access import discovery_trust
from components.cni.policies import Lookups
from components.cni.policies_vault import DISCOVERY, VAULT_PODS, vault_policies
from components.context import RegionContext
from components.identity.spire import DISCOVERY_SECRET, Datastore, TrustDomainArgs, chart_values
from components.vault.roles import login_mount
from tests.support.charts import unknown
from tests.unit.test_network_policies import shipped

REGION = "eu-west-1"
GRAPH = shipped("prod")
CONTEXT = RegionContext(organization="clearing", environment="prod", region=REGION, account="444455556666", tags={})
VALUES = chart_values(
    TrustDomainArgs(
        context=CONTEXT,
        settings=GRAPH.settings.identity,
        trust_domain=GRAPH.trust_domain(REGION),
        cluster_name="c",
        federated=True,
        datastore=Datastore(host="h", database="spire", user="spire", client_secret="s"),  # noqa: S106 - a name
        storage_class="encrypted",
        after=(),
    )
)
ASKED = str(urlsplit(login_mount(GRAPH, REGION).keys_url).hostname)


def test_every_value_is_one_that_the_pinned_chart_takes():
    assert unknown("spire", VALUES) == []
    assert unknown("spire", {"spiffe-oidc-discovery-provider": {"tls": {"externalSecret": {"name": "x"}}}}) != []


def test_the_keys_are_served_with_a_certificate_that_lies_in_the_cluster_and_with_no_other():
    """The chart refuses two kinds of certificate at once."""
    wanted = VALUES["spiffe-oidc-discovery-provider"]["tls"]
    assert {kind: each["enabled"] for kind, each in wanted.items()} == {"spire": False, "externalSecret": True}
    made = discovery_certificate()
    assert wanted["externalSecret"]["secretName"] == made["spec"]["secretName"] == DISCOVERY_SECRET


def test_the_certificate_is_for_the_name_that_vault_asks_and_by_the_authority_that_vault_is_told():
    made, told = discovery_certificate(), discovery_trust()
    assert made["spec"]["dnsNames"] == [ASKED]
    assert len(made["spec"]["commonName"]) <= 64  # the most X.509 has room for
    assert made["metadata"]["namespace"] == told["metadata"]["namespace"]
    assert made["spec"]["issuerRef"] == told["spec"]["issuerRef"]
    assert "client auth" not in made["spec"]["usages"]


def test_vault_reaches_the_keys_and_the_provider_lets_it_in():
    policies = [each for each in vault_policies(GRAPH, REGION) if each.name == "vault-identities"]
    (there,) = [each for each in policies if each.subject == VAULT_PODS]
    (here,) = [each for each in policies if each.subject == DISCOVERY]
    assert [(flow.peer, flow.ports) for flow in here.ingress] == [(VAULT_PODS, (8443,))]
    assert (DISCOVERY, (8443,)) in [(flow.peer, flow.ports) for flow in there.egress]
    assert [flow.peer.names for flow in there.egress if isinstance(flow.peer, Lookups)] == [(ASKED,)]
