package readonlyroot

import data.lib.pods

violation contains {"msg": sprintf("%s %s: say readOnlyRootFilesystem true", [one.list, one.it.name])} if {
	some one in pods.containers
	not pods.own(one.it, "readOnlyRootFilesystem") == true
}
