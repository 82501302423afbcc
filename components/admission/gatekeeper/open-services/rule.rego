package noopenservices

spec := input.review.object.spec

violation contains {"msg": sprintf("type %s", [spec.type])} if {
	spec.type in {"LoadBalancer", "NodePort", "ExternalName"}
}

violation contains {"msg": sprintf("%s is set", [field])} if {
	some field in ["externalIPs", "externalName", "loadBalancerIP", "loadBalancerClass"]
	not object.get(spec, field, "") in ["", []]
}

violation contains {"msg": sprintf("port %v has a node port", [port.port])} if {
	some port in object.get(spec, "ports", [])
	object.get(port, "nodePort", 0) != 0
}
