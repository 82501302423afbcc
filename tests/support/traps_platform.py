"""Traps of networks, balancers, charts and their order, read like those of tests/support/traps_identity.py."""

import base64
from itertools import pairwise

from tests.support.charts import recorded, unknown
from tests.support.traps import (
    BALANCER,
    DELIVERS,
    RELEASE,
    World,
    databases,
    dependencies,
    give_a_role,
    holders,
    loosen,
    mesh,
    only_delivers,
    releases_by_cluster,
    told,
    trap,
)

KINDS_OF = {
    "argoproj.io": "argocd",
    "barmancloud.cnpg.io": "plugin-barman-cloud",
    "cert-manager.io": "cert-manager",
    "chaos-mesh.org": "chaos-mesh",
    "cilium.io": "cilium",
    "constraints.gatekeeper.sh": "gatekeeper",
    "elbv2.k8s.aws": "aws-load-balancer-controller",
    "externaldns.k8s.io": "external-dns",
    "monitoring.coreos.com": "prometheus-operator-crds",
    "networking.istio.io": "istio-base",
    "policies.kyverno.io": "kyverno",
    "postgresql.cnpg.io": "cloudnative-pg",
    "security.istio.io": "istio-base",
    "spire.spiffe.io": "spire-crds",
    "telemetry.istio.io": "istio-base",
    "templates.gatekeeper.sh": "gatekeeper",
    "velero.io": "velero",
}
"""API group → the release that brings its kinds."""
ORDER = ("prometheus-operator-crds", "cilium", "cert-manager", "cloudnative-pg", "spire-crds", "spire")
MESH = ("cilium", "istio-base", "istiod", "ingress-gateway")
SERVICE_ACCOUNTS = {
    ("kube-system", "cilium-operator"): ("cilium", None),
    ("kube-system", "aws-load-balancer-controller"): ("aws-load-balancer-controller", "serviceAccount/name"),
    ("external-dns", "external-dns"): ("external-dns", "serviceAccount/name"),
    ("spire-server", "spire-server"): ("spire", "spire-server/serviceAccount/name"),
    ("kube-system", "ebs-csi-controller-sa"): (None, None),
    ("arc-runners", "github-actions-runner"): ("runners", "template/spec/serviceAccountName"),
    ("observability", "audit-reader"): ("audit-reader", "serviceAccount/name"),
    ("observability", "loki"): ("loki", "serviceAccount/name"),
    ("observability", "tempo"): ("tempo", "serviceAccount/name"),
    ("trivy-system", "trivy-operator"): ("trivy-operator", "serviceAccount/name"),
    ("velero", "velero"): ("velero", "serviceAccount/server/name"),
}
"""Namespace and account of a pod identity → the release and the value that says the name; None where it is the add-on's own."""
CREDENTIAL_AGENT = "169.254.170.23/32"
OUTSIDE = "sidecar.istio.io/inject"
PAST = "traffic.sidecar.istio.io/excludeOutboundIPRanges"


@trap(
    lambda w: w.add("kubernetes:helm.sh/v4:Chart"),
    lambda w: w.add("kubernetes:yaml/v2:ConfigGroup"),
    lambda w: w.put("spire", "global/installAndUpgradeHooks/enabled", value=False),
)
def charts_are_releases_whose_hooks_run(w: World) -> bool:
    dead = ("kubernetes:helm.sh/v4", "kubernetes:helm.sh/v3:Chart", "kubernetes:helm.sh/v2", "kubernetes:yaml")
    hooks = {"installAndUpgradeHooks", "deleteHooks"} & w.at("spire", "global").keys()
    return not [one.type for one in w.resources if one.type.startswith(dead)] and not hooks


@trap(lambda w: loosen(w, RELEASE, "services-trust-domain-spire"), lambda w: loosen(w, RELEASE, "istio-istiod"))
def releases_follow_one_another_as_their_charts_need(w: World) -> bool:
    behind = dependencies(w)
    return all(
        releases[first] in behind[releases[second]]
        for releases in releases_by_cluster(w).values()
        for row in (ORDER, MESH, ("spire", "ingress-gateway"), ("spire", "eastwest-gateway"))
        for first, second in pairwise(row)
    )


