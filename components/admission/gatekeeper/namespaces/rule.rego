package guardednamespaces

name := input.review.object.metadata.name

labels := object.get(input.review.object.metadata, "labels", {})

platform if name in input.parameters.platform

violation contains {"msg": "label pod-security.kubernetes.io/enforce must be restricted"} if {
	not platform
	object.get(labels, "pod-security.kubernetes.io/enforce", "") != "restricted"
}

violation contains {"msg": "label istio-injection must be enabled"} if {
	not platform
	object.get(labels, "istio-injection", "") != "enabled"
}

violation contains {"msg": sprintf("label %s must be the namespace's own name", [input.parameters.tenant])} if {
	said := labels[input.parameters.tenant]
	said != name
}

violation contains {"msg": sprintf("label %s on a namespace of the platform", [input.parameters.tenant])} if {
	platform
	labels[input.parameters.tenant]
}
