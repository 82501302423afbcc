"""Traps between SPIRE and Istio, read from the releases' values, the objects and the registrations of a region.

A check returns whether its trap is avoided; the changes above it each spring the trap.
"""

from components.graph.names import SPIRE_CLASS, SPIRE_SERVER_NAMESPACE, SPIRE_SOCKET_FILE
from tests.support.traps import BALANCER, World, mesh, trap


@trap(
    lambda w: w.put("spire", "spire-agent/socketPath", "/run/spire/agent-sockets/api.sock"),
    lambda w: w.put("spire", "spiffe-csi-driver/agentSocketPath", "/run/other/spire-agent.sock"),
    lambda w: w.put("istiod", "meshConfig/defaultConfig/proxyMetadata/WORKLOAD_IDENTITY_SOCKET_FILE", "socket"),
    lambda w: w.put("spire", "spire-agent/socketAlternate/names", ["socket"]),
)
def agent_driver_and_proxies_name_one_socket_that_is_not_istios_default(w: World) -> bool:
    path, names = w.at("spire", "spire-agent/socketPath"), w.at("spire", "spire-agent/socketAlternate/names")
    told = mesh(w)["defaultConfig"]["proxyMetadata"]["WORKLOAD_IDENTITY_SOCKET_FILE"]
    return (
        path == w.at("spire", "spiffe-csi-driver/agentSocketPath")
        and path.split("/")[-1] == told == SPIRE_SOCKET_FILE != "socket"
        and not names
    )


@trap(
    lambda w: w.put("spire", "spire-server/controllerManager/className", "spire-server-spire"),
    lambda w: w.of("ClusterFederatedTrustDomain")[0]["spec"].pop("className"),
    lambda w: w.of("ClusterSPIFFEID")[0]["spec"].update(className="other"),
    lambda w: w.put("spire", "spire-server/controllerManager/watchClassless", value=True),
)
def every_object_of_spire_has_the_class_that_the_controller_reads(w: World) -> bool:
    manager = w.at("spire", "spire-server/controllerManager")
    objects = [*w.of("ClusterSPIFFEID"), *w.of("ClusterFederatedTrustDomain")]
    classes = {one["spec"].get("className") for one in objects}
    return classes == {manager["className"]} == {SPIRE_CLASS} and manager["watchClassless"] is False


@trap(lambda w: w.at("spire", "spire-server/controllerManager/identities/clusterSPIFFEIDs/default").update(enabled=True))
def the_charts_own_registrations_give_no_identity(w: World) -> bool:
    own = w.at("spire", "spire-server/controllerManager/identities/clusterSPIFFEIDs")
    return {name: one["enabled"] for name, one in own.items()} == {"default": False, "test-keys": False}


@trap(
    lambda w: w.put("spire", "spire-agent/workloadAttestors/k8s/disableContainerSelectors", value=False),
    lambda w: w.put("spire", "spire-agent/workloadAttestors/k8s/verification/type", "skip"),
    lambda w: w.of("ClusterSPIFFEID")[0]["spec"]["workloadSelectorTemplates"].append("k8s:container-name:app"),
)
def a_proxy_is_attested_before_its_application_exists_by_a_kubelet_that_is_verified(w: World) -> bool:
    attestor = w.at("spire", "spire-agent/workloadAttestors/k8s")
    selectors = [each for one in w.of("ClusterSPIFFEID") for each in one["spec"]["workloadSelectorTemplates"]]
    return (
        mesh(w)["defaultConfig"]["holdApplicationUntilProxyStarts"] is True
        and attestor["disableContainerSelectors"] is True
        and attestor["verification"]["type"] == "apiServerCA"
        and not [each for each in selectors if "container" in each]
    )


@trap(
    lambda w: w.put("spire", "spire-agent/sds/defaultAllBundlesName", "ALL"),
    lambda w: w.put("spire", "spire-agent/sds/defaultBundleName", "ROOTCA"),
    lambda w: w.put("spire", "spire-agent/sds/disableSPIFFECertValidation", value=True),
)
def the_agent_answers_for_rootca_with_every_bundle_and_validates(w: World) -> bool:
    return bool(
        w.at("spire", "spire-agent/sds") == {"enabled": True, "defaultBundleName": "null", "defaultAllBundlesName": "ROOTCA"}
    )


