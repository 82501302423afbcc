package namedcallers

spec := object.get(input.review.object, "spec", {})

allows if object.get(spec, "action", "ALLOW") == "ALLOW"

violation contains {"msg": sprintf("rule %d names no caller", [at])} if {
	allows
	some at, rule in object.get(spec, "rules", [])
	count(object.get(rule, "from", [])) == 0
}

violation contains {"msg": sprintf("rule %d: a source without principals", [at])} if {
	allows
	some at, rule in object.get(spec, "rules", [])
	some caller in rule.from
	count(object.get(object.get(caller, "source", {}), "principals", [])) == 0
}

violation contains {"msg": sprintf("rule %d: principal %s", [at, principal])} if {
	allows
	some at, rule in object.get(spec, "rules", [])
	some caller in rule.from
	some principal in caller.source.principals
	not regex.match(`^[a-z0-9.-]+/ns/[a-z0-9-]+/sa/[a-z0-9-]+$`, principal)
}