@trap(
    lambda w: loosen(w, "kubernetes:spire.spiffe.io", ""),
    lambda w: loosen(w, "kubernetes:postgresql.cnpg.io", ""),
    lambda w: w.add("kubernetes:unheard.of/v1:Kind"),
)
def every_custom_object_waits_for_the_release_that_brings_its_kind(w: World) -> bool:
    brings = releases_by_cluster(w)
    behind = dependencies(w)
    builtin = {"apps", "batch", "core", "helm.sh", "policy"}
    served = {f"{name}.k8s.io" for name in ("admissionregistration", "networking", "rbac.authorization", "storage")}
    custom = [
        one
        for one in w.resources
        if one.type.startswith("kubernetes:") and one.type.split(":")[1].split("/")[0] not in builtin | served
    ]
    groups = {one.type.split(":")[1].split("/")[0] for one in custom}
    return groups <= KINDS_OF.keys() and all(
        brings[one.provider][KINDS_OF[one.type.split(":")[1].split("/")[0]]] in behind[one.name] for one in custom
    )


@trap(
    lambda w: loosen(w, "aws:eks/nodeGroup", ""),
    lambda w: [one.inputs.update(skipAwait=False) for one in w.resources if one.type == RELEASE],
    lambda w: loosen(w, "aws:eks/addon", "coredns"),
)
def nodes_wait_for_the_network_and_the_network_for_no_node(w: World) -> bool:
    behind, releases = dependencies(w), {one["cilium"] for one in releases_by_cluster(w).values()}
    nodes = {one.name for one in w.resources if one.type.startswith("aws:eks/nodeGroup")}
    dns = {one.name for one in w.resources if one.type.startswith("aws:eks/addon") and one.inputs.get("addonName") == "coredns"}
    unwaited = {one.name for one in w.resources if one.type == RELEASE and one.inputs["skipAwait"]}
    return (
        unwaited == releases
        and all(behind[name] & releases for name in nodes)
        and not any(behind[name] & nodes for name in releases)
        and all(behind[name] & nodes for name in dns)
        and w.at("cilium", "k8sServiceHost") != ""
    )


def node_data(w: World) -> list[str]:
    return [base64.b64decode(one["userData"]).decode() for one in w.inputs("aws:ec2/launchTemplate:LaunchTemplate")]


@trap(
    lambda w: w.put("cilium", "eni/awsEnablePrefixDelegation", value=True),
    lambda w: w.put("cilium", "encryption/type", "ipsec"),
    lambda w: w.change("aws:ec2/launchTemplate:LaunchTemplate", userData=base64.b64encode(b"max-pods = 110").decode()),
)
def nodes_hold_as_many_pods_as_their_interfaces_have_addresses(w: World) -> bool:
    limits = [text for text in node_data(w) if "max-pods" in text or "maxPods" in text]
    return (
        w.at("cilium", "eni/awsEnablePrefixDelegation") is False
        and w.at("cilium", "encryption/type") == "wireguard"
        and not limits
    )


@trap(
    lambda w: w.change("eks:index:Cluster", autoMode={"enabled": True}),
    lambda w: w.change("eks:index:Cluster", bootstrapSelfManagedAddons=True),
    lambda w: w.change("eks:index:Cluster", useDefaultVpcCni=False),
    lambda w: w.change("aws:eks/addon:Addon", addonName="vpc-cni"),
    lambda w: w.add("aws:eks/fargateProfile:FargateProfile"),
    lambda w: w.put("cilium", "gatewayAPI/enabled", value=True),
)
def no_second_network_stands_beside_cilium(w: World) -> bool:
    clusters = w.inputs("eks:index:Cluster")
    addons = {one["addonName"] for one in w.inputs("aws:eks/addon:Addon")}
    return (
        not [one for one in clusters if "autoMode" in one or "fargate" in one or one["bootstrapSelfManagedAddons"] is not False]
        # The component's word for "leave the plug-in alone".
        and all(one["useDefaultVpcCni"] is True for one in clusters)
        and not addons & {"vpc-cni", "kube-proxy"}
        and not w.inputs("aws:eks/fargateProfile:FargateProfile")
        and w.at("cilium", "gatewayAPI/enabled") is False
    )


@trap(
    lambda w: give_a_role(w, "bank-a", "api-ms"),
    lambda w: w.at("loki", "singleBinary/podAnnotations").pop(PAST),
    lambda w: w.at("audit-reader", "podAnnotations").update({PAST: "10.0.0.0/8"}),
    lambda w: [one["spec"].update(inheritedMetadata={}) for one in w.of("Cluster")],
)
def no_proxy_stands_between_a_pod_and_its_aws_credentials(w: World) -> bool:
    """The agent's address is in no registry: a pod that has a role has no proxy, or one that leaves the address alone."""
    meshed = {one["metadata"]["name"] for one in w.of("Namespace") if one["metadata"]["labels"]["istio-injection"] == "enabled"}
    inside = {place for place in holders(w) if place[0] in meshed}
    plain = {place for place, spec in databases(w).items() if told(spec["inheritedMetadata"], OUTSIDE) == {"false"}}
    past = {
        place
        for place in inside & SERVICE_ACCOUNTS.keys()
        if told(w.values[SERVICE_ACCOUNTS[place][0] or ""], PAST) == {CREDENTIAL_AGENT}
    }
    return bool(inside) and inside <= plain | past


