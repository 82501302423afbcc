package main

import (
	"math"
	"slices"
	"strings"

	"github.com/cilium/cilium/pkg/endpoint/regeneration"
	k8sconst "github.com/cilium/cilium/pkg/k8s/apis/cilium.io"
	"github.com/cilium/cilium/pkg/labels"
	"github.com/cilium/cilium/pkg/policy"
	"github.com/cilium/cilium/pkg/policy/api"
	"github.com/cilium/cilium/pkg/u8proto"
)

// The verdicts and their reasons.
const (
	allow    = "allow"
	deny     = "deny"
	redirect = "redirect" // allowed to the proxy, which judges each request or query by its own rules

	notPoliced   = "not-policed"     // this end is no workload: no policy of the job binds it
	noPolicy     = "no-policy"       // no policy selects the workload in this direction
	localhost    = "allow-localhost" // the node may always reach its pods
	byPolicy     = "policy"          // the policies named allow it
	explicitDeny = "explicit-deny"   // a deny rule of the policies named
	defaultDeny  = "default-deny"    // the policies named select the workload and none allows it
)

// Side is the verdict at one end of a flow.
type Side struct {
	Verdict  string    `json:"verdict"`
	Reason   string    `json:"reason"`
	Policies []string  `json:"policies"`
	L7       []L7Rules `json:"l7"`
}

// L7Rules is what the proxy goes by; no rules means every request.
type L7Rules struct {
	Parser string            `json:"parser"` // http, dns, tls
	HTTP   api.PortRulesHTTP `json:"http,omitempty"`
	DNS    api.PortRulesDNS  `json:"dns,omitempty"`
}

// FlowVerdict is allowed only where both ends allow it.
type FlowVerdict struct {
	Egress  Side   `json:"egress"`
	Ingress Side   `json:"ingress"`
	Verdict string `json:"verdict"`
}

// enforced is the policy of one workload, computed once: the selector policy and the map the datapath would hold.
type enforced struct {
	selectors policy.SelectorPolicy
	state     *policy.EndpointPolicy
}

// owner is the endpoint the engine computes a policy map for.
type owner struct{ party *party }

func (o owner) GetID() uint64 { return uint64(o.party.identity.ID) }
func (o owner) GetIngressNamedPort(name string, proto u8proto.U8proto) uint16 {
	return o.party.namedPort(name, proto)
}
func (owner) PolicyDebug(string, ...any)                  {}
func (owner) IsHost() bool                                { return false }
func (owner) PreviousMapStateSizes() policy.MapStateSizes { return policy.MapStateSizes{} }
func (owner) RegenerateIfAlive(*regeneration.ExternalRegenerationMetadata) <-chan bool {
	done := make(chan bool)
	close(done)
	return done
}

func (w *world) policyOf(one *party) (*enforced, error) {
	if known, ok := w.enforced[one.id]; ok {
		return known, nil
	}
	selectors, _, err := w.repo.ComputeSelectorPolicy(one.identity)
	if err != nil {
		return nil, err
	}
	state := selectors.DistillPolicy(w.log, owner{one}, map[string]uint16{policy.FallbackRedirectID: math.MaxUint16})
	state.Ready()
	w.enforced[one.id] = &enforced{selectors: selectors, state: state}
	return w.enforced[one.id], nil
}

// flow judges the first packet of a connection.
func (w *world) flow(from, to *party, proto u8proto.U8proto, port uint16) (FlowVerdict, error) {
	egress, err := w.side(from, to, false, proto, port)
	if err != nil {
		return FlowVerdict{}, err
	}
	ingress, err := w.side(to, from, true, proto, port)
	if err != nil {
		return FlowVerdict{}, err
	}
	both := FlowVerdict{Egress: egress, Ingress: ingress, Verdict: allow}
	for _, verdict := range []string{redirect, deny} { // the stricter last
		if egress.Verdict == verdict || ingress.Verdict == verdict {
			both.Verdict = verdict
		}
	}
	return both, nil
}

func (w *world) side(subject, peer *party, ingress bool, proto u8proto.U8proto, port uint16) (Side, error) {
	if subject.workload == nil {
		return Side{Verdict: allow, Reason: notPoliced, Policies: []string{}, L7: []L7Rules{}}, nil
	}
	binding, err := w.policyOf(subject)
	if err != nil {
		return Side{}, err
	}
	key := policy.EgressKey()
	if ingress {
		key = policy.IngressKey()
	}
	entry, meta, found := binding.state.Lookup(key.WithIdentity(peer.identity.ID).WithPortProto(proto, port))
	side := Side{Verdict: allow, Reason: byPolicy, Policies: origins(meta), L7: []L7Rules{}}
	switch {
	case !found:
		side.Verdict, side.Reason, side.Policies = deny, defaultDeny, w.isolating(subject, ingress)
	case entry.IsDeny():
		side.Verdict, side.Reason = deny, explicitDeny
	case isSynthetic(meta, policy.LabelAllowAnyEgress), isSynthetic(meta, policy.LabelAllowAnyIngress):
		side.Reason = noPolicy
	case isSynthetic(meta, policy.LabelAllowLocalHostIngress):
		side.Reason = localhost
	case entry.IsRedirectEntry():
		side.Verdict, side.L7 = redirect, w.l7(binding, peer, ingress, proto, port)
	}
	return side, nil
}

// origins are the policy objects an entry of the map comes from.
func origins(meta policy.RuleMeta) []string {
	refs := []string{}
	for _, rule := range meta.LabelArray() {
		parts := []string{}
		for _, key := range []string{
			k8sconst.PolicyLabelDerivedFrom, k8sconst.PolicyLabelNamespace, k8sconst.PolicyLabelName,
		} {
			if value := rule.Get(labels.LabelSourceK8sKeyPrefix + key); value != "" {
				parts = append(parts, value)
			}
		}
		if len(parts) > 0 {
			refs = append(refs, strings.Join(parts, "/"))
		}
	}
	slices.Sort(refs)
	return slices.Compact(refs)
}

func isSynthetic(meta policy.RuleMeta, origin string) bool {
	for _, rule := range meta.LabelArray() {
		if rule.Get(labels.LabelSourceReservedKeyPrefix+policy.LabelKeyPolicyDerivedFrom) == origin {
			return true
		}
	}
	return false
}

// isolating names the policies that switch default deny on for a workload; those of nodes do not count.
func (w *world) isolating(subject *party, ingress bool) []string {
	refs := []string{}
	for _, one := range w.policies {
		for _, entry := range one.entries {
			if entry.Ingress == ingress && entry.DefaultDeny && !entry.Node && entry.Subject.Matches(subject.identity.LabelArray) {
				refs = append(refs, one.ref)
			}
		}
	}
	slices.Sort(refs)
	return slices.Compact(refs)
}

// unenforced names the policies that bind nodes: without the host firewall nobody enforces them.
func (w *world) unenforced() []string {
	refs := []string{}
	for _, one := range w.policies {
		for _, entry := range one.entries {
			if entry.Node {
				refs = append(refs, one.ref)
			}
		}
	}
	slices.Sort(refs)
	return slices.Compact(refs)
}
