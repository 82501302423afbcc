package declaredimages

import data.lib.pods

# Whole names are compared: a prefix or a suffix of one is somebody else's.
violation contains {"msg": sprintf("%s %s: %s is not declared", [one.list, one.it.name, one.it.image])} if {
	some one in pods.containers
	not pods.repository(one.it.image) in input.parameters.repositories
}
