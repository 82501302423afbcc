package nohostnamespaces

import data.lib.pods

violation contains {"msg": sprintf("%s is true", [field])} if {
	not pods.excepted
	some field in ["hostNetwork", "hostPID", "hostIPC"]
	object.get(pods.spec, field, false) == true
}

violation contains {"msg": sprintf("%s %s: host port %v", [one.list, one.it.name, port.hostPort])} if {
	not pods.excepted
	some one in pods.containers
	some port in object.get(one.it, "ports", [])
	object.get(port, "hostPort", 0) != 0
}
