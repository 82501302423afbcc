package nocapabilities

import data.lib.pods

violation contains {"msg": sprintf("%s %s: drop ALL", [one.list, one.it.name])} if {
	not pods.excepted
	some one in pods.containers
	not dropped(one.it)
}

dropped(container) if "ALL" in container.securityContext.capabilities.drop

violation contains {"msg": sprintf("%s %s: adds %s", [one.list, one.it.name, added])} if {
	not pods.excepted
	some one in pods.containers
	some added in one.it.securityContext.capabilities.add
}
