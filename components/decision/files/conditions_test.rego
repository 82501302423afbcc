package zerotrust.conditions_test

import data.zerotrust.conditions

source := "spiffe://eu-west-1.bank.internal/ns/bank-a/sa/api-ms"

principal := "eu-west-1.bank.internal/ns/bank-a/sa/api-ms"

token(claims) := {"attributes": {"metadataContext": {"filterMetadata": {"envoy.filters.http.jwt_authn": {"payload": claims}}}}}

unmet(wanted, request, risks) := reasons if {
	reasons := conditions.unmet(wanted, source) with input as request
		with data.workload as {"issuer": "https://id.example"}
		with data.risk as risks
}

lacks(wanted, request) := unmet(object.union({"risk_ceiling": "medium"}, wanted), request, {})

test_no_condition_lacks_nothing if lacks({}, {}) == set()

test_condition_of_a_later_version_is_not_ignored if {
	lacks({"moon_phase": "full"}, {}) == {"undecidable"}
	"undecidable" in unmet([], {}, {})
}

test_scopes_are_all_needed_whether_text_or_list if {
	wanted := {"scopes": ["a.read", "b.write"]}
	lacks(wanted, token({"iss": "https://id.example", "scope": "b.write openid a.read"})) == set()
	lacks(wanted, token({"iss": "https://id.example", "scope": ["a.read", "b.write"]})) == set()
	lacks(wanted, token({"iss": "https://id.example", "scope": "a.read"})) == {"scope"}
	lacks(wanted, token({"iss": "https://id.example", "scope": "a.readb.write"})) == {"scope"}
	lacks(wanted, token({"iss": "https://id.example", "scope": 3})) == {"scope"}
	lacks(wanted, token({"iss": "https://id.example"})) == {"scope"}
	lacks({"scopes": {}}, token({"iss": "https://id.example", "scope": "a.read"})) == {"scope"}
	lacks({"scopes": "a.read"}, token({"iss": "https://id.example", "scope": "a.read"})) == {"scope"}
}

test_only_the_issuer_s_verified_claims_count if {
	wanted := {"scopes": ["a.read"]}
	claims := {"iss": "https://id.example", "scope": "a.read"}
	lacks(wanted, {}) == {"token", "scope"}
	lacks(wanted, token(object.union(claims, {"iss": "https://id.example.evil"}))) == {"token", "scope"}
	lacks(wanted, token("a.read")) == {"token", "scope"}
	header := {"attributes": {"request": {"http": {"headers": {"authorization": "Bearer eyJhbGciOiJub25lIn0.eyJzY29wZSI6ImEucmVhZCJ9."}}}}}
	lacks(wanted, header) == {"token", "scope"}
	elsewhere := {"attributes": {"metadataContext": {"filterMetadata": {"other.filter": {"payload": claims}}}}}
	lacks(wanted, elsewhere) == {"token", "scope"}
}

test_client_must_be_listed if {
	wanted := {"clients": ["bank-a.web"]}
	lacks(wanted, token({"iss": "https://id.example", "azp": "bank-a.web"})) == set()
	lacks(wanted, token({"iss": "https://id.example", "azp": "bank-b.web"})) == {"client"}
	lacks(wanted, token({"iss": "https://id.example"})) == {"client"}
	lacks(wanted, {}) == {"client", "token"}
	lacks({"clients": []}, token({"iss": "https://id.example", "azp": "bank-a.web"})) == {"client"}
}

closed_at(hours, clock) if {
	lacks({"hours": hours}, {}) == {"hours"} with data.zerotrust.conditions.clock as clock
}

test_day_window_has_its_start_and_not_its_end if {
	hours := {"start_minute": 300, "end_minute": 1380}
	every clock in [[5, 0, 0], [12, 0, 0], [22, 59, 59]] {
		not closed_at(hours, clock)
	}
	every clock in [[4, 59, 59], [23, 0, 0], [0, 0, 0]] {
		closed_at(hours, clock)
	}
}

test_night_window_runs_over_midnight if {
	hours := {"start_minute": 1320, "end_minute": 240}
	every clock in [[22, 0, 0], [23, 59, 59], [0, 0, 0], [3, 59, 59]] {
		not closed_at(hours, clock)
	}
	every clock in [[21, 59, 59], [4, 0, 0], [12, 0, 0]] {
		closed_at(hours, clock)
	}
}

