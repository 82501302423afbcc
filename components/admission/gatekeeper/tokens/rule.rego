package notokens

import data.lib.pods

# CloudNativePG's instance manager is a client of the API server; its account is the operator's own making.
database if pods.spec.serviceAccountName in input.parameters.databases

violation contains {"msg": "say automountServiceAccountToken false"} if {
	not database
	not object.get(pods.spec, "automountServiceAccountToken", true) == false
}

violation contains {"msg": sprintf("volume %s: a token for %q", [volume.name, audience])} if {
	not database
	some volume in object.get(pods.spec, "volumes", [])
	some source in volume.projected.sources
	token := source.serviceAccountToken
	audience := object.get(token, "audience", "the API server")
	not audience in input.parameters.audiences
}
