package zerotrust.authz_test

import data.zerotrust.authz

api := "spiffe://eu-west-1.bank.internal/ns/bank-a/sa/api-ms"

gateway := "spiffe://eu-west-1.bank.internal/ns/istio-ingress/sa/ingress-gateway"

workload := {
	"issuer": "https://id.example/realms/bank",
	"calls": {"plain": {
		"principals": [api],
		"operations": [{"methods": ["GET"], "paths": ["/accounts", "/accounts/{id}"]}, {"methods": ["POST"], "paths": ["/transfers"]}],
		"conditions": {"risk_ceiling": "medium"},
	}},
	"routes": {"web": {
		"principals": [gateway],
		"operations": [{"methods": ["GET"], "paths": ["/"]}],
		"conditions": {"risk_ceiling": "medium", "clients": ["bank-a.web"], "scopes": ["accounts.read"]},
	}},
}

asked(principal, method, path) := {"attributes": {
	"source": {"principal": principal},
	"request": {"http": {"method": method, "path": path, "headers": {}}},
}}

decided(principal, method, path) := answer if {
	answer := authz.decision with input as asked(principal, method, path)
		with data.workload as workload
		with data.risk as {}
}

test_declared_call_passes_and_names_its_edge if {
	answer := decided(api, "GET", "/accounts/7?full=1")
	answer.allowed
	answer.edges == ["calls/plain"]
	answer.reasons == []
	answer.http_status == 200
}

test_route_passes_with_a_verified_token if {
	claims := {"iss": "https://id.example/realms/bank", "azp": "bank-a.web", "scope": "openid accounts.read"}
	request := object.union(
		asked(gateway, "GET", "/"),
		{"attributes": {"metadataContext": {"filterMetadata": {"envoy.filters.http.jwt_authn": {"payload": claims}}}}},
	)
	answer := authz.decision with input as request with data.workload as workload with data.risk as {}
	answer.edges == ["routes/web"]
}

test_unknown_caller_has_no_edge if {
	decided("spiffe://eu-west-1.bank.internal/ns/bank-b/sa/api-ms", "GET", "/accounts").reasons == ["no edge"]
}

test_same_account_of_another_region_is_told_apart if {
	decided("spiffe://us-east-1.bank.internal/ns/bank-a/sa/api-ms", "GET", "/accounts").reasons == ["region"]
}

test_other_path_is_refused if decided(api, "GET", "/admin").reasons == ["path"]

test_other_method_on_a_declared_path_is_refused if decided(api, "DELETE", "/accounts").reasons == ["method"]

test_method_of_another_operation_is_refused if decided(api, "POST", "/accounts").reasons == ["method"]

test_every_lack_of_a_route_is_named if {
	decided(gateway, "GET", "/").reasons == ["client", "scope", "token"]
}

test_caller_learns_nothing_from_a_refusal if {
	every path in ["/admin", "/%2e", "/transfers"] {
		answer := decided(api, "GET", path)
		not answer.allowed
		answer.http_status == 403
		answer.body == "{\"error\":\"forbidden\"}"
		object.keys(answer.headers) == {"content-type", "cache-control"}
	}
}

test_malformed_input_is_undecidable if {
	every broken in [
		null, {}, [], "x", 3,
		asked(null, "GET", "/accounts"),
		asked("bank-a/api-ms", "GET", "/accounts"),
		asked(api, 3, "/accounts"),
		asked(api, "", "/accounts"),
		asked(api, "GET", ["/accounts"]),
		{"attributes": {"request": {"http": {"method": "GET", "path": "/accounts"}}}},
	] {
		answer := authz.decision with input as broken with data.workload as workload with data.risk as {}
		not answer.allowed
		answer.reasons == ["undecidable"]
	}
}

test_malformed_data_is_undecidable if {
	every broken in [null, {}, {"calls": {}}, {"routes": {}}, {"calls": [], "routes": {}}] {
		answer := authz.decision with input as asked(api, "GET", "/accounts")
			with data.workload as broken
			with data.risk as {}
		answer.reasons == ["undecidable"]
	}
}

