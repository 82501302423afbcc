// Package controllers has, of the multi-cluster services' controllers, the one name that Cilium's operator reads.
package controllers

// DerivedServiceAnnotation names, on a ServiceImport, the Service that stands for it in this cluster.
const DerivedServiceAnnotation = "multicluster.kubernetes.io/derived-service"
