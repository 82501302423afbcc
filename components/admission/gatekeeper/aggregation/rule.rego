package noaggregation

metadata := input.review.object.metadata

violation contains {"msg": sprintf("label %s", [label])} if {
	some label, value in object.get(metadata, "labels", {})
	startswith(label, "rbac.authorization.k8s.io/aggregate-to-")
	value == "true"
	not kubernetes_own
	not reading
}

kubernetes_own if metadata.name in {
	"admin", "edit", "view", "system:aggregate-to-admin", "system:aggregate-to-edit", "system:aggregate-to-view",
}

# Some charts have no switch for it: what they add is reading, of their own group and nothing else.
reading if {
	some one in input.parameters.reading
	one.name == metadata.name
	every rule in input.review.object.rules {
		rule.apiGroups == [one.group]
		every verb in rule.verbs { verb in {"get", "list", "watch"} }
	}
}
