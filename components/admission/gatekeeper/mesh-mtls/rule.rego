package strictmtls

spec := object.get(input.review.object, "spec", {})

peer if input.review.kind.kind == "PeerAuthentication"

violation contains {"msg": sprintf("mtls mode %s", [mode])} if {
	peer
	mode := object.get(spec, ["mtls", "mode"], "UNSET")
	mode != "STRICT"
}

violation contains {"msg": sprintf("port %s: mtls mode %s", [port, mode])} if {
	peer
	some port, wanted in object.get(spec, "portLevelMtls", {})
	mode := object.get(wanted, "mode", "UNSET")
	mode != "STRICT"
}

# The caller's side: what a DestinationRule says of TLS inside the mesh takes the identity away.
violation contains {"msg": sprintf("client TLS mode %s", [mode])} if {
	input.review.kind.kind == "DestinationRule"
	[path, mode] := walk(spec)
	array.slice(path, count(path) - 2, count(path)) == ["tls", "mode"]
	mode != "ISTIO_MUTUAL"
	inside(object.get(spec, "host", ""))
}

# Every spelling of a host of the mesh: in full, short, by pattern, and the one that stands for every region.
inside(host) if not contains(host, ".")

inside(host) if startswith(host, "*")

inside(host) if {
	some tail in [".local", ".svc", ".mesh.internal"]
	endswith(lower(trim_suffix(host, ".")), tail)
}
