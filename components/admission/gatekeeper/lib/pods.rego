# What every rule over pods reads: the containers of all three lists, and who a container is.
package lib.pods

spec := input.review.object.spec

namespace := input.review.namespace

metadata := object.get(input.review.object, "metadata", {})

account := object.get(spec, "serviceAccountName", "default")

# An account of the platform to which the settings say that the control does not apply.
excepted if {
	some one in input.parameters.accounts
	one.namespace == namespace
	one.account == account
}

# name -> container is no key: an init and an ephemeral container may share one.
containers contains {"list": list, "it": container} if {
	some list in ["containers", "initContainers", "ephemeralContainers"]
	some container in object.get(spec, list, [])
}

# What runs as long as the pod does: the containers, and initial ones that are restarted (native sidecars).
lasting contains container if {
	some container in object.get(spec, "containers", [])
}

lasting contains container if {
	some container in object.get(spec, "initContainers", [])
	object.get(container, "restartPolicy", "") == "Always"
}

# A container's own word counts before the pod's; without either, null.
effective(container, field) := value if {
	value := container.securityContext[field]
} else := value if {
	value := spec.securityContext[field]
} else := null

own(container, field) := object.get(object.get(container, "securityContext", {}), field, null)

# The repository of an image: without digest, and without the tag behind the last slash.
repository(image) := name if {
	bare := split(image, "@")[0]
	parts := split(bare, "/")
	last := split(parts[count(parts) - 1], ":")[0]
	name := concat("/", array.concat(array.slice(parts, 0, count(parts) - 1), [last]))
}

digested(image) if regex.match(`^[^@\s]+@sha256:[0-9a-f]{64}$`, image)

# "256Mi" -> mebibytes; bytes without a unit too. Undefined for what no memory limit should be spelt like.
mebibytes(quantity) := units.parse_bytes(format_int_or_text(quantity)) / 1048576

format_int_or_text(quantity) := quantity if is_string(quantity)

format_int_or_text(quantity) := sprintf("%d", [quantity]) if is_number(quantity)
