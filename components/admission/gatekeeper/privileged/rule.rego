package noprivileged

import data.lib.pods

violation contains {"msg": sprintf("%s %s: privileged", [one.list, one.it.name])} if {
	not pods.excepted
	some one in pods.containers
	pods.own(one.it, "privileged") == true
}

violation contains {"msg": sprintf("%s %s: procMount %s", [one.list, one.it.name, mount])} if {
	not pods.excepted
	some one in pods.containers
	mount := pods.own(one.it, "procMount")
	mount != null
	mount != "Default"
}

violation contains {"msg": sprintf("%s %s: a Windows host process", [one.list, one.it.name])} if {
	not pods.excepted
	some one in pods.containers
	options := pods.effective(one.it, "windowsOptions")
	options != null
	object.get(options, "hostProcess", false) == true
}
