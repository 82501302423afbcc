package labelled

import data.lib.pods

said(label) := object.get(object.get(pods.metadata, "labels", {}), label, "")

violation contains {"msg": sprintf("no label %s", [input.parameters.service])} if said(input.parameters.service) == ""

violation contains {"msg": sprintf("label %s must be the namespace's name", [input.parameters.tenant])} if {
	said(input.parameters.tenant) != pods.namespace
}
