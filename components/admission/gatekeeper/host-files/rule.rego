package nohostfiles

import data.lib.pods

harmless := {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}

violation contains {"msg": sprintf("volume %s: %s", [volume.name, source])} if {
	some volume in object.get(pods.spec, "volumes", [])
	some source in object.keys(volume) - {"name"}
	not source in harmless
}

violation contains {"msg": sprintf("volume %s: driver %s", [volume.name, volume.csi.driver])} if {
	some volume in object.get(pods.spec, "volumes", [])
	not volume.csi.driver in input.parameters.csiDrivers
}

violation contains {"msg": sprintf("%s %s: a raw device", [one.list, one.it.name])} if {
	some one in pods.containers
	count(object.get(one.it, "volumeDevices", [])) > 0
}

# Bidirectional mounts appear on the node; a path from a variable is known only when the container starts.
violation contains {"msg": sprintf("%s %s: mount %s", [one.list, one.it.name, mount.mountPath])} if {
	some one in pods.containers
	some mount in object.get(one.it, "volumeMounts", [])
	object.get(mount, "mountPropagation", "None") == "Bidirectional"
}