@trap(
    lambda w: w.put("spire", "spire-server/federation/enabled", value=False),
    lambda w: w.put("spire", "spire-server/federation/bundleEndpoint/port", 9443),
    lambda w: w.of("ClusterFederatedTrustDomain")[0]["spec"].pop("trustDomainBundle"),
    lambda w: w.of("ClusterFederatedTrustDomain")[0]["spec"]["bundleEndpointProfile"].update(type="https_web"),
    lambda w: [one["spec"].pop("federatesWith", None) for one in w.of("ClusterSPIFFEID")],
    lambda w: mesh(w).pop("caCertificates"),
)
def the_five_parts_of_federation_stand_together(w: World) -> bool:
    federation = w.at("spire", "spire-server/federation")
    peers = {one["spec"]["trustDomain"]: one["spec"] for one in w.of("ClusterFederatedTrustDomain")}
    named = {domain for one in w.of("ClusterSPIFFEID") for domain in one["spec"].get("federatesWith", ())}
    admitted = {domain for one in mesh(w).get("caCertificates", ()) for domain in one["trustDomains"]}
    profiles = [
        one["bundleEndpointProfile"] == {"type": "https_spiffe", "endpointSPIFFEID": f"spiffe://{domain}/spire/server"}
        and "x509-svid" in one.get("trustDomainBundle", "")
        and one["bundleEndpointURL"].endswith(f":{federation['bundleEndpoint']['port']}")
        for domain, one in peers.items()
    ]
    return (
        federation["enabled"]
        and federation["tls"]["spire"]["enabled"]
        and all(profiles)
        and set(peers) == named == admitted != set()
    )


@trap(
    lambda w: mesh(w)["caCertificates"][0].update(spiffeBundleUrl="https://spire.eu-central-1.example:8443"),
    lambda w: mesh(w).update(trustDomainAliases=["eu-central-1.example"]),
)
def istiod_fetches_no_bundle_and_knows_no_alias(w: World) -> bool:
    return not [one for one in mesh(w)["caCertificates"] if set(one) != {"trustDomains"}] and "trustDomainAliases" not in mesh(w)


@trap(
    lambda w: [one.inputs.update(protocol="TLS") for one in w.resources if one.name.endswith("bundle-listener")],
    lambda w: w.objects.remove(next(one for one in w.of("TargetGroupBinding") if one["metadata"]["namespace"] == "spire-server")),
)
def a_bundle_endpoint_is_behind_a_balancer_that_passes_its_tls_through(w: World) -> bool:
    balancers = {
        one["arn"]: one for one in ({"arn": f"{each.name}", **each.inputs} for each in w.resources if each.type == BALANCER)
    }
    listeners = [
        one.inputs
        for one in w.resources
        if one.type.endswith("lb/listener:Listener") and one.inputs["port"] == 8443 and "bundle" in one.name
    ]
    bound = [one for one in w.of("TargetGroupBinding") if one["metadata"]["namespace"] == SPIRE_SERVER_NAMESPACE]
    behind = [balancers[one["loadBalancerArn"].rsplit(":", 1)[1]] for one in listeners]
    return (
        {one["protocol"] for one in listeners} == {"TCP"}
        and {(one["loadBalancerType"], one["internal"]) for one in behind} == {("network", True)}
        and [one["spec"]["serviceRef"]["port"] for one in bound] == [w.at("spire", "spire-server/federation/bundleEndpoint/port")]
    )


@trap(
    lambda w: w.put("istio-cni", "ambient/enabled", value=True),
    lambda w: w.of("Namespace")[0]["metadata"]["labels"].update({"istio.io/dataplane-mode": "ambient"}),
    lambda w: w.values.update(ztunnel={}),
)
def no_pod_is_in_the_data_plane_without_sidecars(w: World) -> bool:
    labels = {label for one in w.objects for label in one["metadata"].get("labels", {})}
    ambient = {"istio.io/dataplane-mode", "istio.io/use-waypoint"} & labels
    return w.at("istio-cni", "ambient/enabled") is False and not ambient and "ztunnel" not in w.values


@trap(
    lambda w: w.put("spire", "spire-server/dataStore/sql/databaseType", "aws_postgresql"),
    lambda w: w.put("spire", "spire-server/dataStore/sql/rootCAPath", "/ca.crt"),
    lambda w: w.put("spire", "spire-server/keyManager/disk/enabled", value=True),
    lambda w: w.put("spire", "spire-server/keyManager/awsKMS/keyIdentifierValue", {"enabled": True}),
)
def three_servers_share_a_database_and_no_key(w: World) -> bool:
    server = w.at("spire", "spire-server")
    store, keys = server["dataStore"]["sql"], server["keyManager"]
    options = {key: value for one in store["options"] for key, value in one.items()}
    return (
        server["replicaCount"] >= 3
        and store["databaseType"] == "postgres"
        and not {"rootCAPath", "clientCertPath", "clientKeyPath"} & store.keys()
        and options["sslmode"] == "verify-full"
        and keys["disk"]["enabled"] is False
        and keys["awsKMS"].keys() & {"keyIdentifierFile", "keyIdentifierValue"} == {"keyIdentifierFile"}
    )
