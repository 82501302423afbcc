package nonroot

import data.lib.pods

violation contains {"msg": sprintf("%s %s: say runAsNonRoot true", [one.list, one.it.name])} if {
	not pods.excepted
	some one in pods.containers
	not pods.effective(one.it, "runAsNonRoot") == true
}

violation contains {"msg": sprintf("%s %s: %s is 0", [one.list, one.it.name, field])} if {
	not pods.excepted
	some one in pods.containers
	some field in ["runAsUser", "runAsGroup"]
	pods.effective(one.it, field) == 0
}

violation contains {"msg": "fsGroup is 0"} if {
	not pods.excepted
	pods.spec.securityContext.fsGroup == 0
}

violation contains {"msg": "supplementalGroups has 0"} if {
	not pods.excepted
	0 in pods.spec.securityContext.supplementalGroups
}