@trap(
    lambda w: give_a_role(w, "kube-system", "other"),
    lambda w: w.put("spire", "spire-server/serviceAccount/name", "generated"),
    lambda w: w.put("loki", "serviceAccount/name", "generated"),
    lambda w: [one["metadata"].update(name="renamed") for one in w.of("Cluster")],
    lambda w: [one["spec"]["jobTemplate"]["spec"]["template"]["spec"].pop("serviceAccountName") for one in w.of("CronJob")],
)
def a_role_and_its_pods_agree_on_the_account(w: World) -> bool:
    named = {
        place: account == (w.at(release, path) if path else account)
        for place, (release, path) in SERVICE_ACCOUNTS.items()
        for account in [place[1]]
    }
    archived = {place for place, spec in databases(w).items() if spec.get("plugins")}
    pods = [(one["metadata"]["namespace"], one["spec"]["jobTemplate"]["spec"]["template"]["spec"]) for one in w.of("CronJob")]
    jobs = {(namespace, spec.get("serviceAccountName", "")) for namespace, spec in pods}
    return SERVICE_ACCOUNTS.keys() | archived <= holders(w) <= SERVICE_ACCOUNTS.keys() | archived | jobs and all(named.values())


@trap(
    lambda w: [one["spec"].pop("egress") for one in w.of("CiliumNetworkPolicy") if one["metadata"]["name"] == "issuer-keys"],
    lambda w: [
        rule.update(jwksUri="https://other.example/keys")
        for one in w.of("RequestAuthentication")
        for rule in one["spec"]["jwtRules"]
    ],
)
def istiod_may_ask_for_the_issuers_keys(w: World) -> bool:
    uris = {rule["jwksUri"].split("/")[2] for one in w.of("RequestAuthentication") for rule in one["spec"]["jwtRules"]}
    opened = {
        name["matchName"]
        for one in w.of("CiliumNetworkPolicy")
        if one["metadata"]["namespace"] == "istio-system"
        for rule in one["spec"].get("egress", ())
        for name in rule.get("toFQDNs", ())
    }
    return opened == uris != set()


@trap(
    lambda w: w.add("aws:apigatewayv2/api:Api"),
    lambda w: w.resources.remove(next(one for one in w.resources if one.type.endswith("WebAclAssociation"))),
)
def every_public_way_in_is_of_a_kind_that_a_web_acl_covers(w: World) -> bool:
    public = {
        one["arn"]
        for one in ({"arn": one.name, **one.inputs} for one in w.resources if one.type == BALANCER)
        if not one["internal"]
    }
    covered = {one["resourceArn"].rsplit(":", 1)[1] for one in w.inputs("aws:wafv2/webAclAssociation:WebAclAssociation")}
    return public == covered != set() and not w.inputs("aws:apigatewayv2/api:Api")


@trap(
    lambda w: [one.inputs.pop("sslPolicy", None) for one in w.resources if one.name.endswith("mesh-https")],
    lambda w: [
        one.inputs.update(sslPolicy="ELBSecurityPolicy-2016-08") for one in w.resources if one.name.endswith("front-health")
    ],
)
def every_https_listener_names_a_policy_with_tls_1_3(w: World) -> bool:
    listeners = [one for one in w.inputs("aws:lb/listener:Listener") if one["protocol"] in {"HTTPS", "TLS"}]
    return bool(listeners) and all(one.get("sslPolicy", "").startswith("ELBSecurityPolicy-TLS13-1-") for one in listeners)


