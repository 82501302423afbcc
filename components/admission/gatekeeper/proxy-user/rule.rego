package noproxyuser

import data.lib.pods

violation contains {"msg": sprintf("%s %s: %s %d is the proxy's", [one.list, one.it.name, field, input.parameters.user])} if {
	some one in pods.containers
	not one.it.name in input.parameters.proxies
	some field in ["runAsUser", "runAsGroup"]
	pods.effective(one.it, field) == input.parameters.user
}
