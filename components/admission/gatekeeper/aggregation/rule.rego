package noaggregation

metadata := input.review.object.metadata

violation contains {"msg": sprintf("label %s", [label])} if {
	some label, value in object.get(metadata, "labels", {})
	startswith(label, "rbac.authorization.k8s.io/aggregate-to-")
	value == "true"
	not kubernetes_own
	not measured
}

kubernetes_own if metadata.name in {
	"admin", "edit", "view", "system:aggregate-to-admin", "system:aggregate-to-edit", "system:aggregate-to-view",
}

# metrics-server's chart adds the reading of what pods use, and has no switch for it.
measured if {
	metadata.name == "system:metrics-server-aggregated-reader"
	every rule in input.review.object.rules {
		rule.apiGroups == ["metrics.k8s.io"]
		every verb in rule.verbs { verb in {"get", "list", "watch"} }
	}
}
