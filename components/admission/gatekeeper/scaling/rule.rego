package sanescale

# A Scale is what `kubectl scale` and autoscalers write, beside the object itself.
spec := object.get(input.review.object, "spec", {})

violation contains {"msg": sprintf("%d replicas, at most %d", [wanted, input.parameters.maximum])} if {
	some field in ["replicas", "maxReplicas", "parallelism"]
	wanted := spec[field]
	wanted > input.parameters.maximum
}

violation contains {"msg": sprintf("minReplicas %v, at least 2", [least])} if {
	input.review.kind.kind == "HorizontalPodAutoscaler"
	least := object.get(spec, "minReplicas", 1)
	least < 2
}
