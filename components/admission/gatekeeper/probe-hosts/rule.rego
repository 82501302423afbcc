package noprobehosts

import data.lib.pods

handlers contains {"where": sprintf("%s %s %s", [one.list, one.it.name, probe]), "it": handler} if {
	some one in pods.containers
	some probe in ["readinessProbe", "livenessProbe", "startupProbe"]
	handler := one.it[probe]
}

handlers contains {"where": sprintf("%s %s %s", [one.list, one.it.name, hook]), "it": handler} if {
	some one in pods.containers
	some hook in ["postStart", "preStop"]
	handler := one.it.lifecycle[hook]
}

violation contains {"msg": sprintf("%s: host %s", [one.where, host])} if {
	some one in handlers
	some kind in ["httpGet", "tcpSocket"]
	host := one.it[kind].host
	host != ""
	not own(host)
}

# The kubelet asks from the node: its loopback is the pod's own only where the pod shares the node's network.
own(host) if {
	host in input.parameters.loopback
	pods.spec.hostNetwork == true
}
