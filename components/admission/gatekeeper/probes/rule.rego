package probed

import data.lib.pods

# A pod that is to end (a job's) is judged by its end.
violation contains {"msg": sprintf("containers %s: no %s", [container.name, probe])} if {
	object.get(pods.spec, "restartPolicy", "Always") == "Always"
	some container in object.get(pods.spec, "containers", [])
	some probe in ["readinessProbe", "livenessProbe"]
	not container[probe]
}

# The platform's helpers serve nobody: the application starts, or answers, once they have done their part.
violation contains {"msg": sprintf("initContainers %s: lasts without a readinessProbe", [container.name])} if {
	some container in object.get(pods.spec, "initContainers", [])
	object.get(container, "restartPolicy", "") == "Always"
	not container.readinessProbe
	not pods.repository(object.get(container, "image", "")) in input.parameters.helpers
}
