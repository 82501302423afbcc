package ownsecrets

import data.lib.pods

# What an operator makes for a store's pods it names itself; nobody else runs as a store.
store if pods.account in input.parameters.stores

own contains name if {
	some one in input.parameters.secrets
	one.account == pods.account
	some name in one.names
}

read contains volume.secret.secretName if some volume in object.get(pods.spec, "volumes", [])

read contains volume.csi.nodePublishSecretRef.name if some volume in object.get(pods.spec, "volumes", [])

read contains source.secret.name if {
	some volume in object.get(pods.spec, "volumes", [])
	some source in volume.projected.sources
}

read contains variable.valueFrom.secretKeyRef.name if {
	some one in pods.containers
	some variable in object.get(one.it, "env", [])
}

read contains source.secretRef.name if {
	some one in pods.containers
	some source in object.get(one.it, "envFrom", [])
}

violation contains {"msg": sprintf("secret %s is not for account %s", [name, pods.account])} if {
	not store
	some name in read
	not name in own
}
