package system.authz_test

import data.system.authz

test_health_and_metrics_can_be_read if {
	every path in [["health"], ["metrics"]] {
		authz.allow with input as {"method": "GET", "path": path}
	}
}

test_nothing_else_of_the_api_can_be_used if {
	every call in [
		{"method": "PUT", "path": ["v1", "data", "risk"]},
		{"method": "PUT", "path": ["v1", "policies", "x"]},
		{"method": "GET", "path": ["v1", "data"]},
		{"method": "POST", "path": ["health"]},
		{"method": "GET", "path": []},
		{},
	] {
		not authz.allow with input as call
	}
}
