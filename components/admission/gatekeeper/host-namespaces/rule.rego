package nohostnamespaces

import data.lib.pods

violation contains {"msg": sprintf("%s is true", [field])} if {
	some field in ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"]
	object.get(pods.spec, field, false) == true
}

violation contains {"msg": sprintf("%s %s: host port %v", [one.list, one.it.name, port.hostPort])} if {
	some one in pods.containers
	some port in object.get(one.it, "ports", [])
	object.get(port, "hostPort", 0) != 0
}
