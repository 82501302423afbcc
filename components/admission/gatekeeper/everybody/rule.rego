package norightsforeverybody

it := input.review.object

crowds := {"system:authenticated", "system:unauthenticated", "system:serviceaccounts", "system:anonymous", "system:masters"}

# Kubernetes' own discovery roles, made by the API server under these names.
own := {"system:basic-user", "system:discovery", "system:public-info-viewer", "system:service-account-issuer-discovery", "cluster-admin"}

violation contains {"msg": sprintf("rights for %s", [subject.name])} if {
	some subject in object.get(it, "subjects", [])
	subject.name in crowds
	not builtin
}

builtin if {
	input.review.kind.kind == "ClusterRoleBinding"
	it.metadata.name in own
	it.roleRef.name == it.metadata.name
}

violation contains {"msg": sprintf("the whole cluster for %s", [subject.name])} if {
	it.roleRef.name == "cluster-admin"
	some subject in object.get(it, "subjects", [])
	not builtin
}
