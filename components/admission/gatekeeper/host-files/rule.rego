package nohostfiles

import data.lib.pods

harmless := {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}

violation contains {"msg": sprintf("volume %s: %s", [volume.name, what(volume, source)])} if {
	some volume in object.get(pods.spec, "volumes", [])
	some source in object.keys(volume) - {"name"}
	not source in harmless
	not given(volume, source)
}

what(volume, source) := sprintf("hostPath %s", [volume.hostPath.path]) if source == "hostPath"

what(_, source) := source if source != "hostPath"

# How the pod's account may mount the volume's folder: by its exact path, as the settings spell it.
access(volume) := {one.access |
	some one in input.parameters.paths
	one.namespace == pods.namespace
	one.account == pods.account
	one.path == volume.hostPath.path
}

given(volume, "hostPath") if access(volume) & {"share", "write"} != set()

given(volume, "hostPath") if {
	"read" in access(volume)
	not written(volume)
}

written(volume) if {
	some one in pods.containers
	some mount in object.get(one.it, "volumeMounts", [])
	mount.name == volume.name
	not object.get(mount, "readOnly", false) == true
}

violation contains {"msg": sprintf("volume %s: driver %s", [volume.name, volume.csi.driver])} if {
	some volume in object.get(pods.spec, "volumes", [])
	not volume.csi.driver in input.parameters.csiDrivers
}

violation contains {"msg": sprintf("%s %s: a raw device", [one.list, one.it.name])} if {
	some one in pods.containers
	count(object.get(one.it, "volumeDevices", [])) > 0
}

# What a bidirectional mount holds appears on the node.
violation contains {"msg": sprintf("%s %s: mount %s", [one.list, one.it.name, mount.mountPath])} if {
	some one in pods.containers
	some mount in object.get(one.it, "volumeMounts", [])
	object.get(mount, "mountPropagation", "None") == "Bidirectional"
	not shared(mount.name)
}

shared(name) if {
	some volume in pods.spec.volumes
	volume.name == name
	"share" in access(volume)
}
