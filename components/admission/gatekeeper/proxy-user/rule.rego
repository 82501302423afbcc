package noproxyuser

import data.lib.pods

# A name alone is anybody's: the proxy is an initial container of the proxy's own image.
proxy(one) if {
	one.list == "initContainers"
	one.it.name in input.parameters.proxies
	one.it.image == input.parameters.image
}

violation contains {"msg": sprintf("%s %s: %s %d is the proxy's", [one.list, one.it.name, field, input.parameters.user])} if {
	some one in pods.containers
	not proxy(one)
	some field in ["runAsUser", "runAsGroup"]
	pods.effective(one.it, field) == input.parameters.user
}

# A group that a process may turn to.
violation contains {"msg": sprintf("fsGroup %d is the proxy's", [input.parameters.user])} if {
	pods.spec.securityContext.fsGroup == input.parameters.user
}

violation contains {"msg": sprintf("supplementalGroups has the proxy's %d", [input.parameters.user])} if {
	input.parameters.user in pods.spec.securityContext.supplementalGroups
}
