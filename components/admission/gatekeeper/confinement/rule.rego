package confined

import data.lib.pods

violation contains {"msg": sprintf("%s %s: seccomp RuntimeDefault or Localhost", [one.list, one.it.name])} if {
	not pods.excepted
	some one in pods.containers
	not filtered(one.it)
}

filtered(container) if {
	profile := pods.effective(container, "seccompProfile")
	profile.type in {"RuntimeDefault", "Localhost"}
}

violation contains {"msg": sprintf("%s %s: AppArmor unconfined", [one.list, one.it.name])} if {
	not pods.excepted
	some one in pods.containers
	pods.effective(one.it, "appArmorProfile").type == "Unconfined"
}

violation contains {"msg": sprintf("annotation %s", [key])} if {
	not pods.excepted
	some key, value in object.get(pods.metadata, "annotations", {})
	startswith(key, "container.apparmor.security.beta.kubernetes.io/")
	value == "unconfined"
}

# What a gateway listens on below 1024 is its own network namespace's, and spares it a capability.
violation contains {"msg": sprintf("sysctl %s", [one.name])} if {
	not pods.excepted
	some one in pods.spec.securityContext.sysctls
	one.name != "net.ipv4.ip_unprivileged_port_start"
}
