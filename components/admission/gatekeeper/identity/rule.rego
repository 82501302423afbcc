package registered

import data.lib.pods

account := object.get(pods.spec, "serviceAccountName", "default")

labels := object.get(pods.metadata, "labels", {})

violation contains {"msg": sprintf("account %s has no SPIFFE id here", [account])} if not registered

registered if account in input.parameters.services

registered if account in input.parameters.databases

registered if account in input.parameters.caches

violation contains {"msg": sprintf("no volume of %s, without which the pod has no identity", [input.parameters.driver])} if {
	account in input.parameters.services
	not socket
}

socket if {
	some volume in pods.spec.volumes
	volume.csi.driver == input.parameters.driver
	volume.csi.readOnly == true
}

# Network rules know a pod by its label, the mesh by its account: they are to mean one workload.
violation contains {"msg": sprintf("label %s is not the account's name %s", [input.parameters.label, account])} if {
	not account in input.parameters.databases
	object.get(labels, input.parameters.label, "") != account
}

violation contains {"msg": sprintf("label %s is not the account's name %s", [input.parameters.database, account])} if {
	account in input.parameters.databases
	object.get(labels, input.parameters.database, "") != account
}

# The operator makes a database's pods and sets this label: nobody else's pod has it.
violation contains {"msg": sprintf("label %s is a database's", [input.parameters.database])} if {
	not account in input.parameters.databases
	input.parameters.database in object.keys(labels)
}

# By this label another region's callers find a service.
violation contains {"msg": sprintf("label %s is not the account's name %s", [input.parameters.reach, account])} if {
	said := labels[input.parameters.reach]
	said != account
}
