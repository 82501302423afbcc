package zerotrust.paths_test

import data.zerotrust.paths

test_patterns_mean_what_the_settings_say if {
	every case in [
		["/", "/"],
		["/transfer", "/transfer"],
		["/transfer", "/transfer?amount=1"],
		["/accounts/{id}", "/accounts/7"],
		["/accounts/{id}/close", "/accounts/a:b@c,d/close"],
		["/files/*", "/files/"],
		["/files/*", "/files/a/b"],
		["/v1/{item}/parts/*", "/v1/x/parts/a/b"],
	] {
		paths.matches(case[0], case[1])
	}
}

test_nothing_else_matches if {
	every case in [
		["/", ""],
		["/", "/x"],
		["/transfer", "/transfer/"],
		["/transfer", "/transfers"],
		["/transfer", "/TRANSFER"],
		["/accounts/{id}", "/accounts/"],
		["/accounts/{id}", "/accounts/7/8"],
		["/files/*", "/files"],
		["/files/*", "/filesystem/a"],
		["/v1/{item}/parts/*", "/v1//parts/a"],
		["/a/*/b", "/a/x/b"],
		["/a/*/b", "/a/*/b"],
	] {
		not paths.matches(case[0], case[1])
	}
}

test_what_a_service_could_read_twice_is_refused if {
	every path in [
		"/files/../admin", "/files/..", "/files/.", "/files/./x", "/files//x", "//files/x", "/files/x%2f..%2fadmin",
		"/files/%2e%2e/admin", "/files/..;/admin", "/files/x;v=1", "/files/x\\..\\admin", "/files/x%00", "/files/é",
		"/files/a b", "/files/a#b", "/files/a\nb", "files/x", "*", "http://host/files/x", "",
	] {
		not paths.matches("/files/*", path)
	}
}
