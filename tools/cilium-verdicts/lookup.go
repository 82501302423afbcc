package main

import (
	"cmp"
	"regexp"
	"slices"

	"github.com/cilium/cilium/pkg/fqdn/dnsproxy"
	"github.com/cilium/cilium/pkg/policy"
	"github.com/cilium/cilium/pkg/u8proto"
)

// LookupVerdict says whether a name can be looked up and what for.
type LookupVerdict struct {
	Query   FlowVerdict  `json:"query"`   // the packet to the DNS server
	Resolve string       `json:"resolve"` // allow, deny: whether a query for this very name is answered
	Learned bool         `json:"learned"` // answered through the DNS proxy: only then do toFQDNs select the address
	Reach   *FlowVerdict `json:"reach"`   // the connection to the name, given a learned answer; null for an unlisted name
}

func (w *world) lookup(ask Lookup) (LookupVerdict, error) {
	from, server := w.parties[ask.From], w.parties[ask.DNSServer]
	query, err := w.flow(from, server, u8proto.UDP, ask.DNSPort)
	if err != nil {
		return LookupVerdict{}, err
	}
	verdict := LookupVerdict{Query: query, Resolve: query.Verdict}
	if query.Verdict == redirect {
		verdict.Resolve = allow
		if query.Egress.Verdict == redirect {
			if verdict.Resolve, err = w.resolves(from, server, ask); err != nil {
				return LookupVerdict{}, err
			}
			verdict.Learned = verdict.Resolve == allow
		}
	}
	if target, ok := w.parties[ask.Name]; ok {
		proto, err := protocol(ask.Protocol)
		if err != nil {
			return LookupVerdict{}, err
		}
		reach, err := w.flow(from, target, proto, ask.Port)
		if err != nil {
			return LookupVerdict{}, err
		}
		verdict.Reach = &reach
	}
	return verdict, nil
}

// resolves asks what the DNS proxy would: one pattern per selector of the port's filter, a selector without L7 rules
// being the pattern for every name. Any that selects the server and matches is enough.
func (w *world) resolves(from, server *party, ask Lookup) (string, error) {
	binding, err := w.policyOf(from)
	if err != nil {
		return "", err
	}
	for _, filter := range w.redirecting(binding, server, false, u8proto.UDP, ask.DNSPort) {
		for selector, rules := range filter.GetPerSelectorPolicies() {
			if !selector.Selects(server.identity.ID) || rules.IsDeny() {
				continue
			}
			pattern, err := regexp.Compile(dnsproxy.GeneratePattern(rules))
			if err != nil {
				return "", err
			}
			if pattern.MatchString(asFQDN(ask.Name)) {
				return allow, nil
			}
		}
	}
	return deny, nil
}

// redirecting are the filters of one direction that send this port of this peer to a proxy.
func (w *world) redirecting(binding *enforced, peer *party, ingress bool, proto u8proto.U8proto, port uint16) []*policy.L4Filter {
	var filters []*policy.L4Filter
	for filter, tuple := range binding.selectors.RedirectFilters() {
		protoFits := filter.U8Proto == proto || filter.U8Proto == u8proto.ANY
		if filter.Ingress == ingress && protoFits && covers(filter, port) && tuple.Selector.Selects(peer.identity.ID) &&
			!slices.Contains(filters, filter) {
			filters = append(filters, filter)
		}
	}
	return filters
}

// covers is true for a port of the filter. A filter by the port's name is taken to cover it: that the map redirects this
// port is decided before.
func covers(filter *policy.L4Filter, port uint16) bool {
	return filter.PortName != "" || filter.Port == 0 || filter.Port == port || (filter.Port < port && port <= filter.EndPort)
}

// l7 is what the proxy would be told for this peer.
func (w *world) l7(binding *enforced, peer *party, ingress bool, proto u8proto.U8proto, port uint16) []L7Rules {
	all := []L7Rules{}
	for _, filter := range w.redirecting(binding, peer, ingress, proto, port) {
		for selector, rules := range filter.GetPerSelectorPolicies() {
			if selector.Selects(peer.identity.ID) && !rules.IsDeny() {
				one := L7Rules{}
				if rules != nil {
					one = L7Rules{Parser: rules.GetL7Parser().String(), HTTP: rules.HTTP, DNS: rules.DNS}
				}
				all = append(all, one)
			}
		}
	}
	slices.SortFunc(all, func(a, b L7Rules) int { return cmp.Compare(render(a), render(b)) })
	return all
}
