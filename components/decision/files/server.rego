# METADATA
# title: Nobody talks to this OPA's own API
# description: |
#   The API listens on a socket that only this container mounts, and refuses everything all the same: whoever could write
#   data or policy here would decide for the workload. Envoy's gRPC port is not part of the API.
package system.authz

default allow := false

# What the kubelet and Prometheus read on the diagnostic address.
allow if {
	input.method == "GET"
	input.path in [["health"], ["metrics"]]
}
