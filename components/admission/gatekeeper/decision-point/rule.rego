package decisionpoint

import data.lib.pods

# Stores stand outside the mesh and are no service; who is neither, Registered refuses.
expected := service if {
	some service in input.parameters.services
	service.account == pods.account
}

own(one) if {
	one.list == "containers"
	one.it.name == input.parameters.name
}

deciders contains one.it if {
	some one in pods.containers
	own(one)
}

others contains one if {
	some one in pods.containers
	not own(one)
}

volumes := object.get(pods.spec, "volumes", [])

# Said exactly, or nothing that changes what is decided. Every other field has a process do something else, or something more.
judged := {"name", "image", "args", "env", "volumeMounts", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle"}

free := {
	"imagePullPolicy", "ports", "resizePolicy", "resources", "securityContext",
	"terminationMessagePath", "terminationMessagePolicy",
}

violation contains {"msg": sprintf("no container %s", [input.parameters.name])} if {
	expected
	count(deciders) != 1
}

violation contains {"msg": sprintf("%s %s: not where it decides", [one.list, one.it.name])} if {
	expected
	some one in others
	one.it.name == input.parameters.name
}

# A second one could be asked in the first one's stead: containers of a pod share loopback.
violation contains {"msg": sprintf("%s %s: a second %s", [one.list, one.it.name, input.parameters.name])} if {
	expected
	some one in others
	pods.repository(one.it.image) == pods.repository(input.parameters.image)
}

# Its processes and, through them, its files.
violation contains {"msg": sprintf("%s %s: enters %s", [one.list, one.it.name, input.parameters.name])} if {
	expected
	some one in others
	object.get(one.it, "targetContainerName", "") == input.parameters.name
}

violation contains {"msg": sprintf("image %s", [object.get(container, "image", "unsaid")])} if {
	expected
	some container in deciders
	object.get(container, "image", "") != input.parameters.image
}

violation contains {"msg": "arguments that are not the declared ones"} if {
	some container in deciders
	object.get(container, "args", []) != expected.arguments
}

violation contains {"msg": "variables that are not the declared ones"} if {
	some container in deciders
	object.get(container, "env", []) != expected.variables
}

violation contains {"msg": sprintf("field %s", [field])} if {
	expected
	some container in deciders
	some field in object.keys(container)
	not field in judged
	not field in free
}

violation contains {"msg": sprintf("%s: a command", [field])} if {
	expected
	some container in deciders
	some field in ["livenessProbe", "readinessProbe", "startupProbe"]
	container[field].exec
}

violation contains {"msg": "lifecycle: more than a wait before the end"} if {
	expected
	some container in deciders
	lifecycle := object.get(container, "lifecycle", waiting)
	not waits(lifecycle)
}

waiting := {"preStop": {"sleep": {}}}

waits(lifecycle) if {
	object.keys(lifecycle) == object.keys(waiting)
	object.keys(lifecycle.preStop) == object.keys(waiting.preStop)
}

# Unsaid is true: a variable of every container for every Service of the namespace.
violation contains {"msg": "say enableServiceLinks false"} if {
	expected
	object.get(pods.spec, "enableServiceLinks", true) != false
}

violation contains {"msg": "mounts that are not the declared ones"} if {
	expected
	some container in deciders
	said := {object.union({"readOnly": false}, mount) | some mount in object.get(container, "volumeMounts", [])}
	said != {mount | some mount in expected.mounts}
}

violation contains {"msg": sprintf("volume %s is not ConfigMap %s", [declared.volume, declared.name])} if {
	some declared in expected.configMaps
	not config_map(declared)
}

config_map(declared) if {
	some volume in volumes
	volume.name == declared.volume
	source := volume.configMap
	object.keys(source) - {"name", "optional", "defaultMode"} == set()
	source.name == declared.name
	object.get(source, "optional", false) == false
}

violation contains {"msg": sprintf("volume %s is no empty directory", [name])} if {
	some name in expected.empty
	not empty(name)
}

empty(name) if {
	some volume in volumes
	volume.name == name
	volume.emptyDir
}

violation contains {"msg": sprintf("%s %s: volume %s is for %s alone", [one.list, one.it.name, name, input.parameters.name])} if {
	some one in others
	name := one.it.volumeMounts[_].name
	name in {declared.name | some declared in expected.mounts}
}