test_malformed_risks_are_undecidable_for_everybody if {
	every broken in [null, [], "low", {"eu-west-1.bank.internal/ns/bank-b/sa/other": "severe"}] {
		answer := authz.decision with input as asked(api, "GET", "/accounts")
			with data.workload as workload
			with data.risk as broken
		not answer.allowed
		answer.reasons == ["undecidable"]
	}
}

test_undecidable_is_the_only_reason_then if {
	answer := authz.decision with input as asked("spiffe://us-east-1.bank.internal/ns/bank-a/sa/api-ms", "", "/accounts")
		with data.workload as workload
		with data.risk as {}
	answer.reasons == ["undecidable"]
	lacking := authz.decision with input as asked(gateway, "GET", "/")
		with data.workload as workload
		with data.risk as null
	lacking.reasons == ["undecidable"]
}

test_lacks_of_an_operation_that_was_not_asked_for_are_not_named if {
	decided(gateway, "GET", "/admin").reasons == ["path"]
	both := object.union(workload, {"calls": {"other": object.union(
		workload.routes.web,
		{"principals": [api], "operations": [{"methods": ["GET"], "paths": ["/other"]}]},
	)}})
	answer := authz.decision with input as asked(api, "GET", "/accounts")
		with data.workload as both
		with data.risk as {"eu-west-1.bank.internal/ns/bank-a/sa/api-ms": "high"}
	answer.reasons == ["risk"]
}

test_decisions_have_what_the_proxy_reads_and_no_more if {
	decided(api, "GET", "/accounts") == {
		"allowed": true, "http_status": 200, "headers": {}, "body": "",
		"reasons": [], "edges": ["calls/plain"], "dynamic_metadata": {"edges": ["calls/plain"]},
	}
	decided(api, "GET", "/admin") == {
		"allowed": false, "http_status": 403, "body": "{\"error\":\"forbidden\"}",
		"headers": {"content-type": "application/json", "cache-control": "no-store"},
		"reasons": ["path"], "edges": [], "dynamic_metadata": {"reasons": ["path"]},
	}
}

test_allowed_request_has_no_reason if {
	reasons := authz.reasons with input as asked(api, "GET", "/accounts")
		with data.workload as object.union(workload, {"calls": {"strict": object.union(
			workload.calls.plain,
			{"conditions": {"risk_ceiling": "none"}},
		)}})
		with data.risk as {}
	reasons == set()
}

test_missing_data_is_undecidable if {
	answer := authz.decision with input as asked(api, "GET", "/accounts")
	answer.reasons == ["undecidable"]
}

test_empty_lists_admit_nobody if {
	every hollow in [
		{"principals": [], "operations": [{"methods": ["GET"], "paths": ["/accounts"]}], "conditions": {"risk_ceiling": "medium"}},
		{"principals": [api], "operations": [], "conditions": {"risk_ceiling": "medium"}},
		{"principals": [api], "operations": [{"methods": [], "paths": ["/accounts"]}], "conditions": {"risk_ceiling": "medium"}},
		{"principals": [api], "operations": [{"methods": ["GET"], "paths": []}], "conditions": {"risk_ceiling": "medium"}},
		{"principals": [api], "operations": [{"methods": ["GET"], "paths": ["/accounts"]}], "conditions": {}},
	] {
		answer := authz.decision with input as asked(api, "GET", "/accounts")
			with data.workload as {"issuer": "x", "calls": {"hollow": hollow}, "routes": {}}
			with data.risk as {}
		not answer.allowed
	}
}

test_one_of_two_edges_suffices if {
	strict := object.union(workload.calls.plain, {"conditions": {"risk_ceiling": "low"}})
	answer := authz.decision with input as asked(api, "GET", "/accounts")
		with data.workload as {"issuer": "x", "calls": {"a": strict, "b": workload.calls.plain}, "routes": {}}
		with data.risk as {"eu-west-1.bank.internal/ns/bank-a/sa/api-ms": "medium"}
	answer.edges == ["calls/b"]
	answer.reasons == []
}
