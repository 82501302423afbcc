package bounded

import data.lib.pods

# The API server admits no resources of an ephemeral container.
counted contains one if {
	some one in pods.containers
	one.list != "ephemeralContainers"
}

needed := [["requests", "cpu"], ["requests", "memory"], ["limits", "memory"]]

violation contains {"msg": sprintf("%s %s: no %s of %s", [one.list, one.it.name, path[0], path[1]])} if {
	some one in counted
	some path in needed
	object.get(one.it, ["resources", path[0], path[1]], null) == null
}

violation contains {"msg": sprintf("%s %s: memory limit %v", [one.list, one.it.name, limit])} if {
	some one in counted
	limit := one.it.resources.limits.memory
	not pods.mebibytes(limit) <= input.parameters.memoryMaximumMebibytes
}
