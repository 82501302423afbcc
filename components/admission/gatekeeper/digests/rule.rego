package pinnedimages

import data.lib.pods

# `installed`: what a pinned chart puts beside tenants' containers, by the tag it was released under.
violation contains {"msg": sprintf("%s %s: %s has no sha256 digest", [one.list, one.it.name, one.it.image])} if {
	some one in pods.containers
	not pods.digested(one.it.image)
	not one.it.image in input.parameters.installed
}
