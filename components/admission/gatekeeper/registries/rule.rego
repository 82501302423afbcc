package declaredimages

import data.lib.pods

# A store stands outside the mesh, and its account has rights: what runs under it is the store's own.
store if {
	some one in input.parameters.stores
	one.account == pods.account
}

declared contains repository if {
	not store
	some repository in input.parameters.repositories
}

declared contains repository if {
	some one in input.parameters.stores
	one.account == pods.account
	some repository in one.repositories
}

# Whole names are compared: a prefix or a suffix of one is somebody else's.
violation contains {"msg": sprintf("%s %s: %s is not declared", [one.list, one.it.name, one.it.image])} if {
	some one in pods.containers
	not pods.repository(one.it.image) in declared
}