@trap(
    lambda w: w.add("kubernetes:networking.k8s.io/v1:Ingress"),
    lambda w: w.objects.append({"kind": "RoleBinding", "metadata": {"name": "a", "namespace": "bank-a"}}),
    lambda w: [one["rules"][0]["resources"].append("services") for one in w.of("Role") if one["metadata"]["name"] in DELIVERS],
    lambda w: w.of("ClusterRoleBinding")[0]["subjects"][0].update(namespace="bank-a"),
    lambda w: w.of("TargetGroupBinding")[0]["metadata"].update(namespace="bank-a"),
    lambda w: w.put("aws-load-balancer-controller", "createIngressClassResource", value=True),
    lambda w: w.put("aws-load-balancer-controller", "webhookConfig/ingressValdationFailurePolicy", "Ignore"),
)
def no_tenant_changes_a_load_balancer(w: World) -> bool:
    values = w.values["aws-load-balancer-controller"]
    tenants = {one["metadata"]["name"] for one in w.of("Namespace") if "zerotrust.dev/tenant" in one["metadata"]["labels"]}
    bindings = [one for kind in ("RoleBinding", "ClusterRoleBinding") for one in w.of(kind)]
    rights = [
        one
        for one in (*bindings, *w.of("Role"))
        if (
            one["metadata"].get("namespace") in tenants
            or any(each["kind"] != "ServiceAccount" or each["namespace"] in tenants for each in one.get("subjects", ()))
        )
        and not only_delivers(one)
    ]
    return (
        bool(tenants)
        and not rights
        and not tenants & {one["metadata"]["namespace"] for one in w.of("TargetGroupBinding")}
        and not [one for one in w.resources if one.type.endswith((":Ingress", ":IngressClass", ":IngressClassParams"))]
        and values["createIngressClassResource"] is values["ingressClassParams"]["create"] is False
        and values["disableIngressClassAnnotation"] is values["disableIngressGroupNameAnnotation"] is True
        and values["webhookConfig"]["ingressValdationFailurePolicy"] == "Fail"
    )


@trap(lambda w: w.add("aws:shield/protection:Protection"))
def shield_advanced_is_bought_by_nobody_who_did_not_ask(w: World) -> bool:
    return not [one for one in w.resources if one.type.startswith("aws:shield/")]


@trap(
    lambda w: w.put("istiod", "env/PILOT_ENABLE_GATEWAY_API", "true"),
    lambda w: w.add("kubernetes:gateway.networking.k8s.io/v1:Gateway"),
    lambda w: w.values.pop("egress-gateway"),
)
def gateways_are_the_charts_own(w: World) -> bool:
    """A gateway that istiod made itself would have an empty folder for a socket in 1.30."""
    env = w.at("istiod", "env")
    off = {env["PILOT_ENABLE_GATEWAY_API"], env["PILOT_ENABLE_GATEWAY_API_DEPLOYMENT_CONTROLLER"]} == {"false"}
    api = [one for one in w.resources if "gateway.networking.k8s.io" in one.type]
    return off and not api and {"ingress-gateway", "egress-gateway", "eastwest-gateway"} <= w.values.keys()


@trap(
    lambda w: [
        one["envoyFileAccessLog"]["logFormat"]["labels"].pop("upstream")
        for one in mesh(w)["extensionProviders"]
        if "envoyFileAccessLog" in one
    ]
)
def every_line_of_the_access_log_names_both_ends(w: World) -> bool:
    (log,) = (
        one["envoyFileAccessLog"]["logFormat"]["labels"] for one in mesh(w)["extensionProviders"] if "envoyFileAccessLog" in one
    )
    return {"%DOWNSTREAM_PEER_URI_SAN%", "%UPSTREAM_PEER_URI_SAN%"} <= set(log.values())


@trap(
    lambda w: w.put("cilium", "authentication/enabled", value=True),
    lambda w: w.put("cilium", "authentication/mutual", {"spire": {"enabled": True}}),
)
def cilium_identifies_nobody_by_its_own_handshake(w: World) -> bool:
    return bool(w.at("cilium", "authentication") == {"enabled": False})


@trap(
    lambda w: w.put("istiod", "pilot/autoscaleMin", 3),
    lambda w: w.put("spire", "spire-server/datastore/sql/databaseType", "postgres"),
    lambda w: w.put("cilium", "encryption/strictMode/enabled", value=True),
    lambda w: w.put("ingress-gateway", "replicas", 3),
)
def every_value_of_every_release_is_one_its_chart_takes(w: World) -> bool:
    wrong = [
        path
        for release, values in w.values.items()
        for path in unknown(w.charts[release], values)
        # An empty map sets nothing.
        if not any(known.startswith(f"{path}.") for known in recorded(w.charts[release])[1])
    ]
    return not wrong


@trap(
    lambda w: w.put("metrics-server", "tls/type", "helm"),
    lambda w: w.put("cilium", "hubble/tls/auto/method", "helm"),
    lambda w: w.put("aws-load-balancer-controller", "enableCertManager", value=False),
)
def no_release_makes_keys_anew_whenever_it_is_rendered(w: World) -> bool:
    return (
        w.at("metrics-server", "tls/type") == "cert-manager"
        and w.at("cilium", "hubble/tls/auto/method") == "cronJob"
        and w.at("aws-load-balancer-controller", "enableCertManager") is True
    )
