package nohostvolumes

spec := input.review.object.spec

violation contains {"msg": "not a volume of an accepted driver"} if not accepted

accepted if {
	spec.csi.driver in input.parameters.csiDrivers
	count({source | some source in ["hostPath", "local", "nfs", "iscsi", "fc", "flexVolume"]; spec[source]}) == 0
}
