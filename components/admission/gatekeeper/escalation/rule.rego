package noprivilegeescalation

import data.lib.pods

# Left out it is allowed: only the word false counts.
violation contains {"msg": sprintf("%s %s: say allowPrivilegeEscalation false", [one.list, one.it.name])} if {
	not pods.excepted
	some one in pods.containers
	not pods.own(one.it, "allowPrivilegeEscalation") == false
}