test_window_without_length_or_bounds_is_closed if {
	closed_at({"start_minute": 60, "end_minute": 60}, [1, 0, 0])
	closed_at({"start_minute": 60, "end_minute": 60}, [0, 30, 0])
	closed_at({"start_minute": 60, "end_minute": 60}, [2, 0, 0])
	closed_at({"start_minute": 60}, [1, 0, 0])
	closed_at({}, [1, 0, 0])
}

test_clock_is_read_in_utc if {
	conditions.minute == 0 with time.now_ns as 0
	conditions.minute == 90 with time.now_ns as 5400000000000
}

posted(text) := posted_as(text, {})

posted_as(text, headers) := {
	"attributes": {"request": {"http": {
		"body": text,
		"headers": object.union({"content-type": "application/json", "x-envoy-auth-partial-body": "false"}, headers),
	}}},
	"truncated_body": false,
}

limit := {"amount_limit_minor_units": 100}

test_amount_up_to_the_limit_passes if {
	every text in [
		`{"amount_minor_units":0}`,
		`{"amount_minor_units":100}`,
		"{\n\t\"amount_minor_units\" : 100 ,\"to\":\"x\"}",
	] {
		lacks(limit, posted(text)) == set()
	}
	lacks(limit, posted_as(`{"amount_minor_units":1}`, {"content-type": "Application/JSON; charset=UTF-8"})) == set()
}

test_amount_that_is_not_one_plain_whole_number_is_refused if {
	every text in [
		`{"amount_minor_units":101}`, `{"amount_minor_units":-1}`, `{"amount_minor_units":1.5}`, `{"amount_minor_units":1.0}`,
		`{"amount_minor_units":1e1}`, `{"amount_minor_units":"1"}`, `{"amount_minor_units":null}`, `{"amount_minor_units":[1]}`,
		`{"amount_minor_units":true}`, `{"amount_minor_units":9007199254740993}`, `{}`, `[]`, `1`, ``, `{`, `{"amount_minor_units":1}{`,
		`{"amount_minor_units":1,"amount_minor_units":999}`, `{"amount_minor_units":1,"AMOUNT_MINOR_UNITS":999}`,
		`{"amount_minor_units":1,"amount_minor_unitſ":999}`, `{"amount_minor_units":1,"amount\u005fminor_units":999}`,
		`{"amount\u005fminor_units":999,"amount_minor_units":1}`,
		`{"payment":{"amount_minor_units":1}}`, `{"payment":{"amount_minor_units":1},"amount_minor_units":999}`,
		`{"memo":"\"amount_minor_units\":1,","amount_minor_units":999}`,
	] {
		lacks(limit, posted(text)) == {"amount"}
	}
}

test_body_that_the_proxy_did_not_hand_over_whole_is_refused if {
	whole := posted(`{"amount_minor_units":1}`)
	lacks(limit, object.union(whole, {"truncated_body": true})) == {"amount"}
	lacks(limit, object.remove(whole, ["truncated_body"])) == set()
	lacks(limit, posted_as(`{"amount_minor_units":1}`, {"x-envoy-auth-partial-body": "true"})) == {"amount"}
	lacks(limit, posted_as(`{"amount_minor_units":1}`, {"content-type": "text/plain, application/json"})) == {"amount"}
	lacks(limit, {}) == {"amount"}
}

test_limit_that_is_no_number_is_refused if {
	lacks({"amount_limit_minor_units": "100"}, posted(`{"amount_minor_units":1}`)) == {"amount"}
	lacks({"amount_limit_minor_units": {}}, posted(`{"amount_minor_units":1}`)) == {"amount"}
}

test_risk_above_the_ceiling_is_refused if {
	every case in [
		["low", "low", set()], ["low", "medium", {"risk"}], ["low", "high", {"risk"}],
		["medium", "low", set()], ["medium", "medium", set()], ["medium", "high", {"risk"}],
		["none", "low", {"risk"}],
	] {
		unmet({"risk_ceiling": case[0]}, {}, {principal: case[1]}) == case[2]
	}
	unmet({"risk_ceiling": "low"}, {}, {"eu-west-1.bank.internal/ns/bank-a/sa/other": "high"}) == set()
	unmet({}, {}, {}) == {"risk"}
}

test_risks_must_all_be_levels if {
	every risks in [{}, {principal: "high"}] {
		conditions.risks_well_formed with data.risk as risks
	}
	every risks in [null, [], "low", {principal: "HIGH"}, {principal: 1}, {principal: null}, {"other": "severe"}] {
		not conditions.risks_well_formed with data.risk as risks
	}
	not conditions.risks_well_formed
}
