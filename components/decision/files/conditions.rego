# METADATA
# title: Context that an edge asks for besides its caller
# description: |
#   `unmet` names what a request lacks. A condition that cannot be decided is unmet, and so is one of a kind that these
#   rules do not know: newer data must not be taken more lightly by older rules.
package zerotrust.conditions

kinds := ["scopes", "clients", "hours", "amount_limit_minor_units", "risk_ceiling"]

levels := {"low": 0, "medium": 1, "high": 2}

unmet(wanted, source) := {reason |
	some reason in ["undecidable", "token", "scope", "client", "hours", "amount", "risk"]
	not met(reason, wanted, source)
}

# Who asks only matters for the risk.
met("undecidable", wanted, _) if {
	is_object(wanted)
	every kind, _ in wanted {
		kind in kinds
	}
}

met("token", wanted, _) if {
	not asks(wanted, "scopes")
	not asks(wanted, "clients")
}

met("token", _, _) if is_object(token)

met("scope", wanted, _) if not asks(wanted, "scopes")

met("scope", wanted, _) if {
	is_array(wanted.scopes)
	every scope in wanted.scopes {
		scope in granted
	}
}

met("client", wanted, _) if not asks(wanted, "clients")

met("client", wanted, _) if token.azp in wanted.clients

met("hours", wanted, _) if not asks(wanted, "hours")

met("hours", wanted, _) if open(minute, wanted.hours.start_minute, wanted.hours.end_minute)

met("amount", wanted, _) if not asks(wanted, "amount_limit_minor_units")

met("amount", wanted, _) if {
	is_number(wanted.amount_limit_minor_units)
	amount <= wanted.amount_limit_minor_units
}

met("risk", wanted, source) if levels[risk(source)] <= levels[wanted.risk_ceiling]

asks(wanted, kind) if kind in object.keys(wanted)

# The claims that the proxy's JWT filter verified (signature, audience, expiry) and handed over beside the request. The
# Authorization header is never read here: nobody has verified what stands in it.
token := payload if {
	payload := input.attributes.metadataContext.filterMetadata["envoy.filters.http.jwt_authn"].payload
	payload.iss == data.workload.issuer
}

# One string, as the token has it, or a list, as Istio has the JWT filter normalise this claim.
granted := split(token.scope, " ") if is_string(token.scope)

granted := token.scope if is_array(token.scope)

# Minute of the day in UTC, by this process's own clock at the moment of the decision. The proxy's time of the request is
# that of its first byte: a caller could open a request inside the window and complete it hours later.
minute := (clock[0] * 60) + clock[1]

clock := time.clock(now_ns)

now_ns := time.now_ns()

# From the first minute to the one before the last; over midnight when it ends before it starts.
open(now, first, end) if {
	now >= first
	now < end
}

open(now, first, end) if {
	first > end
	now >= first
}

open(now, first, end) if {
	first > end
	now < end
}

json_types := ["application/json", "application/json; charset=utf-8", "application/json;charset=utf-8"]

# The member and its number; longer numbers are not the same to every reader.
member := `"amount_minor_units"[[:space:]]*:[[:space:]]*(0|[1-9][0-9]{0,14})[[:space:]]*[,}]`

# A backslash (the middle of Z to ^: Rego engines disagree on escapes in raw strings) that writes a letter or an underscore
# as an escape; no encoder does.
disguise := `[Z-^]u00[4-7]`

# The amount that every reader of the body finds. Parsers differ on members that come twice, on letter case, on escaped
# names and on numbers beyond 2^53, so the text must hold the name once, plainly, with up to 15 digits. The body is parsed
# here and not by the plugin, which would refuse every request whose body is no JSON or was cut off, asked for or not.
amount := value if {
	http := input.attributes.request.http
	http.headers["x-envoy-auth-partial-body"] == "false"
	lower(http.headers["content-type"]) in json_types
	object.get(input, "truncated_body", false) == false
	strings.count(lower(http.body), "amount_minor_unit") == 1
	not regex.match(disguise, http.body)
	found := regex.find_all_string_submatch_n(member, http.body, 1)
	value := to_number(found[0][1])
	json.unmarshal(http.body).amount_minor_units == value
}

# The caller's runtime risk, which a responder writes; low for a caller it has said nothing about.
risk(source) := object.get(data.risk, trim_prefix(source, "spiffe://"), "low")

risks_well_formed if {
	is_object(data.risk)
	every _, level in data.risk {
		level in object.keys(levels)
	}
}
