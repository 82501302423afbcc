# METADATA
# title: May this request pass
# description: |
#   Decides one request from the edges that were compiled for this workload (data.workload) and the callers' runtime risk
#   (data.risk). Everything that is not decided as allowed is refused; the reasons go to the decision log and to Envoy's
#   dynamic metadata, never to the caller.
#   Only what the proxy has verified counts: the peer's certificate, the path it is about to forward, the claims its own
#   JWT filter handed over. Headers that a caller can write decide nothing.
package zerotrust.authz

import data.zerotrust.conditions
import data.zerotrust.paths

default allowed := false

allowed if {
	decidable
	some id in fitting
	count(conditions.unmet(edges[id].conditions, source)) == 0
}

decision := {
	"allowed": true,
	"http_status": 200,
	"headers": {},
	"body": "",
	"reasons": [],
	"edges": admitting,
	"dynamic_metadata": {"edges": admitting},
} if {
	allowed
} else := {
	"allowed": false,
	"http_status": 403,
	"headers": {"content-type": "application/json", "cache-control": "no-store"},
	"body": "{\"error\":\"forbidden\"}",
	"reasons": sort(reasons),
	"edges": [],
	"dynamic_metadata": {"reasons": sort(reasons)},
}

# Why a request is refused; empty for one that is allowed.
reasons contains "undecidable" if not decidable

reasons contains "region" if {
	decidable
	count(edges) == 0
	elsewhere
}

reasons contains "no edge" if {
	decidable
	not elsewhere
}

reasons contains "path" if {
	decidable
	count(edges) > 0
	count(on_path) == 0
}

reasons contains "method" if {
	decidable
	count(on_path) > 0
	count(fitting) == 0
}

reasons contains reason if {
	decidable
	not allowed
	some id in fitting
	some reason in conditions.unmet(edges[id].conditions, source)
}

# The input has what a decision needs, in the right types, and so has the data.
decidable if {
	is_string(method)
	method != ""
	is_string(target)
	startswith(source, "spiffe://")
	is_object(data.workload.calls)
	is_object(data.workload.routes)
	conditions.risks_well_formed
}

source := input.attributes.source.principal

method := input.attributes.request.http.method

target := input.attributes.request.http.path

# The edges that admit this caller, by kind and key.
edges[id] := edge if {
	some kind in ["calls", "routes"]
	some key, edge in data.workload[kind]
	source in edge.principals
	id := concat("/", [kind, key])
}

on_path contains id if {
	some id, edge in edges
	some operation in edge.operations
	some pattern in operation.paths
	paths.matches(pattern, target)
}

fitting contains id if {
	some id, edge in edges
	some operation in edge.operations
	method in operation.methods
	some pattern in operation.paths
	paths.matches(pattern, target)
}

admitting := sort([id | some id in fitting; count(conditions.unmet(edges[id].conditions, source)) == 0])

# The same service account as one that is admitted, whatever its trust domain.
elsewhere if {
	some kind in ["calls", "routes"]
	some edge in data.workload[kind]
	some principal in edge.principals
	account(principal) == account(source)
}

account(principal) := concat("/", array.slice(split(principal, "/"), 3, 100))
