package noescalatingrights

it := input.review.object

given contains rule if some rule in object.get(it, "rules", [])

violation contains {"msg": sprintf("%s has a wildcard", [field])} if {
	some rule in given
	some field in ["verbs", "resources", "apiGroups"]
	some value in object.get(rule, field, [])
	contains(value, "*")
}

violation contains {"msg": sprintf("verb %s", [verb])} if {
	some rule in given
	some verb in object.get(rule, "verbs", [])
	lower(verb) in {"bind", "escalate", "impersonate"}
	not acting(rule)
}

# Acting as the one account that writes what a repository says: exactly it, and nothing beside it.
acting(rule) if {
	rule.verbs == ["impersonate"]
	rule.apiGroups == [""]
	rule.resources == ["serviceaccounts"]
	rule.resourceNames == [input.parameters.writer]
}

interactive := {
	"pods/exec", "pods/attach", "pods/portforward", "pods/proxy", "services/proxy",
	"pods/ephemeralcontainers", "serviceaccounts/token",
}

violation contains {"msg": sprintf("resource %s", [resource])} if {
	some rule in given
	some resource in object.get(rule, "resources", [])
	resource in interactive
}

violation contains {"msg": sprintf("a binding to the cluster's role %s", [it.roleRef.name])} if {
	it.roleRef.kind == "ClusterRole"
}
