package system.log_test

import data.system.log

event := {"input": {
	"attributes": {
		"metadataContext": {"filterMetadata": {"envoy.filters.http.jwt_authn": {"payload": {"azp": "bank-a.web", "email": "a@b.example"}}}},
		"request": {"http": {
			"path": "/transfer?iban=DE1",
			"body": "{}",
			"headers": {"authorization": "Bearer x", "cookie": "s=1", "x-api-key": "k", "x-request-id": "7"},
		}},
	},
	"parsed_body": {},
}}

test_bodies_and_queries_are_removed if {
	masked := log.mask with input as event
	every path in ["/input/attributes/request/http/body", "/input/attributes/request/http/rawBody", "/input/parsed_body", "/input/parsed_query"] {
		path in masked
	}
}

test_only_listed_headers_and_claims_and_the_bare_path_stay if {
	masked := log.mask with input as event
	values := {rule.path: rule.value | some rule in masked; is_object(rule)}
	values["/input/attributes/request/http/headers"] == {"x-request-id": "7"}
	values["/input/attributes/request/http/path"] == "/transfer"
	values["/input/attributes/metadataContext/filterMetadata"] == {"claims": {"azp": "bank-a.web"}}
}

test_event_without_a_request_is_masked_too if {
	count(log.mask) == 4 with input as {"input": {}}
}
