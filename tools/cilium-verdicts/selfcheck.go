package main

import (
	"fmt"
	"strings"

	"github.com/cilium/cilium/pkg/policy"
	"github.com/cilium/cilium/pkg/policy/testutils"
	"github.com/cilium/cilium/pkg/policy/types"
	"github.com/cilium/cilium/pkg/u8proto"
)

// SelfCheck counts what was compared with Cilium's own simulators, and says where they differ.
type SelfCheck struct {
	LookupFlow    int      `json:"lookup_flow"`    // sides compared with policy.LookupFlow
	IteratePolicy int      `json:"iterate_policy"` // sides compared with testutils.IteratePolicy
	Differences   []string `json:"differences"`
}

// simulated is the rule list IteratePolicy may be given: without the policies of nodes, which it does not tell apart,
// and with an empty peer list as nil, for which it and the engine agree that it selects nobody.
func (w *world) simulated() types.PolicyEntries {
	var entries types.PolicyEntries
	for _, one := range w.policies {
		for _, entry := range one.entries {
			if entry.Node {
				continue
			}
			same := *entry
			if len(same.L3) == 0 && len(same.L4) == 0 {
				same.L3 = nil
			}
			entries = append(entries, &same)
		}
	}
	return entries
}

// compare judges one flow again: by computing both policies anew, and by walking the rules one by one.
func (w *world) compare(check *SelfCheck, entries types.PolicyEntries, ask Flow, proto u8proto.U8proto, said FlowVerdict) error {
	from, to := w.parties[ask.From], w.parties[ask.To]
	flow := types.Flow{
		From: from.identity, To: to.identity, Proto: proto, Dport: ask.Port,
		NamedPortsTCP: numbers(to, u8proto.TCP), NamedPortsUDP: numbers(to, u8proto.UDP),
	}
	looked, _, _, err := policy.LookupFlow(w.log, w.repo, w.manager, flow)
	if err != nil {
		return fmt.Errorf("flow %q: LookupFlow: %w", ask.ID, err)
	}
	check.LookupFlow += w.note(check, ask, "LookupFlow", said, looked)
	if said.Ingress.Reason != localhost { // the rules do not say that the node reaches its pods
		if walked, ok := iterate(entries, flow); ok {
			check.IteratePolicy += w.note(check, ask, "IteratePolicy", said, walked)
		}
	}
	return nil
}

func (w *world) note(check *SelfCheck, ask Flow, by string, said FlowVerdict, other types.LookupResult) int {
	compared := 0
	for _, side := range []struct {
		name  string
		ours  Side
		other types.Decision
	}{{"egress", said.Egress, other.Egress}, {"ingress", said.Ingress, other.Ingress}} {
		if side.ours.Reason == notPoliced {
			continue
		}
		compared++
		if (side.ours.Verdict == deny) != (side.other == types.DecisionDenied) {
			check.Differences = append(check.Differences, fmt.Sprintf(
				"flow %q %s: %s here, %s by %s", ask.ID, side.name, side.ours.Verdict, strings.ToLower(side.other.String()), by))
		}
	}
	return compared
}

// iterate is false where IteratePolicy cannot tell: it panics on a port name it does not know.
func iterate(entries types.PolicyEntries, flow types.Flow) (result types.LookupResult, ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	result, _, _ = testutils.IteratePolicy(entries, flow)
	return result, true
}

func numbers(of *party, proto u8proto.U8proto) map[string]uint16 {
	ports := map[string]uint16{}
	for name, port := range of.ports {
		if port.Proto == proto {
			ports[name] = port.Port
		}
	}
	return ports
}
