package noaggregation

metadata := input.review.object.metadata

violation contains {"msg": sprintf("label %s", [label])} if {
	some label, value in object.get(metadata, "labels", {})
	startswith(label, "rbac.authorization.k8s.io/aggregate-to-")
	value == "true"
	not kubernetes_own
}

kubernetes_own if metadata.name in {
	"admin", "edit", "view", "system:aggregate-to-admin", "system:aggregate-to-edit", "system:aggregate-to-view",
}
