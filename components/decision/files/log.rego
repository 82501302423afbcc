# METADATA
# title: What a decision log may hold
# description: |
#   Headers by an allow list, the path without its query, the claims that name the caller; no body, no token, no cookie.
package system.log

kept_headers := {":authority", ":method", "content-length", "content-type", "traceparent", "user-agent", "x-request-id"}

kept_claims := {"azp", "iss", "jti", "scope", "sub"}

http := "/input/attributes/request/http"

mask contains concat("", [http, "/body"])

mask contains concat("", [http, "/rawBody"])

mask contains "/input/parsed_body"

mask contains "/input/parsed_query"

mask contains {"op": "upsert", "path": concat("", [http, "/headers"]), "value": headers} if {
	is_object(input.input.attributes.request.http.headers)
	headers := {name: value |
		some name, value in input.input.attributes.request.http.headers
		name in kept_headers
	}
}

mask contains {"op": "upsert", "path": concat("", [http, "/path"]), "value": path} if {
	path := split(input.input.attributes.request.http.path, "?")[0]
}

mask contains {"op": "upsert", "path": "/input/attributes/metadataContext/filterMetadata", "value": {"claims": claims}} if {
	metadata := input.input.attributes.metadataContext.filterMetadata
	claims := {name: value |
		some name, value in metadata["envoy.filters.http.jwt_authn"].payload
		name in kept_claims
	}
}
