package main

import (
	"errors"
	"fmt"
	"log/slog"

	ipcachetypes "github.com/cilium/cilium/pkg/ipcache/types"
	"github.com/cilium/cilium/pkg/k8s"
	ciliumv2 "github.com/cilium/cilium/pkg/k8s/apis/cilium.io/v2"
	networkingv1 "github.com/cilium/cilium/pkg/k8s/slim/k8s/api/networking/v1"
	"github.com/cilium/cilium/pkg/policy/api"
	"github.com/cilium/cilium/pkg/policy/types"
	policyutils "github.com/cilium/cilium/pkg/policy/utils"
	"sigs.k8s.io/yaml"
)

const (
	cnp    = "CiliumNetworkPolicy"
	ccnp   = "CiliumClusterwideNetworkPolicy"
	netpol = "NetworkPolicy"
)

// loaded is one policy object in the engine's own terms.
type loaded struct {
	ref      string // kind/namespace/name, kind/name when clusterwide
	resource ipcachetypes.ResourceID
	entries  types.PolicyEntries
}

// loadPolicies parses every object with Cilium's own parsers; one error names every object that cannot be judged.
func loadPolicies(job *Job, log *slog.Logger) ([]loaded, error) {
	var all []loaded
	var errs []error
	seen := map[string]bool{}
	for i, object := range job.Policies {
		one, err := load(object, job.ClusterName, log)
		switch {
		case err != nil && one.ref == "":
			errs = append(errs, fmt.Errorf("policies[%d]: %w", i, err))
		case err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", one.ref, err))
		case seen[one.ref]:
			errs = append(errs, fmt.Errorf("%s: declared twice", one.ref))
		default:
			seen[one.ref] = true
			all = append(all, one)
		}
	}
	return all, errors.Join(errs...)
}

func load(object map[string]any, cluster string, log *slog.Logger) (loaded, error) {
	kind, _ := object["kind"].(string)
	version, _ := object["apiVersion"].(string)
	text, err := yaml.Marshal(object)
	if err != nil {
		return loaded{}, err
	}
	switch version + "/" + kind {
	case "cilium.io/v2/" + cnp:
		policy := &ciliumv2.CiliumNetworkPolicy{}
		if err := yaml.UnmarshalStrict(text, policy); err != nil {
			return loaded{ref: reference(kind, object)}, err
		}
		if policy.Namespace == "" {
			policy.Namespace = "default" // else Parse reads it as clusterwide
		}
		rules, err := policy.Parse(log, cluster)
		return cilium(kind, ipcachetypes.ResourceKindCNP, policy.Namespace, policy.Name, rules, err)
	case "cilium.io/v2/" + ccnp:
		policy := &ciliumv2.CiliumClusterwideNetworkPolicy{}
		if err := yaml.UnmarshalStrict(text, policy); err != nil {
			return loaded{ref: reference(kind, object)}, err
		}
		if policy.Namespace != "" {
			return loaded{ref: reference(kind, object)}, errors.New("metadata.namespace: a clusterwide policy has none")
		}
		rules, err := policy.Parse(log, cluster)
		return cilium(kind, ipcachetypes.ResourceKindCCNP, "", policy.Name, rules, err)
	case "networking.k8s.io/v1/" + netpol:
		policy := &networkingv1.NetworkPolicy{}
		if err := yaml.UnmarshalStrict(text, policy); err != nil {
			return loaded{ref: reference(kind, object)}, err
		}
		if policy.Namespace == "" {
			policy.Namespace = "default"
		}
		entries, err := k8s.ParseNetworkPolicy(log, cluster, policy)
		resource := ipcachetypes.NewResourceID(ipcachetypes.ResourceKindNetpol, policy.Namespace, policy.Name)
		return loaded{ref: netpol + "/" + policy.Namespace + "/" + policy.Name, resource: resource, entries: entries}, err
	}
	return loaded{}, fmt.Errorf("%s %s: neither a %s, a %s nor a %s", version, kind, cnp, ccnp, netpol)
}

func reference(kind string, object map[string]any) string {
	metadata, _ := object["metadata"].(map[string]any)
	name, _ := metadata["name"].(string)
	if namespace, ok := metadata["namespace"].(string); ok {
		return kind + "/" + namespace + "/" + name
	}
	return kind + "/" + name
}

func cilium(kind string, resource ipcachetypes.ResourceKind, namespace, name string, rules api.Rules, err error) (loaded, error) {
	one := loaded{ref: kind + "/" + name, resource: ipcachetypes.NewResourceID(resource, namespace, name)}
	if namespace != "" {
		one.ref = kind + "/" + namespace + "/" + name
	}
	if err != nil {
		return one, err
	}
	if err := judgeable(rules); err != nil {
		return one, err
	}
	one.entries = policyutils.RulesToPolicyEntries(rules)
	return one, nil
}

// judgeable refuses what needs data from a running cluster or cloud. The engine does not refuse it: services and groups
// it has no data for leave a peer list that is empty but not nil, and with ports that means every peer.
func judgeable(rules api.Rules) error {
	var errs []error
	refuse := func(present bool, field, need string) {
		if present {
			errs = append(errs, fmt.Errorf("%s cannot be judged offline: it needs %s", field, need))
		}
	}
	egress := func(peers api.EgressCommonRule) {
		refuse(peers.ToServices != nil, "toServices", "the Services and their endpoints")
		refuse(peers.ToGroups != nil, "toGroups", "the cloud's security groups")
		refuse(peers.ToNodes != nil, "toNodes", "the nodes' labels")
		refuse(hasGroup(peers.ToCIDRSet), "toCIDRSet with a cidrGroupRef", "the CiliumCIDRGroup")
	}
	ingress := func(peers api.IngressCommonRule) {
		refuse(peers.FromGroups != nil, "fromGroups", "the cloud's security groups")
		refuse(peers.FromNodes != nil, "fromNodes", "the nodes' labels")
		refuse(hasGroup(peers.FromCIDRSet), "fromCIDRSet with a cidrGroupRef", "the CiliumCIDRGroup")
	}
	ports := func(ports api.PortRules) {
		for _, port := range ports {
			refuse(port.TerminatingTLS != nil || port.OriginatingTLS != nil, "a TLS context", "its Secret")
			refuse(port.Listener != nil, "listener", "the CiliumEnvoyConfig")
		}
	}
	for _, rule := range rules {
		for _, one := range rule.Egress {
			egress(one.EgressCommonRule)
			ports(one.ToPorts)
		}
		for _, one := range rule.EgressDeny {
			egress(one.EgressCommonRule)
		}
		for _, one := range rule.Ingress {
			ingress(one.IngressCommonRule)
			ports(one.ToPorts)
		}
		for _, one := range rule.IngressDeny {
			ingress(one.IngressCommonRule)
		}
	}
	return errors.Join(errs...)
}

func hasGroup(cidrs api.CIDRRuleSlice) bool {
	for _, cidr := range cidrs {
		if cidr.CIDRGroupRef != "" || cidr.CIDRGroupSelector.LabelSelector != nil {
			return true
		}
	}
	return false
}
