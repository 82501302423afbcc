package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// A set-up with a step left out answers "allowed", and nothing else tells. So before every job two denials that are
// known beforehand are asked of the same code.
const knownDenials = `
policies:
- apiVersion: cilium.io/v2
  kind: CiliumNetworkPolicy
  metadata: {name: cluster-only, namespace: known}
  spec:
    endpointSelector: {matchLabels: {app: dns}}
    ingress:
    - fromEntities: [cluster]
      toPorts: [{ports: [{port: "53", protocol: UDP}]}]
- apiVersion: networking.k8s.io/v1
  kind: NetworkPolicy
  metadata: {name: nothing, namespace: known}
  spec: {podSelector: {}, policyTypes: [Egress]}
namespaces: {known: {}}
workloads:
- {id: dns, namespace: known, labels: {app: dns}}
- {id: client, namespace: known, labels: {app: client}}
entities: [world]
flows:
- {id: "the world reaches a pod that admits the cluster", from: world, to: dns, port: 53, protocol: UDP}
- {id: "a pod without any allowed egress reaches another", from: client, to: dns, port: 53, protocol: UDP}
`

func checkKnownDenials(job *Job, log *slog.Logger) error {
	known, err := readJob(strings.NewReader(knownDenials + fmt.Sprintf("cluster_name: %q\n", job.ClusterName)))
	if err != nil {
		return err
	}
	known.Plant = job.Plant
	result, err := judge(known, log)
	if err != nil {
		return err
	}
	var errs []error
	for _, flow := range known.Flows {
		if result.Flows[flow.ID].Verdict != deny {
			errs = append(errs, fmt.Errorf("the engine is not set up: %s", flow.ID))
		}
	}
	return errors.Join(errs...)
}
